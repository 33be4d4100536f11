"""Memory that can still be had."""

from pathlib import Path


def available_to_process() -> int | None:
    """Bytes that this process can still have; None where that is not known (no Linux)."""
    known = [amount for amount in (of_machine(), of_control_group()) if amount is not None]
    return min(known, default=None)


def of_machine(proc: Path = Path("/proc")) -> int | None:
    """What is left to the machine."""
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def of_control_group(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What is left to this process's control group, and to those it is in: of version 2, and of version 1."""
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
    """Of a control group's limit, what is not in use; files kept in memory can be let go."""
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
    """An amount of bytes, for people."""
    return f"{amount / 1e9:,.3g} GB"
