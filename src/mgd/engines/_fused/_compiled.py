"""The kernel, compiled once on a machine: kept by what its sources are, so that no other version's is ever taken."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numba
import platformdirs


@functools.cache
def kernel() -> Callable[..., None]:
    """The compiled loop of `_kernel`.

    What is compiled is kept in the user's cache folder, or in NUMBA_CACHE_DIR if that is set; if neither can be
    written, it is compiled anew by each process.
    """
    from ._kernel import advance_group

    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    given = numba.config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    try:
        if not given:
            numba.config.CACHE_DIR = str(Path(platformdirs.user_cache_dir("mgd")) / "fused" / _digest())  # pyright: ignore[reportAttributeAccessIssue]
        kept = numba.njit(cache=True, **options)(advance_group)
    except (OSError, RuntimeError):  # no folder that can be written
        return numba.njit(**options)(advance_group)
    finally:
        numba.config.CACHE_DIR = given  # pyright: ignore[reportAttributeAccessIssue]

    def call(*args: object) -> None:
        try:
            kept(*args)
        except OSError:  # the disk is full, or what was kept cannot be read
            kernel_here()(*args)

    @functools.cache
    def kernel_here() -> Callable[..., None]:
        return numba.njit(**options)(advance_group)

    return call


def _digest() -> str:
    """Of all sources that the kernel is compiled from."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
