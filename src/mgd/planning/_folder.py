"""The folder of a plan: written when the plan is made, read by reports. Nothing here imports JAX."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .._errors import RunError
from .._input import first_error, read_file
from .._version import __version__
from ..runs import replace_file
from ..timing import Profile
from ._gpu import OnGpu

if TYPE_CHECKING:
    from ._made import Plan
    from ._problem import Problem

DESCENT, SIMULATIONS = "descent.json", "simulations.jsonl"
_PLAN, _SETTINGS = "plan.json", "plan.toml"


class Asked(BaseModel):
    """What a plan was asked for, so that it can be asked for again.

    Attributes:
        given: the settings of chip and task, by the names of configuration files.
        simulations: as many as there may be.
        seconds: of the search.
        seed: of all random numbers.
        search: trials of the search by Optuna.
        gpu: that it was compared with; None if there was none.
        measure: measurements of the chip; 0 if it was not asked.
    """

    model_config = ConfigDict(frozen=True)

    given: dict[str, Any]
    simulations: int
    seconds: float
    seed: int
    search: int
    gpu: str | None
    measure: int = 0


class KeptPlan(BaseModel):
    """A plan as its folder has it; see `Plan`. What never happens, or older versions did not say, is None.

    Attributes:
        version: of mgd, which made it.
        asked: what it was asked for.
    """

    model_config = ConfigDict(frozen=True)

    settings: dict[str, Any]
    target: float
    reached: bool
    best: float
    chips: int
    seconds: float | None
    joules: float | None
    expected: tuple[float | None, float | None] | None = None
    interval: tuple[float | None, float | None, float | None]
    each: tuple[float | None, ...]
    fraction: float
    shares: dict[str, float]
    error: dict[str, float]
    writes: int
    endurance: int | None
    gains: dict[str, float]
    backprop_seconds: float
    reasons: dict[str, str]
    simulations: int
    stopped: bool
    engine: str
    searched: tuple[int, float | None] | None
    gpu: OnGpu | None
    profile: Profile
    measured: tuple[str, ...] = ()
    version: str
    asked: Asked


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them; tables of your own task and chip are objects in a run's."""
    return {
        name: value.model_dump(mode="json", exclude_none=True, by_alias=True) if isinstance(value, BaseModel) else value
        for name, value in settings.items()
    }


def is_plan(folder: str | Path) -> bool:
    """Whether a folder is that of a plan, which need not be finished."""
    return any(os.path.isfile(Path(folder) / name) for name in (_PLAN, DESCENT, SIMULATIONS))


def check_folder(folder: Path, problem: "Problem", *, chips: int, seed: int) -> None:
    """Sees whether a plan of these chips may be made in a folder.

    Raises:
        RunError: if the folder has something else, or another plan, or it cannot be known which.
    """
    if folder.exists() and not is_plan(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} exists and is not a plan: give another out")
    if not (folder / _PLAN).exists():
        return
    found, given = read_plan(folder), json.loads(json.dumps(plain(problem.given)))
    same = {
        "task, or with other settings": found.asked.given == given,
        "chip": found.profile == problem.profile,
        "target": found.target == problem.target,
        "number of chips": found.chips == chips,
        "seed": found.asked.seed == seed,
    }
    for what, is_same in same.items():
        if not is_same:
            raise RunError(f"{folder} has a plan for another {what}: give another out")


def write_plan(folder: Path, made: "Plan", asked: Mapping[str, Any]) -> None:
    """Writes a plan, and its settings as a file for `mgd train`.

    Raises:
        RunError: if it cannot be written.
    """
    said: dict[str, Any] = made.as_dict() | {"version": __version__, "asked": dict(asked)}
    said["sha256"] = digest_of(said)
    files = {_SETTINGS: made.toml(), _PLAN: json.dumps(said, indent=2) + "\n"}
    for name, content in files.items():
        try:
            replace_file(folder / name, content.encode())
        except OSError as error:
            again = "the same mgd plan writes it again, from the simulations that are kept"
            raise RunError(f"cannot write {folder / name}: {error.strerror}; {again}") from error


def read_plan(folder: Path) -> KeptPlan:
    """The plan of a folder.

    Raises:
        RunError: if it is not made yet, or is damaged.
    """
    path = folder / _PLAN
    if not path.exists():
        raise RunError(f"{folder} has no plan yet: the same mgd plan with --out {folder} goes on")
    try:
        content = read_file(path)
        plan, found = KeptPlan.model_validate_json(content), json.loads(content)
        # Plans of old versions have no digest.
        if found.pop("sha256", None) in (None, digest_of(found)):
            return plan
        said = "its digest is not that of its contents"
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}; the same mgd plan writes it again") from error
    except ValidationError as error:
        said = first_error(error, KeptPlan.model_fields)
    except (ValueError, RecursionError) as error:
        said = str(error)
    raise RunError(f"{path} is damaged, or of another version of mgd: {said}; make the plan again in another folder")


def digest_of(said: Mapping[str, Any]) -> str:
    """The digest of what a file of a plan says."""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
