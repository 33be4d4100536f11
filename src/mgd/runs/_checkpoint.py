"""One checkpoint: a run's snapshot in one file, with digests of all that is in it."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save

from .._errors import RunError
from .._train import Snapshot
from .._version import __version__
from ._header import Header, Owner, digest_of, unpack_arrays
from ._header import theta_of as theta_of
from ._header import unpack_header as unpack_header


def pack(snapshot: Snapshot, owner: Owner) -> bytes:
    """A checkpoint of a snapshot."""
    arrays = _named_leaves(snapshot)
    arrays["history.steps"] = np.array(snapshot.steps, np.int64)
    arrays["history.accuracy"] = np.array(snapshot.marks, np.float32)
    arrays["history.cost"] = np.array(snapshot.cost, np.float32)
    arrays["history.measured"] = np.array(snapshot.measured, np.float32)
    header = Header(__version__, snapshot.step, snapshot.seconds, owner.settings, digest_of(arrays), owner.run)
    text = json.dumps(asdict(header))
    return save(arrays, {"mgd": text, "sha256": hashlib.sha256(text.encode()).hexdigest()})


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


def _named_leaves(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The engine's arrays by their path."""
    leaves: list[Any] = jax.tree_util.tree_leaves_with_path(eqx.filter(snapshot.progress, eqx.is_array))
    return {"progress" + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
