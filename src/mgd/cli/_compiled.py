"""Compiled programs that are kept between commands: JAX's own cache on disk, made so that it cannot do harm.

A command compiles some fifteen small programs, which takes longer than a short run. JAX keeps them in a folder if one
is set. Three things about that folder are seen to here:

- JAX writes an entry in place, so a process that is killed, or a disk that is full, can leave a part of one. Every
  entry carries a checksum, so JAX notices, warns and compiles; but it would never replace the entry. Here the
  warning empties the folder instead, and is not shown.
- It grows with every new setting. The oldest entries go when there are many.
- Programs are made for one kind of processor, and home directories are shared: each kind has a folder of its own.

Only the command line does this. Whoever imports `mgd` has JAX as they set it up: JAX_COMPILATION_CACHE_DIR and
`jax_compilation_cache_dir` do the same for programs of one's own.
"""

import hashlib
import os
import platform
import sys
import warnings
from contextlib import suppress
from pathlib import Path

FOLDER, FASTEST = "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
# How JAX's warnings about its cache begin.
_READING, _WRITING = "Error reading persistent compilation cache", "Error writing persistent compilation cache"
_OURS = ("mgd", "compiled")
_MOST_BYTES = 256 * 2**20


def keep_compiled() -> None:
    """Has JAX keep what it compiles, in this process and those it starts.

    It counts if it comes before JAX is imported; a folder of the user's own stays.
    """
    for message in (_READING, _WRITING):  # so that they come to `is_trouble`, whatever else is asked of warnings
        warnings.filterwarnings("always", message)
    if "jax" in sys.modules or FOLDER in os.environ:
        return
    import platformdirs

    mgd, compiled = _OURS
    folder = Path(platformdirs.user_cache_dir(mgd)) / compiled / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
    except OSError:
        return  # nothing can be kept there, and nothing need be
    os.environ[FOLDER] = str(folder)
    os.environ.setdefault(FASTEST, "0")
    # The workers of a study have nobody to see to this: there the warnings are only not shown.
    quiet = [os.environ.get("PYTHONWARNINGS", ""), f"ignore:{_READING}", f"ignore:{_WRITING}"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, quiet))


def is_trouble(message: str) -> bool:
    """Whether a warning is JAX's about its cache; then the folder is emptied, if it is ours."""
    folder = Path(os.environ.get(FOLDER, ""))
    if message.startswith(_READING) and folder.parts[-3:-1] == _OURS:
        _remove(_entries(folder))
    return message.startswith((_READING, _WRITING))


def _processor() -> str:
    """A name for this kind of processor."""
    features = [platform.machine()]
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        features += sorted(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
    except OSError:
        pass
    return hashlib.sha256("\n".join(features).encode()).hexdigest()[:12]


def _make_room(folder: Path) -> None:
    """Removes the oldest entries, down to half of what is allowed, if there is more."""
    entries = _entries(folder)
    total = sum(size for _, size, _ in entries)
    if total > _MOST_BYTES:
        kept = total
        while entries and kept > _MOST_BYTES // 2:
            kept -= entries[0][1]
            _remove([entries.pop(0)])


def _entries(folder: Path) -> list[tuple[float, int, str]]:
    """When each file was written, its bytes and its path; the oldest first. Other processes may remove some."""
    found = []
    try:
        with os.scandir(folder) as files:
            for file in files:
                try:
                    status = file.stat()
                    found.append((status.st_mtime, status.st_size, file.path))
                except FileNotFoundError:
                    pass
    except OSError:
        pass
    return sorted(found)


def _remove(entries: list[tuple[float, int, str]]) -> None:
    for _, _, path in entries:
        with suppress(OSError):  # gone already, or not ours to remove: JAX goes on compiling
            os.unlink(path)
