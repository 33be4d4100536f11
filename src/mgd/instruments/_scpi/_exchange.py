"""Commands that are held back, and a question with all that is checked beside it. Nothing here imports JAX."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from ..._errors import HardwareError
from .._wire import Item, raw
from ._again import again
from ._counted import Counted
from ._dialogue import Dialogue
from ._identity import Known
from ._messages import grouped, joined
from ._readback import InStep, Watched
from ._refusals import Refusals
from ._settings import ScpiSettings

# Errors that an instrument can have queued, at most; one that never empties its queue is broken.
_MOST_ERRORS = 100
T = TypeVar("T")


class Exchange:
    """Asks, after all that waits, in as few messages as the instrument takes; all that was refused raises.

    Args:
        settings: of the instrument.
        dialogue: over its line.
        refusals: reads what it refused.
        watched: what is read back when it is set.
        counted: compares the numbers of its measurements.
        known: knows who answers.
        meanwhile: called when a question is on its way.

    Attributes:
        pending: the commands that wait, by the names of what they do, in the order in which they will be sent.
        is_unchecked: whether some were sent, and the chip was not asked since whether it refused them.
        most_numbers: that an answer may have.
    """

    def __init__(
        self,
        settings: ScpiSettings,
        dialogue: Dialogue,
        refusals: Refusals,
        watched: list[Watched],
        counted: Counted,
        known: Known,
        meanwhile: Callable[[], None],
    ):
        self._dialogue, self._refusals, self._watched, self._counted = dialogue, refusals, watched, counted
        self._known, self._meanwhile = known, meanwhile
        self._retries, self._compound, line = settings.retries, settings.compound, settings.line
        self._longest = None if line.longest is None else line.longest - len(line.write_end)
        self._in_one_message = settings.compound and line.longest is None
        self.pending: dict[str, list[bytes]] = {}
        self.is_unchecked = False
        self.most_numbers = 0

    def again(self, action: Callable[[], T]) -> T:
        """Does it, and once more after a wait if the answer was wrong and the line is in step."""
        return again(action, self._retries, _is_in_step)

    def ask(self, query: bytes, *, measures: bool = False) -> Item:
        """Sends what waits and a query, and returns its reply.

        Args:
            query: the question; an empty one asks for the chip's error alone, and what was set.
            measures: whether it is for a measurement, which the chip may count.

        Raises:
            InStep: if what is read back is not what was set.
            HardwareError: if something was refused or is not as before, or an answer is not whole.
        """
        pending, checked = self.pending, bool(self._refusals.query and (self.pending or self.is_unchecked))
        back = [each for each in self._watched if each.name in pending] if pending else []
        counted = measures and bool(self._counted.query)
        # The common case, of a perturbation alone, has neither.
        held = [each for each in back if each.held_first and each.is_held] if back else []
        first = [one for each in held for one in each.asked] if held else []
        queries = [one for each in back for one in each.asked] if back else []
        if query:
            queries.append(query)
        if counted:
            queries.append(self._counted.query)
        if checked:
            queries.append(self._refusals.query)
        if self._in_one_message:
            message = joined([*first, *chain.from_iterable(pending.values()), *queries])
            items = self._items(message, len(first) + len(queries))
        else:
            items = self.answers(first)
            message = query or joined([*chain.from_iterable(pending.values()), *queries])
            self.flush()
            items += self.answers(queries)
        if counted:
            self._counted.check(items[-2 if checked else -1])
        left = iter(items)
        for each in held:
            each.check_held(left)
        if checked:
            self._check_error(message, items[-1])
        for each in back:
            each.check_set(left, pending[each.name])
        return next(left) if query else items[-1]

    def ask_text(self, command: str) -> bytes:
        """As `ask`, of a question whose answer is text."""
        reply = self.ask(command.encode())
        if not isinstance(reply, bytes):
            self._dialogue.garbled(command.encode(), reply, "text is due")
        return reply

    def answers(self, queries: list[bytes]) -> list[Item]:
        """The answers to several queries, in as few messages as there can be; what waits is not sent."""
        return list(chain.from_iterable(self._items(joined(group), len(group)) for group in self._grouped(queries)))

    def flush(self) -> None:
        """Sends what waits without asking for anything."""
        if self.pending:
            for group in self._grouped(list(chain.from_iterable(self.pending.values()))):
                self._dialogue.tell(joined(group))
            self.is_unchecked = True

    def conclude(self) -> None:
        """Sends what waits, and returns when a query after it was answered.

        That is the query for what was set or for an error; for an instrument that has neither, it is the one for its
        identity, whose answer comes after a refusal if it tells one.
        """
        if self._refusals.query or any(each.name in self.pending for each in self._watched):
            self.ask(b"")
        elif self._known.query:
            self._known.check(self.ask(self._known.query))
        else:
            self.flush()

    def empty_queue(self, *, insist: bool = True) -> None:
        """Takes out of the queue of errors what was in it before us.

        Args:
            insist: whether an instrument that always has another error is broken.
        """
        query = self._refusals.query
        if not query:
            return
        for _ in range(_MOST_ERRORS):
            if self._refusals.code(query, self.ask_text(query.decode())) == 0:
                return
        if insist:
            self._dialogue.of_no_use(
                query, b"", f"still has errors after {_MOST_ERRORS} were read: switch it off and on"
            )

    def _grouped(self, commands: list[bytes]) -> Iterator[list[bytes]]:
        return grouped(commands, compound=self._compound, longest=self._longest)

    def _items(self, message: bytes, n: int) -> list[Item]:
        """The items of the reply to a message.

        Raises:
            HardwareError: if they are not as many; what the chip has to say is in the message.
        """
        items = self._dialogue.ask(message, self.most_numbers, self._meanwhile, n)
        if len(items) != n:
            last = items[-1]
            if self._refusals.query and len(items) < n and isinstance(last, bytes) and last.startswith(b"-"):
                self._check_error(message, last)
            self._dialogue.garbled(message, b";".join(map(raw, items)), f"{len(items)} replies, expected {n}")
        return items

    def _check_error(self, message: bytes, reply: Item) -> None:
        """Raises: HardwareError: if this is an error of the chip's."""
        error = self._refusals.found(message, reply)
        if error is not None:
            self.pending.clear()
            raise error
        self.is_unchecked = False


def _is_in_step(error: HardwareError) -> bool:
    return isinstance(error, InStep)
