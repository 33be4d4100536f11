"""A trained run as one file for other programs: parameters and chips, with a description."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._errors import RunError
from .._version import __version__
from ..chips import AbstractChip, NetworkChip
from ..chips.imperfections import Imperfect
from ..datasets import Task
from ..networks import CNN, MLP, Dense
from ..runs import replace_file
from ._assessed import class_names
from ._formats import check_export
from ._loaded import LoadedRun, load_run

# Values in a text file: with more it would take gigabytes.
_MOST_LINES = 20_000_000
_NEURONS = ("alpha", "beta", "shift", "offset")
_DENSE_WEIGHT = "weights, one row for each neuron, as (outputs, inputs)"
_DENSE_BIAS = "thresholds, which are subtracted: a = W x - b"
_KERNEL = "kernels, as (3, 3, inputs, outputs), not flipped and without padding"
_ADDED = "biases, which are added: a = K * x + b"
# What a file has of imperfections of the parameters, if that is not only theta_applied.
_OF_WRITES = {
    "drift": "theta_applied includes the drift until the end of the run, and not later drift",
    "perturbation-gain": "it scales only perturbations, and does not affect outputs",
    "soft-bounds-write": "theta_applied includes its bounds; its response to writes does not affect outputs",
    "update-noise": "it affects only writes, and not outputs",
    "activation-variation": "alpha, beta, shift and offset of each neuron are in the arrays layerN",
}


@dataclass(frozen=True)
class Exported:
    """The contents of an exported file.

    Attributes:
        arrays: by name; those of replicas have a leading replica axis.
        about: the description of the arrays, in types of JSON.
    """

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]


def export(
    folder: str | Path,
    out: str | Path,
    *,
    replica: int | str = "all",
    chip: AbstractChip | None = None,
    task: Task | None = None,
) -> Exported:
    """Writes a trained run into one file, for use without this program.

    The file has θ as the controller knows it and as each chip computes with it, the random values and the memory of
    each chip, the scaling of the inputs, and a description in words. docs/take-away.md has short programs that read it.

    Args:
        folder: the run directory, finished or not.
        out: the file: .npz, .csv or .safetensors.
        replica: the chips: a number, "best" or "all".
        chip: as in `load_run`.
        task: as in `load_run`.

    Returns:
        The contents of the file.

    Raises:
        RunError, ValueError: as `load_run`; also if the file cannot be written or has another suffix.
    """
    out = Path(out)
    check_export(out)
    run = load_run(folder, chip=chip, task=task)
    found = exported(run, replica)
    write = {".npz": _npz, ".csv": _csv, ".safetensors": _safetensors}[out.suffix.lower()]
    try:
        replace_file(out, write(found))
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}") from error
    return found


def exported(run: LoadedRun, replica: int | str = "all") -> Exported:
    """The contents of the exported file of a run."""
    if not run.on_bench:
        run.model()  # raises if the chip was made in Python and not given
    numbers = list(run.replicas(replica))
    network = None if run.chip is None else _network(run.chip)
    arrays = {"theta": run.theta[numbers]}
    if any(one is not None and one.is_scaled for one in run.units):
        arrays["theta_on_chip"] = run.on_chip()[numbers]
    if run.chip is not None:
        arrays["theta_applied"] = run.applied()[numbers]
        arrays |= _of_chips(run, numbers, network)
    arrays["input_offset"], arrays["input_scale"] = _scaling(run)
    arrays["replicas"] = np.array(numbers)
    groups, layers = _groups(run, network), _layers(run, network)
    facts, scores = run.task, run.scores if run.finished else None  # a checkpoint may be newer than its scores
    about = {
        "format": "mgd export 1",
        "mgd": __version__,
        "run": run.folder.name,
        "finished": run.finished,
        "step": run.step,
        "task": facts.name,
        "kind": facts.kind,
        "classes": list(class_names(facts)),
        "input_shape": list(facts.input_shape),
        "input_columns": None if facts.inputs is None else list(facts.inputs),
        "n_outputs": facts.n_outputs,
        "unit": run.unit,
        "cost": run.settings.cost,
        "one_output_is_split_at": _split_at(run),
        "score": None if scores is None else [_number(scores[number]) for number in numbers],
        "groups": groups,
        "layers": layers,
        "words": _words(run, layers),
    }
    return Exported(arrays, about)


def _network(chip: AbstractChip) -> Any:
    """The structure of the chip's network; None if it is not a network."""
    while isinstance(chip, Imperfect):
        chip = chip.chip
    return eqx.filter_eval_shape(chip.make, jax.random.key(0)) if isinstance(chip, NetworkChip) else None


