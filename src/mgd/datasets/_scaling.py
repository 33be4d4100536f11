"""The scaling of each input to a size that neurons can use, fitted to the training samples."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Shaped

from .._input import nearest

SCALINGS = ("standard", "min-max")
# Numbers that are scaled together, in double precision.
_TOGETHER = 2**22


@dataclass(frozen=True, eq=False)
class Scaling:
    """(x − offset) / spread, for each input separately.

    Attributes:
        how: "standard": the training samples get mean 0 and standard deviation 1; "min-max": they go from 0 to 1.
        offset: the number subtracted from each input.
        spread: the divisor after that; 1 for an input that is the same in all training samples.

    >>> scaling = Scaling.fitted("min-max", np.array([[0.0, 100.0], [4.0, 300.0]]))
    >>> scaling(np.array([[1.0, 400.0]])).tolist()
    [[0.25, 1.5]]
    """

    how: str
    offset: Float[np.ndarray, "*features"]
    spread: Float[np.ndarray, "*features"]

    @classmethod
    def fitted(cls, how: str, x: Shaped[np.ndarray, "n *features"]) -> "Scaling":
        """The scaling fitted to these samples, one in each row.

        Raises:
            ValueError: if the scaling is unknown, there are no samples, or a number is not finite.
        """
        if how not in SCALINGS:
            hint = nearest(how, SCALINGS) if isinstance(how, str) else ""
            raise ValueError(f"unknown scaling {how!r}{hint}; choose {', '.join(SCALINGS)}, or None")
        if len(x) == 0:
            raise ValueError("scaling needs at least one training sample, got none")
        x = np.asarray(x)
        if x.size < 2 * _TOGETHER:
            return cls(how, *_fitted(how, x))
        flat = x.reshape(len(x), -1)
        pieces = [_fitted(how, flat[:, columns]) for columns in _pieces(flat)]
        offset, spread = (np.concatenate(parts).reshape(x.shape[1:]) for parts in zip(*pieces, strict=True))
        return cls(how, offset, spread)

    def __call__(self, x: Shaped[np.ndarray, "n *given"]) -> Float[np.ndarray, "n *given"]:
        """The scaled samples, one in each row, as the chip sees them.

        Raises:
            ValueError: if they have another number of inputs than the training samples.
        """
        x = np.asarray(x)
        if x.shape[1:] != self.offset.shape:
            raise ValueError(f"this scaling takes rows of shape {self.offset.shape}, got an array of shape {x.shape}")
        scaled = np.empty(x.shape, np.float32)
        step = max(1, _TOGETHER // max(1, self.offset.size))
        for start in range(0, len(x), step):
            piece = np.asarray(x[start : start + step], np.float64)
            scaled[start : start + step] = (piece - self.offset) / self.spread
        return scaled


def _pieces(x: Shaped[np.ndarray, "n d"]) -> list[slice]:
    """Columns that are fitted together: at least two, because NumPy sums a single one in another order."""
    n_pieces = max(1, min(x.size // _TOGETHER, x.shape[1] // 2))
    ends = [x.shape[1] * k // n_pieces for k in range(n_pieces + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def _fitted(
    how: str, x: Shaped[np.ndarray, "n *features"]
) -> tuple[Float[np.ndarray, "*features"], Float[np.ndarray, "*features"]]:
    """Offset and spread of these inputs."""
    x = np.asarray(x, np.float64)
    if not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise ValueError(f"inputs must be finite numbers to be scaled, got NaN or infinity in row {row}")
    low, high = x.min(0), x.max(0)
    offset, spread = (x.mean(0), x.std(0)) if how == "standard" else (low, high - low)
    # The mean of equal numbers may be off by rounding, so their standard deviation may not be 0.
    return np.asarray(offset), np.where(high == low, 1.0, spread)


def scaled(how: str | None, *arrays: np.ndarray) -> tuple[Scaling | None, list[np.ndarray]]:
    """The scaling fitted to the first array, and all arrays with this scaling; without one if `how` is None."""
    if how is None:
        return None, [*arrays]
    scaling = Scaling.fitted(how, arrays[0])
    return scaling, [scaling(each) for each in arrays]
