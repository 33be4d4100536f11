"""What functions and libraries of others raise, as failures of a chip. Nothing here imports JAX."""

from collections.abc import Iterator
from contextlib import contextmanager

from .._errors import HardwareError, MgdError


class TimeIsUp(HardwareError):
    """There is no more time for what is being waited for; raised wherever the program waits."""


# What a wrong call raises: asking again does not help. All else (a time-out, a lost line, whatever a driver's library
# raises) may pass.
_WRONG_CALL = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, NotImplementedError),
    *(RecursionError, SyntaxError, TypeError, ValueError),
)
# Except that a reply that came broken is not a number.
_BROKEN_REPLY = ("could not convert string to float", "invalid literal for int()")


def may_pass(error: Exception) -> bool:
    """Whether what was raised may be over when the chip is opened again and asked again."""
    if isinstance(error, HardwareError):
        return error.passing
    if isinstance(error, UnicodeDecodeError) or any(each in str(error) for each in _BROKEN_REPLY):
        return True
    return not isinstance(error, (*_WRONG_CALL, MgdError))


@contextmanager
def failing(address: str, doing: str, remedy: str) -> Iterator[None]:
    """What is raised in the body becomes a failure of the chip, that says where, what was done, and what was raised.

    Args:
        address: of the chip.
        doing: what is being done.
        remedy: what to do about a wrong call.

    Raises:
        HardwareError: with `passing=True` where asking again may help.
    """
    try:
        yield
    except TimeIsUp:
        raise
    except MgdError as error:
        if str(error).startswith(address) or not isinstance(error, HardwareError):
            raise
        raise HardwareError(f"{address}: {doing}: {error}", passing=error.passing, skip=error.skip) from error
    except Exception as error:
        passes = may_pass(error)
        what = f"{address}: {doing} raised {type(error).__name__}: {said_by(error)}"
        raise HardwareError(f"{what}: {'check that it is there' if passes else remedy}", passing=passes) from error


def said_by(error: BaseException) -> str:
    """What an error says, in one line; libraries that add to its arguments make a tuple of it."""
    several = len(error.args) > 1 and not isinstance(error, OSError)
    return " ".join((", ".join(map(str, error.args)) if several else str(error)).split()) or "it gave no message"
