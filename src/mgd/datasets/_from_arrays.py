"""A task from arrays."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._one_hot import one_hot
from ._scaling import scaled
from ._task import Samples, Task, check_finite

# Up to this many different whole numbers are classes; if there are more, each class must have this many samples.
_FEW_CLASSES, _SAMPLES_OF_EACH = 20, 5


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    name: str = "arrays",
    classes: tuple[str, ...] | None = None,
    solved_accuracy: float | None = None,
    kind: str | None = None,
    solved_r2: float | None = None,
    scaling: str | None = None,
    order: str = "shuffled",
) -> Task:
    """A task from arrays.

    Args:
        x: training inputs of shape (n, ...), one row a sample: whole numbers, floating-point numbers or truth values.
        y: their targets. Whole numbers of shape (n,) are classes, and become one-hot rows with a column for each class
            that occurs (if only -1 and 1 occur, they are signs). Text of shape (n,) also gives classes, sorted by name.
            Otherwise y has the desired outputs, of shape (n, outputs), or (n,) for one output.
        test: inputs and targets for the test, in the same form; the training set itself by default.
        name: the task's name.
        classes: a name for each class; their numbers by default. Given with classes of shape (n,), these are
            0 … len(classes) - 1, and those that do not occur have columns too.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this; 1 by default.
        kind: the kind of the targets: "classes", "signs", "labels" or "values"; see `Task`. By default it is inferred.
        solved_r2: for values, the R² at which a chip has solved the task; without it no chip has.
        scaling: scales inputs to the size that neurons need: "standard" gives each input mean 0 and standard
            deviation 1, "min-max" maps it to 0 … 1; None leaves inputs as they are. It is fitted only to the training
            inputs, applied to the test inputs too, and kept as `task.scaling`, which you call on new inputs.
        order: the order of the training samples, "shuffled" or "sequential"; see `Task`.

    Returns:
        The task. `task.kind` is the kind of its targets, `task.n_outputs` the number of outputs that a chip needs.

    Raises:
        ValueError: if there are no samples, the numbers of inputs and targets differ, a number is missing or invalid,
            test and training samples differ in their shape, the scaling is unknown, targets do not match their kind,
            or their kind is not clear.

    >>> task = from_arrays(np.eye(3, dtype=np.float32), np.array([2, 0, 1]))
    >>> task.kind, task.classes, task.train.y.tolist()[0]
    ('classes', ('0', '1', '2'), [0.0, 0.0, 1.0])
    >>> from_arrays([[0.0], [1.0]], [0.25, 0.75]).kind
    'values'
    >>> task = from_arrays([[2700.0], [6300.0]], [0, 1], scaling="standard")
    >>> task.train.x.tolist(), task.scaling(np.array([[4500.0]])).tolist()
    ([[-1.0], [1.0]], [[0.0]])
    """
    if kind == "values" and solved_accuracy is not None:
        raise ValueError("values have no accuracy: give solved_r2 in place of solved_accuracy")
    if test is not None and len(test) != 2:
        raise ValueError(f"test must be a pair of inputs and targets, (x, y), got {len(test)} of them")
    y, test_y, classes = numbered_text(y, None if test is None else test[1], classes, kind)
    targets, test_targets = _numbers(y, "targets"), None if test_y is None else _numbers(test_y, "test targets")
    targets, test_targets, names = _as_rows(targets, test_targets, kind, classes)
    given = [_finite(x, "inputs"), *([] if test is None else [_finite(test[0], "test inputs")])]
    fitted, given = scaled(scaling, *given)  # in all their digits, which float32 may not have
    train = Samples(_stored(given[0], "inputs"), targets)
    judged_by = train if test_targets is None else Samples(_stored(given[1], "test inputs"), test_targets)
    if judged_by.x.shape[1:] != train.x.shape[1:] or judged_by.y.shape[1:] != train.y.shape[1:]:
        raise ValueError(
            f"test samples must look like training samples, got inputs of shape {judged_by.x.shape[1:]} with "
            f"{judged_by.y.shape[1:]} outputs, and {train.x.shape[1:]} with {train.y.shape[1:]}"
        )
    names = classes or names or tuple(str(k) for k in range(max(2, targets.shape[1])))
    accuracy = 1.0 if solved_accuracy is None else solved_accuracy
    task = Task(
        name,
        train,
        judged_by,
        names,
        accuracy,
        "arrays given by the caller",
        kind=kind or "",
        solved_r2=solved_r2,
        scaling=fitted,
        order=order,
    )
    if solved_r2 is not None and task.kind != "values":
        raise ValueError(f'the targets are {task.kind}: give solved_accuracy in place of solved_r2, or kind="values"')
    if solved_accuracy is not None and task.kind == "values":
        raise ValueError("the targets are values, which have no accuracy: give solved_r2 in place of solved_accuracy")
    return task


def numbered_text(
    y: ArrayLike, test: ArrayLike | None, classes: tuple[str, ...] | None, kind: str | None
) -> tuple[ArrayLike, ArrayLike | None, tuple[str, ...] | None]:
    """Class numbers in place of class names, and the names; targets that are not text of shape (n,) stay as they are.

    Raises:
        ValueError: if a name is not one of the classes, or text is given with another kind.
    """
    names = _text(y)
    if names is None:
        return y, test, classes
    if kind not in (None, "classes"):
        raise ValueError(f"targets of the kind {kind!r} must be numbers, got text such as {str(names[0])!r}")
    known: tuple[str, ...] = tuple(map(str, np.unique(names))) if classes is None else tuple(classes)
    tested = None if test is None else _text(test)
    if test is not None and tested is None:
        raise ValueError("test targets must be names of classes, as those of training are, got no text of shape (m,)")
    for whose, given in (("training", names), ("test", tested)):
        unknown = [] if given is None else np.setdiff1d(given, known)
        if len(unknown):
            raise ValueError(
                f"class {str(unknown[0])!r} of the {whose} targets is not one of the classes {', '.join(known)}"
            )
    if len(known) < 2:
        raise ValueError(f"all {len(names)} targets are of the class {names[0]}: give samples of two classes or more")
    place = {name: k for k, name in enumerate(known)}
    numbers = [None if given is None else np.array([place[str(name)] for name in given]) for given in (names, tested)]
    assert numbers[0] is not None
    return numbers[0], numbers[1], known


def _text(y: ArrayLike) -> np.ndarray | None:
    """Targets that are text of shape (n,); None if they are not."""
    try:
        values = np.asarray(y)
    except (TypeError, ValueError):
        return None
    if values.ndim == 1 and values.dtype.kind == "O" and len(values) and all(isinstance(one, str) for one in values):
        values = values.astype(np.str_)
    return values if values.ndim == 1 and values.dtype.kind == "U" and len(values) else None


def _numbers(given: ArrayLike, what: str) -> np.ndarray:
    """What was given as an array of real numbers, in its own type.

    Raises:
        ValueError: if it is not one.
    """
    try:
        values = np.asarray(given)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be one array of numbers, got rows of different length, or no rows") from None
    if isinstance(given, np.ma.MaskedArray) and np.ma.getmaskarray(given).any():
        raise ValueError(f"{what} have masked entries: leave out their rows, or fill them")
    if values.dtype.kind not in "biuf":
        found = f"a {type(given).__name__}" if values.ndim == 0 and values.dtype.kind == "O" else _kind_of_type(values)
        raise ValueError(f"{what} must be real numbers, got {found}")
    if values.ndim == 0:
        raise ValueError(f"{what} must be an array with one row a sample, got the single number {values}")
    if len(values) == 0:
        raise ValueError(f"a set of samples needs at least one row, got none in {what}")
    return values


def _kind_of_type(values: np.ndarray) -> str:
    names = {"U": "text", "S": "text", "T": "text", "c": "complex numbers", "M": "dates", "m": "durations"}
    if values.dtype.kind == "U" and values.ndim > 1:
        return f"text of shape {values.shape}: only names of classes are text, of shape (n,)"
    if values.dtype.kind == "c":
        return "complex numbers: put real and imaginary parts side by side"
    if values.dtype.kind == "O":
        return "objects of mixed types: convert them, as in np.asarray(values, np.float32)"
    return names.get(values.dtype.kind, str(values.dtype))


def _finite(given: ArrayLike, what: str) -> np.ndarray:
    """What was given as an array of finite numbers, in its own type."""
    values = _numbers(given, what)
    check_finite(values, what)
    return values


def _stored(values: np.ndarray, what: str) -> np.ndarray:
    """Inputs as they are stored: bytes stay bytes, all else is float32."""
    return values if values.dtype == np.uint8 else _float32(values, what)


def _float32(values: np.ndarray, what: str) -> Float[np.ndarray, "..."]:
    check_finite(values, what)
    with np.errstate(over="ignore"):
        small = values.astype(np.float32, copy=False)
    if not np.isfinite(small).all():
        raise ValueError(f"{what} go up to {np.abs(values).max():g}, beyond what float32 holds: scale them")
    return small


def _as_rows(
    y: np.ndarray, test: np.ndarray | None, kind: str | None, classes: tuple[str, ...] | None
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."] | None, tuple[str, ...] | None]:
    """Targets of training and test as rows, and names of the classes where they were numbered."""
    whole = y.dtype.kind in "iu"
    signs = whole and y.ndim == 1 and set(np.unique(y)) <= {-1, 1} and (y < 0).any()
    if whole and y.ndim == 1 and kind in (None, "classes") and not signs:
        return _numbered(y, test, kind, classes)
    if kind is None and _maybe_classes(y):
        due = "classes as whole numbers of shape (n,), such as y.ravel().astype(int)"
        if y.size != len(y):
            due = "one class a sample, of shape (n,), or what each output should be, 0 or 1"
        raise ValueError(
            f"targets of shape {y.shape} and type {y.dtype} are the whole numbers {y.min():g} … {y.max():g}: give "
            f'{due}; or say kind="values" if they are amounts'
        )
    rows = _float32(y, "targets")
    tested = None if test is None else _float32(test, "test targets")
    return (
        rows[:, None] if rows.ndim == 1 else rows,
        tested[:, None] if tested is not None and tested.ndim == 1 else tested,
        None,
    )


def _maybe_classes(y: np.ndarray) -> bool:
    """Whether targets may have been meant as the numbers of three classes or more."""
    if y.dtype.kind == "b" or not np.isfinite(y).all() or (y % 1 != 0).any():
        return False
    values = np.unique(y)
    if y.size != len(y):  # several columns: whole by their type, such as a class for each time of a sequence
        return y.dtype.kind in "iu" and not (set(values) <= {0, 1} or set(values) <= {-1, 1})
    in_a_row = values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    return in_a_row and len(values) >= 3 and len(y) >= 2 * len(values)


def _numbered(
    y: np.ndarray, test: np.ndarray | None, kind: str | None, classes: tuple[str, ...] | None
) -> tuple[Float[np.ndarray, "n outputs"], Float[np.ndarray, "m outputs"] | None, tuple[str, ...]]:
    """One-hot rows of class numbers, and the names of the classes."""
    if test is not None and (test.ndim != 1 or test.dtype.kind not in "iu"):
        raise ValueError(
            f"test targets must be class numbers of shape (m,), as those of training are, got shape {test.shape} and "
            f"type {test.dtype}"
        )
    numbers = np.unique(y) if classes is None else np.arange(len(classes))
    for whose, labels in (("training", y), ("test", test)):
        unknown = [] if labels is None else np.setdiff1d(labels, numbers)
        if len(unknown):
            known = f"{numbers[0]} … {numbers[-1]}" if len(numbers) > 5 else ", ".join(map(str, numbers))
            raise ValueError(f"class {unknown[0]} of the {whose} targets is not one of the classes {known}")
    if len(numbers) < 2:
        raise ValueError(f"all {len(y)} targets are of the class {numbers[0]}: give samples of two classes or more")
    if kind is None and len(numbers) > max(_FEW_CLASSES, len(y) // _SAMPLES_OF_EACH):
        raise ValueError(
            f'the {len(y)} targets are {len(numbers)} different whole numbers: say kind="values" if they are amounts, '
            'or kind="classes"'
        )
    names = classes or tuple(str(number) for number in numbers)
    rows = one_hot(np.searchsorted(numbers, y), len(numbers))
    return rows, None if test is None else one_hot(np.searchsorted(numbers, test), len(numbers)), names
