"""The calibration that a run on a chip uses: the settings that follow, and that it is of the chip that answers.

Nothing here imports JAX.
"""

import math
import warnings
from pathlib import Path
from typing import Any

from .._errors import MgdWarning
from ..calibration import Calibration
from ..instruments import Identity
from ._config import RunConfig
from ._table import Table


def use_calibration(chip: dict[str, Any] | None, path: Path | None) -> dict[str, Any] | None:
    """The settings of a chip, with this calibration in place of the chip file's.

    Args:
        chip: as `chip_settings` gives them; None if there is no chip file.
        path: the calibration; None for that of the chip file, if it has one.

    Raises:
        ValueError: if there is no instrument that it could be of.
    """
    if path is None:
        return chip
    if chip is None or "instrument" not in chip:
        raise ValueError(
            f"the calibration {path} is of a chip on a bench, and this run has none: give --chip with a file that has "
            "an [instrument] table, and no --simulate; for simulated chips, give its settings as options"
        )
    if not isinstance(chip["instrument"], dict):
        raise ValueError(
            f"the calibration {path} is of one chip, and a fleet has several: leave --calibration out, and name each "
            "chip's own in its file, as calibration in [instrument]"
        )
    return chip | {"instrument": chip["instrument"] | {"calibration": str(path.resolve())}}


def with_calibration(config: RunConfig) -> RunConfig:
    """These settings, with the calibration's for each that is None: they go before the task's defaults.

    A calibration chooses for the discrete algorithm; of another, only its noise is used.

    Raises:
        ValueError: if the calibration cannot be read, is none, or was changed since it was written.
    """
    # Of a fleet, the first: all its chips are trained with the same settings.
    path = Table.of(config.instruments[0]).calibration if config.instruments else None
    if path is None or config.algorithm not in (None, "discrete"):
        return config
    found = Calibration.read(path)
    chosen = found.settings(config.optimizer) | {"batch": found.batch}
    missing = {name: value for name, value in chosen.items() if getattr(config, name) is None}
    if not missing:
        return config
    if found.task != config.task_name:
        warnings.warn(
            f"the calibration {path} was made with {found.task}, and {config.task_name} is to be learnt: its settings "
            f"may not suit; mgd calibrate with --task {config.task_name}",
            MgdWarning,
            stacklevel=2,
        )
    return RunConfig.of(config.model_dump(exclude_none=True, by_alias=True) | {"task": config.task} | missing)


def check_calibration(path: Path | None, identity: Identity, n_params: int) -> Calibration | None:
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
    if found.n_params != n_params:
        raise ValueError(
            f"{path}: this calibration is of {found.n_params} parameters, and the chip has {n_params}: calibrate it "
            "anew with mgd calibrate"
        )
    return found


def noise_of_cost(found: Calibration) -> float:
    """σ of one measured cost: its white noise, and where this does not cover them the readout's steps; rounding."""
    step = found.readout_step or 0.0
    hidden = 0.0 if found.cost_noise.value > step / 2 else step / math.sqrt(12)
    return math.hypot(found.cost_noise.value, max(hidden, found.float_floor))
