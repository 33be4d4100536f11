"""What was measured since the last sure point, and what waits for it to be sure."""

from collections import deque
from collections.abc import Callable, Iterator

from .._errors import RunError

# Jobs that may wait, where costs are replayed and the host never has to.
_MOST_LATER = 64


class Slipped(Exception):
    """Replies may have been those to other questions: what was measured since the last sure point is void."""


class Pending:
    """Jobs put off until the host has time, and those of costs that may yet turn out void.

    Args:
        replay: costs that were kept before, which are sure.
    """

    def __init__(self, replay: Iterator[float]):
        self._replay, self._taken = replay, deque[float]()
        self._given_back = deque[float]()
        self._later, self._unsure = deque[Callable[[], None]](), deque[Callable[[], None]]()

    def known(self) -> Iterator[float]:
        """Costs that need not be measured, each once, unless what was made of it was void."""
        while True:
            if self._given_back:
                cost = self._given_back.popleft()
            else:
                try:
                    cost = next(self._replay)
                except StopIteration:
                    return
            self._taken.append(cost)
            yield cost

    def put_off(self, job: Callable[[], None], *, sure: bool = True) -> None:
        """Has a job done later, in order; one that is not sure, only if what it is made of turns out to be."""
        (self._later if sure and not self._unsure else self._unsure).append(job)

    def soon(self, job: Callable[[], None]) -> None:
        """Has a job done at the next occasion, whatever becomes of the costs: it may be void without harm."""
        self._later.append(job)

    def settle(self) -> None:
        """What was measured is sure."""
        self._later.extend(self._unsure)
        self._unsure.clear()
        self._taken.clear()
        if len(self._later) > _MOST_LATER:
            self.catch_up()

    def void(self) -> None:
        """What was measured is not to be believed."""
        self._unsure.clear()
        self._given_back.extendleft(reversed(self._taken))
        self._taken.clear()

    def catch_up(self) -> None:
        """Does what was put off, in order; nothing that comes after what fails, for kept costs must have no gap.

        Raises:
            RunError: if it is a file or the like that fails: no fault of the chip's, not to be asked again for it.
        """
        try:
            while self._later:
                self._later.popleft()()
        except BaseException as error:
            self._later.clear()
            self._unsure.clear()
            if isinstance(error, OSError):
                raise RunError(f"the measurements cannot be kept: {error}") from error
            raise
