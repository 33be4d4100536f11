"""What a study is: cells that are computed one by one, and what is made of them."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..runs import RunConfig

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Run:
    """A cell that is a training run. Its result is the run's history, with the summary's figures as attributes.

    A run that diverges is a result: its history ends there, and `diverged` is the step.

    Attributes:
        settings: of the run, as in a configuration file.
    """

    settings: Mapping[str, Any]

    def config(self) -> RunConfig:
        return RunConfig.of(dict(self.settings))


@dataclass(frozen=True)
class Work:
    """A cell that is a function; its return value is kept.

    Attributes:
        function: "module:name"; it takes the settings and returns an xarray dataset.
        settings: plain values.
    """

    function: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def compute(self) -> "xr.Dataset":
        module, name = self.function.split(":")
        return getattr(importlib.import_module(module), name)(**self.settings)


@dataclass(frozen=True)
class Row:
    """A line of the table of results.

    Attributes:
        what: the quantity.
        published: the published figure with its source; "(2H)" where we know it only second-hand.
        ours: our figure, with its interval.
        how: engine, chips, seeds, steps.
    """

    what: str
    published: str
    ours: str
    how: str


@dataclass(frozen=True)
class Study:
    """A study: cells to compute, and the evaluation of their results.

    Attributes:
        cells: returns the cells to compute, by name, for the quick or the full version.
        minutes: approximate time on two cores, quick and full.
        assemble: makes the data of the figure from the cells' results, by name.
        draw: draws the figure.
        rows: makes the lines of the table.
    """

    cells: Callable[[bool], Mapping[str, Run | Work]]
    minutes: tuple[float, float]
    assemble: "Callable[[Mapping[str, xr.Dataset]], xr.Dataset]"
    draw: "Callable[[xr.Dataset], Figure]"
    rows: "Callable[[xr.Dataset], list[Row]]"
