"""The parameters with which a run starts, from another run or from a file."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .._errors import RunError
from ._checkpoint import theta_of, unpack_arrays, unpack_header
from ._config import RunConfig
from ._contents import CONFIG, START, damaged, put, read_bytes
from ._directory import is_finished, read_theta
from ._generations import FILE

if TYPE_CHECKING:
    import numpy as np

C = TypeVar("C", bound=RunConfig)

_SUFFIXES = (".npy", ".npz", ".csv", ".safetensors")


def with_start(config: C) -> C:
    """These settings with a digest of the parameters at the start.

    Raises:
        ValueError: if `start` names neither a run nor a file of parameters, or their number is not that of the chips.
        RunError: if it is a run whose parameters cannot be read.
    """
    if config.start is None or config.start_digest is not None:
        return config
    path, number = _path_and_chip(config.start)
    theta = read_parameters(path)
    if number is not None:
        if number >= len(theta):
            raise ValueError(f"start: {path} has {len(theta)} chips, counted from 0: there is no chip {number}")
        theta = theta[number : number + 1]
    if len(theta) not in (1, config.replicas):
        raise ValueError(
            f"start: {path} has {len(theta)} chips, and this run has {config.replicas}: choose one of them, as {path}:0"
        )
    said = str(path.resolve()) + ("" if number is None else f":{number}")
    return config.model_copy(update={"start": said, "start_digest": digest_of(theta)})


def _path_and_chip(start: str) -> tuple[Path, int | None]:
    """The path in PATH or PATH:K, and K."""
    named, _, chip = start.rpartition(":")
    return (Path(named), int(chip)) if named and chip.isdigit() else (Path(start), None)


def digest_of(theta: "np.ndarray") -> str:
    """A digest of parameters, as a setting."""
    return hashlib.sha256(f"{theta.shape}".encode() + theta.tobytes()).hexdigest()


def read_parameters(path: Path) -> "np.ndarray":
    """The parameters of a run directory or in a file, over (chip, p), in float32.

    Args:
        path: a run directory (for an unfinished run, its last checkpoint is read); or a file: .npy or .csv (a row
            a chip), .npz or .safetensors (the array "theta", or the only one).

    Raises:
        ValueError: if it is neither.
        RunError: if it is a run whose parameters cannot be read.
    """
    if (path / CONFIG).exists():
        if is_finished(path):
            return read_theta(path)
        return theta_of(unpack_arrays(path / FILE, unpack_header(path / FILE)))
    if path.is_dir():
        raise ValueError(f"start: {path} is a folder but not a run: it has no {CONFIG}")
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"start: {path} is neither a run directory nor a file of parameters: these end in {', '.join(_SUFFIXES)}"
        )
    if not os.path.lexists(path):
        raise ValueError(f"start: there is no {path}")
    return _checked(_of_file(path), path)


def _of_file(path: Path) -> "np.ndarray":
    import numpy as np
    from safetensors.numpy import load_file

    try:
        if path.suffix == ".csv":
            return np.loadtxt(path, delimiter=",", ndmin=2, comments="#")
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        arrays = dict(np.load(path, allow_pickle=False)) if path.suffix == ".npz" else load_file(path)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"start: cannot read {path}: {reason}") from None
    if "theta" in arrays:
        return arrays["theta"]
    if len(arrays) != 1:
        raise ValueError(f"start: {path} has the arrays {', '.join(arrays) or 'none'}: call the parameters theta")
    return next(iter(arrays.values()))


def _checked(theta: "np.ndarray", path: Path) -> "np.ndarray":
    import numpy as np

    if theta.dtype.kind not in "fiu" or theta.ndim not in (1, 2) or not theta.size:
        raise ValueError(
            f"start: {path} must have parameters of shape (p,) or (chip, p), got {theta.dtype} of shape {theta.shape}"
        )
    theta = np.ascontiguousarray(np.atleast_2d(theta), np.float32)
    if not np.isfinite(theta).all():
        chip, parameter = np.argwhere(~np.isfinite(theta))[0]
        raise ValueError(f"start: parameter {parameter} of chip {chip} in {path} is NaN or infinite")
    return theta


def start_of(config: RunConfig, folder: Path | None = None) -> "np.ndarray | None":
    """The parameters at the start of a run, of shape (chip, p); None if the chip draws them.

    Args:
        config: its settings, as `with_start` gives them.
        folder: the directory of a run that was begun, which has kept them.

    Raises:
        ValueError, RunError: if they cannot be read, or have changed since.
    """
    if config.start is None:
        return None
    kept = None if folder is None else read_bytes(folder, START)
    if folder is not None and kept is not None:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            theta = load(kept)["theta"]
        except (SafetensorError, KeyError) as error:
            raise damaged(folder, START, str(error)) from None
    else:
        path, number = _path_and_chip(config.start)
        theta = read_parameters(path)
        theta = theta if number is None else theta[number : number + 1]
    if digest_of(theta) != config.start_digest:
        raise RunError(
            f"{config.start} has other parameters than when this run began: put them back, or start a new run"
        )
    return theta


def keep_start(folder: Path, theta: "np.ndarray | None") -> None:
    """Keeps the parameters at the start in the run directory."""
    if theta is not None:
        from safetensors.numpy import save

        put(folder, {START: save({"theta": theta})})
