"""The kind "spice": a circuit in ngspice, from a netlist. Nothing here imports JAX."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .._errors import HardwareError
from .._input import first_error
from ._base import AbstractInstrument, Identity
from ._limits import Limits
from ._netlist import SWEEP, Netlist, spelt, terms
from ._ngspice import Ngspice, ngspice

Number = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False, strict=True)]
Above0 = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
# What `alter` sets of an element that is named alone, and how it is asked for.
_MAIN = {"r": "resistance", "c": "capacitance", "l": "inductance", "v": "dc", "i": "dc", "e": "gain", "g": "gain"}
# Of what names may be of, nothing has a meaning in ngspice's commands, which could be those of a shell.
_ELEMENT = re.compile(r"[a-z][\w.:#%@+/-]*(\[[a-z]\w*\])?", re.ASCII)
# The current of an element by its kind: what `i(name)` is in ngspice, and what asks for it before an analysis.
_BRANCH = "{0}#branch", "@{0}[i]"
_CURRENTS = (
    dict.fromkeys("vle", _BRANCH)
    | dict.fromkeys("rcfghbsw", ("@{0}[i]",) * 2)
    | dict.fromkeys("dmj", ("@{0}[id]",) * 2)
    | {"i": ("@{0}[current]",) * 2, "q": ("@{0}[ic]",) * 2, "z": ("@{0}[cd]",) * 2}
)
_NUMBERS = itertools.count(1)
# Iterations that a retry multiplies, and how many ngspice allows where a netlist does not say: at an operating point,
# along a sweep; and at a time point, of which operating points know too where all else fails, at length.
_ITERATIONS = {"op": {"itl1": 100, "itl2": 50}, "tran": {"itl1": 100, "itl4": 10}}


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Number | tuple[Number, ...]
    high: Number | tuple[Number, ...]
    unit: Annotated[str, Field(strict=True)] = ""


class SpiceSettings(BaseModel):
    """A circuit, as it stands in the `[instrument]` table of a chip file. Names are as in the netlist, in any case.

    Attributes:
        netlist: path of the file.
        parameters: what θ sets: an element ("r1", "vb2": its resistance, its voltage); one of its parameters, as
            SPICE writes it ("m1[w]"); or a pair of elements ("rp1 - rm1") set to `middle` ± θ/2.
        inputs: voltage or current sources, one for each feature.
        outputs: one for each output: "v(out)", "v(a,b)", "v(a) - v(b)", "i(vload)".
        limits: of θ: low and high, of each or of all, and their unit.
        conductance_unit: θ of a resistor is then a conductance, in so many siemens: 1e-3 for millisiemens.
        middle: of pairs, in the unit of θ.
        analysis: "op", an operating point for each sample; or "tran", where the circuit starts at rest (inputs at
            x = 0) and each sample is applied in turn for `stop_seconds`, at whose end outputs are read.
        uic: whether transients begin with the initial states that elements are given (IC=) instead of an operating
            point; if None, as the transients of the netlist do.
        spiceinit: path of a file of commands that ngspice carries out before it reads the netlist. No other
            .spiceinit is read.
        stop_seconds: how long a sample is applied.
        step_seconds: the rise time of inputs, and the longest time step.
        input_scale: an input is at input_scale · x + input_offset.
        input_offset: the same.
        output_scale: an output is output_scale · (volts or amperes) + output_offset.
        output_offset: the same.
        retries: of an analysis that does not converge, each with five times the iterations.
        processes: each with the circuit in it, among which measurements are shared out; if None, it is in this one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    netlist: Name
    parameters: Names
    inputs: Names
    outputs: Names
    limits: _Limits
    conductance_unit: Above0 | None = None
    middle: Number | None = None
    analysis: Literal["op", "tran"] = "op"
    uic: Annotated[bool, Field(strict=True)] | None = None
    spiceinit: Name | None = None
    stop_seconds: Above0 | None = None
    step_seconds: Above0 | None = None
    input_scale: Number = 1.0
    input_offset: Number = 0.0
    output_scale: Number = 1.0
    output_offset: Number = 0.0
    retries: Annotated[int, Field(ge=0, le=10, strict=True)] = 2
    processes: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "SpiceSettings":
        for each in self.parameters:
            for name in _pair(each):
                if not _ELEMENT.fullmatch(name) or ("[" not in name and name[0] not in _MAIN):
                    raise ValueError(
                        f'parameters: {each!r} must be an element ("r1"), one of its parameters ("m1[w]"), '
                        'or a pair ("rp1 - rm1"), of letters, digits and _.:#%@+/-'
                    )
        names = [name for each in self.parameters for name in _pair(each)]
        for what, given in (("parameters", names), ("inputs", [spelt(name) for name in self.inputs])):
            if len(set(given)) < len(given):
                raise ValueError(f"{what}: {next(name for name in given if given.count(name) > 1)!r} is named twice")
        for output in self.outputs:
            for kind, name, _ in terms(output):
                if kind == "i" and name[0] not in _CURRENTS:
                    raise ValueError(_no_current(name))
        pairs = any(len(_pair(each)) == 2 for each in self.parameters)
        if pairs != (self.middle is not None):
            raise ValueError("middle is needed for pairs of elements, and for them alone")
        times = self.stop_seconds, self.step_seconds
        if self.analysis == "tran" and not (times[0] and times[1] and times[1] < times[0]):
            raise ValueError(f'analysis = "tran" needs step_seconds below stop_seconds, got {times[1]} and {times[0]}')
        if self.analysis == "op" and times != (None, None):
            raise ValueError('stop_seconds and step_seconds are of analysis = "tran"')
        if self.analysis == "op" and self.uic:
            raise ValueError('uic is of analysis = "tran": an operating point has no initial states')
        return self


