"""The contents of a checkpoint: its owner, its step and its arrays. Nothing here imports JAX."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from .._errors import RunError
from .._input import open_file
from .._version import __version__

# The newest checkpoint of a run.
FILE = "checkpoint.safetensors"
# Errors that a damaged file can cause.
_TROUBLES = (SafetensorError, OSError, KeyError, TypeError, ValueError, MemoryError)


@dataclass(frozen=True)
class Owner:
    """The run that a checkpoint or a journal belongs to.

    Attributes:
        settings: a digest of the run's settings.
        run: a random name for a run on a real chip, because no other run could have measured its costs; empty for a
            simulated run, which gives the same bits each time.
    """

    settings: str
    run: str = ""

    @staticmethod
    def fresh(settings: str, *, measured: bool) -> "Owner":
        """The owner for a new run, on real chips (`measured`) or not."""
        return Owner(settings, secrets.token_hex(8) if measured else "")

    def digest(self) -> str:
        """The digest of both, in hexadecimal."""
        return hashlib.sha256((self.settings + self.run).encode()).hexdigest() if self.run else self.settings


@dataclass(frozen=True)
class Header:
    """The contents of a checkpoint except its arrays.

    Attributes:
        version: the version of the program that wrote it.
        step: timesteps made.
        seconds: wall time so far.
        settings: a digest of the run's settings.
        arrays: a digest of all arrays.
        run: see `Owner`.
    """

    version: str
    step: int
    seconds: float
    settings: str
    arrays: str
    run: str = ""

    @property
    def owner(self) -> Owner:
        return Owner(self.settings, self.run)


def unpack_header(path: Path) -> Header:
    """The header of a checkpoint.

    Raises:
        RunError: if it is not a complete checkpoint.
    """
    try:
        open_file(path).close()  # it is a file
        with safe_open(path, "np") as file:
            kept = file.metadata()
        text = kept["mgd"]
        if "sha256" in kept and kept["sha256"] != hashlib.sha256(text.encode()).hexdigest():
            raise ValueError("its header does not match its digest")
        header = Header(**json.loads(text))
        if not isinstance(header.step, int) or not isinstance(header.seconds, float):
            raise ValueError("its header has other types")
        return header
    except _TROUBLES as error:
        raise damaged_checkpoint(path, error) from error


def unpack_arrays(path: Path, header: Header) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint with this header.

    Raises:
        RunError: if they are damaged.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if header.arrays != digest_of(arrays):
            raise ValueError("its arrays do not match their digest")
        return arrays
    except _TROUBLES as error:
        raise damaged_checkpoint(path, error) from error


def check_version(header: Header, path: Path) -> None:
    """Raises: RunError: if a checkpoint was written by another version."""
    if header.version != __version__:
        raise RunError(
            f"{path} was written by mgd {header.version} and this is mgd {__version__}: "
            f"resume it with that version (pip install mgd=={header.version})"
        )


def theta_of(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The parameters of each replica, in a checkpoint."""
    return arrays["progress.state.theta"]


def damaged_checkpoint(path: Path, error: Exception) -> RunError:
    """The error for a file that is not a complete checkpoint, with the reason."""
    why = getattr(error, "strerror", None) or error
    return RunError(f"{path} is not a checkpoint, or is damaged ({why})")


def digest_of(arrays: dict[str, np.ndarray]) -> str:
    """The digest of arrays and their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