def _leaves(chip: AbstractChip) -> Any:
    while isinstance(chip, Imperfect):
        chip = chip.chip
    return chip.leaves if isinstance(chip, NetworkChip) else None


def _of_chips(run: LoadedRun, numbers: list[int], network: Any) -> dict[str, np.ndarray]:
    """Random values and memory of each chip; for our networks also those of each neuron, even if all are equal."""
    found, around = {}, "activation_variation."
    for name, values in run.device_arrays().items():
        found[name.removeprefix(around) if name.startswith(around) else f"device.{name}"] = values[numbers]
    if isinstance(network, MLP | CNN):
        for layer, n in enumerate(network.neuron_counts, 1):
            for name, value in zip(_NEURONS, (1.0, 1.0, 0.0, 0.0), strict=True):
                found.setdefault(f"layer{layer}.{name}", np.full((len(numbers), n), value, np.float32))
    return found


def _scaling(run: LoadedRun) -> tuple[np.ndarray, np.ndarray]:
    """The number subtracted from an input in the user's units, and the factor applied after that."""
    facts = run.task
    offset, spread = np.zeros(()), np.ones(())
    if facts.scaling is not None:
        offset, spread = facts.scaling.offset, facts.scaling.spread
    return np.asarray(offset + facts.offset * spread), np.asarray(facts.scale / spread)


def _groups(run: LoadedRun, network: Any) -> list[dict[str, Any]]:
    """Each group of parameters: its name, its place in θ, its shape and its meaning."""
    leaves = None if run.chip is None else _leaves(run.chip)
    found = []
    for place, (name, piece) in enumerate(run.groups.items()):
        group: dict[str, Any] = {"name": name, "start": piece.start, "stop": piece.stop}
        if leaves is not None and tuple(leaves.names) == tuple(run.groups):
            group |= {"shape": list(leaves.shapes[place]), "type": str(leaves.dtypes[place])}
        if run.units and run.units[0] is not None:
            group["unit"] = _same(run.units[0].unit[piece])
        group["says"] = _meaning(name, group.get("type", ""), network)
        found.append(group)
    return found


def _same(units: tuple[str, ...]) -> str | None:
    """The unit that all of a group have; None if they have several."""
    return units[0] if len(set(units)) == 1 else None


def _meaning(name: str, dtype: str, network: Any) -> str:
    if isinstance(network, MLP | CNN):
        weight = name.endswith(".weight")
        if name.startswith("convolutions"):
            return _KERNEL if weight else _ADDED
        return _DENSE_WEIGHT if weight else _DENSE_BIAS
    if dtype.startswith("complex"):
        return "an array of your module, in C order: first all real parts, then all imaginary parts"
    return "an array of your module, in C order" if dtype else "a group of the chip's parameters"


def _layers(run: LoadedRun, network: Any) -> list[dict[str, Any]]:
    """The layers of one of our networks, in order; empty for other networks."""
    if not isinstance(network, MLP | CNN):
        return []
    slices = {name: [piece.start, piece.stop] for name, piece in run.groups.items()}

    def layer(kind: str, name: str, sign: int, activation: str) -> dict[str, Any]:
        parts = {part: slices[f"{name}.{part}"] for part in ("weight", "bias")}
        return {"kind": kind, **parts, "bias_sign": sign, "activation": activation}

    def dense(name: str, of: Dense) -> dict[str, Any]:
        return layer("dense", name, -1, of.activation)

    if isinstance(network, MLP):
        return [dense(f"layers[{k}]", of) for k, of in enumerate(network.layers)]
    convolutions = [layer("convolution", f"convolutions[{k}]", 1, "relu") for k in range(len(network.convolutions))]
    return [*convolutions, dense("dense", network.dense)]


