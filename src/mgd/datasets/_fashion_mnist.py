"""Fashion-MNIST, from its original IDX files."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .._errors import DataError
from ._files import FileSet, Layout, locate
from ._one_hot import one_hot
from ._task import Samples, Task

_SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
FILES = FileSet(
    name="fashion-mnist",
    layouts=(Layout("idx", ("fashion-mnist", "."), tuple(_SHA256)),),
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    sha256=_SHA256,
    download_megabytes=30.9,
    system_folders=(Path("/usr/share/datasets/fashion-mnist"),),  # Debian's dataset-fashion-mnist
)
# Over all pixels of the 60,000 training images, of 0 … 255 (0.28604 and 0.35302 of full scale).
MEAN = 72.94035223214286
STANDARD_DEVIATION = 90.02118235130526
_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_UNSIGNED_BYTE = 0x08  # IDX code of the only element type these files have


def fashion_mnist(data: str | os.PathLike | None = None) -> Task:
    """Grey images of clothing, 28x28 pixels, 10 classes: 60,000 to train on and 10,000 to test on.

    Images are kept as bytes and shown as (x − 72.94) / 90.02: zero mean and unit standard deviation over
    the training set. A chip has solved it at 80 %, the accuracy for which training times are published.

    Args:
        data: a folder that has the four original files, itself or in `fashion-mnist/`. If None: MGD_DATA,
            Debian's package dataset-fashion-mnist, the cache, and finally a download (31 MB).

    Returns:
        A task with images `[n, 28, 28, 1]` in uint8 (0 for background) and one-hot targets `[n, 10]`.

    Raises:
        DataError: if the files are not in `data`, cannot be fetched, or are corrupt.

    Example:
        >>> from mgd.datasets import fashion_mnist
        >>> fashion_mnist().train.x.shape  # doctest: +SKIP
        (60000, 28, 28, 1)
        >>> fashion_mnist(data="/nowhere")
        Traceback (most recent call last):
        mgd._errors.DataError: no fashion-mnist in /nowhere: looked for train-images-idx3-ubyte.gz, ...

    References:
        H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
        Learning Algorithms", arXiv:1708.07747, 2017 (MIT licence).
    """
    found = locate(FILES, data)
    return Task(
        name="fashion-mnist",
        train=_samples(found.folder, "train"),
        test=_samples(found.folder, "t10k"),
        classes=_CLASSES,
        solved_accuracy=0.8,
        source=f"original IDX files in {found.folder}",
    )


def _samples(folder: Path, part: str) -> Samples:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", n_axes=3)
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", n_axes=1)
    return Samples(images[..., None], one_hot(labels, 10), offset=MEAN, scale=1 / STANDARD_DEVIATION)


def read_idx(file: Path, n_axes: int) -> UInt8[np.ndarray, "..."]:
    """The array in a gzipped IDX file of bytes.

    The header is two zero bytes, the element type, the number of axes, and each axis' length in four
    bytes, most significant first.

    Raises:
        DataError: if the file is not that, or shorter or longer than its header says.
    """
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} is not a readable gzip file ({error}); delete it and fetch it again") from error
    magic = bytes((0, 0, _UNSIGNED_BYTE, n_axes))
    start = 4 + 4 * n_axes
    if content[:4] != magic or len(content) < start:
        raise DataError(
            f"{file} is not an IDX file of bytes with {n_axes} axes: it should start with {magic.hex()}, "
            f"got {content[:4].hex()}; delete it and fetch it again"
        )
    shape = tuple(np.frombuffer(content, ">u4", n_axes, offset=4).tolist())
    if len(content) != start + math.prod(shape):
        raise DataError(
            f"{file} should hold {math.prod(shape)} bytes for shape {shape}, got {len(content) - start}; "
            "delete it and fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
