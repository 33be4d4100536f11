"""Why a run does not learn: what its chip, its settings and its samples say after the fact. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._case import Case as Case
    from ._diagnose import diagnose_case as diagnose_case
    from ._finding import Finding as Finding

_PUBLIC = {"Finding": "_finding"}
# For other parts of this library.
_INSIDE = {"Case": "_case", "diagnose_case": "_diagnose"}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
