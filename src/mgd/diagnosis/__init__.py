"""Why a run does not learn: what its chip, its settings and its samples say after the fact. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._diagnose import diagnose as diagnose
    from ._diagnose import first_finding as first_finding
    from ._finding import Finding as Finding

_PUBLIC = {"Finding": "_finding"}
# For other parts of this library.
_INSIDE = {"diagnose": "_diagnose", "first_finding": "_diagnose"}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
