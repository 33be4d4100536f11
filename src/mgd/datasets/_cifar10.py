"""CIFAR-10, from the public hub's parquet files or the original Python batches."""

import io
import os
import pickle
import tarfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from .._errors import DataError
from ._files import FileSet, Found, Layout, locate
from ._one_hot import one_hot
from ._task import Samples, Task

_ARCHIVE = "cifar-10-python.tar.gz"
_TRAIN_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_TEST_BATCHES = ("test_batch",)
FILES = FileSet(
    name="cifar10",
    layouts=(
        Layout(
            "batches",
            ("cifar10/cifar-10-batches-py", "cifar-10-batches-py", "."),
            _TRAIN_BATCHES + _TEST_BATCHES,
        ),
        Layout("archive", ("cifar10", "."), (_ARCHIVE,)),
        Layout(
            "parquet",
            ("cifar10/plain_text", "plain_text", "cifar10", "."),
            ("train-*.parquet", "test-*.parquet"),
        ),
    ),
    address="https://www.cs.toronto.edu/~kriz/",
    sha256={_ARCHIVE: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
    download_megabytes=170.5,
)
# Over all pixels and colours of the 50,000 training images of a JPEG-coded copy, of 0 … 255. Both layouts
# are shown with them: what a chip is shown must not depend on which files were found.
MEAN = 120.688
STANDARD_DEVIATION = 63.856
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SOURCES = {
    "batches": "original Python batches in {}",
    "archive": "original Python batches in {}/" + _ARCHIVE,
    "parquet": "parquet files in {}; JPEG-coded images there are not bit-equal to the original",
}


def cifar10(data: str | os.PathLike | None = None) -> Task:
    """Colour photographs, 32x32 pixels, 10 classes: 50,000 to train on and 10,000 to test on.

    Images are kept as bytes and shown as (x − 120.7) / 63.9: zero mean and unit standard deviation over
    the training set, all colours alike. Three layouts are read: the original `cifar-10-batches-py/`, its
    archive `cifar-10-python.tar.gz`, and the public hub's `plain_text/{train,test}-*.parquet`. If a parquet
    file's images are JPEG-coded, pixels differ slightly from the original: say so when you report an accuracy
    (`Task.source` says which layout was read).

    A chip has solved it at 60 %: MGD's published accuracy after 1e7 steps is 60.7 %, backprop's 68 %.

    Args:
        data: a folder that has one of the layouts, itself or in `cifar10/`. If None: MGD_DATA, the cache,
            and finally a download of the original archive (171 MB).

    Returns:
        A task with images `[n, 32, 32, 3]` in uint8 and one-hot targets `[n, 10]`.

    Raises:
        DataError: if the files are not in `data`, cannot be fetched, or are corrupt.

    Example:
        >>> from mgd.datasets import cifar10
        >>> cifar10().train.x.shape  # doctest: +SKIP
        (50000, 32, 32, 3)
        >>> cifar10(data="/nowhere")
        Traceback (most recent call last):
        mgd._errors.DataError: no cifar10 in /nowhere: looked for data_batch_1, ...

    References:
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    found = locate(FILES, data)
    readers = {"batches": read_batches, "archive": read_archive, "parquet": read_parquet}
    train, test = readers[found.layout](found)
    source = _SOURCES[found.layout].format(found.folder)
    return Task("cifar10", train, test, _CLASSES, solved_accuracy=0.6, source=source)


def read_parquet(found: Found) -> tuple[Samples, Samples]:
    """Training and test set of the hub's layout: columns `img` ({bytes, path}) and `label`."""
    import pyarrow
    import pyarrow.parquet

    parts = []
    for part in ("train", "test"):
        images, labels = [], []
        for file in found.files:
            if not file.name.startswith(f"{part}-"):
                continue
            try:
                table = pyarrow.parquet.read_table(file, columns=["img", "label"])
                coded = table["img"].combine_chunks().field("bytes").to_pylist()
                labels.append(table["label"].to_numpy())
            except (OSError, pyarrow.ArrowException, KeyError) as error:
                why = str(error).splitlines()[0]
                raise DataError(f"{file} is not CIFAR-10 in parquet ({why}); replace it") from error
            images.append(_decode(coded, file))
        parts.append(_samples(np.concatenate(images), np.concatenate(labels), found.folder))
    return parts[0], parts[1]


def read_batches(found: Found) -> tuple[Samples, Samples]:
    """Training and test set of the original folder of pickles."""
    return _from_batches(lambda name: (found.folder / name).read_bytes(), found.folder)


def read_archive(found: Found) -> tuple[Samples, Samples]:
    """Training and test set of the original archive, which is read without unpacking it to disk."""
    file = found.folder / _ARCHIVE
    try:
        with tarfile.open(file, "r:gz") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}

            def read(name: str) -> bytes:
                stream = archive.extractfile(members[name])
                return stream.read() if stream else b""

            return _from_batches(read, file)
    except (tarfile.TarError, EOFError, OSError, KeyError, zlib.error) as error:
        raise DataError(f"{file} is not CIFAR-10's archive ({error}); delete it and fetch it again") from error


def _from_batches(read: Callable[[str], bytes], where: Path) -> tuple[Samples, Samples]:
    parts = []
    for names in (_TRAIN_BATCHES, _TEST_BATCHES):
        batches = [_read_batch(read(name), f"{name} in {where}") for name in names]
        images, labels = (np.concatenate(column) for column in zip(*batches, strict=True))
        parts.append(_samples(images, labels, where))
    return parts[0], parts[1]


def _samples(images: np.ndarray, labels: np.ndarray, where: Path) -> Samples:
    if len(labels) == 0 or labels.min() < 0 or labels.max() > 9:
        raise DataError(f"labels in {where} should be 0 to 9, and are not; replace the files")
    return Samples(images, one_hot(labels, 10), offset=MEAN, scale=1 / STANDARD_DEVIATION)


def _decode(coded: list[bytes], file: Path) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Decode JPEG or PNG images; in a few threads, for Pillow decodes outside Python's lock."""
    from PIL import Image
    from tqdm import tqdm

    images = np.empty((len(coded), 32, 32, 3), np.uint8)
    chunks = [range(start, min(start + 1000, len(coded))) for start in range(0, len(coded), 1000)]

    def decode(rows: range) -> None:
        for row in rows:
            with Image.open(io.BytesIO(coded[row])) as image:
                pixels = np.asarray(image.convert("RGB"))
            if pixels.shape != (32, 32, 3):
                raise ValueError(f"row {row} is {pixels.shape[1]}x{pixels.shape[0]} pixels")
            images[row] = pixels

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        try:
            decoded = pool.map(decode, chunks)
            for _ in tqdm(decoded, f"decoding {file.name}", len(chunks), leave=False, delay=2, disable=None):
                pass
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{file} has an image that is not 32x32 pixels ({error}); replace it") from error
    return images


def _read_batch(content: bytes, name: str) -> tuple[UInt8[np.ndarray, "n 32 32 3"], np.ndarray]:
    """Images and labels of one original batch: rows of 3,072 bytes, colour planes one after another."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32)
        labels = np.asarray(batch[b"labels"], np.int64)
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{name} is not a CIFAR-10 batch ({error}); delete it and fetch it again") from error
    if len(images) != len(labels):
        raise DataError(f"{name} has {len(images)} images but {len(labels)} labels; delete it and fetch it again")
    return images.transpose(0, 2, 3, 1), labels


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain values and NumPy arrays, and refuses everything else: a pickle can run any program."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise DataError(f"asks for {module}.{name}, which a CIFAR-10 batch never needs: refused; fetch it again")
        return allowed[module, name]
