"""The calibration that a run on a chip uses: the settings that follow, and that it is of the chip that answers.

Nothing here imports JAX.
"""

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._errors import MgdWarning
from ..calibration import Calibration, scales
from ..instruments import Identity, Limits, other_meaning
from ._config import RunConfig
from ._table import Table


def use_calibration(chip: dict[str, Any] | None, path: Path | None) -> dict[str, Any] | None:
    """The settings of a chip, with this calibration in place of the chip file's.

    Args:
        chip: the settings from `chip_settings`; None if there is no chip file.
        path: the calibration; None for that of the chip file, if it has one.

    Raises:
        ValueError: if there is no instrument to which it could belong.
    """
    if path is None:
        return chip
    if chip is None or "instrument" not in chip:
        raise ValueError(
            f"the calibration {path} is for a real chip, and this run has none: give --chip with a file that has "
            "an [instrument] table, and no --simulate; for simulated chips, give its settings as options"
        )
    if not isinstance(chip["instrument"], dict):
        raise ValueError(
            f"the calibration {path} is for one chip, and a fleet has several: leave --calibration out, and name each "
            "chip's own in its file, as calibration in [instrument]"
        )
    return chip | {"instrument": chip["instrument"] | {"calibration": str(path.resolve())}}


def with_calibration(config: RunConfig) -> RunConfig:
    """These settings, with the calibration's for each that is None; they override the task's defaults.

    A calibration chooses settings for the discrete algorithm; other algorithms use only its noise.

    Raises:
        ValueError: if the calibration cannot be read, is not one, or was changed since it was written.
    """
    # Of a fleet, the first: all its chips are trained with the same settings.
    path = Table.of(config.instruments[0]).calibration if config.instruments else None
    if path is None or config.algorithm not in (None, "discrete"):
        return config
    found = Calibration.read(path)
    chosen = found.settings(config.optimizer) | {"batch": found.batch}
    if any(table.amplitude is not None for table in map(Table.of, config.instruments)):
        del chosen["amplitude"]  # the groups of the chip file say it
    missing = {name: value for name, value in chosen.items() if getattr(config, name) is None}
    if not missing:
        return config
    if found.task != config.task_name:
        warnings.warn(
            f"the calibration {path} was made with {found.task}, and this run learns {config.task_name}: its settings "
            f"may not suit; mgd calibrate with --task {config.task_name}",
            MgdWarning,
            stacklevel=2,
        )
    return RunConfig.of(config.model_dump(exclude_none=True, by_alias=True) | {"task": config.task} | missing)


def check_calibration(path: Path | None, identity: Identity, limits: Limits) -> Calibration | None:
    """The calibration at this path, if one is named and it is of the chip that answers.

    Raises:
        ValueError: if it is of another chip, or cannot be used.
    """
    if path is None:
        return None
    found = Calibration.read(path)
    try:
        found.check(identity)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if found.n_params != limits.low.size:
        raise ValueError(
            f"{path}: this calibration is for {found.n_params} parameters, and the chip has {limits.low.size}: "
            "calibrate it again with mgd calibrate"
        )
    units = found.group_units or ()
    if len(units) != found.n_params:  # there were no groups, or a calibration of before does not say
        units = (found.unit,) * found.n_params
    if why := other_meaning(replace(limits.meaning, unit=units), limits.meaning):
        raise ValueError(
            f"{path}: this calibration was made in other units: {why}: calibrate the chip again with mgd calibrate, or "
            "restore the unit"
        )
    if found.scale != scales(limits):
        raise ValueError(
            f"{path}: this calibration was made with other scales of the groups of parameters: calibrate the chip "
            "again with mgd calibrate, or restore the scales"
        )
    return found


def noise_of_cost(found: Calibration) -> float:
    """σ of one measured cost: its white noise, and where this does not cover them the readout's steps; rounding."""
    step = found.readout_step or 0.0
    hidden = 0.0 if found.cost_noise.value > step / 2 else step / math.sqrt(12)
    return math.hypot(found.cost_noise.value, max(hidden, found.float_floor))
