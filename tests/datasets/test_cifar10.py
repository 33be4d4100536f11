import io
import os
import pickle
import tarfile

import jax.numpy as jnp
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from mgd import DataError
from mgd.datasets import cifar10
from mgd.datasets._cifar10 import read_archive
from mgd.datasets._files import Found

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


@pytest.mark.long
def test_real_files(cifar_task):
    assert cifar_task.train.x.shape == (50_000, 32, 32, 3)
    assert cifar_task.train.y.sum(0).tolist() == [5000] * 10
    assert cifar_task.test.y.sum(0).tolist() == [1000] * 10
    assert "not bit-equal to the original" in cifar_task.source


@pytest.mark.long
def test_features_are_standardised_over_the_training_set(cifar_task):
    share = np.bincount(cifar_task.train.x.ravel(), minlength=256) / cifar_task.train.x.size
    shown = np.asarray(cifar_task.train.features(jnp.arange(256, dtype=jnp.uint8)), np.float64)
    assert share @ shown == pytest.approx(0, abs=1e-4)
    assert share @ shown**2 == pytest.approx(1, abs=1e-4)


def write_batches(folder) -> np.ndarray:
    """Six tiny batches as the original has them; the images, [12, 32, 32, 3]."""
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    folder.mkdir(parents=True)
    for i, name in enumerate(BATCHES):
        rows = images[2 * i : 2 * i + 2].transpose(0, 3, 1, 2).reshape(2, 3072)
        (folder / name).write_bytes(pickle.dumps({b"data": rows, b"labels": [i, 9 - i]}, protocol=4))
    return images


def write_parquet(folder, images, labels, edit=lambda coded: coded):
    folder.mkdir(parents=True, exist_ok=True)
    coded = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        coded.append({"bytes": edit(stream.getvalue()), "path": None})
    table = pyarrow.table({"img": coded, "label": labels})
    for part in ("train", "test"):
        pyarrow.parquet.write_table(table, folder / f"{part}-00000-of-00001.parquet")


@pytest.mark.parametrize("below", ["cifar10/cifar-10-batches-py", "cifar-10-batches-py", ""])
def test_original_batches(tmp_path, below):
    images = write_batches(tmp_path / "data" / below)
    task = cifar10(tmp_path / "data")
    np.testing.assert_array_equal(np.concatenate([task.train.x, task.test.x]), images)
    assert task.train.y.argmax(1).tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert task.test.y.argmax(1).tolist() == [5, 4]
    assert task.source.startswith("original Python batches in")


def test_original_archive(tmp_path):
    images = write_batches(tmp_path / "cifar-10-batches-py")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    train, test = read_archive(Found("archive", tmp_path, ()))
    np.testing.assert_array_equal(np.concatenate([train.x, test.x]), images)


@pytest.mark.parametrize("content", [b"not a tar file", b""])
def test_archive_is_checked(tmp_path, content):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"tar.gz is corrupt: its SHA-256 should be 6d958be\w+, got \w{64};"):
        cifar10(tmp_path)
    with pytest.raises(DataError, match="is not CIFAR-10's archive"):
        read_archive(Found("archive", tmp_path, ()))


def test_archive_without_a_batch(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz"):
        pass
    with pytest.raises(DataError, match=r"is not CIFAR-10's archive .*data_batch_1"):
        read_archive(Found("archive", tmp_path, ()))


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["MGD_TEST_TARGET"],)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MGD_TEST_TARGET", str(tmp_path / "broken-in"))
    write_batches(tmp_path / "data")
    (tmp_path / "data" / "data_batch_3").write_bytes(pickle.dumps({b"data": Malicious(), b"labels": [1]}))
    with pytest.raises(DataError, match=r"^data_batch_3 in .* asks for \w+\.mkdir, which a CIFAR-10 batch never needs"):
        cifar10(tmp_path / "data")
    assert not (tmp_path / "broken-in").exists()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8)}), "test_batch in .* is not a CIFAR-10 batch"),
        (pickle.dumps({b"data": np.zeros((1, 3), np.uint8), b"labels": [0]}), "is not a CIFAR-10 batch"),
        (pickle.dumps([]), "is not a CIFAR-10 batch"),
        (b"", "is not a CIFAR-10 batch"),
        (pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}), "1 images but 2 labels"),
        (
            pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}),
            "labels in .* should be 0 to 9",
        ),
    ],
)
def test_not_a_batch(tmp_path, batch, message):
    write_batches(tmp_path / "data")
    (tmp_path / "data" / "test_batch").write_bytes(batch)
    with pytest.raises(DataError, match=message):
        cifar10(tmp_path / "data")


@pytest.mark.parametrize("below", ["cifar10/plain_text", "plain_text", "cifar10", ""])
def test_parquet(tmp_path, below):
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    write_parquet(tmp_path / below, images, [3, 0, 9])
    task = cifar10(tmp_path)
    np.testing.assert_array_equal(task.train.x, images)
    assert task.test.y.argmax(1).tolist() == [3, 0, 9]
    assert task.source.startswith("parquet files in ")


def test_parquet_image_cut_short(tmp_path):
    write_parquet(tmp_path, np.zeros((2, 32, 32, 3), np.uint8), [0, 1], edit=lambda coded: coded[:30])
    with pytest.raises(DataError, match=r"train-00000-of-00001.parquet has an image that is not 32x32 pixels"):
        cifar10(tmp_path)


def test_parquet_image_of_another_size(tmp_path):
    write_parquet(tmp_path, np.zeros((1, 28, 20, 3), np.uint8), [0])
    with pytest.raises(DataError, match="row 0 is 20x28 pixels"):
        cifar10(tmp_path)


def test_parquet_file_cut_short(tmp_path):
    write_parquet(tmp_path, np.zeros((2, 32, 32, 3), np.uint8), [0, 1])
    file = tmp_path / "train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match="is not CIFAR-10 in parquet") as error:
        cifar10(tmp_path)
    assert "\n" not in str(error.value)


def test_parquet_of_something_else(tmp_path):
    for part in ("train", "test"):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / f"{part}-0.parquet")
    with pytest.raises(DataError, match="is not CIFAR-10 in parquet"):
        cifar10(tmp_path)
