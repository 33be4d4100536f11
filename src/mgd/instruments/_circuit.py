"""The kind "spice": a circuit in ngspice, from a netlist. Nothing here imports JAX."""

import itertools
import os
import random
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from .._errors import HardwareError
from ._base import AbstractInstrument, Identity
from ._currents import current, no_current, vectors
from ._limits import Limits
from ._netlist import SWEEP, Netlist, spelt, terms
from ._ngspice import Ngspice, ngspice
from ._spice_settings import MAIN, SpiceSettings, pair

_NUMBERS = itertools.count(1)
# Iterations that a retry multiplies, and how many ngspice allows where a netlist does not say: at an operating point,
# along a sweep; and at a time point, of which operating points know too where all else fails, at length.
_ITERATIONS = {"op": {"itl1": 100, "itl2": 50}, "tran": {"itl1": 100, "itl4": 10}}


class Spice(AbstractInstrument):
    """A circuit in ngspice, whose elements are the parameters and whose sources are the inputs.

    The circuit is loaded once, and only changed parameters are set, by `alter`. A batch is one sweep of operating
    points, in which ngspice asks for the inputs at each point, or one transient. A process can have one open circuit.

    Args:
        settings: which elements of the netlist are parameters, inputs and outputs.
        folder: the folder to which the netlist's path is relative.

    Attributes:
        not_converged: analyses that did not converge, retries included.

    Raises:
        ValueError: if the netlist cannot be read or lacks a named element.
    """

    reads = "outputs"

    def __init__(self, settings: SpiceSettings, folder: str | Path):
        self.settings, folder = settings, Path(folder)
        behavior = settings.ngbehavior or ""
        self.netlist = Netlist(folder / settings.netlist, as_pspice="ps" in behavior or "all" in behavior)
        self._start = f"set ngbehavior={behavior}\n".encode() if behavior else b""
        self._start += _commands(folder / settings.spiceinit) if settings.spiceinit else b""
        self.address = f"spice {self.netlist.path}, {next(_NUMBERS)} of process {os.getpid()}"
        self.n_params, self.not_converged = len(settings.parameters), 0
        self._inputs = [spelt(name) for name in settings.inputs]
        self._targets = [pair(each) for each in settings.parameters]
        self.limits = _limits_of(settings)
        self._check_written()
        self.netlist.check(
            [name.partition("[")[0] for names in self._targets for name in names], settings.outputs, self._inputs
        )
        self._check_sources()
        self._uic = self._initial_states()
        self._name_vectors(set())
        self._rows = np.zeros((1, len(self._inputs)))
        self._spread()
        self._seed = int(self.netlist.digest(self._start)[:7], 16) + 1
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
        changed = values != self._written
        if self._has_cards and (anew := changed & self._of_netlist).any():
            self._set(spice, anew, values)
            self._make_again(spice)
            changed = ~self._of_netlist
        self._set(spice, changed, values)
        self._written = values

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        for what, given, own in (("inputs", rows.shape[1], self._inputs), ("outputs", target.shape[1], self._terms)):
            if given != len(own):
                raise ValueError(f"{self.address} has {len(own)} {what}, but a sample has {given}")
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
            f"{self.address}: {self.settings.analysis} did not converge, even after {self.settings.retries} retries "
            f"({trouble or 'ngspice does not say why'}): limit parameters to where it converges, or add .options",
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
        """Does nothing: a simulation is always safe."""

    def _set(
        self, spice: Ngspice, which: Bool[np.ndarray, " elements"], values: Float[np.ndarray, " elements"]
    ) -> None:
        places = np.flatnonzero(which)
        pairs = zip(places.tolist(), values[places].tolist(), strict=True)
        self._carry_out(spice, [self._alters[k] % value for k, value in pairs])

    def _make_again(self, spice: Ngspice) -> None:
        """Makes the circuit anew, so that its `.param` have their new values, and nothing else has been set."""
        self._carry_out(spice, [f"setseed {self._seed}".encode(), b"reset"])
        self._draw_anew(spice)

    def _carry_out(self, spice: Ngspice, commands: list[bytes]) -> None:
        spice.commands(commands)
        if trouble := spice.trouble():
            self._written[:] = np.nan
            raise HardwareError(f"{self.address}: setting parameters: {trouble}")

    def _draw_anew(self, spice: Ngspice) -> None:
        """Lets what is drawn in a transient, its noise, not be that of the last."""
        if self.netlist.option("seed") is None:
            spice.command(f"setseed {random.SystemRandom().randrange(1, 2**31)}")

    def _load(self, spice: Ngspice) -> None:
        """Loads the circuit, and sees whether it has what is named in it."""
        rest = self.settings.input_offset
        waveform = "external" if self.settings.analysis == "op" else f"pwl(0 {rest!r} 1 {rest!r})"
        found = [term for output in self.settings.outputs for term in terms(output)]
        currents = {name for kind, name, _ in found if kind == "i"}
        readings = {vectors(term, set())[0] for term in found if term[0] == "@"}
        named = [name for names in self._targets for name in names if not name.startswith(".param")]
        behavioural: set[str] = set()
        if currents or readings or any("[" in name for name in named):
            # Before an analysis ngspice crashes when it is asked for some of these, and in one that is to keep a
            # current which is not there.
            spice.circuit(self.netlist.driven(self._inputs, waveform, [f"v({SWEEP})"]), self._seed)
            spice.analyse("op", {name: [rest] for name in self._inputs})
            behavioural |= {name for name in currents if name[0] == "r" and spice.vector(f"@{name}[i]") is None}
            for name in sorted(currents):
                if spice.vector(current(name, behavioural)[1]) is None:
                    raise HardwareError(no_current(name))
            for name in sorted(readings):
                if spice.vector(name) is None:
                    raise HardwareError(f"the circuit has no {name}: correct outputs")
            self._check_there(spice, named)
            spice.command("remcirc")
        self._name_vectors(behavioural)
        spice.circuit(self.netlist.driven(self._inputs, waveform, self._kept), self._seed)
        self._draw_anew(spice)
        self._check_there(spice, [name for name in named if "[" not in name])

    def _name_vectors(self, behavioural: Set[str]) -> None:
        """Says of which vectors outputs are the differences, where these resistors are behavioural sources."""
        self._terms = [[vectors(term, behavioural) for term in terms(each)] for each in self.settings.outputs]
        self._kept = sorted({name for output in self._terms for term in output for name in term if name})

    def _initial_states(self) -> bool:
        """Whether transients begin with initial states.

        Raises:
            ValueError: if that is not clear, or states are said that nothing would begin with.
        """
        states = [name for names in self._targets for name in names if "[ic" in name and name[0] != "."]
        of_netlist, said = self.netlist.uic, self.settings.uic
        wanted = of_netlist == {True} if said is None else said
        if self.settings.analysis == "op" and (states or (wanted and self.netlist.has_states)):
            raise ValueError(
                f"{states[0] if states else self.netlist.path} sets initial states, which a transient with uic "
                'uses and an operating point does not: set analysis = "tran"'
                + ("" if states else ", or uic = false to ignore them")
            )
        if self.settings.analysis == "tran" and said is None and len(of_netlist) == 2:
            raise ValueError(f"{self.netlist.path} has transients with and without uic: set uic to true or false")
        if states and not wanted:
            raise ValueError(
                f"parameters: {states[0]!r} is an initial state, which a transient uses only with uic = true"
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
                raise HardwareError(f"{self.address}: the circuit has no {name}: correct outputs")
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
        names = [name for names in self._targets for name in names]
        sizes = [len(names) for names in self._targets]
        signs = [sign for size in sizes for sign in ((1.0,) if size == 1 else (0.5, -0.5))]
        self._owners = np.repeat(np.arange(len(sizes)), sizes)
        self._shares = np.array(signs)
        self._middles = np.where(np.abs(self._shares) < 1, self.settings.middle or 0.0, 0.0)
        of_unit = self.settings.conductance_unit is not None
        self._inverse = np.array([of_unit and _resists(name) for name in names])
        # Filled in by the hundred for a measurement, at half the price of formatted text that is then encoded.
        self._alters = [f"{_command(name).replace('%', '%%')}=%.9g".encode() for name in names]
        self._of_netlist = np.array([name.startswith(".param") for name in names])
        self._has_cards = bool(self._of_netlist.any())
        self._written = np.full(len(names), np.nan)

    def _check_written(self) -> None:
        """Raises: ValueError: if limits let a conductance be zero or less."""
        if self.settings.conductance_unit is None:
            return
        middle = self.settings.middle or 0.0
        for names, low, high in zip(self._targets, self.limits.low, self.limits.high, strict=True):
            smallest = low if len(names) == 1 else middle - max(abs(low), abs(high)) / 2
            if smallest <= 0 and any(map(_resists, names)):
                raise ValueError(f"limits: conductances must be above 0, and {' - '.join(names)} could be {smallest:g}")

    def _check_sources(self) -> None:
        """Raises: ValueError: if a source is to be set to a value that it would not have."""
        for name in (name for names in self._targets for name in names if name[0] in "vi" and "[" not in name):
            if name in self._inputs:
                raise ValueError(f"parameters: {name!r} is also an input, which sets it")
            if self.settings.analysis == "tran" and name.rpartition(".")[2] in self.netlist.waveforms:
                raise ValueError(
                    f"parameters: {name!r} has a waveform in {self.netlist.path}, which a transient follows "
                    "whatever its value is: give it only a value"
                )

    def _check_there(self, spice: Ngspice, names: Sequence[str]) -> None:
        for name in names:
            device, _, parameter = name.removeprefix(".model ").partition("[")
            value = spice.vector(f"@{device}[{parameter.rstrip(']') or MAIN[name[0]]}]")
            if value is not None and parameter:  # which may be one that can only be read, such as a current
                spice.command(f"{_command(name)}={value[0]:.9g}")
            if value is None or (parameter and spice.trouble()):
                raise HardwareError(f"the circuit has no parameter {name!r} ({spice.trouble()}): correct parameters")

    def _allow(self, times: int) -> None:
        for option, iterations in _ITERATIONS[self.settings.analysis].items():
            own = self.netlist.option(option) or iterations
            self._open().command(f"option {option}={own * times:.0f}")

    def _open(self) -> Ngspice:
        if self._spice is None:
            raise HardwareError(f"{self.address} is not open: open it, or use it in a `with`")
        return self._spice


def _command(name: str) -> str:
    """The command that sets it, up to the value.

    >>> _command("r1"), _command("m1[w]"), _command(".model nx[vto]"), _command(".param vb")
    ('alter r1', 'alter @m1[w]', 'altermod @nx[vto]', 'alterparam vb')
    """
    for card, command in ((".param ", "alterparam "), (".model ", "altermod @")):
        if name.startswith(card):
            return command + name.removeprefix(card)
    return f"alter @{name}" if "[" in name else f"alter {name}"


def _resists(name: str) -> bool:
    """Whether what is set is the resistance of a resistor."""
    return name[0] == "r" and "[" not in name


def _limits_of(settings: SpiceSettings) -> Limits:
    sides: list[np.ndarray] = []
    for name in ("low", "high"):
        side = np.asarray(getattr(settings.limits, name), np.float64)
        if side.ndim and len(side) != len(settings.parameters):
            raise ValueError(f"limits.{name} has {len(side)} values for {len(settings.parameters)} parameters")
        sides.append(np.broadcast_to(side, len(settings.parameters)))
    low, high = sides
    return Limits(low, high, settings.limits.unit)


def _commands(path: Path) -> bytes:
    """What a file of ngspice's commands says."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"spiceinit: cannot read {path}: {error.strerror}") from None
