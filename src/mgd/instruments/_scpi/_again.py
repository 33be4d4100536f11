"""Tries with longer and longer waits between them. Nothing here imports JAX."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..._errors import HardwareError

# Waited before what failed is asked once more; doubled each time, up to the longest.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 2.0
T = TypeVar("T")


def tries(retries: int) -> Iterator[int]:
    """How many tries are left after each; it waits before each but the first.

    >>> list(tries(0))
    [0]
    """
    wait = _FIRST_WAIT_SECONDS
    for left in range(retries, 0, -1):
        yield left
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
    yield 0


def again(action: Callable[[], T], retries: int, may_help: Callable[[HardwareError], bool]) -> T:
    """Does it, and once more after a wait where that may help.

    Raises:
        HardwareError: if the last try failed, or another cannot help.
    """
    for left in tries(retries):
        try:
            return action()
        except HardwareError as error:
            if not left or not may_help(error):
                raise
    raise AssertionError("unreachable: the last try returns or raises")
