"""The free memory."""

from pathlib import Path


def available_to_process() -> int | None:
    """Bytes that this process can still use; None if that is not known (not on Linux)."""
    known = [amount for amount in (of_machine(), of_control_group()) if amount is not None]
    return min(known, default=None)


def of_machine(proc: Path = Path("/proc")) -> int | None:
    """The free memory of the machine."""
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def of_control_group(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The free memory of this process's control group and of those that contain it, in version 1 or 2."""
    known = []
    for line in _lines(proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        top = root if controllers == "" else root / "memory"
        names = (
            ("memory.max", "memory.current")
            if controllers == ""
            else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        inside = top / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder.is_relative_to(top):
                known.append(_left(folder, *names))
    return min((amount for amount in known if amount is not None), default=None)


def _left(folder: Path, limit: str, used: str) -> int | None:
    """The part of a control group's limit that is not in use; cached files count as free."""
    limits, uses = _lines(folder / limit), _lines(folder / used)
    if not (limits and uses and limits[0].isdigit() and uses[0].isdigit()):
        return None
    files = [int(line.split()[1]) for line in _lines(folder / "memory.stat") if line.startswith("inactive_file ")]
    return max(0, int(limits[0]) - int(uses[0]) + sum(files))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def gigabytes(amount: int | float) -> str:
    """A number of bytes, in words."""
    return f"{amount / 1e9:,.3g} GB"
