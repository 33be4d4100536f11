"""The kernels, compiled once on a machine: kept by what their sources are, so that no other version's is ever taken.

Numba loads machine code as it lies there, and a flipped bit would end the process or compute something else. So each
file has its digest beside it, and is removed before it is loaded if that is not its own.
"""

import functools
import hashlib
import importlib
import inspect
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
from numba import njit
from numba.core import config

_SETTING_UP = threading.Lock()
_DIGEST = ".sha256"
# By the lanes of its vectors, where a kernel's modules are.
_PACKAGES = {32: __package__, 64: f"{__package__}._wide"}


def kernel(lanes: int) -> Callable[..., None]:
    """The compiled loop of `_kernel`, in vectors of 32 lanes or 64.

    What is compiled is kept in the user's cache folder, or in NUMBA_CACHE_DIR if that is set; if neither can be
    written, it is compiled again by each process. What was kept and is damaged is removed and compiled again.
    """
    with _SETTING_UP:  # Numba's settings are the process's
        return _kernel(lanes)


@functools.cache
def _kernel(lanes: int) -> Callable[..., None]:
    settings: Any = config
    ours = Path(settings.CACHE_DIR) / "mgd" if settings.CACHE_DIR else Path(platformdirs.user_cache_dir("mgd"))
    folder = ours / "fused" / _digest() / str(lanes)
    try:
        _remove_damaged(folder)
        kept: Any = _kept(folder, lanes)
    except (OSError, RuntimeError):  # no folder that can be written
        return _here(lanes)
    sealed = 0

    def call(*args: object) -> None:
        nonlocal sealed
        try:
            kept(*args)
        except (OSError, EOFError, pickle.UnpicklingError):  # the disk is full, or a file was replaced meanwhile
            _here(lanes)(*args)
        else:
            if len(kept.overloads) > sealed:  # a program was compiled, or loaded
                sealed = len(kept.overloads)
                _seal(folder)

    return call


def _remove_damaged(folder: Path) -> None:
    """Removes cached programs that have changed since they were written, or that cannot be checked."""
    for path in _kept_in(folder):
        try:
            whole = _seal_of(path).read_text() == _digest_of(path)
        except (OSError, UnicodeDecodeError):
            whole = False
        if not whole:
            path.unlink(missing_ok=True)


def _seal(folder: Path) -> None:
    """Puts its digest beside each file that has none, or was replaced."""
    for path in _kept_in(folder):
        with suppress(OSError):  # the disk is full: the next process compiles again
            digest, seal = _digest_of(path), _seal_of(path)
            if not seal.exists() or seal.read_text() != digest:
                beside = seal.with_name(f"{seal.name}.{os.getpid()}")
                beside.write_text(digest)
                beside.replace(seal)


def _kept_in(folder: Path) -> list[Path]:
    """Numba's files, which lie in a folder by the source's name."""
    return [path for path in folder.rglob("*.nb[ci]") if path.is_file()]


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + _DIGEST)


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _kept(folder: Path, lanes: int) -> Callable[..., None]:
    """The loop, compiled or taken from where it is kept."""
    settings: Any = config
    given = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = str(folder)
        return _jit(lanes, cache=True)
    finally:
        settings.CACHE_DIR = given


@functools.cache
def _here(lanes: int) -> Callable[..., None]:
    """The loop, compiled for this process alone."""
    return _jit(lanes)


def _jit(lanes: int, **options: bool) -> Callable[..., None]:
    advance_group = importlib.import_module(f"{_PACKAGES[lanes]}._kernel").advance_group
    jit: Any = njit
    return jit(nogil=True, error_model="numpy", _nrt=False, **options)(inspect.unwrap(advance_group))


def _digest() -> str:
    """Of all sources that the kernel is compiled from."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
