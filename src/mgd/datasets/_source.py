"""Inputs and targets from a file, before they are split and scaled."""

import math
import mmap
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from .._errors import DataError
from ._memory import available_to_process, gigabytes

# Rows are copied in pieces of this many bytes.
_PIECE_BYTES = 2**24
# JAX does not copy an array that begins at a multiple of this many bytes.
_ALIGNED = 64
# The part of the free memory that data may take.
_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Source:
    """Inputs and targets in the form of the file.

    Attributes:
        x: inputs, one row for each sample: an array, or `Images`, which are decoded later.
        y: targets of shape (n,) or (n, outputs): numbers, or text for classes.
        files: the files that were read.
        names: names of the inputs, if they have some.
        outputs: names of the targets, if there are several and they have names.
        test: the test samples, if the file has some.
        table: whether targets and inputs had one type, so that whole numbers may have a floating-point type.
    """

    x: Any
    y: np.ndarray
    files: tuple[Path, ...]
    names: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    test: "Source | None" = None
    table: bool = False


def taken(x: Any, rows: Int[np.ndarray, " m"]) -> Shaped[np.ndarray, "m *features"]:
    """These rows of inputs, which JAX can use without a copy; pages of a memory-mapped file are released."""
    if hasattr(x, "decode"):
        return x.decode(rows)
    row_bytes = max(1, math.prod(x.shape[1:]) * x.dtype.itemsize)
    out = aligned((len(rows), *x.shape[1:]), x.dtype)
    step = max(1, _PIECE_BYTES // row_bytes)
    for start in range(0, len(rows), step):
        piece = rows[start : start + step]
        out[start : start + step] = x[piece]
        let_go(x)
    out.flags.writeable = False
    return out


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array without contents, aligned so that JAX does not copy it."""
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNED, np.uint8)
    start = -room.ctypes.data % _ALIGNED
    return room[start : start + size].view(dtype).reshape(shape)


def let_go(x: Any) -> None:
    """Releases the pages of a memory-mapped file; they are read again when they are used."""
    mapped = x
    while isinstance(mapped, np.ndarray) and not isinstance(mapped.base, mmap.mmap):
        mapped = mapped.base
    if isinstance(mapped, np.ndarray) and isinstance(mapped.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):
            mapped.base.madvise(mmap.MADV_DONTNEED)


def check_room(n_bytes: int | float, what: object) -> None:
    """Raises: DataError: if this many bytes do not fit in memory; never, if the free memory is not known."""
    there = available_to_process()
    if there is not None and n_bytes > _SHARE * there:
        raise DataError(
            f"{what} does not fit in memory: it takes about {gigabytes(n_bytes)}, and {gigabytes(there)} are free: "
            "give fewer samples, smaller inputs, or bytes (uint8) in place of floating-point numbers"
        )
