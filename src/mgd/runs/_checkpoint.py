"""A run's snapshot in one file: written beside, then renamed, so that there is always a whole one."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .._errors import RunError
from .._train import Snapshot
from .._version import __version__
from ._replace import replace_file

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Header:
    """What can be read of a checkpoint without its arrays.

    Attributes:
        version: of the program that wrote it.
        step: timesteps made.
        seconds: wall time so far.
        settings: a digest of the run's settings.
        arrays: a digest of all arrays.
    """

    version: str
    step: int
    seconds: float
    settings: str
    arrays: str


def write_checkpoint(folder: Path, snapshot: Snapshot, settings: str) -> None:
    """Writes a snapshot into a run directory, in place of the last.

    Args:
        folder: the run directory.
        snapshot: what the run goes on from.
        settings: a digest of its settings.

    Raises:
        OSError: if it cannot be written; the last checkpoint is then untouched.
    """
    arrays = _named_leaves(snapshot)
    arrays["history.steps"] = np.array(snapshot.steps, np.int64)
    arrays["history.accuracy"] = np.array(snapshot.marks, np.float32)
    arrays["history.cost"] = np.array(snapshot.cost, np.float32)
    header = Header(__version__, snapshot.step, snapshot.seconds, settings, _digest(arrays))
    replace_file(folder / FILE, save(arrays, {"mgd": json.dumps(asdict(header))}))


def read_header(folder: Path) -> Header | None:
    """What the checkpoint of a run directory says of itself; None if there is no checkpoint.

    Raises:
        RunError: if it is not a whole checkpoint.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            return Header(**json.loads(file.metadata()["mgd"]))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a checkpoint, or is damaged ({error}); start the run anew") from error


def read_checkpoint(folder: Path, like: Snapshot, settings: str) -> Snapshot | None:
    """The snapshot in a run directory; None if there is none yet.

    Args:
        folder: the run directory.
        like: a fresh snapshot of the same settings, for its structure.
        settings: a digest of them.

    Raises:
        RunError: if it is damaged, was written by another version, or belongs to other settings.
    """
    header = read_header(folder)
    if header is None:
        return None
    path = folder / FILE
    if header.version != __version__:
        raise RunError(
            f"{path} was written by mgd {header.version} and this is mgd {__version__}: "
            f"resume it with that version (pip install mgd=={header.version})"
        )
    if header.settings != settings:
        raise RunError(f"{path} does not fit config.toml, whose settings have changed: put them back, or start anew")
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    if header.arrays != _digest(arrays):
        raise RunError(f"{path} is damaged (its arrays do not have the digest they were written with); start anew")
    leaves = [jnp.asarray(arrays[name]) for name in _named_leaves(like)]
    structure = jax.tree.structure(eqx.filter(like.progress, eqx.is_array))
    progress = eqx.combine(jax.tree.unflatten(structure, leaves), like.progress)
    return Snapshot(
        progress=progress,
        steps=arrays["history.steps"].tolist(),
        marks=list(arrays["history.accuracy"]),
        cost=list(arrays["history.cost"]),
        seconds=header.seconds,
    )


def _named_leaves(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The engine's arrays by their path."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(snapshot.progress, eqx.is_array))
    return {"progress" + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