def _split_at(run: LoadedRun) -> float | None:
    """The value that splits one output into two classes; None if there are none."""
    if (run.task.n_outputs > 1 and run.task.kind == "classes") or run.task.kind == "values":
        return None
    return 0.0 if run.is_logit or run.task.kind == "signs" else 0.5


def _words(run: LoadedRun, layers: list[dict[str, Any]]) -> list[str]:
    kinds = run.units[0] if run.units else None
    unit = f"in {run.unit}" if run.unit else "in the network's own units"
    if kinds is not None and not run.unit:
        unit = "in units of its groups" if kinds.is_scaled else "in the unit of each group"
    said = [
        f"theta has the axes (replica, parameter) and is {unit}, as the controller knows it.",
        "groups lists groups of parameters: theta[:, start:stop], of the given shape, in C order.",
        "The chip sees an input x as (x - input_offset) * input_scale.",
    ]
    if kinds is not None and kinds.is_scaled:
        said.append("theta_on_chip has the values that the chip was set to, in the unit of each group.")
    if run.chip is None:
        return [*said, "The chip is a real one, so the file does not say how it computes with its parameters."]
    said.append("Each chip computes with theta_applied: compute outputs with it, and not with theta.")
    kinds = {layer["kind"] for layer in layers}
    if "dense" in kinds:
        said.append(
            "A dense layer is y = alpha f(beta (W x - b - shift)) + offset: its bias is a threshold and is subtracted. "
            "alpha, beta, shift and offset have one value for each neuron, in the arrays layerN."
        )
    if "convolution" in kinds:
        said.append(
            "A convolution is a = K * x + b (its bias is added; 3 x 3, without padding, channels last), then the "
            "maximum over each 2 x 2 square (an odd last row or column is left out), then "
            "y = alpha relu(beta (a - shift)) + offset."
        )
    if not layers:
        said.append("Only your own chip knows how outputs are computed; the arrays are those of its module.")
    if run.settings.cost == "cross-entropy":
        said.append("Outputs are logits: the cost is cross-entropy.")
    chip = run.chip
    while isinstance(chip, Imperfect):
        name = chip.imperfection.name
        known = "it affects only the measured cost, and not outputs"
        if chip.imperfection.side != "out":
            known = _OF_WRITES.get(name, "theta_applied includes its effect")
        said.append(f"{name}: {known}.")
        chip = chip.chip
    return said


def _npz(found: Exported) -> bytes:
    content = io.BytesIO()
    arrays: dict[str, Any] = found.arrays | {"about": np.array(json.dumps(found.about, ensure_ascii=False))}
    np.savez(content, **arrays)
    return content.getvalue()


def _safetensors(found: Exported) -> bytes:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(values) for name, values in found.arrays.items()}
    return save(arrays, {"about": json.dumps(found.about, ensure_ascii=False)})


def _csv(found: Exported) -> bytes:
    """One line for each number, below comments that describe them.

    Raises:
        ValueError: if there are too many numbers.
    """
    n = sum(values.size for values in found.arrays.values())
    if n > _MOST_LINES:
        raise ValueError(f"{n:,} numbers are too many for a CSV file: export to .npz, or export fewer replicas")
    text = io.StringIO()
    for line in found.about["words"]:
        text.write(f"# {line}\n")
    text.write(f"# about: {json.dumps(found.about, ensure_ascii=False)}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["array", "replica", "group", "index", "value"])
    numbers = found.arrays["replicas"].tolist()
    names = [group["name"] for group in found.about["groups"] for _ in range(group["start"], group["stop"])]
    for name, values in found.arrays.items():
        if name == "replicas":
            continue
        own = not name.startswith("input_")
        rows = values.reshape(len(numbers), -1) if own else values.reshape(1, -1)
        for replica, row in zip(numbers if own else [""], rows, strict=True):
            groups = names if name.startswith("theta") and len(names) == len(row) else [""] * len(row)
            table.writerows((name, replica, groups[k], k, f"{value:.17g}") for k, value in enumerate(row.tolist()))
    return text.getvalue().encode()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
