"""Where a sweep keeps what is computed: parts, each whole or not there, and all of them together on named axes."""

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from pydantic import BaseModel, ConfigDict, ValidationError

from .._errors import MgdWarning, RunError
from .._input import check_files, first_error, read_file
from .._version import __version__
from ..runs import only_writer, replace_file
from ._cell import write_zarr
from ._points import Plan
from ._rows import DIGEST, OURS, digest_of, in_order, off_axes, on_axes

SWEEP, DATA, _PARTS = "sweep.json", "sweep.zarr", "parts"
# What is ours: a digest of all that is in them, and the identity of the sweep.
_MARK, _OF = "sha256", "sweep"
# To write a part takes a second. What has been beside for so long was left by a process that died.
_LONGEST_WRITE_SECONDS = 600.0


class _About(BaseModel):
    """What is needed of the file that says what a sweep is."""

    model_config = ConfigDict(strict=True)

    version: str
    sweep: str
    task: str
    axes: list[str]
    design: str
    settings: dict[str, Any]
    imperfect: dict[str, Any]


@dataclass(frozen=True)
class Store:
    """The folder of a sweep.

    Whoever computes points writes them beside and renames them, so what has its name is whole. When a call ends, all
    parts become one Zarr group on named axes.

    Attributes:
        folder: the folder.
    """

    folder: Path

    @staticmethod
    def claimed(folder: Path, plan: Plan) -> "Store":
        """The store of a sweep, made if it is not there.

        Raises:
            RunError: if the folder has something else, or cannot be written.
        """
        mine = {
            "version": __version__,
            "sweep": plan.identity(),
            "task": plan.base.task_name,
            "axes": [axis.name for axis in plan.axes],
            "design": plan.design.kind,
            "settings": plan.base.model_dump(mode="json", exclude_none=True, by_alias=True),
            "imperfect": dict(plan.imperfect),
        }
        if (folder / SWEEP).exists():
            _check_same(folder, mine)
            return Store(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} exists and is not a sweep: give another out")
        try:
            (folder / _PARTS).mkdir(parents=True, exist_ok=True)
            said = json.dumps(mine | {_MARK: _digest(mine)}, indent=2)
            replace_file(folder / SWEEP, (said + "\n").encode())
        except OSError as error:
            raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error
        return Store(folder)

    @staticmethod
    def found(folder: Path) -> "Store":
        """The store that is there.

        Raises:
            RunError: if there is none.
        """
        if not is_sweep(folder):
            raise RunError(f"{folder} is not a sweep: it has no {SWEEP}")
        return Store(folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps a second sweep from this store while the body runs.

        Raises:
            RunError: if there is one, or the disk is full; what is computed is kept.
        """
        with only_writer(self.folder):
            try:
                self._settle()
                yield
            except OSError as error:
                raise unwritable(self.folder, error) from error

    def put(self, rows: xr.Dataset) -> None:
        """Writes rows as a part.

        Raises:
            OSError: if they cannot be written; then nothing is there.
        """
        (self.folder / _PARTS).mkdir(exist_ok=True)
        beside = self.folder / _PARTS / f"{uuid.uuid4().hex}.new"
        path = self.folder / _PARTS / self.part_of(_digests(rows))
        try:
            write_zarr(rows.assign_attrs({_MARK: digest_of(rows), _OF: self.about()["sweep"]}), beside)
            beside.rename(path)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            if not path.exists():  # or another worker was asked for the same, and was first
                raise

    @staticmethod
    def part_of(digests: Sequence[str]) -> str:
        """The name of the part of exactly these points."""
        return f"{hashlib.sha256(' '.join(digests).encode()).hexdigest()}.zarr"

    def has_part(self, name: str) -> bool:
        """Whether there is a part of that name."""
        return (self.folder / _PARTS / name).exists()

    def done(self) -> set[str]:
        """The digests of all points that are there. A part that is damaged is removed, and computed again."""
        return {digest for rows in self._found(mend=True) for digest in _digests(rows)}

    def _found(self, *, mend: bool = False) -> list[xr.Dataset]:
        """All rows that are there: those that were put together, then those of each part.

        Args:
            mend: whether to remove parts that are damaged; otherwise they are left out.

        Raises:
            RunError: if what was put together is damaged.
        """
        about = self.about()
        found = []
        if (self.folder / DATA).exists():
            rows = _read(self.folder / DATA, about["sweep"])
            found.append(off_axes(rows, about["axes"], grid=about["design"] == "grid"))
        for path in sorted((self.folder / _PARTS).glob("*.zarr")):
            try:
                found.append(_read(path, about["sweep"]))
            except RunError:
                if path.exists():  # or it was put together with the others meanwhile
                    warnings.warn(f"{path} is damaged: its points are computed again", MgdWarning, stacklevel=2)
                    if mend:
                        _take_away(path)
        return found

    def together(self, order: Sequence[str] = ()) -> xr.Dataset | None:
        """All rows on named axes; None if there are none.

        Args:
            order: the digests of points, for a design; by default that in which they were put together.
        """
        about, found = self.about(), self._found()
        if not found:
            return None
        order = order or (_digests(found[0]) if (self.folder / DATA).exists() else ())
        rows = xr.concat(found, "point", join="outer", combine_attrs="drop")
        whole = on_axes(in_order(rows, order), about["axes"], grid=about["design"] == "grid")
        return whole.assign_attrs(task=about["task"])

    def compact(self, order: Sequence[str]) -> None:
        """Puts all parts together, for quick reading.

        Raises:
            OSError: if it cannot be written; all parts are still there.
        """
        parts = sorted((self.folder / _PARTS).glob("*.zarr"))
        data = self.together(order) if parts else None
        if data is None:
            return
        beside, path, before = (self.folder / f"{DATA}{end}" for end in (".new", "", ".old"))
        shutil.rmtree(beside, ignore_errors=True)
        try:
            write_zarr(data.assign_attrs({_MARK: digest_of(data), _OF: self.about()["sweep"]}), beside)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        if path.exists():
            path.rename(before)
        beside.rename(path)
        shutil.rmtree(before, ignore_errors=True)
        for part in parts:
            shutil.rmtree(part)

    def about(self) -> dict[str, Any]:
        """What the sweep is: its task, axes and design.

        Raises:
            RunError: if that cannot be read.
        """
        path = self.folder / SWEEP
        try:
            content = read_file(path)
            _About.model_validate_json(content)
            about = json.loads(content)
            mark = about.pop(_MARK, None)
            # Those of old versions have none, and other versions may make it otherwise.
            if mark in (None, _digest(about)) or about["version"] != __version__:
                return about
            raise ValueError("its digest is not that of its contents")
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from error
        except ValidationError as error:
            raise RunError(f"{path} is damaged ({first_error(error, _About.model_fields)}): restore it") from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged ({error}): restore it") from error

    def _settle(self) -> None:
        """Clears what a process left that was killed."""
        path, before = self.folder / DATA, self.folder / f"{DATA}.old"
        if before.exists() and not path.exists():
            before.rename(path)
        shutil.rmtree(before, ignore_errors=True)
        shutil.rmtree(self.folder / f"{DATA}.new", ignore_errors=True)
        for left in (self.folder / _PARTS).glob("*.new"):
            with suppress(FileNotFoundError):
                # Workers of a cluster go on writing for a moment when who asked them is gone.
                if time.time() - left.stat().st_mtime > _LONGEST_WRITE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


def is_sweep(folder: str | Path) -> bool:
    """Whether a folder is that of a sweep."""
    return os.path.isfile(Path(folder) / SWEEP)


def about_sweep(folder: str | Path) -> dict[str, Any]:
    """What a sweep is: its task, the settings that all points share, and the names of its axes.

    Raises:
        RunError: if it is not a sweep, or that cannot be read.
    """
    return Store.found(Path(folder)).about()


def load_sweep(folder: str | Path) -> xr.Dataset:
    """What a sweep has come to so far, finished or not.

    Args:
        folder: the folder of the sweep.

    Returns:
        For a grid, over the axes that were varied and `replica`; for other designs over `point` and `replica`, with
        what was varied as coordinates. `score` and `cost` on the test set are NaN for chips that diverged; `solved`
        and `diverged` are truths; `solved_step` is the first logged timestep at which a chip had solved the task.
        `computed` says which points are there.

    Raises:
        RunError: if it is not a sweep, has no point yet, or is damaged.
    """
    data = Store.found(Path(folder)).together()
    if data is None:
        raise RunError(f"{folder} has no points yet: wait for the first")
    metrics = sorted({str(name) for name in data["metric"].values.ravel()} - {""})
    data["score"].attrs["metric"] = metrics[0] if len(metrics) == 1 else ""
    return data.drop_vars([name for name in OURS if name != "computed"])


def unwritable(folder: Path, error: OSError) -> RunError:
    """What to say of a disk that is full."""
    reason = error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    if error.errno == errno.ENOSPC:
        reason = "the disk is full"
    return RunError(
        f"cannot write to {folder}: {reason}; the points that are computed are kept: correct that, and give the "
        "command again"
    )


def _take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _digests(rows: xr.Dataset) -> list[str]:
    return [str(digest) for digest in rows[DIGEST].values]


def _check_same(folder: Path, mine: dict[str, Any]) -> None:
    """Raises: RunError: if the folder has another sweep, or it cannot be known which."""
    found = Store(folder).about()
    if found.get("version") != mine["version"]:
        raise RunError(f"{folder} was computed by another version of mgd: give another out")
    if found.get("sweep") != mine["sweep"]:
        raise RunError(f"{folder} has another sweep: give another out, or the settings and axes that it has")


def _digest(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _read(path: Path, sweep: str) -> xr.Dataset:
    """A group that was written here, for a sweep of this identity.

    Raises:
        RunError: if it is damaged, or belongs to another sweep.
    """
    try:
        check_files(path)
        data = xr.open_zarr(path, consolidated=False).load()
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise RunError(f"{path} is damaged ({said}): remove it, and give the command again") from error
    if data.attrs.pop(_MARK, None) != digest_of(data):
        raise RunError(f"{path} is damaged: a part of it is missing; remove it, and give the command again")
    if data.attrs.pop(_OF, sweep) != sweep:  # sweeps of old versions do not say
        raise RunError(f"{path} is that of another sweep: restore it, or remove it and give the command again")
    return data
