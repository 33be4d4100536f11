"""Means that forget. Nothing here imports JAX."""

import math

import numpy as np
from jaxtyping import Float


class Ratio:
    """The ratio of two means that forget, and its standard error to first order.

    >>> ratio = Ratio()
    >>> for above, below in ((1.0, 2.0), (3.0, 6.0)):
    ...     ratio.add(above, below, keep=1.0)
    >>> ratio.value_and_error()
    (0.5, 0.0)
    """

    def __init__(self):
        self._above = self._below = self._above2 = self._both = self._below2 = 0.0
        self.count = 0

    def add(self, above: float, below: float, keep: float) -> None:
        """Takes one more pair; what was there before counts `keep` as much."""
        self.extend(np.array([above]), np.array([below]), np.array([keep]))

    def extend(
        self, above: Float[np.ndarray, " k"], below: Float[np.ndarray, " k"], keep: Float[np.ndarray, " k"]
    ) -> None:
        """Takes pairs in order; at each, what was there before counts `keep` as much."""
        if not len(above):
            return
        later = np.append(np.cumprod(keep[:0:-1])[::-1], 1.0)
        all_kept = float(keep[0] * later[0])
        self._above = all_kept * self._above + float(later @ above)
        self._below = all_kept * self._below + float(later @ below)
        squared = later**2
        self._above2 = all_kept**2 * self._above2 + float(squared @ above**2)
        self._both = all_kept**2 * self._both + float(squared @ (above * below))
        self._below2 = all_kept**2 * self._below2 + float(squared @ below**2)
        self.count += len(above)

    def value_and_error(self) -> tuple[float, float]:
        """Σwa/Σwb, and √Σw²(a − ρb)²/Σwb; zero if there is nothing."""
        if self._below <= 0:
            return 0.0, 0.0
        ratio = self._above / self._below
        square = self._above2 - 2 * ratio * self._both + ratio**2 * self._below2
        return ratio, math.sqrt(max(0.0, square)) / self._below
