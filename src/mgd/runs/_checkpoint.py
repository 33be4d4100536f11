"""One checkpoint: a run's snapshot in one file, with digests of all that is in it."""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .._errors import RunError
from .._input import open_file
from .._train import Snapshot
from .._version import __version__

# What may come of a file that is damaged.
_TROUBLES = (SafetensorError, OSError, KeyError, TypeError, ValueError, MemoryError)


@dataclass(frozen=True)
class Owner:
    """Whose a checkpoint or a journal is.

    Attributes:
        settings: a digest of the run's settings.
        run: drawn when a run on a chip begins, whose costs no other run could have measured; empty for others, which
            come to the same bits whenever they are made.
    """

    settings: str
    run: str = ""

    @staticmethod
    def fresh(settings: str, *, measured: bool) -> "Owner":
        """That of a run that begins, on real chips or not."""
        return Owner(settings, secrets.token_hex(8) if measured else "")

    def digest(self) -> str:
        """Of both, in hexadecimal."""
        return hashlib.sha256((self.settings + self.run).encode()).hexdigest() if self.run else self.settings


@dataclass(frozen=True)
class Header:
    """What can be read of a checkpoint without its arrays.

    Attributes:
        version: of the program that wrote it.
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


def pack(snapshot: Snapshot, owner: Owner) -> bytes:
    """A checkpoint of a snapshot."""
    arrays = _named_leaves(snapshot)
    arrays["history.steps"] = np.array(snapshot.steps, np.int64)
    arrays["history.accuracy"] = np.array(snapshot.marks, np.float32)
    arrays["history.cost"] = np.array(snapshot.cost, np.float32)
    arrays["history.measured"] = np.array(snapshot.measured, np.float32)
    header = Header(__version__, snapshot.step, snapshot.seconds, owner.settings, _digest(arrays), owner.run)
    text = json.dumps(asdict(header))
    return save(arrays, {"mgd": text, "sha256": hashlib.sha256(text.encode()).hexdigest()})


def unpack_header(path: Path) -> Header:
    """What a checkpoint says of itself.

    Raises:
        RunError: if it is not a whole checkpoint.
    """
    try:
        open_file(path).close()  # it is a file
        with safe_open(path, "np") as file:
            metadata = file.metadata()
        text = metadata["mgd"]
        if "sha256" in metadata and metadata["sha256"] != hashlib.sha256(text.encode()).hexdigest():
            raise ValueError("the digest of its header is wrong")
        header = Header(**json.loads(text))
        if not isinstance(header.step, int) or not isinstance(header.seconds, float):
            raise ValueError("the types of its header are wrong")
        return header
    except _TROUBLES as error:
        raise _damaged(path, error) from error


def unpack_arrays(path: Path, header: Header) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint with this header.

    Raises:
        RunError: if they are not as they were written.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if header.arrays != _digest(arrays):
            raise ValueError("the digest of its arrays is wrong")
        return arrays
    except _TROUBLES as error:
        raise _damaged(path, error) from error


def check_version(header: Header, path: Path) -> None:
    """Raises: RunError: if a checkpoint was written by another version."""
    if header.version != __version__:
        raise RunError(
            f"{path} was written by mgd {header.version} and this is mgd {__version__}: "
            f"resume it with that version (pip install mgd=={header.version})"
        )


def unpack(path: Path, header: Header, like: Snapshot) -> Snapshot:
    """The snapshot in a checkpoint with this header.

    Args:
        path: of the checkpoint.
        header: its header.
        like: a fresh snapshot of the same settings, for its structure.

    Raises:
        RunError: if it is damaged, or of a program with another structure.
    """
    arrays = unpack_arrays(path, header)
    due = _named_leaves(like)
    for name, leaf in due.items():
        found = arrays.get(name)
        if found is None or (found.shape, found.dtype) != (leaf.shape, leaf.dtype):
            what = "nothing" if found is None else f"{found.dtype} of shape {found.shape}"
            raise RunError(
                f"{path} was written by another version of this program: it has {what} for {name}, which is "
                f"{leaf.dtype} of shape {leaf.shape} now; resume it with the program that wrote it, or start a new run"
            )
    cost = arrays["history.cost"]
    leaves = [jnp.asarray(arrays[name]) for name in due]
    structure = jax.tree.structure(eqx.filter(like.progress, eqx.is_array))
    progress = eqx.combine(jax.tree.unflatten(structure, leaves), like.progress)
    return Snapshot(
        progress=progress,
        steps=arrays["history.steps"].tolist(),
        marks=list(arrays["history.accuracy"]),
        cost=list(cost),
        measured=list(arrays.get("history.measured", np.full_like(cost, np.nan))),
        seconds=header.seconds,
    )


def theta_of(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The parameters of each replica, in a checkpoint."""
    return arrays["progress.state.theta"]


def _damaged(path: Path, error: Exception) -> RunError:
    why = getattr(error, "strerror", None) or error
    return RunError(f"{path} is not a checkpoint, or is damaged ({why})")


def _named_leaves(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The engine's arrays by their path."""
    leaves: list[Any] = jax.tree_util.tree_leaves_with_path(eqx.filter(snapshot.progress, eqx.is_array))
    return {"progress" + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
