"""Whether what is asked for fits in memory: known from shapes alone, before anything is allocated."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from .._data import Data
from .._replicas import in_front

if TYPE_CHECKING:
    from ._base import AbstractSimulated

# Of what is free, the part that a run may ask for: the rest is for the program itself, and for others.
_SHARE = 0.95


def check_memory(engine: "AbstractSimulated[Any, Any]", n_replicas: int, data: Data, key: PRNGKeyArray) -> None:
    """Refuses replicas that do not fit in memory; where it is not known how much there is, refuses nothing.

    Raises:
        ValueError: if they do not fit, with the number that would.
    """
    free = available_bytes()
    if free is None:
        return
    each = engine.copies * bytes_per_replica(engine, data, key)
    fit = int(_SHARE * free / each)
    if n_replicas <= fit:
        return
    if fit == 0:
        raise ValueError(
            f"a chip of {engine.chip.n_params:,} parameters does not fit in memory: it takes about {_gigabytes(each)}, "
            f"and {_gigabytes(free)} are free; train a smaller chip, or one without momentum and with tau_theta = 1"
        )
    raise ValueError(
        f"{n_replicas:,} replicas of {engine.chip.n_params:,} parameters do not fit in memory: they take about "
        f"{_gigabytes(each * n_replicas)}, and {_gigabytes(free)} are free; {fit:,} replicas would fit"
    )


def bytes_per_replica(engine: "AbstractSimulated[Any, Any]", data: Data, key: PRNGKeyArray) -> int:
    """Bytes of the arrays that a run keeps of each replica, and of the samples in front of it."""

    def one(key: PRNGKeyArray) -> Any:
        progress = engine.init(1, key=key)
        return progress, in_front(engine.algorithm, data, engine.batch, progress.state)

    shapes = eqx.filter_eval_shape(one, key)
    arrays = [leaf for leaf in jax.tree.leaves(shapes) if isinstance(leaf, jax.ShapeDtypeStruct)]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in arrays)


def available_bytes() -> int | None:
    """Available memory; None if it is not known (no Linux, or a device with its own memory)."""
    if jax.default_backend() != "cpu":
        return None
    known = [amount for amount in (_of_machine(), _of_control_group()) if amount is not None]
    return min(known, default=None)


def _of_machine(proc: Path = Path("/proc")) -> int | None:
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return None


def _of_control_group(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
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


def _gigabytes(amount: int | float) -> str:
    return f"{amount / 1e9:,.3g} GB"
