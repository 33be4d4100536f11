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
    """A cell that is a function of its own; what it returns is kept.

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
    """Something to be computed: cells, and what is made of their results.

    Attributes:
        cells: by name, what is to be computed; for a quick version or the full one.
        minutes: about what it costs on two cores, quick and full.
        assemble: from the cells' results by name, the data behind the figure.
        draw: the figure.
        rows: the lines of the table.
    """

    cells: Callable[[bool], Mapping[str, Run | Work]]
    minutes: tuple[float, float]
    assemble: "Callable[[Mapping[str, xr.Dataset]], xr.Dataset]"
    draw: "Callable[[xr.Dataset], Figure]"
    rows: "Callable[[xr.Dataset], list[Row]]"
