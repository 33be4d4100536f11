"""What a chip says that it holds, against what was set. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._wire import Item, shown

# Text has nine digits of a float32, and instruments with fewer need verify_within.
_ROUNDING = 2e-7


class InStep(HardwareError):
    """A wrong answer, but a whole one: the line is in step, and it can be asked again."""


class ReadBack:
    """Compares parameters that are read back with those that were set.

    Args:
        address: of the instrument, for messages.
        command: that reads them back; empty if they cannot be.
        within: how far they may be off, beyond rounding; one number, or one for each.

    Attributes:
        command: as given.
        held: the parameters that were read back last, as they were set; None if it is not known what the chip holds.
    """

    def __init__(self, address: str, command: bytes, within: float | tuple[float, ...]):
        self._address, self.command, self._within = address, command, np.asarray(within)
        self.held: Float[np.ndarray, " p"] | None = None
        self._in_blocks = False

    def __bool__(self) -> bool:
        return bool(self.command)

    def check_set(
        self,
        item: Item,
        found: Float[np.ndarray, " p"],
        theta: Float[np.ndarray, " p"],
        by: list[bytes],
        digits: int | None,
    ) -> None:
        """Sees whether parameters are those that were just set.

        Args:
            item: what came.
            found: the numbers of it.
            theta: what was set.
            by: the command that set it, or those of each.
            digits: after the point, in which it was sent; None for all.

        Raises:
            InStep: if they are not.
        """
        self.held = None
        wrong = self._wrong(found, theta, 0.0 if digits is None else 10.0**-digits)
        if wrong is not None:
            raise InStep(
                f"{self._address}: {shown(self.command)} was answered with {found[wrong]:.9g} for parameter {wrong}, "
                f"set to {theta[wrong]:.9g} by {shown(by[wrong % len(by)])}: check the chip's range and resolution, "
                "and how it reads numbers; or set verify_within (verify = false, if it cannot be read back)"
            )
        # What it answered, because it may round.
        self.held, self._in_blocks = found, not isinstance(item, bytes)

    def check_held(self, item: Item, found: Float[np.ndarray, " p"]) -> str:
        """What is wrong with parameters that were set before, and should not have changed; empty if nothing is."""
        held, self.held = self.held, None
        assert held is not None
        wrong = self._wrong(found, held, 0.0)
        if wrong is not None:
            return f"it says {found[wrong]:.9g} for parameter {wrong}, and said {held[wrong]:.9g} before"
        if self._in_blocks == isinstance(item, bytes):
            return "it gives parameters in another format than before"
        self.held = held
        return ""

    def _wrong(self, found: Float[np.ndarray, " p"], due: Float[np.ndarray, " p"], room: float) -> int | None:
        """The first parameter that is not what is due."""
        if (found == due).all():
            return None
        wrong = ~(np.abs(found - due) <= self._within + _ROUNDING * np.abs(due) + room)
        return int(np.argmax(wrong)) if wrong.any() else None
