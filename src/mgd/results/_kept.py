"""What a run has kept of why it does not learn. Nothing here imports JAX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..diagnosis import Finding
from ..runs import read_diagnostics, read_summary

# Of what a run on a real chip warns of: what explains the most comes first.
_ORDER = ("still", "unread", "noise", "angle", "silent", "unlearnt", "line")


def kept_findings(folder: str | Path) -> list[Finding]:
    """The findings that a run directory has, without measuring anything: those of its end, and of its real chips.

    Raises:
        RunError: if a file of it is damaged.
    """
    folder = Path(folder)
    at_end = (read_summary(folder) or {}).get("diagnosis")
    found = [] if at_end is None else [Finding(**at_end)]
    return found + [one for one in warned(read_diagnostics(folder, quiet=True)) if one not in found]


def warned(lines: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What a run on real chips warned of, of each kind the last; a warning ends in what to try."""
    said: dict[str, str] = {}
    for line in lines:
        texts = line.get("warnings", [])
        said |= dict(zip(line.get("kinds", ["warning"] * len(texts)), texts, strict=True))
    parts = {kind: text.rpartition(": ") for kind, text in said.items()}
    found = [Finding(kind, problem, remedy) for kind, (problem, _, remedy) in parts.items()]
    return sorted(found, key=lambda one: _ORDER.index(one.name) if one.name in _ORDER else len(_ORDER))
