"""What is counted of a run for its diagnostics, of one size however long the run is. Nothing here imports JAX."""

import math
from collections import deque

import numpy as np
from jaxtyping import Bool, Float, Int

from ._moments import Ratio

BASELINES = 512


class Tally:
    """Means that forget, of modulations, baselines, and the two parts of each window's G.

    Args:
        n_params: P.
        memory: windows over which means forget.
        per: measurements of a timestep, without the baseline.
        window: timesteps of a window; None until it is known.

    Attributes:
        power: ⟨C̃²⟩.
        same: ½⟨(C₀' − C₀)²⟩ of neighbouring baselines with the same sample.
        cos2: cos² of the angle between G and the gradient.
        modulations: how many.
        measured: cost measurements.
        windows: how many.
        baselines: the last of them, each with the number of measurements before it.
        products: for each parameter the sum of what both parts of G have in common, not forgotten.
        squares: and of its squares.
    """

    def __init__(self, n_params: int, memory: int, per: int, window: int | None):
        self.power, self.same, self.cos2 = Ratio(), Ratio(), Ratio()
        self.modulations = self.measured = self.windows = 0
        self.baselines: deque[tuple[float, float]] = deque(maxlen=BASELINES)
        self.products, self.squares = np.zeros(n_params), np.zeros(n_params)
        self.window, self._keep, self._per = window, 1 - 1 / memory, per
        self._last: np.ndarray | None = None

    def holds(
        self,
        powers: Float[np.ndarray, " k"],
        counts: Int[np.ndarray, " k"],
        baselines: Float[np.ndarray, " k"],
        same: Bool[np.ndarray, " k"],
    ) -> None:
        """Takes holds: the sum of C̃² and the number of timesteps of each, its C₀ or NaN, and whether the sample of
        the last one is still there."""
        has = np.isfinite(baselines)
        before = self.measured + np.cumsum(counts * self._per + has) - counts * self._per - has
        if has.any():
            at, costs, unchanged = before[has], baselines[has].astype(np.float64), same[has]
            earlier = [self.baselines[-1][1]] if self.baselines else []
            differences = np.diff(np.concatenate([earlier, costs]))
            pairs = np.square(differences)[unchanged[len(unchanged) - len(differences) :]] / 2
            self.same.extend(pairs, np.ones_like(pairs), np.full(len(pairs), self._keep))
            self.baselines.extend(zip(at[-BASELINES:].tolist(), costs[-BASELINES:].tolist(), strict=True))
        self.measured += int(counts.sum()) * self._per + int(has.sum())
        some = counts > 0
        if some.any():
            n = counts[some].astype(np.float64)
            # Modulations with one baseline have its noise in common: they are one draw, not n.
            self.power.extend(powers[some], n, self._keep ** (n / np.maximum(self.window or 0, n)))
            self.modulations += int(counts.sum())

    def ends(
        self, even: Float[np.ndarray, "k p"], whole: Float[np.ndarray, "k p"], share: Float[np.ndarray, " k"]
    ) -> None:
        """Takes windows: the part of G from even perturbations, G, and the even ones' share of all."""
        squares = np.einsum("kp,kp->k", whole, whole)
        within = (share > 0) & (share < 1)
        if within.all():
            product = (whole - even) * even
            product /= (share * (1 - share))[:, None]
        else:  # where there is one half alone, this window and the one before are the halves
            first = whole[:1] if self._last is None else self._last[None]
            before = np.concatenate([first, whole[:-1]])
            product, means = whole * before, (squares + np.einsum("kp,kp->k", before, before)) / 2
            if within.any():
                w = np.where(within, share, 0.5)[:, None]
                product = np.where(within[:, None], (whole - even) * even / (w * (1 - w)), product)
            squares = np.where(within, squares, means)
            if self._last is None and not within[0]:  # there is none before
                product, squares = product[1:], squares[1:]
        self._last = whole[-1].copy()
        self.windows += len(whole)
        self.cos2.extend(product.sum(axis=1), squares, np.full(len(product), self._keep))
        self.products += product.sum(axis=0)
        self.squares += np.einsum("kp,kp->p", product, product)

    def slope(self) -> tuple[float, float] | None:
        """Of the baselines, per measurement, and its standard error; None if there are too few."""
        n = len(self.baselines)
        if n < 16:
            return None
        at, costs = np.array(self.baselines).T
        at = at - at.mean()
        square = float(at @ at)
        slope = float(at @ costs) / square
        rest = costs - costs.mean() - slope * at
        return slope, math.sqrt(float(rest @ rest) / (n - 2) / square)
