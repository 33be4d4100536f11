"""What a chip says that it holds, against what was set. Nothing here imports JAX."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._wire import Item, shown
from ._channels import questions, together
from ._numbers import What
from ._replies import Replies
from ._settings import ScpiSettings

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
        what: the name of one of them, for messages.

    Attributes:
        address: as given.
        command: as given.
        held: the numbers that were read back last, as they were set; None if it is not known what the chip holds.
    """

    def __init__(self, address: str, command: bytes, within: float | tuple[float, ...], what: str = "parameter"):
        self.address, self.command, self._within, self._what = address, command, np.asarray(within), what
        self.held: Float[np.ndarray, " p"] | None = None
        self._in_blocks = False
        # The contents of the block that is due, and of the one that is held: as bytes they are compared in no time.
        self._due, self._block = b"", b""

    def __bool__(self) -> bool:
        return bool(self.command)

    def expect(self, values: Float[np.ndarray, " p"]) -> None:
        """Says what is being set."""
        self._due = values.tobytes()

    def is_just_set(self, item: Item) -> bool:
        """Whether a block has exactly what was set, the common case, which is then held."""
        if isinstance(item, bytes) or item.tobytes() != self._due:
            return False
        self.held, self._block, self._in_blocks = item, self._due, True
        return True

    def is_just_held(self, item: Item) -> bool:
        """Whether a block has exactly what is held, the common case."""
        return self._in_blocks and not isinstance(item, bytes) and item.tobytes() == self._block

    def check_set(
        self,
        item: Item,
        found: Float[np.ndarray, " p"],
        theta: Float[np.ndarray, " p"],
        by: list[bytes],
        room: float,
    ) -> None:
        """Sees whether parameters are those that were just set.

        Args:
            item: what came.
            found: the numbers of it.
            theta: what was set.
            by: the command that set it, or those of each.
            room: how far it may be off because of how it was sent and read.

        Raises:
            InStep: if they are not.
        """
        self.held = None
        wrong = self._wrong(found, theta, room)
        if wrong is not None:
            raise InStep(
                f"{self.address}: {shown(self.command)} was answered with {found[wrong]:.9g} for {self._what} "
                f"{wrong}, set to {theta[wrong]:.9g} by {shown(by[wrong % len(by)])}: check the chip's range and "
                "resolution, and how it reads numbers; or set verify_within (verify = false, if it cannot be read "
                "back)"
            )
        # What it answered, because it may round.
        self.held, self._block, self._in_blocks = found, found.tobytes(), not isinstance(item, bytes)

    def check_held(self, item: Item, found: Float[np.ndarray, " p"]) -> str:
        """What is wrong with parameters that were set before, and should not have changed; empty if nothing is."""
        held, self.held = self.held, None
        assert held is not None
        wrong = self._wrong(found, held, 0.0)
        if wrong is not None:
            return f"it says {found[wrong]:.9g} for {self._what} {wrong}, and said {held[wrong]:.9g} before"
        if self._in_blocks == isinstance(item, bytes):
            return f"it gives {self._what}s in another format than before"
        self.held = held
        return ""

    def _wrong(self, found: Float[np.ndarray, " p"], due: Float[np.ndarray, " p"], room: float) -> int | None:
        """The first parameter that is not what is due."""
        if (found == due).all():
            return None
        wrong = ~(np.abs(found - due) <= self._within + _ROUNDING * np.abs(due) + room)
        return int(np.argmax(wrong)) if wrong.any() else None


@dataclass
class Watched:
    """Something that is set, and read back in the message that sets it.

    Attributes:
        replies: reads the numbers of the answers.
        name: of the command that sets it, among those that are pending.
        readback: compares what is read back.
        asked: the questions for it.
        held_first: whether it is read once more before it is overwritten.
        what: its numbers are.
        due: what was set last, as it was sent.
    """

    replies: Replies
    name: str
    readback: ReadBack
    asked: list[bytes]
    held_first: bool
    what: What
    due: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.float32))

    def expect(self, values: Float[np.ndarray, " n"]) -> None:
        """Says what is being set."""
        self.due = values
        self.readback.expect(values)

    @property
    def is_held(self) -> bool:
        """Whether it is known what the chip holds."""
        return self.readback.held is not None

    def check_set(self, items: Iterator[Item], by: list[bytes]) -> None:
        """Takes the answers to `asked`, right after it was set.

        Args:
            items: answers, its own first.
            by: the commands that set it.

        Raises:
            InStep: if what is read back is not what was set.
        """
        item, due = self._together(items), self.due
        if not self.replies.numbers.converts(self.what) and self.readback.is_just_set(item):
            return
        found, room = self._ours(item, due.size), self.replies.numbers.room(item, due, self.what)
        self.readback.check_set(item, found, due, by, room)

    def check_held(self, items: Iterator[Item]) -> None:
        """Takes the answers to `asked`, when it was set before.

        Raises:
            HardwareError: if what is read back is not what it was before.
        """
        item, held = self._together(items), self.readback.held
        assert held is not None
        if not self.replies.numbers.converts(self.what) and self.readback.is_just_held(item):
            return
        said = self.readback.check_held(item, self._ours(item, held.size))
        if said:
            self.replies.dialogue.close()
            raise HardwareError(
                f"{self.readback.address}: {shown(self.readback.command)} does not return what was set: "
                f"{said}; the chip was reset, or a reply belongs to another query: check its supply and its line",
                passing=True,
            )

    def read(self, items: Iterator[Item], n: int) -> Float[np.ndarray, " n"]:
        """The numbers in the answers to `asked`, in our unit."""
        return self._ours(self._together(items), n)

    def _together(self, items: Iterator[Item]) -> Item:
        """The next answers, of all channels, as one answer."""
        mine = [next(items) for _ in self.asked]
        if len(mine) == 1 or self.replies.numbers.readings is None:
            return together(mine)
        return np.concatenate([self.replies.read(self.readback.command, item, 1) for item in mine])

    def _ours(self, item: Item, n: int) -> Float[np.ndarray, " n"]:
        return self.replies.numbers.ours(self.replies.read(self.readback.command, item, n), self.what)


def watched_of(
    settings: ScpiSettings, replies: Replies, channels: tuple[int | str, ...], *, held_first: bool
) -> tuple[Watched, Watched]:
    """The parameters and the inputs of an instrument.

    Args:
        settings: of the instrument.
        replies: reads its answers.
        channels: of the parameters.
        held_first: whether parameters are read once more before they are overwritten.
    """
    parameters, inputs = (
        command.encode() if settings.verify else b""
        for command in (settings.commands.readback, settings.commands.input_readback)
    )
    within = settings.verify_within
    widest = max(within) if isinstance(within, tuple) else within
    return (
        Watched(
            *(replies, "set", ReadBack(settings.resource, parameters, within)),
            questions(parameters.decode(), channels) if parameters else [],
            held_first=held_first,
            what="parameters",
        ),
        Watched(
            *(replies, "input", ReadBack(settings.resource, inputs, widest, "input")),
            [inputs],
            held_first=True,
            what="inputs",
        ),
    )
