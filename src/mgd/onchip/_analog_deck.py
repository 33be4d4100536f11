"""A folder with an analog training circuit for SPICE: subcircuits, the learner, and with layers a deck that learns."""

import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import tomli_w
from jaxtyping import Float

from .._errors import MgdWarning
from ..datasets import parity
from ._analog import AnalogSpec
from ._folder import write_new

# The subcircuits, which are copied as they are.
_LIBRARY = Path(__file__).parent / "analog"
# Of the time for which the high-pass is blanked, the share before inputs move, and those in which inputs and the
# blanking move, and in which the high-pass follows.
_EARLY, _RISE, _EDGE, _SETTLE = 0.1, 0.1, 0.01, 0.02
# Of a turn in a cycle of samples: sines that drift apart more slowly are mixed up for as long as they learn.
_IN_STEP = 0.02
# The longest time step of the transient: so many of them are a period of the fastest sine.
_POINTS = 20


def generate_analog(
    spec: AnalogSpec,
    folder: str | Path,
    *,
    samples: tuple[Float[np.ndarray, "n inputs"], Float[np.ndarray, "n outputs"]] | None = None,
) -> list[Path]:
    """Writes an analog training circuit into a new folder, and returns its files.

    Args:
        spec: the circuit. With layers, there are a network and a deck beside it, which `ngspice -b learn.cir` runs, and
            writes `learn.txt`, with a row for each sample; without, `learner.sub` is for a deck of your own.
        folder: it must be empty, or not there.
        samples: inputs and targets of the deck, which come in turn; by default the parity of all inputs.

    Raises:
        ValueError: if the folder has files, or the samples do not fit the layers.
        RunError: if the folder cannot be written.
    """
    contents = {"learner.sub": _learner(spec), "spec.toml": tomli_w.dumps(spec.table)}
    if spec.layers:
        contents |= {"network.sub": _network(spec), "learn.cir": _deck(spec, *_samples(spec, samples))}
    elif samples is not None:
        raise ValueError("samples are for a network: give layers, or leave samples out")
    library = {path.name: path.read_text(encoding="utf-8") for path in sorted(_LIBRARY.glob("*.sub"))}
    return write_new(folder, library | contents)


