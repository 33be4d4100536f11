"""What an instrument is: a chip behind I/O. Nothing here imports JAX."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NoReturn, TypeVar

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from .._input import printable
from ._limits import Limits

# Not typing.Self, which the checks of types in tests do not take outside a dataclass.
Itself = TypeVar("Itself", bound="AbstractInstrument")


@dataclass(frozen=True)
class Identity:
    """Who an instrument says it is, as in a reply to `*IDN?`.

    Attributes:
        maker: who made it.
        model: of which kind it is.
        serial: which piece it is; a calibration belongs to one.
        version: of its firmware.
    """

    maker: str
    model: str
    serial: str
    version: str = ""

    def __str__(self) -> str:
        return printable(",".join((self.maker, self.model, self.serial, self.version)))


# No instrument reads more than this in any unit, light's frequency in hertz included; SCPI's signs for "over range" and
# "not a number", and most float32 whose bytes are in disorder, are beyond it.
# How long a chip may fail to answer before it is given up, where nobody says.
GIVE_UP_SECONDS = 30.0
MOST_BELIEVED = 1e18


def is_believed(values: np.ndarray) -> np.ndarray:
    """Which numbers can be readings: finite, and not beyond all reason."""
    return np.asarray(np.abs(values) < MOST_BELIEVED)  # False for NaN


def numbers_of(reply: object, shape: tuple[int, ...], address: str, verb: str) -> np.ndarray:
    """What a verb gave, as float32: lists, tuples, NumPy's scalars and whatever else NumPy takes.

    Axes of length one count for nothing: (1,) may stand for (), and (4,) for (4, 1).

    Raises:
        HardwareError: if it is no array of real numbers; with `passing=True` if it is one of another shape.
    """
    values = real_numbers(reply)
    if values is None:
        given = "None" if reply is None else f"a {type(reply).__name__}"
        raise HardwareError(f"{address}: {verb} gave {given} where numbers of shape {shape} are due: mend its driver")
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
    """A chip behind I/O: a context manager with limits and a safe state.

    Subclasses give the abstract verbs, and of the optional ones those that `reads`, `own_line` and
    `most_together` say they have. They need not check what they are given: `opened` puts a guard around an
    instrument that refuses wrong shapes, NaN and values outside `limits` before anything is sent, and sees to
    the safe state. Verbs that talk to the chip raise `HardwareError`, with `passing=True` where opening anew
    and asking again may help; training then does so, and gives the chip its sample and parameters again.

    Values are float32 NumPy arrays; θ and θ̃ are in the unit of `limits`.

    Attributes:
        address: where it is, for messages and so that no two programs use one chip: a resource name, a file.
        n_params: P.
        limits: what each parameter, its perturbation included, may be set to.
        reads: "cost" if the chip measures its cost (`measure_cost`), "outputs" if it gives its outputs
            (`read_outputs`) and the cost is worked out on the host, "both" if both.
        own_line: whether θ̃ has lines of its own (`perturb`); if not, θ + θ̃ is set as parameters.
        most_together: how many perturbations a batch takes at most; 0 if there are no batches.
        reads_together: which verb takes batches: "cost" if `measure_batch`, "outputs" if `read_batch`.
        settle_seconds: from a set parameter to a cost that can be read. The instrument itself waits for what is
            left of it in `measure_cost` and `read_outputs`, so that the host can work meanwhile.
        may_slip: whether a reply may be taken for the answer to another question than its own, as on a line where
            one can be late or doubled. Training then keeps no cost before `make_sure` has returned.
        reads_back: whether parameters are read back after they are set, and compared: if they are others, an answer
            that comes with them raises `HardwareError`.
        start: the parameters that a training starts from, where the chip has some of its own; None if it has none.
        groups: names of slices of θ, such as layers or banks; empty if there are none.
        leave_seconds: that the safe state may take, for chips that are ramped.
    """

    address: str
    n_params: int
    limits: Limits
    reads: Literal["cost", "outputs", "both"] = "cost"
    own_line: bool = False
    most_together: int = 0
    reads_together: Literal["cost", "outputs"] = "cost"
    settle_seconds: float = 0.0
    may_slip: bool = False
    reads_back: bool = False
    start: Float[np.ndarray, " p"] | None = None
    groups: Mapping[str, slice] = MappingProxyType({})
    leave_seconds: float = 120.0

    @abstractmethod
    def open(self) -> None:
        """Connects; also again after `close`, when the line was lost."""

    @abstractmethod
    def close(self) -> None:
        """Disconnects. It must not raise, and may be called twice."""

    @abstractmethod
    def identify(self) -> Identity:
        """Who is there."""

    @abstractmethod
    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        """Sets all parameters, and takes the perturbation off."""

    @abstractmethod
    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        """Puts a batch of inputs in front of the chip, to stay there; targets, for chips that measure their cost."""

    @abstractmethod
    def safe_state(self) -> None:
        """Puts the chip where it can be left."""

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        """Puts θ̃ on its own lines, beside the parameters as they are set."""
        self._lacks("perturb")

    def measure_cost(self) -> float:
        """The cost, averaged over the batch in front of the chip."""
        self._lacks("measure_cost")

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        """The outputs for the batch in front of the chip."""
        self._lacks("read_outputs")

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The cost at each of these: of what `perturb` would be given, or `set_parameters` if there is no own line."""
        self._lacks("measure_batch")

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        """The outputs at each of these, which are as for `measure_batch`; NaN for one that cannot be measured.

        Such a one is skipped, as is a measurement, or a whole batch, that raises `HardwareError` with `skip=True`.
        """
        self._lacks("read_batch")

    def while_waiting(self, work: Callable[[], None]) -> None:
        """Gives the host something to do, once, while the chip works out its next answer.

        By default it is done at once.
        """
        work()

    def make_sure(self) -> None:  # noqa: B027 (most have nothing to ask)
        """Asks what has a known answer: for instruments with `may_slip`.

        Raises:
            HardwareError: with `passing=True`, if the answer is another: what was measured since the last time that it
                was right is not to be believed.
        """

    def not_safe(self) -> list[str]:
        """What may not be in its safe state, by name and with its present value, where that can be told.

        It is asked when `safe_state` has failed or was given up, so it must not wait for long.
        """
        return []

    def describe_as(self, inner: "AbstractInstrument") -> None:
        """Takes every attribute of another instrument: for those that stand for one."""
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
