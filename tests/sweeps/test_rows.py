"""Rows of results, and the same on named axes."""

import json

import numpy as np
import pytest
import xarray as xr

from mgd.runs import RunConfig
from mgd.sweeps._rows import DIGEST, VALUES, in_order, off_axes, on_axes

RESULTS = ("cost", "engine", "score", "seed", "steps")


def rows_of(values: dict[str, list]) -> xr.Dataset:
    """Points with these values, and results that are none of them."""
    points = [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]
    n = len(points)
    rows = {name: ("point", 10.0 + np.arange(n)) for name in RESULTS}
    texts = {VALUES: [json.dumps(point) for point in points], DIGEST: [str(k) for k in range(n)]}
    texts = {name: ("point", np.array(each, object)) for name, each in texts.items()}
    return xr.Dataset(rows | texts | {"solved": (("point", "replica"), np.ones((n, 2), bool))}, {"replica": [0, 1]})


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("name", sorted(set(RESULTS) & set(RunConfig.model_fields)))
def test_what_was_varied_and_a_result_of_that_name_are_both_there(name, grid):
    rows = rows_of({name: [1, 2, 3], "dac-bits": [7, 7, 8]})
    data = on_axes(rows, [name, "dac-bits"], grid=grid)
    assert data[f"given_{name}"].values.tolist() == [1, 2, 3]
    found = data.isel({f"given_{name}": 1, "dac-bits": 0}) if grid else data.isel(point=1)
    assert float(found[name]) == 11
    again = in_order(off_axes(data, [name, "dac-bits"], grid=grid), ["0", "1", "2"])
    assert again.drop_attrs().equals(rows)
