"""What a picture of several runs says of them."""

from pathlib import Path

import xarray as xr

from mgd.results._plotted import _labels, _Run
from mgd.runs import RunConfig


def test_legends_name_what_differs():
    def of(name: str, **settings: object) -> _Run:
        return _Run(Path(name), RunConfig.of({"task": "parity"} | settings), xr.Dataset(), finished=True)

    assert _labels([of("a"), of("b", seed=3)]) == ["seed –", "seed 3"]
    assert _labels([of("a", seed=3), of("b", seed=3)]) == ["a", "b"]
    many = {"batch": 2, "steps": 5, "tau_x": 4, "tau_p": 2, "seed": 1}
    assert _labels([of("a"), of("b", **many)]) == ["a: tau_p –, …", "b: tau_p 2, …"]
