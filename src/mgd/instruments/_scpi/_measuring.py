"""Readings, which are asked for again if one cannot be true. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._base import MOST_BELIEVED, is_believed
from .._wire import shown
from ._again import tries
from ._exchange import Exchange
from ._replies import Replies


class Measuring:
    """Asks for readings.

    Args:
        address: of the instrument, for messages.
        retries: how often they are asked for again.
        exchange: with the instrument.
        replies: reads its answers.
    """

    def __init__(self, address: str, retries: int, exchange: Exchange, replies: Replies):
        self._address, self._retries, self._exchange, self._replies = address, retries, exchange, replies

    def readings(self, query: bytes, n: int | None) -> tuple[Float[np.ndarray, " n"], bool]:
        """The numbers a query gives, after all that waits; asked again if one cannot be a reading.

        Args:
            query: the question.
            n: how many numbers are due, if that is known.

        Returns:
            The numbers, and whether all can be readings.

        Raises:
            HardwareError: if the exchange fails.
        """
        exchange, read = self._exchange, self._replies.read
        for left in tries(self._retries):
            values = exchange.again(lambda: read(query, exchange.ask(query, measures=True), n))
            exchange.pending.clear()
            # The common case first: this is asked at every measurement.
            if abs(values[0]) < MOST_BELIEVED if values.size == 1 else is_believed(values).all():
                return values, True
            if not left:
                return values, False
        raise AssertionError("unreachable: the last try returns")

    def believed(self, query: bytes, measured: tuple[Float[np.ndarray, " n"], bool]) -> Float[np.ndarray, " n"]:
        """What `readings` gave, if all can be readings.

        Raises:
            HardwareError: with `skip=True`, if one cannot.
        """
        values, are_believed = measured
        if not are_believed:
            raise HardwareError(
                f"{self._address}: {shown(query)!r} was answered with {values[~is_believed(values)][0]:g}: "
                "check the readout and its range",
                skip=True,
            )
        return values