def _samples(
    spec: AnalogSpec, given: tuple[Float[np.ndarray, "n inputs"], Float[np.ndarray, "n outputs"]] | None
) -> tuple[np.ndarray, np.ndarray]:
    inputs, outputs = spec.layers[0], spec.layers[-1]
    if given is None and outputs == 1:
        train = parity(bits=inputs).train
        given = np.asarray(train.x), np.asarray(train.y)
    if given is None:
        raise ValueError(f"samples must be given for {outputs} outputs: the default, parity, has one")
    x, y = (np.asarray(each, np.float64) for each in given)
    if x.ndim != 2 or x.shape[1] != inputs or y.shape != (len(x), outputs) or not len(x):
        raise ValueError(
            f"samples must be [n, {inputs}] inputs and [n, {outputs}] targets for layers {spec.layers}, got shapes "
            f"{x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("samples must be finite")
    if spec.from_step(len(x)) < _IN_STEP:
        others = sorted(range(spec.tau_x // 2, 2 * spec.tau_x), key=lambda tau_x: abs(tau_x - spec.tau_x))
        better = next((tau_x for tau_x in others if spec.from_step(len(x), tau_x) > 2 * _IN_STEP), None)
        warnings.warn(
            f"two sines differ by a harmonic of the cycle of {len(x)} samples, so their parameters learn each other's "
            + (f"gradients: use tau_x = {better}" if better else "gradients: widen the band of the sines"),
            MgdWarning,
            stacklevel=3,
        )
    return x, y


def _learner(spec: AnalogSpec) -> str:
    """The subcircuit of the whole learner."""
    theta, phases = spec.start()
    seconds = spec.timestep_seconds
    passing = {"tau": spec.tau_hp * seconds, "settle": _SETTLE * spec.blank * seconds}
    lines = [f".include {path.name}" for path in sorted(_LIBRARY.glob("*.sub"))]
    lines += [
        "* The learner: the cost and the blanking come in, each parameter goes out, plain and perturbed.",
        ".subckt mgd_learner cost blank",
        *_continued(f"theta{k} drive{k}" for k in _count(spec.parameters)),
        "Xpass cost blank modulation mgd_high_pass "
        + " ".join(f"{name}={_said(value)}" for name, value in passing.items()),
    ]
    of_each = zip(spec.sines.frequencies(spec.parameters), phases, spec.integrators(), theta, strict=True)
    for k, (frequency, phase, integrator, start) in enumerate(of_each, 1):
        lines += [
            f"X{k} modulation theta{k} drive{k} mgd_synapse amplitude={_said(spec.amplitude)}",
            f"+ frequency={_said(frequency / seconds)} phase={_said(360 * phase)} gain={_said(spec.multiplier_gain)}",
            f"+ tau_theta={_said(spec.tau_theta * seconds)} tau_integrator={_said(integrator)} start={_said(start)}",
        ]
    return _file("A learner by multiplexed gradient descent.", [*lines, ".ends"])


def _network(spec: AnalogSpec) -> str:
    """The subcircuit of the network: y = f(W x - b) in each layer, W by rows and then b."""
    inputs, names, lines, parameter = spec.layers[0], [f"x{k}" for k in _count(spec.layers[0])], [], 0
    for layer, (before, neurons) in enumerate(pairwise(spec.layers), 1):
        biases = parameter + before * neurons
        last = layer == len(spec.layers) - 1
        made = [f"y{k}" if last else f"h{layer}_{k}" for k in _count(neurons)]
        for k, name in enumerate(made):
            weights = range(parameter + before * k + 1, parameter + before * (k + 1) + 1)
            summed = "".join(f"-V(d{w})*V({x})" for w, x in zip(weights, names, strict=True))
            lines.append(f"B{name} {name} 0 V=1/(1+exp(V(d{biases + k + 1}){summed}))")
        names, parameter = made, biases + neurons
    ports = [
        *_continued(f"x{k}" for k in _count(inputs)),
        *_continued(f"d{k}" for k in _count(spec.parameters)),
        *_continued(names),
    ]
    return _file("Logistic neurons.", [".subckt network", *ports, *lines, ".ends"])


def _deck(spec: AnalogSpec, x: np.ndarray, y: np.ndarray) -> str:
    """The deck: samples in turn, network, cost, and learner."""
    seconds, blank, outputs = spec.timestep_seconds, spec.blank * spec.timestep_seconds, spec.layers[-1]
    held = spec.tau_x * seconds
    lines = [".include learner.sub", ".include network.sub", "* Samples come in turn. The cost is blanked meanwhile."]
    for name, columns in (("x", x), ("t", y)):
        lines += [
            line for k, values in enumerate(columns.T, 1) for line in _source(f"{name}{k}", values, held, _RISE * blank)
        ]
    edge = _EDGE * blank
    times = ((1 - _EARLY) * blank, edge, edge, held - blank - 2 * edge, held)
    lines.append(f"Vblank blank 0 PULSE(1 0 {' '.join(map(_said, times))})")
    squares = "+".join(f"(V(y{k})-V(t{k}))*(V(y{k})-V(t{k}))" for k in _count(outputs))
    lines += [
        "Xnetwork",
        *_continued(f"x{k}" for k in _count(spec.layers[0])),
        *_continued(f"drive{k}" for k in _count(spec.parameters)),
        *_continued(f"y{k}" for k in _count(outputs)),
        "+ network",
        f"Bcost cost 0 V=({squares})/{outputs}",
        "Xlearner cost blank",
        *_continued(f"theta{k} drive{k}" for k in _count(spec.parameters)),
        "+ mgd_learner",
    ]
    kept = ["v(cost)", *(f"v(theta{k})" for k in _count(spec.parameters))]
    longest = seconds * min(1.0, 1 / (_POINTS * spec.highest_frequency))
    lines += [
        "* One row of the table for each sample, at its end.",
        ".options interp",
        f".tran {_said(held)} {_said(spec.steps * seconds)} 0 {_said(longest)} uic",
        ".save",
        *_continued(kept),
        ".control",
        "run",
        "set wr_singlescale",
        "set wr_vecnames",
        "wrdata learn.txt",
        *_continued(kept),
        "quit",
        ".endc",
        ".end",
    ]
    return _file("A network that learns by itself: ngspice -b learn.cir writes learn.txt.", lines)


def _source(name: str, values: np.ndarray, held: float, rise: float) -> list[str]:
    """A source that has each value in turn for as long, over and over."""
    points = [(0.0, values[-1])]
    for k, value in enumerate(values):
        points += [(k * held + rise, value), ((k + 1) * held, value)]
    return [f"V{name} {name} 0 PWL(", *_continued(f"{_said(time)} {_said(value)}" for time, value in points), "+ ) r=0"]


def _file(title: str, lines: list[str]) -> str:
    return "\n".join([f"* {title} Made by mgd onchip analog from spec.toml.", *lines]) + "\n"


def _continued(words: Iterable[str]) -> list[str]:
    """Words on lines that continue a card, eight on each."""
    words = list(words)
    return ["+ " + " ".join(words[k : k + 8]) for k in range(0, len(words), 8)]


def _count(many: int) -> range:
    return range(1, many + 1)


def _said(number: float) -> str:
    return f"{number:.9g}"
