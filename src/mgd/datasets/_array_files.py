"""NumPy files: NPZ and NPY."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._errors import DataError
from .._input import nearest, open_file
from ._columns import Columns, inputs_and_targets
from ._source import Source, check_room, let_go
from ._task import check_finite

# Usual names of arrays: training inputs and targets, and test inputs and targets.
_PAIRS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y", "x_test", "y_test"),
    ("inputs", "targets", "test_inputs", "test_targets"),
    ("images", "labels", "test_images", "test_labels"),
    ("features", "labels", "test_features", "test_labels"),
    ("data", "labels", "test_data", "test_labels"),
    ("data", "target", "test_data", "test_target"),
)


def read_npz(path: Path, inputs: Columns | None = None, targets: Columns | None = None) -> Source:
    """Inputs and targets of an NPZ file, and its test samples, if it has some.

    Args:
        path: the file.
        inputs: the key of the inputs, by default one of the usual names; in a file with one array, its columns.
        targets: the key or the columns of the targets, in the same way.

    Raises:
        DataError: if the file cannot be read, does not fit in memory, or has numbers that are not finite.
        ValueError: if it does not have the given keys, or none are given and it has none of the usual ones.
    """
    keys = _keys(path)
    if len(keys) == 1:
        with _opened(path) as file:
            values = _array(path, file, keys[0])
        try:
            return _table(path, values, inputs, targets)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    chosen, tests = _chosen(path, keys, inputs, targets)
    with _opened(path) as file:
        found = [_array(path, file, key) for key in (*chosen, *tests)]
    parts = [_paired(path, x, y, (path,)) for x, y in zip(found[::2], found[1::2], strict=True)]
    first, *test = parts
    return Source(first.x, first.y, (path,), test=test[0] if test else None)


def read_npy(path: Path, inputs: Columns | None = None, targets: Columns | Path | None = None) -> Source:
    """Inputs and targets of NPY files, which are memory-mapped.

    Args:
        path: the file: a table, or only inputs if the targets are in another file.
        inputs: columns of the table; by default all except the targets.
        targets: another NPY file; or columns of the table, by default the last.

    Raises:
        DataError: if a file cannot be read, is not an array of numbers, or has numbers that are not finite.
        ValueError: if there is no such column.
    """
    values = mapped(path)
    beside = _file_of(path, targets)
    if beside is None:
        assert not isinstance(targets, Path)
        return _table(path, values, inputs, targets)
    if inputs is not None:
        raise ValueError(f"inputs chooses columns of a table, and {path} has only inputs: leave inputs out")
    return _paired(path, values, np.array(mapped(beside)), (path, beside))


def read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs of an NPZ file, by a usual name or as its only array, and its targets, if it has some.

    Raises:
        DataError: if the file cannot be read.
        ValueError: if it has none of the usual keys.
    """
    keys = _keys(path)
    known = {key.lower(): key for key in keys}
    x, y = next(((known[x], known.get(y)) for x, y, *_ in _PAIRS if x in known), (keys[0], None))
    if len(keys) > 1 and x.lower() not in {pair[0] for pair in _PAIRS}:
        raise ValueError(f"{path} has the arrays {', '.join(keys)}: call the inputs x, and the targets y")
    with _opened(path) as file:
        return _array(path, file, x), None if y is None else _array(path, file, y)


def mapped(path: Path) -> np.ndarray:
    """The array of an NPY file, mapped into memory.

    Raises:
        DataError: if the file cannot be read, or is not an array of numbers.
    """
    try:
        with open_file(path) as file:
            if not file.read(1):
                raise DataError(f"{path} is empty")
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not an array of numbers in NumPy's format ({_first_line(error)})") from error
    check_room(values.nbytes, path)  # before any of it is read
    return _numbers(path, values)


