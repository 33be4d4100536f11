"""What an instrument is: a chip with I/O. Nothing here imports JAX."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NoReturn, TypeVar

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from .._input import printable
from ._limits import Limits

# Not typing.Self, which the checks of types in tests do not take outside a dataclass.
Itself = TypeVar("Itself", bound="AbstractInstrument")


@dataclass(frozen=True)
class Identity:
    """The identity that an instrument reports, as in a reply to `*IDN?`; one that reports none has an empty one.

    Attributes:
        maker: its maker.
        model: its model.
        serial: the serial number of the piece; a calibration belongs to one.
        version: the version of its firmware.
    """

    maker: str
    model: str
    serial: str
    version: str = ""

    def __str__(self) -> str:
        if not (self.maker or self.serial):  # of few instruments more is known than the model, or not even that
            return printable(self.model) or "without identity"
        return printable(",".join((self.maker, self.model, self.serial, self.version)))


@dataclass(frozen=True)
class Origin:
    """What an instrument was made from: arguments of `load_instrument`, which makes it again.

    Attributes:
        kind: of the instrument.
        settings: its own.
        folder: to which paths in the settings are relative.
        groups: of its parameters, arguments of `in_groups`; empty for none.
    """

    kind: str
    settings: Mapping[str, Any]
    folder: str
    groups: Mapping[str, Any] = field(default_factory=dict)


# No instrument reads more than this in any unit, light's frequency in hertz included; SCPI's signs for "over range" and
# "not a number", and most float32 whose bytes are in disorder, are beyond it.
# How long a chip may fail to answer before it is given up, where nobody says.
GIVE_UP_SECONDS = 30.0
MOST_BELIEVED = 1e18


# All that can be believed of any unit.
ANYTHING = (-float(np.nextafter(np.float32(MOST_BELIEVED), 0)), float(np.nextafter(np.float32(MOST_BELIEVED), 0)))


def is_believed(values: np.ndarray, within: tuple[float, float] = ANYTHING) -> np.ndarray:
    """Which numbers can be readings: finite, not beyond all reason, and within what an instrument says."""
    return np.asarray((values >= within[0]) & (values <= within[1]))  # False for NaN


def checked_range(believable: object) -> tuple[float, float]:
    """The lowest and the highest reading that can be.

    Raises:
        ValueError: if they are none.

    >>> checked_range([0, 2.5])
    (0.0, 2.5)
    """
    ends = tuple(believable) if isinstance(believable, list | tuple | np.ndarray) else ()
    if len(ends) != 2 or not all(isinstance(end, int | float | np.number) for end in ends):
        raise ValueError(f"believable is the lowest and the highest reading, such as [0, 2.5], got {believable!r}")
    low, high = (float(end) for end in ends)
    if not low < high:
        raise ValueError(f"believable must be a range with low < high, got {[low, high]}")
    if low < ANYTHING[0] or high > ANYTHING[1]:
        raise ValueError(
            f"believable = {[low, high]} has numbers in it that stand for no reading (from 1e18 on, such as SCPI's "
            "9.9E37): make it smaller"
        )
    return low, high


def numbers_of(reply: object, shape: tuple[int, ...], address: str, verb: str) -> np.ndarray:
    """What a verb gave, as float32: lists, tuples, NumPy's scalars and whatever else NumPy takes.

    Axes of length one count for nothing: (1,) may stand for (), and (4,) for (4, 1).

    Raises:
        HardwareError: if it is not an array of real numbers; with `passing=True` if it is one of another shape.
    """
    values = real_numbers(reply)
    if values is None:
        given = "None" if reply is None else f"a {type(reply).__name__}"
        raise HardwareError(
            f"{address}: {verb} gave {given} where numbers of shape {shape} are due: correct its driver"
        )
    if values.shape != shape and _longer_than_one(values.shape) == _longer_than_one(shape):
        values = values.reshape(shape)
    if values.shape != shape:
        raise HardwareError(
            f"{address}: {verb} gave shape {values.shape} where {shape} is due: check the reply's format", passing=True
        )
    return values


def real_numbers(reply: object) -> np.ndarray | None:
    """A reply as float32; None if there are none, or others than real numbers."""
    if isinstance(reply, np.ndarray) and reply.dtype == np.float32:  # the common case: it is asked at every measurement
        return reply
    try:
        found = np.asarray(reply)
        if found.dtype.kind in "cmMV" or (found.dtype.kind in "OSU" and _has_no_numbers(found)):
            return None
        with np.errstate(over="ignore"):  # what float32 does not hold is infinite, and found to be so
            return found.astype(np.float32)
    except Exception:  # whatever an object of others raises when NumPy asks it for numbers
        return None


def _has_no_numbers(found: np.ndarray) -> bool:
    """Whether some of these are None, or text that is a number for Python alone."""
    return any(each is None or (isinstance(each, str | bytes) and "_" in str(each)) for each in found.ravel().tolist())


def _longer_than_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


class AbstractInstrument(ABC):
    """A chip with I/O: a context manager with limits and a safe state.

    Subclasses implement the abstract methods, and those optional ones that `reads`, `own_line` and `most_together`
    promise. They need not check their arguments: `opened` puts a guard around an instrument, which refuses wrong
    shapes, NaN and values outside `limits` before anything is sent, and ensures the safe state. Methods that talk to
    the chip raise `HardwareError`, with `passing=True` if opening it and asking again may help; training then does so,
    and gives the chip its sample and parameters again.

    Values are float32 NumPy arrays; θ and θ̃ are in the unit of `limits`.

    Attributes:
        address: its address, for messages, and so that no two programs use one chip: a resource name, a file.
        n_params: P.
        limits: the range of each parameter, its perturbation included.
        reads: "cost" if the chip measures its cost (`measure_cost`), "outputs" if it gives its outputs
            (`read_outputs`) and the host computes the cost, "both" if both.
        own_line: whether θ̃ has lines of its own (`perturb`); if not, θ + θ̃ is set as parameters.
        most_together: the largest number of perturbations in a batch; 0 if there are no batches.
        reads_together: the method that takes batches: "cost" for `measure_batch`, "outputs" for `read_batch`.
        settle_seconds: time from a set parameter to a cost that can be read. The instrument itself waits for the rest
            of it in `measure_cost` and `read_outputs`, so that the host can work meanwhile.
        ramp_seconds: the longest that it may take to set parameters, because they are ramped.
        may_slip: whether a reply may be taken for the answer to another query, because replies can be late or doubled.
            Training then keeps no cost before `make_sure` has returned.
        reads_back: whether parameters are read back after they are set, and compared. If they differ, the next answer
            raises `HardwareError`.
        start: the chip's own parameters, from which training starts; None if it has none.
        groups: names of slices of θ, such as layers or banks; empty if there are none.
        leave_seconds: the time that the safe state may take, for chips that are ramped.
        believable: the lowest and the highest reading that can be, of the cost, or of the outputs for a chip that gives
            these alone. What is outside is asked again, and then skipped. None if nothing is known.
        no_number: what it answers where there is no reading, of the cost or the outputs, in their unit.
        parts: the instruments of a chip that has several, by their names; empty if it is one instrument.
        declared: whether the number of parameters and their limits are known before it is opened.
        origin: the settings that it was made from by `load_instrument`; None if it was made otherwise.
    """

    address: str
    n_params: int
    limits: Limits
    reads: Literal["cost", "outputs", "both"] = "cost"
    own_line: bool = False
    most_together: int = 0
    reads_together: Literal["cost", "outputs"] = "cost"
    settle_seconds: float = 0.0
    ramp_seconds: float = 0.0
    may_slip: bool = False
    reads_back: bool = False
    start: Float[np.ndarray, " p"] | None = None
    groups: Mapping[str, slice] = MappingProxyType({})
    leave_seconds: float = 120.0
    believable: tuple[float | int, float | int] | None = None
    no_number: tuple[float, ...] = ()
    parts: Mapping[str, "AbstractInstrument"] = MappingProxyType({})
    declared: bool = True
    origin: Origin | None = None

    @abstractmethod
    def open(self) -> None:
        """Connects; it may be called again after `close`, when the line was lost."""

    @abstractmethod
    def close(self) -> None:
        """Disconnects. It must not raise, and may be called twice."""

    @abstractmethod
    def identify(self) -> Identity:
        """The identity of the instrument."""

    @abstractmethod
    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        """Sets all parameters, and removes the perturbation."""

    @abstractmethod
    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        """Presents a batch of inputs, until the next one; with targets, for chips that measure their cost."""

    @abstractmethod
    def safe_state(self) -> None:
        """Puts the chip in its safe state."""

    def open_to_leave(self) -> None:
        """Connects so that `safe_state` can be called, and as far as possible without setting anything.

        By default it is opened as ever.
        """
        self.open()

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        """Puts θ̃ on its own lines, in addition to the parameters."""
        self._lacks("perturb")

    def measure_cost(self) -> float:
        """The cost, averaged over the presented batch."""
        self._lacks("measure_cost")

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        """The outputs for the presented batch."""
        self._lacks("read_outputs")

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The cost for each row of signals: arguments of `perturb`, or of `set_parameters` if there is no own line."""
        self._lacks("measure_batch")

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        """The outputs for each row of signals, as for `measure_batch`; NaN for a row that cannot be measured.

        Such a row is skipped, like a measurement, or a whole batch, that raises `HardwareError` with `skip=True`.
        """
        self._lacks("read_batch")

    def while_waiting(self, work: Callable[[], None]) -> None:
        """Does a job of the host, once, while the chip computes its next answer.

        By default the job is done at once.
        """
        work()

    def make_sure(self) -> None:  # noqa: B027 (most have nothing to ask)
        """Sends a query with a known answer, for instruments with `may_slip`.

        Raises:
            HardwareError: with `passing=True`, if the answer is wrong: all measurements since the last right answer are
                then void.
        """

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        """Takes times of each parameter, and sets `settle_seconds` and `ramp_seconds`; before it is opened.

        Args:
            settle: seconds that each settles after a change; NaN for `settle_seconds`.
            ramp: how fast each may change, per second, also on the way to the safe state; infinite for one that may
                jump.

        Raises:
            ValueError: if it has no such times of its own.
        """
        what = "settle_seconds" if ramp is None else "ramp_per_second"
        raise ValueError(
            f"{what} of a group is for instruments of the kinds scpi and callables, not for a {type(self).__name__}: "
            "leave it out"
        )

    def is_touched(self) -> bool:
        """Whether something was set, or switched on, since it was last in its safe state.

        It is asked when opening has failed half-way, so it must not ask the chip.
        """
        return False

    def not_safe(self) -> list[str]:
        """The lines that may not be in their safe state, by name and with their present values, if known.

        It is called when `safe_state` has failed or was given up, so it must not wait for long.
        """
        return []

    def describe_as(self, inner: "AbstractInstrument") -> None:
        """Takes every attribute of another instrument, which this one represents."""
        for name in AbstractInstrument.__annotations__:
            setattr(self, name, getattr(inner, name))

    def _lacks(self, verb: str) -> NoReturn:
        raise HardwareError(f"{self.address}: a {type(self).__name__} has no {verb}; see its reads and most_together")

    def __enter__(self: Itself) -> Itself:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.safe_state()
        finally:
            self.close()
