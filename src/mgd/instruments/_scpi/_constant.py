"""Answers that do not change, such as whether a laser is on. Nothing here imports JAX."""

from ..._errors import HardwareError
from .._wire import Item, block, shown
from ._dialogue import Dialogue


class Constant:
    """Compares answers with those that are due.

    Args:
        address: of the instrument, for messages.
        dialogue: in which it answers.

    Attributes:
        due: the answer to each question since the chip was opened.
    """

    def __init__(self, address: str, dialogue: Dialogue):
        self._address, self._dialogue = address, dialogue
        self.due: dict[bytes, bytes] = {}
        self._first: dict[bytes, bytes] = {}

    def keep(self, query: bytes, found: bytes, due: bytes | None) -> None:
        """From now on the question is to have one answer.

        Args:
            query: the question.
            found: its answer now.
            due: its answer from now on; None for what it was at first.

        Raises:
            HardwareError: if it was answered otherwise.
        """
        # What it first said holds when it is opened again, or an interlock that stays open would be taken for right.
        self.due[query] = due if due is not None else self._first.setdefault(query, found)
        self.check(query, found)

    def check(self, query: bytes, item: Item) -> None:
        """Raises: HardwareError: if something is not as it was, such as a laser that is off."""
        found, due = item.strip() if isinstance(item, bytes) else block(item), self.due[query]
        if found != due:
            self._dialogue.close()
            raise HardwareError(
                f"{self._address}: {shown(query)!r} was answered {shown(found)!r}, and {shown(due)!r} is due: it was "
                "switched off or reset, or the reply belongs to another query: check its supply and interlock",
                passing=True,
            )
