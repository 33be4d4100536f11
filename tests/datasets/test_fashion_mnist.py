import gzip
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from mgd import DataError
from mgd.datasets import fashion_mnist
from mgd.datasets._fashion_mnist import FILES, read_idx

IMAGES = "train-images-idx3-ubyte.gz"


def test_official_split(fashion_task):
    assert fashion_task.train.x.shape == (60_000, 28, 28, 1)
    assert fashion_task.train.x.dtype == np.uint8
    assert fashion_task.train.y.sum(0).tolist() == [6000] * 10
    assert fashion_task.test.y.sum(0).tolist() == [1000] * 10
    assert fashion_task.classes[int(fashion_task.train.y[0].argmax())] == "Ankle boot"  # as in its README
    assert fashion_task.source.startswith("original IDX files in ")


def test_features_are_standardised_over_the_training_set(fashion_task):
    share = np.bincount(fashion_task.train.x.ravel(), minlength=256) / fashion_task.train.x.size
    shown = np.asarray(fashion_task.train.features(jnp.arange(256, dtype=jnp.uint8)), np.float64)
    assert share @ shown == pytest.approx(0, abs=1e-6)
    assert share @ shown**2 == pytest.approx(1, abs=1e-6)


def test_files_may_lie_in_the_folder_itself(data_dir, fashion_task):
    task = fashion_mnist(str(data_dir / "fashion-mnist"))
    np.testing.assert_array_equal(task.test.x, fashion_task.test.x)


def test_a_changed_file_is_refused(data_dir, tmp_path):
    for name in FILES.sha256:
        shutil.copy(data_dir / "fashion-mnist" / name, tmp_path)
    with (tmp_path / IMAGES).open("r+b") as stream:
        stream.seek(5000)
        stream.write(b"\0\1\2\3")
    with pytest.raises(
        DataError, match=rf"{IMAGES} is corrupt: its SHA-256 should be b0564c3\w+, got \w{{64}};"
    ) as error:
        fashion_mnist(tmp_path)
    assert "\n" not in str(error.value)


def test_explicit_folder_without_the_files(tmp_path):
    with pytest.raises(DataError, match=rf"^no fashion-mnist in {tmp_path}: looked for {IMAGES}, .*--data DIR"):
        fashion_mnist(tmp_path)


def idx(tmp_path, content: bytes):
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(content))
    return file


def test_idx_axes_are_in_order(tmp_path):
    header = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])
    assert read_idx(idx(tmp_path, header + bytes(range(6))), 2).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 7]), "should start with 00000801, got 00000d01"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1, 7]), "should start with 00000801, got 00000803"),
        (b"", "should start with 00000801, got ;"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 7]), r"should hold 3 bytes for shape \(3,\), got 1;"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 7, 7]), r"should hold 1 bytes for shape \(1,\), got 2;"),
    ],
)
def test_not_idx(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_idx(idx(tmp_path, content), 1)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\0" + b])
def test_not_gzip(tmp_path, damage):
    file = idx(tmp_path, bytes(1000))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"x.gz is not a readable gzip file .*delete it and fetch it again"):
        read_idx(file, 1)
