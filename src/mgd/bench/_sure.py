"""What was measured since the last sure point, and what waits for it to be sure."""

from collections import deque
from collections.abc import Callable, Iterator

from .._errors import RunError

# Jobs that may wait, where costs are replayed and the host never has to.
_MOST_LATER = 64


class Slipped(Exception):
    """Replies may belong to other queries: all measurements since the last confirmed one are void."""


class Pending:
    """Jobs that wait until the host has time, or until the costs that they use are confirmed.

    Args:
        replay: costs that were kept before, which are confirmed.
    """

    def __init__(self, replay: Iterator[float]):
        self._replay, self._taken = replay, deque[float]()
        self._given_back = deque[float]()
        self._later, self._unsure = deque[Callable[[], None]](), deque[Callable[[], None]]()

    def known(self) -> Iterator[float]:
        """Costs that need not be measured, each once, unless the result was void."""
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
        """Does a job later, in order; a job on unconfirmed costs only once these are confirmed."""
        (self._later if sure and not self._unsure else self._unsure).append(job)

    def soon(self, job: Callable[[], None]) -> None:
        """Does a job as soon as possible, whether or not its costs are confirmed: void ones do no harm."""
        self._later.append(job)

    def settle(self) -> None:
        """Confirms all measurements."""
        self._later.extend(self._unsure)
        self._unsure.clear()
        self._taken.clear()
        if len(self._later) > _MOST_LATER:
            self.catch_up()

    def void(self) -> None:
        """Discards the unconfirmed measurements."""
        self._unsure.clear()
        self._given_back.extendleft(reversed(self._taken))
        self._taken.clear()

    def catch_up(self) -> None:
        """Does the waiting jobs, in order. After a failure it does no more, because kept costs must have no gap.

        Raises:
            RunError: if a file or the like fails. That is not the chip's fault, so the chip is not asked again.
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
