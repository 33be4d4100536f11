"""What functions and libraries of others raise, as failures of a chip. Nothing here imports JAX."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._errors import HardwareError, MgdError


class TimeIsUp(HardwareError):
    """There is no more time for what is being waited for; raised wherever the program waits."""


# What may be over when a chip is asked again: time-outs, lost connections and errors of VISA. The errors of operating
# systems and Python are these classes; those of libraries that have classes of their own are known by what they are
# called.
_MAY_PASS = (OSError, EOFError)
_CALLED = re.compile("time_?out|connect|visa", re.IGNORECASE)
# Asking again does not help after a wrong call, however it is called.
_WRONG_CALL = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, NotImplementedError),
    *(RecursionError, SyntaxError, TypeError, ValueError),
)
# Except that a reply that came broken is not a number.
_BROKEN_REPLY = ("could not convert string to float", "invalid literal for int()")
RetryOn = tuple[type[Exception], ...]


def may_pass(error: BaseException, retry_on: RetryOn | None = None) -> bool:
    """Whether what was raised may be over when the chip is opened again and asked again.

    Args:
        error: what was raised.
        retry_on: the classes of errors that may be over; None for time-outs, lost connections, errors of VISA, and
            replies that came broken.
    """
    if isinstance(error, HardwareError):
        return error.passing
    if retry_on is not None:
        return isinstance(error, retry_on)
    if isinstance(error, UnicodeDecodeError) or any(each in str(error) for each in _BROKEN_REPLY):
        return True
    if isinstance(error, (*_WRONG_CALL, MgdError)):
        return False
    return isinstance(error, _MAY_PASS) or any(_CALLED.search(each.__name__) for each in type(error).__mro__)


def check_retry_on(given: object) -> RetryOn:
    """Classes of errors.

    Raises:
        ValueError: if they are something else.
    """
    classes: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple) else (given,)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise ValueError(f"retry_on has classes of exceptions, such as TimeoutError, got {each!r}")
    return classes


@contextmanager
def failing(address: str, doing: str, remedy: str, retry_on: RetryOn | None = None) -> Iterator[None]:
    """What is raised in the body becomes a failure of the chip, that says where, what was done, and what was raised.

    Args:
        address: of the chip.
        doing: what is being done.
        remedy: what to do about a wrong call.
        retry_on: as in `may_pass`.

    Raises:
        HardwareError: with `passing=True` where asking again may help.
    """
    try:
        yield
    except (TimeIsUp, KeyboardInterrupt, GeneratorExit):
        raise
    except MgdError as error:
        if str(error).startswith(address) or not isinstance(error, HardwareError):
            raise
        raise HardwareError(f"{address}: {doing}: {error}", passing=error.passing, skip=error.skip) from error
    except BaseException as error:  # a lab's function may call sys.exit, and its chip is to be left safe
        passes, name = may_pass(error, retry_on), type(error).__name__
        if isinstance(error, Exception) and not (passes or isinstance(error, _WRONG_CALL)):
            remedy += f"; if it may be over when it is asked again, name {name} in retry_on"
        what = f"{address}: {doing} raised {name}: {said_by(error)}"
        raise HardwareError(f"{what}: {'check that it is there' if passes else remedy}", passing=passes) from error


def said_by(error: BaseException) -> str:
    """What an error says, in one line; libraries that add to its arguments make a tuple of it."""
    several = len(error.args) > 1 and not isinstance(error, OSError)
    return " ".join((", ".join(map(str, error.args)) if several else str(error)).split()) or "it gave no message"
