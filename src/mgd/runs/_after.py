"""What a chip is left with after a run: nothing, what it learnt, or parameters of a file. Nothing here imports JAX."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from .._input import nearest, read_file

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument

SAFE, KEEP = "safe", "keep"
_SUFFIXES = (".npy", ".npz", ".csv", ".safetensors")


def check_after(after: str) -> str:
    """Raises: ValueError: if it is neither a word nor the name of a file that may have parameters."""
    if after not in (SAFE, KEEP) and Path(after).suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f'must be "safe", "keep" or a file of parameters ({", ".join(_SUFFIXES)}), got {after!r}'
            f"{nearest(after, (SAFE, KEEP))}"
        )
    return after


def parameters_after(after: str, folder: Path) -> Float[np.ndarray, " p"] | None:
    """The parameters of the file that is named; None if none is.

    Args:
        after: "safe", "keep" or the name of a file: numbers alone, or as `mgd export` and run directories have them.
        folder: to which a path is relative.

    Raises:
        ValueError: if the file cannot be read, has parameters of several chips, or has one that is not finite.
    """
    if after in (SAFE, KEEP):
        return None
    path = folder / after
    try:
        found = _read(path.suffix.lower(), read_file(path))
    except OSError as error:
        raise ValueError(f"after: cannot read {path}: {error.strerror}") from error
    except Exception as error:  # whatever NumPy and others raise of contents that are no numbers
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"after: {path} has no parameters that can be read: {why}") from error
    if found.ndim > 1 and max(found.shape) != found.size:
        raise ValueError(
            f"after: {path} has parameters of {found.shape[0]} chips: give a file with those of one, as "
            "mgd export --replica 0 writes it"
        )
    values = found.reshape(-1)
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"after: parameter {at} in {path} is {values[at]:g}: give a file of finite numbers")
    return values.astype(np.float32)


def check_fits(theta: Float[np.ndarray, " p"], instrument: "AbstractInstrument") -> None:
    """Raises: ValueError: if an instrument has another number of parameters, or does not take one of these."""
    if theta.size != instrument.n_params:
        raise ValueError(f"after: the file has {theta.size} parameters, and {instrument.address} {instrument.n_params}")
    try:
        instrument.limits.check(theta, "after: parameter")
    except ValueError as error:
        raise ValueError(f"{instrument.address}: {error}") from None


def _read(suffix: str, content: bytes) -> np.ndarray:
    if suffix == ".csv":
        return _of_text(content.decode())
    if suffix == ".safetensors":
        from safetensors.numpy import load

        return np.asarray(load(content)["theta"], np.float64)
    found = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(found, np.lib.npyio.NpzFile):
        found = found["theta"] if "theta" in found.files or len(found.files) != 1 else found[found.files[0]]
    return np.asarray(found, np.float64)


def _of_text(text: str) -> np.ndarray:
    rows = [row for row in csv.reader(line for line in text.splitlines() if not line.startswith("#")) if row]
    if rows and rows[0][0] == "array":  # as mgd export writes it
        rows = [[row[-1]] for row in rows[1:] if row[0] == "theta"]
    return np.array([float(number) for row in rows for number in row])
