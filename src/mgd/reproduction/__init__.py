"""Published results, each reproduced by one command: data, figure and table. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ..sweeps import Row as Row
    from ._names import STUDIES as STUDIES
    from ._reproduce import reproduce as reproduce
    from ._reproduce import study_named as study_named

_PUBLIC = {
    "Row": ".sweeps",
    "STUDIES": "_names",
    "reproduce": "_reproduce",
}
# For other parts of this library.
_INSIDE = {
    "study_named": "_reproduce",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
