"""Class numbers as targets."""

import numpy as np
from jaxtyping import Float, Integer


def one_hot(labels: Integer[np.ndarray, " n"], n_classes: int) -> Float[np.ndarray, "n classes"]:
    """One row a label, 1 in the label's column and 0 elsewhere, float32."""
    return np.eye(n_classes, dtype=np.float32)[labels]
