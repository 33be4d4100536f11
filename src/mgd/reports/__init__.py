"""Reports: a run or a sweep as one HTML file that needs nothing else. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._report import report as report

_PUBLIC = {"report": "_report"}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]
