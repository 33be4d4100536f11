"""Who answers. Nothing here imports JAX."""

import re

from .._base import Identity
from .._wire import Item, raw, shown
from ._dialogue import Dialogue
from ._formats import decoded


class Known:
    """Knows who answered, and notices if another does.

    Args:
        query: for the identity; empty if it has none.
        pattern: of the answer, as `identity_of` takes it.
        dialogue: in which it answers.

    Attributes:
        query: as given.
    """

    def __init__(self, query: str, pattern: str, dialogue: Dialogue):
        self.query, self._pattern, self._dialogue = query.encode(), pattern, dialogue
        self._reply: bytes | None = None

    def take(self, reply: bytes) -> Identity:
        """The identity in the answer to the query, which from now on is to be the same.

        Raises:
            HardwareError: if it is none.
        """
        identity = identity_of(reply, self._pattern)
        if identity is None:
            expected = "expected maker,model,serial,version"
            due = f"{self._pattern!r} was expected (replies.identity)" if self._pattern else expected
            self._dialogue.garbled(self.query, reply, due)
        self._reply = reply
        return identity

    def check(self, item: Item) -> None:
        """Raises: HardwareError: if another instrument answers than before, or the answer to another query."""
        reply = raw(item)
        if self._reply is not None and who(reply) != who(self._reply):
            self._dialogue.garbled(self.query, reply, f"{shown(self._reply)!r} was expected, as before")


def identity_of(reply: bytes, pattern: str = "") -> Identity | None:
    """Who answers; None if it is not an identity.

    Args:
        reply: what is answered.
        pattern: what all of it must match, by default maker,model,serial,version. Groups of these names are used.

    >>> identity_of(b"HP3458A", "HP3458A").model
    'HP3458A'
    >>> identity_of(b"0.125") is None
    True
    """
    said = decoded(reply).strip()
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in said):
        return None
    found = re.fullmatch(pattern, said) if pattern else None
    if pattern and found is None:
        return None
    if found is not None and (groups := found.groupdict(default="")):
        return Identity(*(groups.get(name, "").strip() for name in ("maker", "model", "serial", "version")))
    parts = [part.strip() for part in said.split(",", 3)]
    if len(parts) >= 3:
        return Identity(*parts)
    return Identity("", said, "") if pattern else None


def who(reply: bytes) -> list[bytes]:
    """Maker, model and serial of an identity; what comes after them may change."""
    return [part.strip() for part in reply.split(b",")[:3]]
