"""Measures of success on a test set: their names, and how they are written. Nothing here imports JAX."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

# By their names in histories and summaries, as people read them.
METRICS = {"accuracy": "accuracy", "label_accuracy": "accuracy by label", "r2": "R²"}


def metric_in(history: "xr.Dataset") -> str | None:
    """The measure that a history has; None if it only has costs."""
    return next((name for name in METRICS if name in history), None)


def written(metric: str, value: float) -> str:
    """A value of a measure, for people.

    >>> written("accuracy", 0.9318), written("r2", -9.961)
    ('93.2%', '-9.961')
    """
    return f"{value:.3f}" if metric == "r2" else f"{value:.1%}"
