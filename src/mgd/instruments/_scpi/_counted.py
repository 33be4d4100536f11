"""The number of each measurement, where a chip counts them. Nothing here imports JAX."""

from .._wire import Item
from ._replies import Replies


class Counted:
    """Compares the number of each measurement with the one before.

    Args:
        query: for the number; empty if the chip does not count.
        replies: reads its answers.

    Attributes:
        query: as given.
    """

    def __init__(self, query: bytes, replies: Replies):
        self.query, self._replies, self._last = query, replies, 0

    def begin(self, item: Item) -> None:
        """Takes the number of the last measurement before ours."""
        self._last = self._replies.whole_number(self.query, item)

    def check(self, item: Item) -> None:
        """Raises: HardwareError: if the measurement that was answered is not the next one."""
        found, due = self._replies.whole_number(self.query, item), self._last + 1
        if found != due:
            self._replies.dialogue.garbled(
                *(self.query, item),
                f"measurement {due} is due: the reply belongs to another query, the chip was reset, or another "
                "program measures with it",
            )
        self._last = due
