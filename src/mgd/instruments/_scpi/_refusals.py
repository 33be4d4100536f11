"""What a chip refused, as it tells when it is asked for its errors. Nothing here imports JAX."""

import re

from ..._errors import HardwareError
from .._wire import Item, raw, shown
from ._dialogue import Dialogue
from ._formats import Readings, decoded
from ._settings import ScpiSettings

# The number of an error, before its text; and the bits of a status byte that pass: power on, and errors of a query.
_ERROR, _PASSING_BITS = re.compile(r"\s*([-+]?\d+)(?=[\s,\"]|$)"), 0b1000_0100


class Refusals:
    """Reads the answers to the query for a chip's error.

    Args:
        settings: of the instrument.
        readings: how its replies are read, if not in the way of most instruments.
        dialogue: in which it answers.

    Attributes:
        query: for the error; empty if it has none.
    """

    def __init__(self, settings: ScpiSettings, readings: Readings | None, dialogue: Dialogue):
        self._address, self._replies, self._readings = settings.resource, settings.replies, readings
        self._dialogue, self._no_error = dialogue, b""
        self.query = settings.commands.error.encode()

    def found(self, message: bytes, reply: Item) -> HardwareError | None:
        """The error that a chip tells; None if it tells that there is none.

        Args:
            message: that it may have refused.
            reply: the answer to the query.

        Raises:
            HardwareError: if the answer is not that to the query.
        """
        said = raw(reply)
        # The common case first: what it says when there is none is always the same.
        code = 0 if said == self._no_error else self.code(message, said)
        if code == 0:
            self._no_error = said
            return None
        # Errors of the exchange itself (-400 … -499), and a chip that was switched on (-500 …), pass; refusals do not.
        passing = -599 <= code <= -400 if self._replies.error_bits is None else bool(code & _PASSING_BITS)
        return HardwareError(
            f"{self._address}: {shown(message)!r} was refused: {shown(said)}; "
            "check the command in the chip file, and the value against the chip's own limits",
            passing=passing,
        )

    def code(self, message: bytes, reply: bytes) -> int:
        """The number of an error, 0 for none.

        Raises:
            HardwareError: if the answer has none.
        """
        said = decoded(reply) if self._readings is None else self._readings.without_header(decoded(reply))
        if self._replies.no_error:
            return 0 if re.fullmatch(self._replies.no_error, said.strip()) else 1
        found = _ERROR.match(said)
        if found is None:
            self._dialogue.garbled(message, reply, "expected the number of an error")
        bits = self._replies.error_bits
        return int(found[1]) if bits is None else int(found[1]) & bits