class Spice(AbstractInstrument):
    """A circuit in ngspice, whose elements are the parameters and whose sources the inputs.

    The circuit is loaded once. Parameters are set by `alter`, those that changed; of operating points, a batch is one
    sweep whose inputs are asked of us at each point; of transients, one transient. A process holds one open circuit.

    Args:
        settings: what is what in the netlist.
        folder: what the netlist's path is relative to.

    Attributes:
        not_converged: analyses that did not converge, retries included.

    Raises:
        ValueError: if the netlist cannot be read or lacks what is named.
    """

    reads = "outputs"

    def __init__(self, settings: SpiceSettings, folder: Path):
        self.settings = settings
        self.netlist = Netlist(folder / settings.netlist)
        self._start = _commands(folder / settings.spiceinit) if settings.spiceinit else b""
        self.address = f"spice {self.netlist.path}, {next(_NUMBERS)} of process {os.getpid()}"
        self.n_params, self.not_converged = len(settings.parameters), 0
        self._inputs = [spelt(name) for name in settings.inputs]
        self._targets = [_pair(each) for each in settings.parameters]
        self.limits = _limits_of(settings)
        self._check_written()
        self.netlist.check(
            [name.partition("[")[0] for pair in self._targets for name in pair], settings.outputs, self._inputs
        )
        self._uic = self._initial_states()
        self._name_vectors(set())
        self._rows = np.zeros((1, len(self._inputs)))
        self._spread()
        self._spice: Ngspice | None = None

    def open(self) -> None:
        spice = ngspice()
        spice.claim(self.address, self._start)
        self._spice = spice
        self._written = np.full(len(self._alters), np.nan)
        try:
            self._load(spice)
        except BaseException as error:
            self.close()
            if not isinstance(error, HardwareError):
                raise
            raise HardwareError(f"{self.address}: {error}") from None

    def close(self) -> None:
        if self._spice is not None:
            self._spice.release()
            self._spice = None

    def identify(self) -> Identity:
        """The serial is the netlist's digest: a calibration belongs to one circuit."""
        return Identity("ngspice", self.netlist.path.stem, self.netlist.digest(self._start), self._open().version)

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        spice = self._open()
        values = self._values(np.asarray(theta, np.float64))
        changed = np.flatnonzero(values != self._written)
        pairs = zip(changed.tolist(), values[changed].tolist(), strict=True)
        spice.commands([self._alters[k] % value for k, value in pairs])
        if trouble := spice.trouble():
            self._written[:] = np.nan
            raise HardwareError(f"{self.address}: setting parameters: {trouble}")
        self._written = values

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        for what, given, own in (("inputs", rows.shape[1], self._inputs), ("outputs", target.shape[1], self._terms)):
            if given != len(own):
                raise ValueError(f"{self.address} has {len(own)} {what}, and a sample has {given}")
        self._rows = rows * self.settings.input_scale + self.settings.input_offset

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        spice = self._open()
        analyse = self._points if self.settings.analysis == "op" else self._transient
        trouble = ""
        for attempt in range(self.settings.retries + 1):
            if attempt:
                self._allow(5**attempt)
            read, trouble = analyse(spice)
            if attempt:
                self._allow(1)
            if read is not None:
                return (read * self.settings.output_scale + self.settings.output_offset).astype(np.float32)
            self.not_converged += 1
        raise HardwareError(
            f"{self.address}: {self.settings.analysis} did not converge, nor on {self.settings.retries} retries "
            f"({trouble or 'ngspice does not say why'}): limit parameters to where it does, or give it .options",
            skip=True,
        )

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        # For the processes of `Circuits`, each of which has a part; a batch of one process would gain nothing.
        found = np.full((len(signals), len(self._rows), len(self._terms)), np.nan, np.float32)
        for signal, outputs in zip(signals, found, strict=True):
            self.set_parameters(signal)
            try:
                outputs[:] = self.read_outputs()
            except HardwareError as error:
                if not error.skip:
                    raise
        return found

    def safe_state(self) -> None:
        """Nothing: what is simulated may be left as it is."""

    def _load(self, spice: Ngspice) -> None:
        """Loads the circuit, and sees whether it has what is named in it."""
        rest = self.settings.input_offset
        waveform = "external" if self.settings.analysis == "op" else f"pwl(0 {rest!r} 1 {rest!r})"
        currents = {name for output in self.settings.outputs for kind, name, _ in terms(output) if kind == "i"}
        named = [name for pair in self._targets for name in pair]
        behavioural: set[str] = set()
        if currents or any("[" in name for name in named):
            # Before an analysis ngspice crashes when it is asked for some of these, and in one that is to keep a
            # current which is not there.
            spice.circuit(self.netlist.driven(self._inputs, waveform, [f"v({SWEEP})"]))
            spice.analyse("op", {name: [rest] for name in self._inputs})
            behavioural |= {name for name in currents if name[0] == "r" and spice.vector(f"@{name}[i]") is None}
            for name in sorted(currents):
                if spice.vector(_current(name, behavioural)[1]) is None:
                    raise HardwareError(_no_current(name))
            self._check_there(spice, named)
            spice.command("remcirc")
        self._name_vectors(behavioural)
        spice.circuit(self.netlist.driven(self._inputs, waveform, self._kept))
        self._check_there(spice, [name for name in named if "[" not in name])

    def _name_vectors(self, behavioural: Set[str]) -> None:
        """Says of which vectors outputs are the differences, where these resistors are behavioural sources."""
        self._terms = [[_vectors(term, behavioural) for term in terms(each)] for each in self.settings.outputs]
        self._kept = sorted({name for output in self._terms for term in output for name in term if name})

    def _initial_states(self) -> bool:
        """Whether transients begin with initial states.

        Raises:
            ValueError: if that is not clear, or states are said that nothing would begin with.
        """
        states = [name for pair in self._targets for name in pair if re.search(r"^[^q].*\[ic", name)]
        said = self.settings.uic
        if said is None and len(self.netlist.uic) == 2:
            raise ValueError(f"{self.netlist.path} has transients with uic and without: set uic to true or false")
        wanted = True in self.netlist.uic if said is None else said
        if self.settings.analysis == "op" and (states or (wanted and self.netlist.has_states)):
            raise ValueError(
                f"{states[0] if states else self.netlist.path} sets initial states, from which a transient with uic "
                'begins and an operating point does not: set analysis = "tran"'
                + ("" if states else ", or uic = false for operating points that leave them out")
            )
        if states and not wanted:
            raise ValueError(
                f"parameters: {states[0]!r} is an initial state, from which a transient begins only with uic = true"
            )
        return wanted

    def _points(self, spice: Ngspice) -> tuple[Float[np.ndarray, "batch outputs"] | None, str]:
        """Operating points for the batch, or what ngspice says instead."""
        columns = dict(zip(self._inputs, self._rows.T.tolist(), strict=True))
        trouble = spice.analyse(f"dc {SWEEP} 0 {len(self._rows) - 1} 1", columns)
        return self._outputs(spice, len(self._rows), trouble), trouble

    def _transient(self, spice: Ngspice) -> tuple[Float[np.ndarray, "batch outputs"] | None, str]:
        """Outputs at the end of each sample's time, or what ngspice says instead."""
        stop, step = self.settings.stop_seconds or 1.0, self.settings.step_seconds or 1.0
        ends = stop * np.arange(1, len(self._rows) + 1)
        times = np.stack([ends - stop, ends - stop + step], 1).ravel()
        for name, values in zip(self._inputs, self._rows.T, strict=True):
            levels = np.repeat([self.settings.input_offset, *values], 2)[1:-1]
            points = " ".join(f"{time:.9g} {level:.9g}" for time, level in zip(times, levels, strict=True))
            spice.command(f"alter @{name}[pwl] = [ {points} ]")
        begin = " uic" if self._uic else ""
        trouble = spice.analyse(f"tran {step:.9g} {ends[-1]:.12g} 0 {step:.9g}{begin}", {})
        time = spice.vector("time")
        if time is None or time[-1] < ends[-1] * (1 - 1e-6):
            return None, trouble
        values = self._outputs(spice, len(time), trouble)
        return None if values is None else np.stack([np.interp(ends, time, each) for each in values.T], 1), trouble

    def _outputs(self, spice: Ngspice, length: int, trouble: str) -> Float[np.ndarray, "length outputs"] | None:
        """All points of an analysis; None if it did not come to its end."""
        found: dict[str, np.ndarray] = {"": np.zeros(length)}
        for name in self._kept:
            vector = spice.vector(name)
            if vector is None and (not trouble or "no data saved" in trouble):
                raise HardwareError(f"{self.address}: the circuit has no {name}: mend outputs")
            if vector is None or len(vector) != length:
                return None
            found[name] = vector
        columns = []
        for output in self._terms:
            first, *others = [found[plus] - found[minus] for plus, minus in output]
            columns.append(first - sum(others))
        return np.stack(columns, 1)

    def _values(self, theta: Float[np.ndarray, " p"]) -> Float[np.ndarray, " elements"]:
        """What elements are set to."""
        values = self._middles + self._shares * theta[self._owners]
        values[self._inverse] = 1 / (values[self._inverse] * (self.settings.conductance_unit or 1.0))
        return values

    def _spread(self) -> None:
        """Says of each element which of θ sets it, and how."""
        names = [name for pair in self._targets for name in pair]
        sizes = [len(pair) for pair in self._targets]
        signs = [sign for size in sizes for sign in ((1.0,) if size == 1 else (0.5, -0.5))]
        self._owners = np.repeat(np.arange(len(sizes)), sizes)
        self._shares = np.array(signs)
        self._middles = np.where(np.abs(self._shares) < 1, self.settings.middle or 0.0, 0.0)
        of_unit = self.settings.conductance_unit is not None
        self._inverse = np.array([of_unit and _resists(name) for name in names])
        # Filled in by the hundred for a measurement, at half the price of formatted text that is then encoded.
        self._alters = [f"alter {'@' if '[' in name else ''}{name.replace('%', '%%')}=%.9g".encode() for name in names]
        self._written = np.full(len(names), np.nan)

    def _check_written(self) -> None:
        """Raises: ValueError: if limits let a conductance be zero or less."""
        if self.settings.conductance_unit is None:
            return
        middle = self.settings.middle or 0.0
        for pair, low, high in zip(self._targets, self.limits.low, self.limits.high, strict=True):
            smallest = low if len(pair) == 1 else middle - max(abs(low), abs(high)) / 2
            if smallest <= 0 and any(map(_resists, pair)):
                raise ValueError(f"limits: conductances must be above 0, and {' - '.join(pair)} could be {smallest:g}")

    def _check_there(self, spice: Ngspice, names: Sequence[str]) -> None:
        for name in names:
            device, _, parameter = name.partition("[")
            if spice.vector(f"@{device}[{parameter.rstrip(']') or _MAIN[name[0]]}]") is None:
                raise HardwareError(f"the circuit has no parameter {name!r} ({spice.trouble()}): mend parameters")

    def _allow(self, times: int) -> None:
        for option, iterations in _ITERATIONS[self.settings.analysis].items():
            own = self.netlist.option(option) or iterations
            self._open().command(f"option {option}={own * times:.0f}")

    def _open(self) -> Ngspice:
        if self._spice is None:
            raise HardwareError(f"{self.address} is not open: open it, or use it in a `with`")
        return self._spice


