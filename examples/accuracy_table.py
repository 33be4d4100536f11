"""Prints a run's test accuracy against its cost measurements, as a Markdown table: mean and 95 % interval.

    python examples/accuracy_table.py RUN [ROWS]

The interval is of the mean over replicas (Student's t); a run of one chip has none.
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats


def table(history: xr.Dataset, rows: int) -> str:
    """At most that many rows, evenly spaced in the logarithm of the measurements, the last included."""
    n = history.sizes["replica"]
    measured = history.cost_measurements.values
    wanted = np.geomspace(max(measured[1], measured[-1] / 10**4), measured[-1], rows)
    chosen = sorted({int(np.abs(np.log(np.maximum(measured, 1) / w)).argmin()) for w in wanted})
    lines = ["| cost measurements | images inferred | parameter writes | test accuracy |", "|---|---|---|---|"]
    for k in chosen:
        at = history.isel(step=k)
        mean = 100 * float(at.accuracy.mean())
        text = f"{mean:.1f} %"
        if n > 1:
            half = stats.t.ppf(0.975, n - 1) * 100 * float(at.accuracy.std(ddof=1)) / np.sqrt(n)
            text = f"({mean:.1f} ± {half:.1f}) %"
        counts = [f"{int(at[name]):,}" for name in ("cost_measurements", "inferences", "parameter_writes")]
        lines.append(f"| {' | '.join(counts)} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    metrics = Path(sys.argv[1]) / "metrics.zarr"
    if not metrics.is_dir():
        sys.exit(f"{sys.argv[1]} is not a run with metrics: give a run directory of mgd train")
    print(table(xr.open_zarr(metrics, consolidated=False).load(), int((sys.argv[2:] or [10])[0])))
