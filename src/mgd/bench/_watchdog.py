"""An instrument that stops answering inside a driver that waits for ever. Nothing here imports JAX."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from .._alarm import alarm
from .._errors import HardwareError

# A driver has time-outs of its own and is asked again; only beyond that is it taken out of its wait.
_PATIENCE = 2.0


def watchdog(
    address: str, give_up_seconds: float, silence: Callable[[], float], consequence: str = ""
) -> AbstractContextManager[None]:
    """Ends a wait for an answer that has lasted for twice `give_up_seconds`, with a `HardwareError`.

    Args:
        address: of the instrument.
        give_up_seconds: how long it may fail to answer.
        silence: seconds that an answer is overdue.
        consequence: the rest of the message.
    """
    limit = _PATIENCE * give_up_seconds

    def bark() -> None:
        overdue = silence()
        if overdue > limit:
            raise HardwareError(
                f"{address} has not answered for {overdue:.0f} s, and its driver still waits: "
                f"check its power and its line{consequence}"
            )

    return alarm(limit, max(0.05, limit / 4), bark)
