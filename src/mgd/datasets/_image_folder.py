"""Images in one folder for each class."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from .._errors import DataError
from ._source import Source, aligned, check_room

SUFFIXES = (".png", ".jpg", ".jpeg")
_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class Images:
    """Image files of one size, which are decoded later.

    Attributes:
        files: one file for each sample.
        shape: the shape of all as one array: samples, height, width and colours (1 or 3).
    """

    files: tuple[Path, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """The type of the decoded images: bytes."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.files)

    def decode(self, rows: Int[np.ndarray, " m"]) -> UInt8[np.ndarray, "m height width colours"]:
        """These images.

        Raises:
            DataError: if one is not an image, or has another size than the first.
        """
        from tqdm import tqdm

        images = aligned((len(rows), *self.shape[1:]), self.dtype)
        pieces = [range(start, min(start + _AT_A_TIME, len(rows))) for start in range(0, len(rows), _AT_A_TIME)]

        def decode(piece: range) -> None:
            for k in piece:
                images[k] = self._one(self.files[rows[k]])

        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            done = pool.map(decode, pieces)
            for _ in tqdm(done, "reading images", len(pieces), leave=False, delay=2, disable=None):
                pass
        return images

    def _one(self, file: Path) -> np.ndarray:
        _, height, width, colours = self.shape
        pixels = _pixels(file, grey=colours == 1)
        if pixels.shape[:2] != (height, width):
            raise DataError(
                f"{file} has {pixels.shape[1]}x{pixels.shape[0]} pixels, and {self.files[0]} has {width}x{height}: "
                "bring all images to one size"
            )
        return pixels.reshape(height, width, colours)


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """The images of each class, by the names of the folders in this one; empty if there are none."""
    found = {}
    for inside in sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")):
        images = sorted(each for each in inside.iterdir() if each.suffix.lower() in SUFFIXES)
        if images:
            found[inside.name] = images
    return found


def read_image_folder(folder: Path, *, like: Source | None = None) -> Source:
    """Images with the names of their folders as classes.

    Args:
        folder: the folder with one folder for each class.
        like: the training images, for test images, which must have the same shape.

    Raises:
        DataError: if there is only one class, an image cannot be read, or they do not fit in memory.
    """
    found = class_folders(folder)
    if len(found) < 2 and like is None:
        raise DataError(f"{folder} has images of one class, {', '.join(found)}: give each class a folder of its own")
    files = tuple(file for images in found.values() for file in images)
    labels = np.array([name for name, images in found.items() for _ in images])
    if like is None:
        height, width = _pixels(files[0], grey=True).shape
        form = (height, width, 1 if all(_is_grey(file) for file in files) else 3)
    else:
        form = like.x.shape[1:]
    shape = (len(files), *form)
    check_room(float(np.prod(shape, dtype=float)), f"{folder} ({len(files):,} images of {form[1]}x{form[0]} pixels)")
    return Source(Images(files, shape), labels, files)


def _is_grey(file: Path) -> bool:
    with _opened(file) as image:
        return image.mode in ("1", "L", "LA", "I", "I;16", "F")


def _pixels(file: Path, *, grey: bool) -> UInt8[np.ndarray, "..."]:
    with _opened(file) as image:
        try:
            if image.mode in ("I", "I;16", "F"):
                raise DataError(f"{file} has more than 8 bits a colour: save it with 8, or give all images as x.npy")
            return np.asarray(image.convert("L" if grey else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{file} cannot be decoded ({error}): replace it or leave it out") from error


def _opened(file: Path):
    from PIL import Image

    try:
        return Image.open(file)
    except OSError as error:
        raise DataError(f"{file} is not an image that can be read: replace it or leave it out") from error
