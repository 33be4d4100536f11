"""Which combinations of values are points of a sweep. Nothing here imports JAX."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._axes import MOST_POINTS, Axis, whole_range

DESIGNS = ("grid", "sobol", "random")


@dataclass(frozen=True)
class Design:
    """How points are chosen.

    Attributes:
        kind: "grid" for all combinations; "sobol" for a scrambled Sobol' sequence; "random" for independent draws.
        points: how many are drawn; 0 for a grid.
    """

    kind: str = "grid"
    points: int = 0

    @staticmethod
    def of(text: Any) -> "Design":
        """The design that a text names.

        Raises:
            ValueError: if it names none.

        >>> Design.of("sobol:64")
        Design(kind='sobol', points=64)
        """
        if text in (None, "grid"):
            return Design()
        found = re.fullmatch(r"(sobol|random):(\d+)", str(text))
        if found is None or not 0 < int(found[2]) <= MOST_POINTS:
            raise ValueError(
                f"design must be grid, sobol:N or random:N with N points, at most {MOST_POINTS:,}, got {text!r}"
            )
        return Design(found[1], int(found[2]))

    def count(self, axes: Sequence[Axis]) -> int:
        """How many points there are.

        Raises:
            ValueError: if a grid has an interval, or too many points.
        """
        if self.kind != "grid":
            return self.points
        if (n := math.prod(len(whole_range(axis).values) for axis in axes)) > MOST_POINTS:
            raise ValueError(f"the grid has {n:,} points, and at most {MOST_POINTS:,} can be computed: give fewer")
        return n

    def points_of(self, axes: Sequence[Axis], seed: int) -> Iterator[dict[str, Any]]:
        """The values of each point. A design of more points begins with those of one of fewer.

        Args:
            axes: what is varied.
            seed: from which a design draws.

        Raises:
            ValueError: if a grid has an interval, or too many points.
        """
        names = [axis.name for axis in axes]
        if self.kind == "grid":
            self.count(axes)
            lists = [whole_range(axis).values for axis in axes]
            for values in itertools.product(*lists):
                yield dict(zip(names, values, strict=True))
            return
        for row in self._shares(len(axes), seed):
            yield {axis.name: axis.at(float(share)) for axis, share in zip(axes, row, strict=True)}

    def _shares(self, n_axes: int, seed: int) -> np.ndarray:
        """Numbers from 0 to below 1, a row for each point."""
        if self.kind == "random":
            return np.random.default_rng(seed).random((self.points, n_axes))
        from scipy.stats import qmc

        # SciPy calls it `rng` since 1.15, and takes both.
        drawn: Any = {"seed": np.random.default_rng(seed)}
        sequence = qmc.Sobol(n_axes, scramble=True, **drawn)
        # In powers of two, of which the sequence is made, so that nothing warns; the first are those of any length.
        return sequence.random_base2(math.ceil(math.log2(self.points)))[: self.points]
