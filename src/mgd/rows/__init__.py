"""Tables of all that can be chosen by name, of this package and of others: one row each, without importing JAX."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._families import FAMILIES as FAMILIES
    from ._imperfections import IMPERFECTIONS as IMPERFECTIONS
    from ._optimizers import OPTIMIZERS as OPTIMIZERS
    from ._row import ImperfectionRow as ImperfectionRow
    from ._row import Real as Real
    from ._row import Row as Row
    from ._row import Setting as Setting
    from ._row import TaskRow as TaskRow
    from ._row import Truth as Truth
    from ._row import Whole as Whole
    from ._row import found as found
    from ._table import Table as Table
    from ._table import claimed as claimed
    from ._table import loaded as loaded
    from ._table import points as points
    from ._table import said as said
    from ._tasks import TASKS as TASKS

_PUBLIC = {
    "FAMILIES": "_families",
    "IMPERFECTIONS": "_imperfections",
    "ImperfectionRow": "_row",
    "OPTIMIZERS": "_optimizers",
    "Real": "_row",
    "Row": "_row",
    "Setting": "_row",
    "TASKS": "_tasks",
    "Table": "_table",
    "TaskRow": "_row",
    "Truth": "_row",
    "Whole": "_row",
}
# For other parts of this library.
_INSIDE = {
    "claimed": "_table",
    "found": "_row",
    "loaded": "_table",
    "points": "_table",
    "said": "_table",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
