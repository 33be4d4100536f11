"""A task of one's own."""

import numpy as np
from jaxtyping import Float, Shaped

from ._scaling import scaled
from ._task import Samples, Task


def from_arrays(
    x: Shaped[np.ndarray, "n *features"],
    y: Float[np.ndarray, "n outputs"],
    *,
    test: tuple[Shaped[np.ndarray, "m *test_features"], Float[np.ndarray, "m test_outputs"]] | None = None,
    name: str = "arrays",
    classes: tuple[str, ...] | None = None,
    solved_accuracy: float = 1.0,
    scaling: str | None = None,
) -> Task:
    """A task from arrays.

    Args:
        x: training inputs, one row a sample.
        y: their targets: one output in {0, 1}, or one-hot over classes.
        test: inputs and targets that accuracy is measured on; the training set itself by default.
        name: of the task.
        classes: a name for each class; their numbers by default.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this.
        scaling: brings inputs to the size that neurons are made for: "standard" gives each input mean 0 and standard
            deviation 1, "min-max" brings it to 0 … 1; None leaves inputs as they are. It is fitted to the training
            inputs alone, applied to the test's too, and kept as `task.scaling`, to be called on new inputs.

    Raises:
        ValueError: if there are no samples, not as many inputs as targets, or no such scaling.

    >>> task = from_arrays(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    >>> task.classes
    ('0', '1', '2')
    >>> weights = np.array([[2700.0], [6300.0]])
    >>> task = from_arrays(weights, np.eye(2, dtype=np.float32), scaling="standard")
    >>> task.train.x.tolist(), task.scaling(np.array([[4500.0]])).tolist()
    ([[-1.0], [1.0]], [[0.0]])
    """
    fitted, (x, *tests) = scaled(scaling, np.asarray(x), *(() if test is None else (np.asarray(test[0]),)))
    train = Samples(x, np.asarray(y, np.float32))
    held_out = train if test is None else Samples(tests[0], np.asarray(test[1], np.float32))
    if held_out.x.shape[1:] != train.x.shape[1:] or held_out.y.shape[1:] != train.y.shape[1:]:
        raise ValueError(
            f"test samples must look like training samples, got inputs of shape {held_out.x.shape[1:]} with "
            f"{held_out.y.shape[1:]} outputs, and {train.x.shape[1:]} with {train.y.shape[1:]}"
        )
    n_classes = max(2, train.y.shape[1])
    names = classes or tuple(str(k) for k in range(n_classes))
    return Task(name, train, held_out, names, solved_accuracy, "arrays given by the caller", scaling=fitted)
