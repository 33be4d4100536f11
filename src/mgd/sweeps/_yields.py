"""How many chips learn at each point, and each point in a line."""

from typing import Any

import numpy as np
import xarray as xr

from ._store import load_sweep


def yields(sweep: "xr.Dataset | str", *, confidence: float = 0.95) -> xr.Dataset:
    """The share of chips that solved the task at each point, with Wilson's interval.

    Args:
        sweep: what `mgd.sweep` returned, or the folder of a sweep.
        confidence: of the interval.

    Returns:
        `fraction`, `low` and `high` over the axes of the sweep; NaN where a point is not computed, or its task has no
        threshold.

    Raises:
        ValueError: if the confidence is not between 0 and 1.
        RunError: as `load_sweep`.

    >>> chips = xr.Dataset({"solved": (("bits", "replica"), [[True] * 9 + [False]])}, {"bits": [8]})
    >>> chips = chips.assign(computed=("bits", [True]), threshold=("bits", [0.8]))
    >>> {name: round(value.item(), 3) for name, value in yields(chips).items()}
    {'fraction': 0.9, 'low': 0.596, 'high': 0.982}

    References:
        E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}")
    data = sweep if isinstance(sweep, xr.Dataset) else load_sweep(sweep)
    n, solved = data.sizes["replica"], data["solved"].sum("replica")
    there = data["computed"] & ~np.isnan(data["threshold"])
    ends = [wilson(int(k), n, confidence) for k in solved.values.ravel()]
    low, high = (solved.copy(data=np.array(end).reshape(solved.shape)) for end in zip(*ends, strict=True))
    found = xr.Dataset({"fraction": solved / n, "low": low, "high": high})
    return found.where(there)


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a fraction k of n."""
    from scipy.stats import binomtest

    interval = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def table_of(data: xr.Dataset) -> list[dict[str, Any]]:
    """A line for each point that is computed: what was varied, and what came of it, as plain values."""
    axes = [str(name) for name in data["computed"].dims]
    names = axes if axes != ["point"] else [str(name) for name in data.coords if name not in ("replica", "point")]
    shares = yields(data)
    lines = []
    for place in zip(*np.nonzero(data["computed"].values), strict=True):
        at = dict(zip(axes, map(int, place), strict=True))
        one, share = data.isel(at), shares.isel(at)
        scores = one["score"].values[~np.isnan(one["score"].values)]
        low, middle, high = np.quantile(scores, [0.1, 0.5, 0.9]) if len(scores) else [np.nan] * 3
        results = {"score": middle, "score_low": low, "score_high": high, "yield": share["fraction"].item()}
        results |= {"yield_low": share["low"].item(), "yield_high": share["high"].item()}
        lines.append(
            {name: one[name].item() for name in names}
            | {name: None if np.isnan(value) else float(value) for name, value in results.items()}
            | {"diverged": int(one["diverged"].sum()), "chips": data.sizes["replica"], "metric": one["metric"].item()}
            | {name: one[name].item() for name in ("engine", "seed", "cost_measurements", "parameter_writes")}
        )
    return lines
