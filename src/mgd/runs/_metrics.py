"""The metrics of a run, as Zarr: written whole, and read only as they were written."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import RunError
from .._input import check_files
from ..timing import EVENTS
from ._directory import read_config

if TYPE_CHECKING:
    import xarray as xr

METRICS = "metrics.zarr"
# Attributes that are ours: of all that is in them, and of the settings they came of.
_DIGEST, _SETTINGS = "sha256", "settings"


def write_metrics(folder: Path, history: "xr.Dataset", settings: str = "") -> None:
    """Puts the metrics of a run in place of the last, with a digest: Zarr has none, and reads what is missing as zeros.

    Args:
        folder: the run directory.
        history: over (replica, step).
        settings: a digest of the run's settings.

    Raises:
        OSError: if they cannot be written.
    """
    beside, before = folder / (METRICS + ".part"), folder / (METRICS + ".old")
    for leftover in (beside, before):
        _remove(leftover)
    marked = history.assign_attrs({_DIGEST: _digest(history), _SETTINGS: settings})
    try:
        marked.to_zarr(beside, zarr_format=3, consolidated=False)
    except OSError:
        _remove(beside)
        raise
    # Moved away whole, so that what stands at the path never lacks a part.
    if os.path.lexists(folder / METRICS):
        (folder / METRICS).rename(before)
    beside.rename(folder / METRICS)
    _remove(before)


def read_metrics(folder: str | Path) -> "xr.Dataset":
    """The metrics of a run so far, finished or not: accuracy and cost over (replica, step), with the counts.

    Raises:
        RunError: if it is not a run directory, or has no readable metrics.
    """
    folder = Path(folder)
    config = read_config(folder)
    import xarray as xr

    path = folder / METRICS
    for _ in range(10):
        try:
            found = path.stat().st_ino
            check_files(path)
            history = xr.open_zarr(path, consolidated=False).load()
            if path.stat().st_ino == found:
                return _checked(history, path, config.identity())
        except FileNotFoundError:
            # Being replaced, or not there; a run just begun has none.
            time.sleep(0.05)
        except RunError:
            raise
        except PermissionError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from error
        except Exception as error:
            raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if path.is_dir():
        raise _damaged(path, "a part of it is missing")
    raise RunError(f"{folder} has no metrics yet: wait for its first checkpoint, or continue it: mgd resume {folder}")


def _damaged(path: Path, why: str) -> RunError:
    return RunError(f"{path} is damaged ({why}): mgd resume {path.parent} writes it again")


def _remove(path: Path) -> None:
    """Takes away a folder, or whatever was put in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _checked(history: "xr.Dataset", path: Path, settings: str) -> "xr.Dataset":
    """Metrics without our marks, if they are as they were written."""
    marks = {name: history.attrs.pop(name, None) for name in (_DIGEST, _SETTINGS)}
    if marks[_DIGEST] is None:  # of a version before there were marks: at least it has all that is due
        lacking = [name for name in ("accuracy", "cost", "step", *EVENTS.values()) if name not in history.variables]
        if lacking or "task" not in history.attrs or not history.sizes.get("step"):
            raise _damaged(path, f"it lacks {', '.join(lacking) or 'its task or its steps'}")
        return history
    if marks[_DIGEST] != _digest(history):
        raise _damaged(path, "a part of it is missing or damaged")
    if marks[_SETTINGS] not in ("", settings):
        raise _damaged(path, "it belongs to a run with other settings")
    return history


def _digest(history: "xr.Dataset") -> str:
    """Of all values, names and attributes, as they come back from Zarr."""
    digest = hashlib.sha256(_text(history.attrs))
    for name in sorted(map(str, history.variables)):
        values = history[name].values
        digest.update(f"{name} {history[name].dims} {values.shape}".encode())
        if values.dtype.kind in "fiub":
            # A chunk of nothing but NaN is not written, and comes back with another sign.
            whole = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
            digest.update(f"{values.dtype}".encode() + np.ascontiguousarray(whole, values.dtype).tobytes())
        else:
            digest.update(_text({"values": values}))
    return digest.hexdigest()


def _text(values: Mapping[Any, Any]) -> bytes:
    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else str(value)

    return json.dumps({str(name): values[name] for name in values}, sort_keys=True, default=plain).encode()