def _file_of(path: Path, targets: Columns | Path | None) -> Path | None:
    """The file of the targets, if they have one; without a folder, it is beside the inputs."""
    if isinstance(targets, Path):
        return targets
    if not isinstance(targets, str) or not targets.endswith(".npy"):
        return None
    return path.parent / targets


def _keys(path: Path) -> list[str]:
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} is not an NPZ file, or only a part of one ({_first_line(error)})") from error
    if not members:
        raise DataError(f"{path} is empty: it has no arrays")
    check_room(sum(member.file_size for member in members), path)
    return [member.filename.removesuffix(".npy") for member in members]


def _opened(path: Path):
    return np.load(path, allow_pickle=False)


def _array(path: Path, file: "np.lib.npyio.NpzFile", key: str) -> np.ndarray:
    try:
        return _numbers(f"{path}: {key}", file[key])
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: {key} cannot be read ({_first_line(error)})") from error


def _chosen(
    path: Path, keys: Sequence[str], inputs: Columns | None, targets: Columns | None
) -> tuple[tuple[str, str], tuple[str, ...]]:
    """The keys of inputs and targets, and those of the test samples."""
    known = {key.lower(): key for key in keys}
    for what, key in (("inputs", inputs), ("targets", targets)):
        if key is not None and key not in keys:
            hint = nearest(key, keys)
            raise ValueError(f"{path} has no array {key!r} for {what}{hint}; its arrays are {', '.join(keys)}")
    for x, y, x_test, y_test in _PAIRS:
        fits = inputs in (None, known.get(x)) and targets in (None, known.get(y))
        if fits and x in known and y in known:
            tests = (known[x_test], known[y_test]) if x_test in known and y_test in known else ()
            return (known[x], known[y]), tests
    if isinstance(inputs, str) and isinstance(targets, str):
        return (inputs, targets), ()
    missing = "targets" if inputs is not None else "inputs" if targets is not None else "inputs and targets"
    raise ValueError(
        f"{path} has the arrays {', '.join(keys)}, which are not usual names such as x and y: say which are {missing}, "
        f'as in inputs = "{keys[0]}", targets = "{keys[-1]}" (--inputs, --targets)'
    )


def _paired(path: Path, x: np.ndarray, y: np.ndarray, files: tuple[Path, ...]) -> Source:
    """Inputs and targets of two arrays."""
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(f"{path}: there must be as many targets as inputs, got shapes {x.shape} and {y.shape}")
    _check(path, x, "inputs")
    _check(path, y, "targets")
    single = y.ndim == 2 and y.shape[1] == 1
    return Source(x[:, None] if x.ndim == 1 else x, y[:, 0] if single else y, files)


def _table(path: Path, values: np.ndarray, inputs: Columns | None, targets: Columns | None) -> Source:
    """Inputs and targets that are columns of one array."""
    values = _numbers(path, values)
    if values.ndim != 2:
        raise DataError(
            f"{path} is one array of shape {values.shape}: a table has two axes, samples and columns; if these are "
            'inputs, give their targets in another file, as in targets = "y.npy" (--targets)'
        )
    given, wanted = inputs_and_targets(inputs, targets, None, values.shape[1])
    x = values[:, given[0] : given[-1] + 1] if given == [*range(given[0], given[-1] + 1)] else values[:, given]
    y = np.array(values[:, wanted[0]] if len(wanted) == 1 else values[:, wanted])
    _check(path, x, "inputs")
    _check(path, y, "targets")
    return Source(x, y, (path,), table=True)


def _check(path: Path, values: np.ndarray, what: str) -> None:
    try:
        check_finite(values, what)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    let_go(values)


def _numbers(what: object, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "US" and values.ndim == 1:
        return values.astype(str)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} must be an array of real numbers, got one of type {values.dtype}")
    if values.size == 0:
        raise DataError(f"{what} is empty: its shape is {values.shape}")
    if math.prod(values.shape[1:]) == 0:
        raise DataError(f"{what} has no inputs: its shape is {values.shape}")
    return values


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
