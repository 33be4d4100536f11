"""A task from a file or a folder."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mgd import DataError, MgdWarning
from mgd.datasets import _source as source
from mgd.datasets import from_arrays, from_file

N, CLASSES = 60, ("ash", "birch", "cedar tree")
X = np.random.default_rng(0).normal(size=(N, 4)).round(3)
LABELS = [CLASSES[k % 3] for k in range(N)]
HEADER = ["leaf width", "leaf length", "bark", "age", "tree kind"]


def written(path: Path, rows, header=HEADER, sep=",", decimal=".") -> Path:
    """A table of text."""
    cells = [[cell if isinstance(cell, str) else str(cell).replace(".", decimal) for cell in row] for row in rows]
    lines = [sep.join(row) for row in ([header] if header else []) + cells]
    path.write_text("\n".join(lines) + "\n")
    return path


def rows(x=X, labels=LABELS):
    return [[*map(float, row), label] for row, label in zip(x, labels, strict=True)]


def all_of(task) -> np.ndarray:
    """All inputs of a task whose samples were split, in an order of their own."""
    return np.unique(np.concatenate([task.train.x, task.test.x]), axis=0)


SORTED = np.unique(X.astype(np.float32), axis=0)


@pytest.mark.parametrize(
    ("name", "sep", "decimal", "header"),
    [
        ("a.csv", ",", ".", HEADER),
        ("a.csv", ";", ",", HEADER),
        ("a.csv", ";", ".", None),
        ("a.tsv", "\t", ".", HEADER),
        ("a.tsv", "\t", ",", None),
        ("a.txt", "|", ".", HEADER),
    ],
)
def test_delimiter_decimals_and_header_are_found_out(tmp_path, name, sep, decimal, header):
    task = from_file(written(tmp_path / name, rows(), header, sep, decimal))
    assert np.array_equal(all_of(task), SORTED)
    assert task.classes == CLASSES
    assert task.kind == "classes"
    assert task.inputs == (tuple(HEADER[:4]) if header else None)
    assert task.name == "a"


def test_blanks_between_numbers(tmp_path):
    table = rows(labels=[k % 3 for k in range(N)])
    assert np.array_equal(all_of(from_file(written(tmp_path / "a.dat", table, None, "  "))), SORTED)


def test_what_a_spreadsheet_writes(tmp_path):
    lines = ["sep=;", '"height";"big, wide";kind', *(f"{k % 7},5;{k % 3};{k % 2}" for k in range(20))]
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    task = from_file(tmp_path / "a.csv", test_fraction=0)
    assert task.inputs == ("height", "big, wide")
    assert task.train.x[:3].tolist() == [[0.5, 0.0], [1.5, 1.0], [2.5, 2.0]]


def test_truth_values_are_classes(tmp_path):
    task = from_file(written(tmp_path / "a.csv", rows(labels=["True", "False"] * 30)))
    assert task.classes == ("False", "True")


def test_an_index_is_told(tmp_path):
    table = [[str(k), *row] for k, row in enumerate(rows())]
    with pytest.warns(MgdWarning, match="column 1 counts the samples, like an index"):
        from_file(written(tmp_path / "a.csv", table, ["", *HEADER]))


def test_a_header_as_savetxt_writes_it_and_class_numbers_as_floats(tmp_path):
    """The first case of those kept from the field: the last column is the class."""
    path = tmp_path / "mine.csv"
    np.savetxt(path, np.column_stack([X, np.arange(N) % 2]), delimiter=",", header="a,b,c,d,label")
    task = from_file(path)
    assert (task.classes, task.kind, task.inputs) == (("0", "1"), "classes", ("a", "b", "c", "d"))
    assert (len(task.train), len(task.test)) == (48, 12)


def test_the_same_as_arrays(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=X, y=np.arange(N) % 2)
    assert np.array_equal(all_of(from_file(path)), SORTED)


def test_each_class_has_its_share_of_the_test_and_the_seed_decides(tmp_path):
    path = written(tmp_path / "a.csv", rows())
    task, again, other = (from_file(path, seed=seed) for seed in (0, 0, 1))
    assert task.test.y.sum(0).tolist() == [4.0, 4.0, 4.0]
    assert np.array_equal(task.test.x, again.test.x)
    assert not np.array_equal(task.test.x, other.test.x)
    assert "48 samples to train on, 12 to test on (test_fraction = 0.2, drawn with seed 0)" in task.source


def test_no_sample_is_in_both_parts(tmp_path):
    task = from_file(written(tmp_path / "a.csv", rows()), test_fraction=0.35)
    both = np.concatenate([task.train.x, task.test.x])
    assert len(np.unique(both, axis=0)) == N
    assert len(task.test) == 21


def test_a_fraction_of_nothing_tests_on_the_training_samples(tmp_path):
    task = from_file(written(tmp_path / "a.csv", rows()), test_fraction=0)
    assert task.test is task.train
    assert "the same to test on" in task.source


def test_of_samples_in_sequence_the_last_are_kept(tmp_path):
    task = from_file(written(tmp_path / "a.csv", rows()), order="sequential")
    assert task.order == "sequential"
    assert np.array_equal(task.train.x, X[:48].astype(np.float32))
    assert np.array_equal(task.test.x, X[48:].astype(np.float32))


def test_a_class_with_one_sample_is_trained_on(tmp_path):
    labels = ["rare", *LABELS[1:]]
    for seed in range(5):
        task = from_file(written(tmp_path / "a.csv", rows(labels=labels)), seed=seed, test_fraction=0.5)
        assert task.train.y[:, task.classes.index("rare")].sum() == 1


@pytest.mark.parametrize(
    ("inputs", "targets", "found"),
    [
        (None, None, [0, 1, 2, 3]),
        ("leaf width, bark", None, [0, 2]),
        (["leaf width", "bark"], "tree kind", [0, 2]),
        ("1-3", None, [0, 1, 2]),
        ([1, "3-4"], 5, [0, 2, 3]),
        ("leaf length-age", None, [1, 2, 3]),
    ],
)
def test_columns_are_chosen_by_name_number_or_range(tmp_path, inputs, targets, found):
    task = from_file(written(tmp_path / "a.csv", rows()), inputs=inputs, targets=targets, test_fraction=0)
    assert np.array_equal(task.train.x, X[:, found].astype(np.float32))
    assert task.inputs == tuple(HEADER[k] for k in found)


def test_the_target_may_be_any_column(tmp_path):
    table = [[row[-1], *row[:-1]] for row in rows()]
    task = from_file(written(tmp_path / "a.csv", table, ["kind", "a", "b", "c", "d"]), targets="kind", test_fraction=0)
    assert np.array_equal(task.train.x, X.astype(np.float32))
    assert task.classes == CLASSES


@pytest.mark.parametrize(
    ("targets", "kind", "found"),
    [
        (X[:, :1] > 0, None, "classes"),
        (X[:, :1] * 3, None, "values"),
        (np.arange(N)[:, None] % 3, "values", "values"),
        (np.where(X[:, :1] > 0, 1, -1), None, "signs"),
        ((X[:, :2] > 0).astype(int), None, "labels"),
    ],
)
def test_kinds_of_targets(tmp_path, targets, kind, found):
    table = [[*map(float, x), *y] for x, y in zip(X, targets.tolist(), strict=True)]
    many = targets.shape[1]
    task = from_file(written(tmp_path / "a.csv", table, None), kind=kind, targets="5-6" if many == 2 else None)
    assert (task.kind, task.input_shape) == (found, (4,))


def test_names_of_several_targets_are_those_of_their_columns(tmp_path):
    table = [[*map(float, x), *map(int, x[:2] > 0)] for x in X]
    task = from_file(written(tmp_path / "a.csv", table, ["a", "b", "c", "d", "warm", "dry"]), targets="warm,dry")
    assert task.classes == ("warm", "dry")


def test_scaling_is_fitted_to_the_training_samples_alone(tmp_path):
    task = from_file(written(tmp_path / "a.csv", rows()), scaling="standard")
    assert np.allclose(task.train.x.mean(0), 0, atol=1e-6)
    assert not np.allclose(task.test.x.mean(0), 0, atol=1e-3)
    assert task.scaling is not None


def test_a_test_file_of_its_own(tmp_path):
    train, test = written(tmp_path / "a.csv", rows()), written(tmp_path / "b.csv", rows()[:9])
    task = from_file(train, test=test)
    assert (len(task.train), len(task.test)) == (60, 9)
    with pytest.raises(ValueError, match="leave out test_fraction"):
        from_file(train, test=test, test_fraction=0.2)


# What is wrong with a file, and the one line that says so.
def _changed(row, column, value):
    table = rows()
    table[row][column] = value
    return table


MAY_BE = {
    "columns that a program counted": (["0", "1", "2", "3", "4"], rows(), "because it counts the columns"),
    "counted from one, values": (["1", "2", "3", "4", "5"], rows(labels=X[:, 0].tolist()), "because it counts"),
    "wavelengths": (["400", "410", "420", "430", "kind"], rows(), "because no line below has 'kind' in column 5"),
    "some names": (["400", "410", "420", "reference", "430"], [[*r[:3], r[4], r[3]] for r in rows()], "'reference'"),
}


@pytest.mark.parametrize(("header", "table", "message"), MAY_BE.values(), ids=MAY_BE)
def test_a_first_line_that_may_be_either_is_asked_about(tmp_path, header, table, message):
    path = written(tmp_path / "a.csv", table, header)
    with pytest.raises(DataError, match=message) as error:
        from_file(path, targets=4 if "reference" not in header else 3)
    assert "say header = true (--header) if it is one, or header = false (--no-header)" in str(error.value)
    if header[-1] == "kind":
        assert from_file(path, header=True).inputs == ("400", "410", "420", "430")
        assert len(all_of(from_file(path, header=False))) == N + 1


def test_a_first_sample_of_numbers_in_a_row_is_a_sample_where_all_are_whole(tmp_path):
    table = [[k % 7, (k + 1) % 7, (k + 2) % 5] for k in range(35)]
    assert len(all_of(from_file(written(tmp_path / "a.csv", table, None)))) == len({(a, b) for a, b, _ in table})


BAD = {
    "a cell that is no number": (_changed(7, 1, "red"), "line 9, column 'leaf length' is 'red'"),
    "nan": (_changed(7, 1, "nan"), "line 9, column 'leaf length' is 'nan', and must be a finite number"),
    "empty": (_changed(7, 1, ""), "line 9, column 'leaf length' is empty"),
    "infinite": (_changed(7, 1, "inf"), "line 9, column 'leaf length' is inf"),
    "no target": (_changed(7, 4, ""), "line 9, column 'tree kind' is empty, and is the target"),
    "a column of text": ([[r[0], "blue", *r[2:]] for r in rows()], "column 'leaf length' is text .'blue' in line 2."),
    "a short line": ([*rows()[:7], rows()[7][1:], *rows()[8:]], "line 9 has 4 values, and the lines before it have 5"),
    "a long line": ([*rows()[:7], [*rows()[7], "x"], *rows()[8:]], "line 9 has 6 values"),
    "no samples": ([], "has a header and no samples"),
    "one sample": (rows()[:1], "1 sample cannot be split"),
    "one class": (rows(labels=["ash"] * N), "all 60 targets are of the class ash"),
    "the same inputs": (rows(x=np.ones((N, 4))), "all inputs are the same"),
}


@pytest.mark.parametrize(("table", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_with_line_and_column(tmp_path, table, message):
    with pytest.raises((DataError, ValueError), match=message) as error:
        from_file(written(tmp_path / "a.csv", table))
    assert str(error.value).startswith(str(tmp_path / "a.csv"))


def test_lines_are_counted_as_a_person_does(tmp_path):
    """Comments and empty lines are lines of the file."""
    path = written(tmp_path / "a.csv", _changed(7, 1, "red"))
    path.write_text("# made by hand\n\n" + path.read_text().replace("\n", "\n\n# between\n", 1))
    with pytest.raises(DataError, match="line 13, column 'leaf length' is 'red'"):
        from_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (bytes(range(256)) * 4, "is not text"),
        ("a,b\n1,Bäume\n".encode("latin-1"), "line 2 is not UTF-8 text .byte 0xE4."),
        (b"a\n1\n2\n", "needs at least two columns"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises((DataError, ValueError), match=message):
        from_file(tmp_path / "a.csv")


def test_a_class_that_only_the_test_has_is_refused(tmp_path):
    train, test = written(tmp_path / "a.csv", rows()), written(tmp_path / "b.csv", rows(labels=["oak"] * N))
    with pytest.raises(ValueError, match="class 'oak' of the test targets is not one of the classes ash, birch, cedar"):
        from_file(train, test=test)


def test_an_input_that_never_changes_is_told(tmp_path):
    x = X.copy()
    x[:, 2] = 7.5
    with pytest.warns(MgdWarning, match="the same in all training samples.*: bark: leave it out"):
        from_file(written(tmp_path / "a.csv", rows(x=x)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": "leaf widht"}, "no column 'leaf widht': did you mean 'leaf width'"),
        ({"inputs": 9}, "no column '9'"),
        ({"inputs": "tree kind"}, "column 'tree kind' is an input and a target"),
        ({"targets": "1-5"}, "no column is left"),
        ({"scaling": "standart"}, "did you mean 'standard'"),
        ({"order": "sequental"}, "did you mean 'sequential'"),
        ({"test_fraction": 1.0}, "test_fraction must be at least 0 and below 1"),
        ({"seed": -1}, "seed must be"),
        ({"kind": "values"}, "must be numbers, got text"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        from_file(written(tmp_path / "a.csv", rows()), **settings)


def test_nothing_is_chosen_where_there_is_no_table(tmp_path):
    _images(tmp_path, "RGB")
    with pytest.raises(ValueError, match=r"inputs is for tables, and .* has none"):
        from_file(tmp_path, inputs="1-2")


def test_files_that_are_not_there_or_of_no_known_kind(tmp_path):
    written(tmp_path / "mine.csv", rows())
    with pytest.raises(DataError, match=r"there is no file .*mnie.csv: did you mean 'mine.csv'"):
        from_file(tmp_path / "mnie.csv")
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"has an unknown format: give .csv"):
        from_file(tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    "keys", [("x", "y"), ("X", "y"), ("inputs", "targets"), ("images", "labels"), ("x_train", "y_train")]
)
def test_usual_names_of_arrays(tmp_path, keys):
    arrays: dict[str, Any] = dict(zip(keys, (X, np.arange(N) % 3), strict=True))
    np.savez(tmp_path / "a.npz", **arrays)
    assert from_file(tmp_path / "a.npz").classes == ("0", "1", "2")


def test_arrays_to_test_on_are_taken(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=np.arange(N) % 3, x_test=X[:6], y_test=np.arange(6) % 3)
    task = from_file(tmp_path / "a.npz")
    assert (len(task.train), len(task.test)) == (60, 6)


def test_other_names_of_arrays_are_listed_and_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", foo=X, bar=np.arange(N) % 3)
    with pytest.raises(ValueError, match=r'has the arrays foo, bar.*inputs = "foo", targets = "bar"'):
        from_file(tmp_path / "a.npz")
    assert from_file(tmp_path / "a.npz", inputs="foo", targets="bar").input_shape == (4,)
    with pytest.raises(ValueError, match="no array 'baz' for targets: did you mean 'bar'"):
        from_file(tmp_path / "a.npz", inputs="foo", targets="baz")


def test_damaged_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.arange(N) % 3)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not an NPZ file, or only a part of one"):
        from_file(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not an array of numbers"):
        from_file(tmp_path / "a.npy")
    bad = np.column_stack([X, np.arange(N) % 3])
    bad[11, 2] = np.nan
    np.save(tmp_path / "b.npy", bad)
    with pytest.raises(DataError, match="row 11, column 2 is nan"):
        from_file(tmp_path / "b.npy")


def test_one_array_is_a_table(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([X, np.arange(N) % 3]))
    task = from_file(tmp_path / "a.npy")
    assert (task.input_shape, task.classes) == ((4,), ("0", "1", "2"))
    assert np.array_equal(all_of(task), SORTED)


def test_targets_in_a_file_of_their_own(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (N, 5, 5), np.uint8)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(N) % 3)
    task = from_file(tmp_path / "images.npy", targets="labels.npy", test_fraction=0)
    assert task.train.x.dtype == np.uint8
    assert isinstance(task.train.x.base, np.memmap)  # it is used as it lies
    with pytest.raises(DataError, match="one array of shape"):
        from_file(tmp_path / "images.npy")


@pytest.mark.parametrize(
    ("scaling", "offset", "scale"),
    [(None, 0.0, 1 / 255), ("none", 0.0, 1.0), ("min-max", 10.0, 1 / 90), ("standard", 55.0, 1 / 45)],
)
def test_bytes_stay_bytes_and_are_shown_scaled(tmp_path, scaling, offset, scale):
    images = np.where(np.arange(N * 4).reshape(N, 2, 2) % 2, 10, 100).astype(np.uint8)
    images[::2] = images[::2, ::-1, ::-1]
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(N) % 2)
    task = from_file(tmp_path / "a.npz", scaling=scaling)
    assert task.train.x.dtype == np.uint8
    assert (task.train.offset, task.train.scale) == pytest.approx((offset, scale))
    assert (task.test.offset, task.test.scale) == (task.train.offset, task.train.scale)


def test_a_folder_of_arrays_and_one_of_tables(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.arange(N) % 3)
    assert len(from_file(tmp_path).test) == 12
    np.save(tmp_path / "x_test.npy", X[:6])
    np.save(tmp_path / "y_test.npy", np.arange(6) % 3)
    assert len(from_file(tmp_path).test) == 6
    (tmp_path / "tables").mkdir()
    written(tmp_path / "tables/train.csv", rows())
    written(tmp_path / "tables/test.csv", rows()[:9])
    task = from_file(tmp_path / "tables")
    assert (len(task.train), len(task.test), task.name) == (60, 9, "tables")


def _images(folder: Path, mode: str, size=(4, 3)) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for k in range(10):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode).save(folder / name / f"{k}.png")
    return folder


@pytest.mark.parametrize(("mode", "colours"), [("L", 1), ("RGB", 3)])
def test_a_folder_of_images_for_each_class(tmp_path, mode, colours):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        folder = _images(tmp_path / "pets", mode)
    task = from_file(folder, test_fraction=0)
    assert (task.input_shape, task.classes, task.train.x.dtype) == ((3, 4, colours), ("cat", "dog"), np.uint8)
    with Image.open(folder / "dog" / "3.png") as image:
        assert np.array_equal(task.train.x[13], np.asarray(image).reshape(3, 4, colours))
    assert from_file(folder).test.y.sum(0).tolist() == [2.0, 2.0]


def test_images_that_cannot_be_used(tmp_path):
    folder = _images(tmp_path / "pets", "RGB")
    Image.new("RGB", (9, 9)).save(folder / "dog" / "5.png")
    with pytest.raises(DataError, match=r"5.png has 9x9 pixels, and .*0.png has 4x3"):
        from_file(folder)
    (folder / "dog" / "5.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"5.png is not an image"):
        from_file(folder)
    with pytest.raises(DataError, match="has no data that mgd can read"):
        from_file(folder / "cat")


def test_what_does_not_fit_in_memory_is_refused_with_the_figure(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((1000, 501), np.float64))
    monkeypatch.setattr(source, "available_to_process", lambda: 10**6)
    with pytest.raises(DataError, match=r"a.npy does not fit in memory: it takes about 0.00401 GB, and 0.001 GB are"):
        from_file(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.zeros((1000, 500), np.uint8), y=np.arange(1000) % 2)
    monkeypatch.setattr(source, "available_to_process", lambda: 10**5)
    with pytest.raises(DataError, match=r"a.npz does not fit in memory: it takes about 0.000508 GB"):
        from_file(tmp_path / "a.npz")
    monkeypatch.setattr(source, "available_to_process", lambda: None)
    with pytest.raises(ValueError, match="all inputs are the same"):
        from_file(tmp_path / "a.npz")


def test_names_of_classes_are_taken_from_arrays_too():
    task = from_arrays(X, np.array(LABELS))
    assert task.classes == CLASSES
    assert task.train.y[4].tolist() == [0.0, 1.0, 0.0]
    assert from_arrays(X, LABELS, classes=("birch", "ash", "cedar tree", "oak")).n_outputs == 4
    with pytest.raises(ValueError, match="class 'cedar tree' of the training targets is not one of"):
        from_arrays(X, LABELS, classes=("birch", "ash"))
