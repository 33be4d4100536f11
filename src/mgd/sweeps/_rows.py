"""Rows of results, one for each point, and the same on named axes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ._points import written

DIGEST, VALUES = "digest", "values"
# What is kept of where results came from, and is no result.
OURS = (DIGEST, VALUES, "computed")
# Settings whose names are those of results too. As axes they have names of their own.
_ALSO_RESULTS = ("cost", "engine", "seed", "steps")


def axis_of(name: str) -> str:
    """The name of the axis of a setting.

    >>> axis_of("tau_theta"), axis_of("seed")
    ('tau_theta', 'given_seed')
    """
    return f"given_{name}" if name in _ALSO_RESULTS else name


def digest_of(rows: xr.Dataset) -> str:
    """Of all numbers and texts: Zarr has none, and reads what is missing as zeros."""
    digest = hashlib.sha256()
    for name in sorted(map(str, rows.variables)):
        values = rows[name].values
        digest.update(f"{name} {rows[name].dims} {values.shape}".encode())
        if values.dtype.kind in "OUT":
            digest.update(json.dumps([str(each) for each in values.ravel()]).encode())
        else:
            # A chunk of nothing but NaN is not written, and comes back with another sign.
            plain = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
            digest.update(np.ascontiguousarray(plain, values.dtype).tobytes())
    return digest.hexdigest()


def in_order(rows: xr.Dataset, order: Sequence[str]) -> xr.Dataset:
    """Rows without what is there twice, those that are named first, and others by their digest."""
    place = {digest: k for k, digest in enumerate(order)}
    digests = [str(digest) for digest in rows[DIGEST].values]
    first = {digest: k for k, digest in reversed([*enumerate(digests)])}
    wanted = sorted(first, key=lambda digest: (place.get(digest, len(place)), digest))
    return rows.isel(point=[first[digest] for digest in wanted])


def on_axes(rows: xr.Dataset, names: Sequence[str], *, grid: bool) -> xr.Dataset:
    """Results over the axes that were varied; of a design, over its points, with what was varied as coordinates.

    Args:
        rows: over (point, replica), no point twice.
        names: of the settings that were varied.
        grid: whether points are those of a grid. What it lacks is NaN, and not `computed`.
    """
    values = [{name: _back(value) for name, value in json.loads(text).items()} for text in rows[VALUES].values]
    columns = {axis_of(name): [one[name] for one in values] for name in names}
    rows = rows.assign(computed=("point", np.ones(rows.sizes["point"], bool)))
    if not grid:
        coordinates = {name: ("point", _array(column)) for name, column in columns.items()}
        return rows.assign_coords(coordinates)
    ticks = {name: _sorted(column) for name, column in columns.items()}
    shape = tuple(map(len, ticks.values()))
    numbers = {name: {tick: k for k, tick in enumerate(each)} for name, each in ticks.items()}
    place = tuple(np.array([numbers[name][value] for value in column], np.int64) for name, column in columns.items())
    made = {}
    for name, variable in rows.data_vars.items():
        of_point = variable.transpose("point", ...)
        whole = np.full((*shape, *of_point.shape[1:]), _missing(of_point.dtype), of_point.dtype)
        whole[place] = of_point.values
        made[name] = ((*ticks, *of_point.dims[1:]), whole, variable.attrs)
    coordinates = {name: _array(each) for name, each in ticks.items()}
    return xr.Dataset(made, {**coordinates, "replica": rows.replica}, rows.attrs)


def off_axes(data: xr.Dataset, names: Sequence[str], *, grid: bool) -> xr.Dataset:
    """The rows of which `on_axes` made this."""
    axes = [axis_of(name) for name in names]
    if not grid:
        return data.drop_vars([*axes, "computed"])
    flat = data.drop_vars(axes).stack(point=axes, create_index=False)
    flat = flat.transpose("point", ...)
    there = flat.isel(point=np.flatnonzero(flat["computed"].values))
    return there.drop_vars("computed")


def values_text(values: Mapping[str, Any]) -> str:
    """The values of a point, for its row."""
    return json.dumps(dict(values))


def _back(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sorted(values: Sequence[Any]) -> list[Any]:
    """The different ones: numbers and sizes by size, others by the alphabet."""
    kinds = list(dict.fromkeys(values))
    same = all(isinstance(value, int | float) for value in kinds) or all(isinstance(value, tuple) for value in kinds)
    return sorted(kinds) if same else sorted(kinds, key=written)


def _array(values: Sequence[Any]) -> np.ndarray:
    """Values of an axis: numbers as such, all else as texts."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.array(values)
    return np.array([written(value) for value in values], object)


def _missing(dtype: np.dtype) -> Any:
    return {"f": np.nan, "b": False, "i": -1}.get(dtype.kind, "")
