"""A chip that stops answering inside a driver that waits for ever."""

from contextlib import AbstractContextManager

from .._alarm import alarm
from .._errors import HardwareError
from ..engines import Bench

# A driver has time-outs of its own and is asked again; only beyond that is it taken out of its wait.
_PATIENCE = 2.0


def watchdog(bench: Bench) -> AbstractContextManager[None]:
    """Ends a wait for an answer that has lasted for twice `give_up_seconds`, with a `HardwareError`."""
    limit = _PATIENCE * bench.give_up_seconds

    def bark() -> None:
        silence = bench.silence()
        if silence > limit:
            raise HardwareError(
                f"{bench.instrument.address} has not answered for {silence:.0f} s, and its driver still waits: "
                "check its power and its line; every measurement made is kept"
            )

    return alarm(limit, max(0.05, limit / 4), bark)
