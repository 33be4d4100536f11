"""The names of what a sweep may vary: settings of task, chip, algorithm and imperfections. Nothing here imports JAX."""

from typing import Any, get_args

from .._input import nearest
from ..rows import IMPERFECTIONS, Whole
from ..runs import TASK_OPTIONS, RunConfig, TaskTable

# Settings of a run that all points share, or that mean nothing to a simulated chip.
_NOT_VARIED = (
    *("replicas", "devices", "log_every", "until_accuracy", "until_solved", "patience", "stop_unlearnt"),
    *("begun_for", "start", "start_digest", "data", "fleet", "record", "chip", "imperfect", "instrument", "python"),
)
# Settings of a run that a sweep refuses, and why.
REFUSED = {
    "until_accuracy": "every point of a sweep is trained for all its steps, so that no point depends on another",
    "until_solved": "every point of a sweep is trained for all its steps, so that no point depends on another",
    "patience": "every point of a sweep is trained for all its steps, so that no point depends on another",
    "stop_unlearnt": "the chips of a sweep are simulated",
    "start": "every chip of a sweep draws its own start",
    "start_digest": "every chip of a sweep draws its own start",
    "devices": "the points of a sweep share the cores already",
    "begun_for": "a sweep is not lengthened",
    "instrument": "a sweep simulates its chips",
    "fleet": "a sweep simulates its chips",
    "record": "a sweep simulates its chips",
    "python": "a sweep is described by settings",
}
# Arguments of the function of a chip of the user's own.
_OF_CHIP = "chip."


def known_name(name: str) -> str:
    """A setting that may be varied, as settings spell it; `chip.NAME` is an argument of the function of your own chip.

    Raises:
        ValueError: if there is none of that name, with the nearest one.

    >>> known_name("learning-rate"), known_name("dac_bits"), known_name("chip.width")
    ('learning_rate', 'dac-bits', 'chip.width')
    """
    name = name.strip()
    field = name.replace("-", "_")
    if field in _settings() or field in TASK_OPTIONS:
        return field
    if (dashed := name.replace("_", "-")) in IMPERFECTIONS:
        return dashed
    if name.startswith(_OF_CHIP) and name[len(_OF_CHIP) :].isidentifier():
        return name
    if field in _NOT_VARIED:
        raise ValueError(f"vary: {name} cannot be varied: it is the same for all points of a sweep")
    # Settings are written with dashes on the command line, and with underscores in files.
    names = [*IMPERFECTIONS, *(each.replace("_", "-") for each in (*_settings(), *TASK_OPTIONS))]
    raise ValueError(f"vary: unknown setting {name!r}{nearest(name.replace('_', '-'), names)}")


def is_whole(name: str) -> bool:
    """Whether the values of a setting are whole numbers."""
    if name in IMPERFECTIONS:
        row = IMPERFECTIONS.row(name)
        return any(isinstance(setting.type, Whole) for setting in row.settings if setting.name == name)
    for model in (RunConfig, TaskTable):
        if name in model.model_fields:
            return int in _kinds(model.model_fields[name].annotation)
    return False


def is_sizes(name: str) -> bool:
    """Whether the values of a setting are sizes of several layers."""
    return name in ("hidden", "channels")


def changes_of(values: dict[str, Any]) -> dict[str, Any]:
    """Settings that take these values, in the tables in which settings are."""
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name in IMPERFECTIONS:
            changes.setdefault("imperfect", {})[name] = value
        elif name in TASK_OPTIONS:
            changes.setdefault("task", {})[name] = value
        elif name.startswith(_OF_CHIP):
            changes.setdefault("chip", {})[name[len(_OF_CHIP) :]] = value
        else:
            changes[name] = value
    return changes


def _settings() -> list[str]:
    return [name for name in RunConfig.model_fields if name not in _NOT_VARIED]


def _kinds(annotation: Any) -> set[Any]:
    """All types in an annotation, without what else is said of them."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    inner = get_args(annotation)
    return {annotation} if not inner else {kind for each in inner for kind in _kinds(each)}
