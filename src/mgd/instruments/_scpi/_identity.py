"""Who answers. Nothing here imports JAX."""

import re

from .._base import Identity
from ._formats import decoded


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
