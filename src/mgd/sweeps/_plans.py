"""Plans from what users write: arguments of Python, or a file. Nothing here imports JAX."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._input import read_toml
from ..runs import merged, settings_in
from ._points import Plan

_VARY, _DESIGN = "vary", "design"


def plan_of(
    task: str | Mapping[str, Any] | os.PathLike,
    vary: Mapping[str, Any],
    design: str | None,
    settings: Mapping[str, Any],
    chip: dict[str, Any] | None = None,
) -> Plan:
    """The plan of a task, or of a file and of what is given beside it, which comes before what the file says.

    Args:
        task: the name of a task, the table of a task, or the path of a SWEEP.toml.
        vary: for each setting, its values.
        design: which combinations are points.
        settings: of the runs.
        chip: the settings of a chip, in place of the file's.

    Raises:
        ValueError: if the file cannot be read, or something is wrong.
    """
    if not isinstance(vary, Mapping) or not all(isinstance(name, str) for name in vary):
        raise ValueError(f"vary must be a table of settings and their values, got {vary!r}")
    given: dict[str, Any] = {"task": dict(task) if isinstance(task, Mapping) else os.fspath(task)}
    if isinstance(given["task"], str) and given["task"].endswith(".toml"):
        path = Path(given["task"])
        try:
            given = settings_in(read_toml(path), path.parent)
            vary, design = {**_table_of(given), **vary}, design or given.pop(_DESIGN, None)
            given.pop(_DESIGN, None)
        except ValueError as error:
            text = str(error)
            raise ValueError(text if str(path) in text else f"{path}: {text}") from None
    else:
        given = settings_in(given | {name: settings[name] for name in ("chip",) if name in settings}, Path())
        settings = {name: value for name, value in settings.items() if name != "chip"}
    return Plan.of(merged(given, dict(settings), chip), vary, design)


def _table_of(given: dict[str, Any]) -> dict[str, Any]:
    table = given.pop(_VARY, {})
    if not isinstance(table, dict):
        raise ValueError(f"vary must be a table, [vary], with a line for each setting, got {table!r}")
    return table
