"""A task from a file or a folder."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import MgdWarning
from .._input import nearest
from ._columns import Columns
from ._from_arrays import from_arrays, numbered_text
from ._read_file import Choice, named, read_source
from ._scaling import SCALINGS
from ._source import Source, check_room, let_go, taken
from ._split import split
from ._task import ORDERS, Samples, Task

TEST_FRACTION = 0.2
# Different whole numbers are classes if there are at most this many, or each has this many samples.
_FEW_CLASSES, _SAMPLES_OF_EACH = 20, 5
_NAMED = 3


def from_file(
    path: str | os.PathLike,
    *,
    inputs: Columns | None = None,
    targets: Columns | os.PathLike | None = None,
    kind: str | None = None,
    test: str | os.PathLike | None = None,
    test_fraction: int | float | None = None,
    seed: int = 0,
    scaling: str | None = None,
    order: str = "shuffled",
    header: bool | None = None,
    name: str | None = None,
    solved_accuracy: float | None = None,
    solved_r2: float | None = None,
) -> Task:
    """A task from a file or a folder.

    - `.csv`, `.tsv`, `.txt`, `.dat`: a table of text with one sample a line. The delimiter, the decimal comma or point,
      the header and comments (lines that begin with #) are detected.
    - `.npz`: arrays by their names, in capital or small letters: `x` and `y`, `x_train`, `y_train`, `x_test` and
      `y_test`, `inputs` and `targets`, `images` and `labels`, and the like; or one array that is a table.
    - `.npy`: one array that is a table, or inputs whose targets are in another file. It is memory-mapped.
    - a folder: `x.npy` and `y.npy`, and `x_test.npy` and `y_test.npy`, if there are any; or `train.csv` (or another of
      these suffixes) and `test.csv`; or one folder of PNG or JPEG images for each class, directly or in `train` and
      `test`.

    Args:
        path: the file or folder.
        inputs: columns of a table: names, numbers counted from 1, and ranges of these such as "2-5"; by default all
            except the targets. For an NPZ file, the name of an array.
        targets: the same for the targets; by default the last column. For an `.npy` file of inputs, the file of the
            targets.
        kind: the kind of the targets: "classes", "signs", "labels" or "values"; see `Task`. By default it is inferred:
            text, and whole numbers in one column, are classes.
        test: a file with the test samples, in the same form.
        test_fraction: the fraction of the samples that becomes the test set, if there is none, with the same share of
            each class; 0.2 by default. With 0, the training samples are also the test samples.
        seed: the seed that draws the test set.
        scaling: "standard" gives each input mean 0 and standard deviation 1, "min-max" maps it to 0 … 1; both are
            fitted only to the training samples. "none" leaves inputs as they are. Bytes stay bytes, and all have the
            same scaling. By default the chip sees bytes as 0 … 1, and other numbers as they are.
        order: the order of the training samples, "shuffled" or "sequential"; see `Task`. If it is sequential, the last
            samples become the test set.
        header: whether the first line of a text table has the names of its columns; by default, whether none of its
            cells is a number.
        name: the task's name; by default that of the file.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this; 1 by default.
        solved_r2: for values, the R² at which a chip has solved the task; without it no chip has.

    Returns:
        The task. `task.source` says what was read and how it was split.

    Raises:
        DataError: if a file cannot be read, does not fit in memory, or has a cell that is empty, not a number or not
            finite (the message names its line and column).
        ValueError: if there is no such column, or an argument is invalid or does not fit the others.

    Warns:
        MgdWarning: if an input is the same in all samples.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = file.write_text("length;width;kind\\n" + "4,5;1,5;lily\\n5,5;0,5;rose\\n" * 5)
    >>> task = from_file(file)
    >>> task.classes, len(task.train), len(task.test), task.inputs
    (('lily', 'rose'), 8, 2, ('length', 'width'))
    """
    _check(test, test_fraction, seed, scaling, order)
    place = Path(path)
    source = read_source(place, Choice(inputs, targets, header), None if test is None else Path(test))
    called = name or place.resolve().stem or "data"
    wanted = {"kind": kind, "solved_accuracy": solved_accuracy, "solved_r2": solved_r2, "order": order}
    with named(place):
        return _task(source, called, place, test_fraction, seed, scaling, wanted)


def _check(test: Any, fraction: int | float | None, seed: int, scaling: str | None, order: str) -> None:
    """Raises: ValueError: if an argument is invalid."""
    if test is not None and fraction is not None:
        raise ValueError(
            f"test gives the test set, so the training file is not split: leave out test_fraction = {fraction:g}"
        )
    if fraction is not None and (isinstance(fraction, bool) or not 0 <= fraction < 1):
        raise ValueError(f"test_fraction must be at least 0 and below 1, got {fraction!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2^32 - 1, got {seed!r}")
    for what, value, choices in (("scaling", scaling, (*SCALINGS, "none")), ("order", order, ORDERS)):
        if value is not None and value not in choices:
            raise ValueError(f"unknown {what} {value!r}{nearest(value, choices)}; choose {', '.join(choices)}")


def _task(
    source: Source,
    name: str,
    path: Path,
    fraction: int | float | None,
    seed: int,
    scaling: str | None,
    wanted: dict[str, Any],
) -> Task:
    """The task from the data that were read."""
    kind, order = wanted["kind"], wanted["order"]
    y, test_y = (None if each is None else _targets(each, kind) for each in (source, source.test))
    assert y is not None
    if source.test is not None and fraction is not None:
        raise ValueError(
            f"the data have a test set, so the training samples are not split: leave out test_fraction = {fraction:g}"
        )
    if source.test is not None and source.test.x.shape[1:] != source.x.shape[1:]:
        raise ValueError(
            f"test samples must look like training samples, got inputs of shape {source.test.x.shape[1:]} and "
            f"{source.x.shape[1:]}"
        )
    part = TEST_FRACTION if fraction is None else fraction
    if source.test is None and part > 0:
        rows = split(len(y), part, seed=seed, labels=_classes(y, kind), in_order=order == "sequential")
        check_room(_bytes_of(source.x, scaling), path)
        x, x_test = (taken(source.x, of) for of in rows)
        # The classes of all samples, because one part may lack some of them.
        y, _, classes = numbered_text(y, None, None, kind)
        y = np.asarray(y)
        y, test_y = (y[of] for of in rows)
        drawn = "the last of them" if order == "sequential" else f"drawn with seed {seed}"
        how = f"{len(x_test):,} to test on (test_fraction = {part:g}, {drawn})"
    else:
        classes = None
        check_room(sum(_bytes_of(each.x, scaling, copied=False) for each in (source, source.test) if each), path)
        x, x_test = (None if each is None else _whole(each.x) for each in (source, source.test))
        how = "the same to test on" if x_test is None else f"{len(x_test):,} to test on"
    assert x is not None
    stored = _storage(x, scaling)
    test = None if x_test is None or test_y is None else (x_test, test_y)
    scaled = scaling if x.dtype != np.uint8 and scaling != "none" else None
    task = from_arrays(
        x,
        y,
        test=test,
        name=name,
        classes=classes or source.outputs,
        scaling=scaled,
        **wanted,
    )
    _check_alike(task, source)
    what = f"{len(task.classes)} classes" if task.kind == "classes" else f"{task.n_outputs} outputs ({task.kind})"
    shape = "x".join(map(str, task.input_shape))
    train, test_samples = task.train, task.test
    if stored != (0.0, 1.0):
        train = Samples(train.x, train.y, *stored)
        test_samples = train if task.test is task.train else Samples(task.test.x, task.test.y, *stored)
    return replace(
        task,
        train=train,
        test=test_samples,
        inputs=source.names,
        files=source.files,
        source=f"{path.resolve().name}: {len(task.train):,} samples to train on, {how}; {shape} inputs, {what}",
    )


def _bytes_of(x: Any, scaling: str | None, *, copied: bool = True) -> float:
    """Bytes that inputs need: those of their copy, and four for each number that is converted or scaled."""
    size = float(np.prod(x.shape, dtype=float))
    as_they_lie = x.dtype == np.uint8 or (x.dtype == np.float32 and scaling in (None, "none"))
    return size * (x.dtype.itemsize * (copied or hasattr(x, "decode")) + 4 * (not as_they_lie))


def _whole(x: Any) -> np.ndarray:
    if hasattr(x, "decode"):
        return x.decode(np.arange(len(x)))
    return np.asarray(x)


def _targets(source: Source, kind: str | None) -> np.ndarray:
    """Targets in the form for `from_arrays`: whole numbers of a table get a type of whole numbers."""
    y = source.y
    if source.table and y.ndim == 1 and y.dtype.kind == "f" and kind in (None, "classes") and (y % 1 == 0).all():
        return y.astype(np.int64)
    return y


def _classes(y: np.ndarray, kind: str | None) -> np.ndarray | None:
    """The class of each sample; None if targets are not classes."""
    if kind not in (None, "classes", "signs") or y.ndim != 1 or y.dtype.kind == "f":
        return None
    few = max(_FEW_CLASSES, len(y) // _SAMPLES_OF_EACH)
    return y if len(np.unique(y)) <= few else None


def _storage(x: np.ndarray, scaling: str | None) -> tuple[float, float]:
    """Offset and scale of stored bytes; 0 and 1 for other numbers."""
    if x.dtype != np.uint8 or scaling == "none":
        return 0.0, 1.0
    counts = np.zeros(256)
    step = max(1, 2**24 // max(1, x[:1].size))
    for start in range(0, len(x), step):
        counts += np.bincount(x[start : start + step].ravel(), minlength=256)
        let_go(x)
    values = np.arange(256.0)
    low, high = (int(end) for end in np.flatnonzero(counts)[[0, -1]])
    if low == high:
        return 0.0, 1.0
    if scaling is None:
        return 0.0, 1.0 if high == 1 else 1 / 255
    if scaling == "min-max":
        return float(low), 1 / (high - low)
    mean = float((counts * values).sum() / counts.sum())
    return mean, float(1 / np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))


def _check_alike(task: Task, source: Source) -> None:
    """Warns of inputs that are the same in all training samples.

    Raises:
        ValueError: if all inputs or all targets are the same in all training samples.
    """
    x, y = task.train.x, task.train.y
    first, alike = x[:1], np.ones(x.shape[1:], bool)
    step = max(1, 2**22 // max(1, first.size))
    for start in range(0, len(x), step):
        alike &= (x[start : start + step] == first).all(0)
        if not alike.any():
            break
        let_go(x)
    if len(x) > 1 and alike.all():
        raise ValueError("all inputs are the same in every training sample: there is nothing to learn from them")
    if len(y) > 1 and (y == y[:1]).all():
        raise ValueError(f"all {len(y)} training targets are the same, {y[0].tolist()}: there is nothing to learn")
    if x.ndim == 2 and x.dtype.kind == "f" and alike.any():
        names = [source.names[k] if source.names else f"column {k + 1}" for k in np.flatnonzero(alike)]
        listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        warnings.warn(
            f"{task.name}: the chip cannot learn from an input that is the same in all training samples: {listed}: "
            "leave it out with inputs",
            MgdWarning,
            stacklevel=5,
        )