def load(settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """A circuit, in this process or in others of its own, from the settings of a chip file; see `SpiceSettings`.

    Raises:
        ValueError: if a setting is wrong, or the netlist cannot be read or lacks what is named.
    """
    try:
        read = SpiceSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        known = _Limits if first["loc"][:1] == ("limits",) else SpiceSettings
        raise ValueError(first_error(error, known.model_fields, "instrument")) from None
    if read.processes is None:
        return Spice(read, folder)
    from ._circuits import Circuits

    return Circuits(read, folder)


def _pair(parameter: str) -> tuple[str, ...]:
    """The elements that a parameter sets, as ngspice writes them."""
    return tuple(spelt(part.strip()) for part in re.split(r"\s+-\s+", parameter))


def _resists(name: str) -> bool:
    """Whether what is set is the resistance of a resistor."""
    return name[0] == "r" and "[" not in name


def _limits_of(settings: SpiceSettings) -> Limits:
    sides: list[np.ndarray] = []
    for name in ("low", "high"):
        side = np.asarray(getattr(settings.limits, name), np.float32)
        if side.ndim and len(side) != len(settings.parameters):
            raise ValueError(f"limits.{name} has {len(side)} values for {len(settings.parameters)} parameters")
        sides.append(np.broadcast_to(side, len(settings.parameters)))
    low, high = sides
    return Limits(low, high, settings.limits.unit)


def _current(name: str, behavioural: Set[str]) -> tuple[str, str]:
    """The vector that is the current of an element, and what there is of it before an analysis."""
    if name in behavioural:  # ngspice makes a source of it, of this name
        before, dot, last = name.rpartition(".")
        name = f"b{before[1:]}{dot}b{last}"
    vector, there = _CURRENTS[name[0]]
    return vector.format(name), there.format(name)


def _no_current(name: str) -> str:
    return (
        f"outputs: ngspice gives no current i({name}): it does of R, C, L, V, I, E, F, G, H, B, S, W and D, of the drain "
        'of M, J and Z, and of the collector of Q (in subcircuits "i(m.x1.m1)"), of most models; for others put a '
        "source of 0 V in series and name that"
    )


def _vectors(term: tuple[str, str, str], behavioural: Set[str]) -> tuple[str, str]:
    """The names of the vectors whose difference a term is; "" for ground."""
    kind, first, second = term
    if kind == "i":
        return _current(first, behavioural)[0], ""
    plus, minus = ("" if name in ("", "0", "gnd") else f"v({name})" for name in (first, second))
    return plus, minus


def _commands(path: Path) -> bytes:
    """What a file of ngspice's commands says."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"spiceinit: cannot read {path}: {error.strerror}") from None
