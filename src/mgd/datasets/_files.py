"""Where data files are: found on this computer, or fetched, and checked."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from .._errors import DataError

_REMEDY = "give the folder that has them with --data DIR (data= in Python) or in MGD_DATA"


@dataclass(frozen=True)
class Layout:
    """One way in which a data set's files lie in a folder.

    Args:
        name: what the reader calls it.
        folders: where below a data folder they may be, "." for the folder itself.
        patterns: file names or globs; each must match.
    """

    name: str
    folders: tuple[str, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class FileSet:
    """A data set's files: how they may lie, and where they come from.

    Args:
        name: of the task, and of its folder in the cache.
        layouts: the ways its files may lie, preferred first.
        address: files are fetched from `address` + file name.
        sha256: checksums of the files that are fetched, by file name.
        download_megabytes: their total size, in MB.
        system_folders: where a distribution's package puts them.
    """

    name: str
    layouts: tuple[Layout, ...]
    address: str
    sha256: Mapping[str, str]
    download_megabytes: float
    system_folders: tuple[Path, ...] = field(default=())


@dataclass(frozen=True)
class Found:
    """A folder in which every file of a layout is."""

    layout: str
    folder: Path
    files: tuple[Path, ...]


def locate(file_set: FileSet, data: str | os.PathLike | None = None) -> Found:
    """The files of a data set, checked; fetched if they are nowhere on this computer.

    Looks in `data`; else in MGD_DATA, the distribution's package and the cache; else fetches into the cache.

    Raises:
        DataError: if they are not in `data`, cannot be fetched, or have the wrong checksum.
    """
    found = find(file_set, data)
    if found is None and data is not None:
        wanted = " or ".join(", ".join(layout.patterns) for layout in file_set.layouts)
        raise DataError(f"no {file_set.name} in {os.fspath(data)}: looked for {wanted}; {_REMEDY}")
    if found is None:
        return download(file_set, cache_folder() / file_set.name)
    for file in found.files:
        if file.name in file_set.sha256:
            check(file, file_set.sha256[file.name])
    return found


def find(file_set: FileSet, data: str | os.PathLike | None = None) -> Found | None:
    """The first place that has the data set, or None. Nothing is fetched or checked."""
    for folder in _places(file_set, data):
        for layout in file_set.layouts:
            for below in layout.folders:
                matches = [sorted((folder / below).glob(pattern)) for pattern in layout.patterns]
                if all(matches):
                    return Found(layout.name, folder / below, tuple(file for match in matches for file in match))
    return None


def cache_folder() -> Path:
    """The platform's folder for what can be fetched again."""
    return Path(platformdirs.user_cache_dir("mgd"))


def check(file: Path, expected: str) -> None:
    """Raise DataError unless the file's SHA-256 is the one expected."""
    try:
        with file.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}; check its permissions") from error
    if got != expected:
        raise DataError(f"{file} is corrupt: its SHA-256 should be {expected}, got {got}; delete it and fetch it again")


def download(file_set: FileSet, folder: Path) -> Found:
    """Fetch a data set's files, with a progress bar on stderr, and check them; those already there are kept.

    Raises:
        DataError: if the network or the server fails, or a file has the wrong checksum.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    for name, sha256 in file_set.sha256.items():
        url = file_set.address + name
        try:
            pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, progressbar=True)
        except ValueError as error:  # pooch has deleted the file, and says its checksum
            got = str(error).partition("but got ")[2].partition(".")[0]
            raise DataError(
                f"the download from {url} is corrupt: its SHA-256 should be {sha256}, got {got}; "
                f"try again later, or {_REMEDY}"
            ) from error
        except OSError as error:  # requests' errors too
            why = type(error).__name__
            raise DataError(f"cannot fetch {name} from {url} ({why}); connect, or {_REMEDY}") from error
    names = tuple(file_set.sha256)
    layout = next(layout for layout in file_set.layouts if set(names) == set(layout.patterns))
    return Found(layout.name, folder, tuple(folder / name for name in names))


def _places(file_set: FileSet, data: str | os.PathLike | None) -> Iterator[Path]:
    if data is not None:
        yield Path(data)
        return
    if os.environ.get("MGD_DATA"):
        yield Path(os.environ["MGD_DATA"])
    yield from file_set.system_folders
    yield cache_folder() / file_set.name
