"""The numbers of whole replies; a reply without them gives up the line. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._wire import Item, WireError, shown, swapped
from ._dialogue import Dialogue
from ._formats import decoded
from ._numbers import Numbers
from ._settings import ScpiSettings


class Replies:
    """Reads the numbers of replies.

    Args:
        settings: of the instrument.
        numbers: as the instrument has them.
        dialogue: in which the replies came.

    Attributes:
        numbers: as given.
        dialogue: as given.
    """

    def __init__(self, settings: ScpiSettings, numbers: Numbers, dialogue: Dialogue):
        self._address, self.numbers, self.dialogue = settings.resource, numbers, dialogue
        self._in_floats, self._byte_order = settings.blocks.read == "float32", settings.byte_order

    def read(self, query: bytes, reply: Item, n: int | None) -> Float[np.ndarray, " n"]:
        """The numbers of a reply.

        Args:
            query: that was answered.
            reply: the answer.
            n: how many they must be, if that is known.

        Raises:
            HardwareError: if they are not so many, or something else than numbers.
        """
        try:
            values = self.numbers.read(reply)
        except WireError as error:
            self.dialogue.garbled(query, reply, str(error))
        if self._in_floats and not isinstance(reply, bytes) and (found := swapped(reply)):
            other = {"little": "big", "big": "little"}[self._byte_order]
            raise HardwareError(
                f"{self._address}: {shown(query)!r} was answered with a block that contains {found[0]:g}, which is "
                f"not a valid reading, and {found[1]:g} in the other byte order: set "
                f'byte_order = "{other}" in the chip file'
            )
        if n is not None and values.size != n:
            self.dialogue.garbled(query, reply, f"{values.size} numbers, expected {n}")
        return values

    def whole_number(self, query: bytes, reply: Item) -> int:
        """The whole number of a reply.

        Raises:
            HardwareError: if it is none.
        """
        try:
            if isinstance(reply, bytes):
                readings = self.numbers.readings
                return int(reply if readings is None else readings.without_header(decoded(reply)))
            return int(self.read(query, reply, 1)[0])
        except ValueError:
            self.dialogue.garbled(query, reply, "expected a whole number")
