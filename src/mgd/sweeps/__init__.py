"""Studies: cells that are computed on all cores, and the evaluation of their results. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._execute import OnProgress as OnProgress
    from ._execute import execute as execute
    from ._study import Row as Row
    from ._study import Run as Run
    from ._study import Study as Study
    from ._study import Work as Work

_PUBLIC = {
    "OnProgress": "_execute",
    "Row": "_study",
    "Run": "_study",
    "Study": "_study",
    "Work": "_study",
    "execute": "_execute",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]
