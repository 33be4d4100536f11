"""A task of one's own."""

import numpy as np
from jaxtyping import Float, Shaped

from ._task import Samples, Task


def from_arrays(
    x: Shaped[np.ndarray, "n *features"],
    y: Float[np.ndarray, "n outputs"],
    *,
    test: tuple[Shaped[np.ndarray, "m *test_features"], Float[np.ndarray, "m test_outputs"]] | None = None,
    name: str = "arrays",
    classes: tuple[str, ...] | None = None,
    solved_accuracy: float = 1.0,
) -> Task:
    """A task from arrays.

    Args:
        x: training inputs, one row a sample.
        y: their targets: one output in {0, 1}, or one-hot over classes.
        test: inputs and targets that accuracy is measured on; the training set itself by default.
        name: of the task.
        classes: a name for each class; their numbers by default.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this.

    Raises:
        ValueError: if there are no samples, or not as many inputs as targets.

    >>> task = from_arrays(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    >>> task.classes
    ('0', '1', '2')
    """
    train = Samples(np.asarray(x), np.asarray(y, np.float32))
    held_out = train if test is None else Samples(np.asarray(test[0]), np.asarray(test[1], np.float32))
    if held_out.x.shape[1:] != train.x.shape[1:] or held_out.y.shape[1:] != train.y.shape[1:]:
        raise ValueError(
            f"test samples must look like training samples, got inputs of shape {held_out.x.shape[1:]} with "
            f"{held_out.y.shape[1:]} outputs, and {train.x.shape[1:]} with {train.y.shape[1:]}"
        )
    n_classes = max(2, train.y.shape[1])
    names = classes or tuple(str(k) for k in range(n_classes))
    return Task(name, train, held_out, names, solved_accuracy, "arrays given by the caller")
