"""The kernels, compiled once on a machine: kept by what their sources are, so that no other version's is ever taken."""

import functools
import hashlib
import importlib
import inspect
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
from numba import njit
from numba.core import config

_SETTING_UP = threading.Lock()
# By the lanes of its vectors, where a kernel's modules are.
_PACKAGES = {32: __package__, 64: f"{__package__}._wide"}


def kernel(lanes: int) -> Callable[..., None]:
    """The compiled loop of `_kernel`, in vectors of 32 lanes or 64.

    What is compiled is kept in the user's cache folder, or in NUMBA_CACHE_DIR if that is set; if neither can be
    written, it is compiled anew by each process. What was kept and cannot be read is removed and compiled anew.
    """
    with _SETTING_UP:  # Numba's settings are the process's
        return _kernel(lanes)


@functools.cache
def _kernel(lanes: int) -> Callable[..., None]:
    settings: Any = config
    ours = Path(settings.CACHE_DIR) / "mgd" if settings.CACHE_DIR else Path(platformdirs.user_cache_dir("mgd"))
    folder = ours / "fused" / _digest() / str(lanes)
    try:
        kept = _kept(folder, lanes)
    except (OSError, RuntimeError):  # no folder that can be written
        return _here(lanes)

    def call(*args: object) -> None:
        try:
            kept(*args)
        except (OSError, EOFError, pickle.UnpicklingError) as error:  # the disk is full, or a file was cut short
            if not isinstance(error, OSError):
                shutil.rmtree(folder, ignore_errors=True)  # the next process keeps a whole one
            _here(lanes)(*args)

    return call


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
