"""Means that forget. Nothing here imports JAX."""

import math


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
        self._above, self._below = keep * self._above + above, keep * self._below + below
        # Squares of weights.
        self._above2 = keep**2 * self._above2 + above**2
        self._both = keep**2 * self._both + above * below
        self._below2 = keep**2 * self._below2 + below**2
        self.count += 1

    def value_and_error(self) -> tuple[float, float]:
        """Σwa/Σwb, and √Σw²(a − ρb)²/Σwb; zero if there is nothing."""
        if self._below <= 0:
            return 0.0, 0.0
        ratio = self._above / self._below
        square = self._above2 - 2 * ratio * self._both + ratio**2 * self._below2
        return ratio, math.sqrt(max(0.0, square)) / self._below
