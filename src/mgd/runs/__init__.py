"""Run directories: settings, checkpoints, metrics, and resuming. Names load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._calibrate import calibrate as calibrate
    from ._config import RunConfig as RunConfig
    from ._directory import read_config as read_config
    from ._directory import read_summary as read_summary
    from ._execute import resume as resume
    from ._execute import start as start
    from ._metrics import read_metrics as read_metrics
    from ._presets import resolve as resolve
    from ._replayed import replay as replay

_HOMES = {
    "RunConfig": "_config",
    "calibrate": "_calibrate",
    "read_config": "_directory",
    "read_metrics": "_metrics",
    "read_summary": "_directory",
    "replay": "_replayed",
    "resolve": "_presets",
    "resume": "_execute",
    "start": "_execute",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
