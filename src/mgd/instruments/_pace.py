"""How fast parameters may change, and how long they settle. Nothing here imports JAX."""

import time
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

# The length of a step of a ramp.
_STEP_SECONDS = 0.05


class Pace:
    """Times of each parameter: how long it settles after a change, and how fast it may change.

    Args:
        settle_seconds: how long any parameter settles that does not say otherwise.
        settle: how long each settles; NaN for one that does not say; None if none does.
        ramp: how fast each may change, per second; infinite for one that may jump; None if all may.
    """

    def __init__(
        self,
        settle_seconds: float,
        settle: Float[np.ndarray, " p"] | None = None,
        ramp: Float[np.ndarray, " p"] | None = None,
    ):
        every = None if settle is None or np.isnan(settle).all() else settle
        self._settle = None if every is None else np.where(np.isnan(every), settle_seconds, every)
        self.settle_seconds = settle_seconds
        self.longest_settling = settle_seconds if self._settle is None else float(self._settle.max())
        self.ramp = None if ramp is None or np.isinf(ramp).all() else ramp
        # Before this, nothing may be changed again.
        self._free_at = 0.0

    @property
    def looks_back(self) -> bool:
        """Whether it matters what parameters were before."""
        return self._settle is not None or self.ramp is not None

    def settling(self, before: Float[np.ndarray, " p"] | None, after: Float[np.ndarray, " p"]) -> float:
        """Seconds that the parameters settle which were changed."""
        if self._settle is None:
            return self.settle_seconds
        if before is None or before.shape != after.shape:
            return self.longest_settling
        changed = before != after
        return float(self._settle[changed].max()) if changed.any() else 0.0

    def longest(self, low: Float[np.ndarray, " p"], high: Float[np.ndarray, " p"]) -> float:
        """Seconds from one end of the slowest range to the other."""
        return 0.0 if self.ramp is None else float(((high.astype(np.float64) - low) / self.ramp).max())

    def way(self, now: Float[np.ndarray, " p"], then: Float[np.ndarray, " p"]) -> Iterator[Float[np.ndarray, " p"]]:
        """The values by which parameters are ramped, each given when it is time for it; the last are those asked for.

        All parameters arrive together.
        """
        assert self.ramp is not None
        start = now.astype(np.float64)
        slowest = float((np.abs(then - start) / self.ramp).max())
        n = max(1, int(np.ceil(slowest / _STEP_SECONDS)))
        for k in range(1, n + 1):
            left = self._free_at - time.monotonic()
            if left > 0:
                time.sleep(left)
            self._free_at = time.monotonic() + slowest / n
            yield then if k == n else (start + (then - start) * (k / n)).astype(np.float32)
