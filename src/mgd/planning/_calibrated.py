"""What a calibration knows of a chip that is to be planned for. Nothing here imports JAX."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..calibration import Calibration, Quantity
from ..runs import ChipFile, Table
from ..timing import Profile

# A file and a calibration agree within so many standard errors, or within this share of the number.
_ERRORS, _SHARE = 5.0, 0.2
# What differs from zero by fewer standard errors is zero.
_SEEN = 2.0
# The most that a converter of a simulated chip may have.
_MOST_BITS = 24
# Parameters of simulated chips stay within this, unless their file says otherwise.
_PARAMETERS = 10.0
# Costs rise above that of the start by less than this factor.
_RISE = 4.0
# What the address of a chip that `mgd calibrate --simulate` made begins with; its times are those of the computer.
_SIMULATED = "simulated"


def calibration_of(file: ChipFile) -> tuple[Path, Calibration] | None:
    """The calibration that a chip file names in [instrument], and its path; None if it names none.

    Raises:
        ValueError: if it cannot be read, is none, or was changed.
    """
    path = None if file.instrument is None else Table.of(file.instrument).calibration
    return None if path is None else (path, Calibration.read(path))


def with_calibration(
    imperfect: Mapping[str, Any], profile: Profile, path: Path, found: Calibration
) -> tuple[dict[str, Any], Profile]:
    """The imperfections of a chip file with what its calibration measured of noise, delay and converters.

    Args:
        imperfect: of the file, by their names. What it has, it keeps.
        profile: of the file.
        path: of the calibration, for messages.
        found: the calibration.

    Returns:
        The imperfections, and the profile, whose source names the calibration.

    Raises:
        ValueError: if the file contradicts the calibration.
    """
    least = found.batch * profile.seconds.inference
    # A wall clock may run long, by the host and the line, and never short.
    if not found.address.startswith(_SIMULATED) and found.seconds_per_measurement < (1 - _SHARE) * least:
        raise ValueError(
            f"{path}: a measurement of {found.batch} samples took {found.seconds_per_measurement:.3g} s, and by the "
            f"profile its inferences alone take {least:.3g} s: correct seconds.inference, or calibrate again"
        )
    both = dict(imperfect)
    for measured in (_noise(found, profile), _delay(found), _settling(found), _readout(found), _levels(found, both)):
        name = next(iter(measured), None)
        if name is None or name in imperfect:
            continue
        both |= measured
    _check(imperfect, profile, path, found)
    told = f"{profile.source}; noise, delay and converters: the calibration {path.name} of {found.date}"
    return both, profile.model_copy(update={"source": told})


def check_parameters(path: Path, found: Calibration, n_params: int) -> None:
    """Raises: ValueError: if a calibration is of a chip with another number of parameters."""
    if found.n_params != n_params:
        raise ValueError(
            f"{path}: this calibration is for {found.n_params} parameters, and the chip has {n_params}: give the "
            "network that was calibrated, or calibrate it again with mgd calibrate"
        )


def _noise(found: Calibration, profile: Profile) -> dict[str, Any]:
    """White noise without the readout's rounding; of a sample, if the profile counts it so."""
    noise = found.cost_noise.value
    step = found.readout_step or 0.0
    if noise > step / 2:  # it covers the steps, so that their rounding is part of it
        noise = math.sqrt(max(0.0, noise**2 - step**2 / 12))
    if profile.noise_of == "sample":
        noise *= math.sqrt(found.batch)
    return {"cost-noise": noise} if noise else {}


def _delay(found: Calibration) -> dict[str, Any]:
    late = round(found.delay.value)
    return {"delay": late} if late else {}


def _settling(found: Calibration) -> dict[str, Any]:
    return {"settling": found.settling.value} if _is_seen(found.settling) else {}


def _readout(found: Calibration) -> dict[str, Any]:
    """A converter with the steps that were seen."""
    step = found.readout_step
    if step is None:
        return {}
    bits = _bits(max(1.0, _RISE * found.cost.value) / step)
    return {"adc-bits": bits, "adc-range": step * (2**bits - 1)}


def _levels(found: Calibration, imperfect: Mapping[str, Any]) -> dict[str, Any]:
    """Converters with the levels that were seen. The host that trains the chip keeps a finer copy."""
    level = found.level or found.written_level
    if level is None:
        return {}
    bits = _bits(2 * imperfect.get("parameter-range", _PARAMETERS) / level)
    more = {} if found.level else {"dac-own-line": True}
    return {"dac-bits": bits, "dac-range": level * (2**bits - 1) / 2, "dac-finer-copy": True, **more}


def _bits(steps: float) -> int:
    """Of the smallest converter with so many steps."""
    return min(_MOST_BITS, max(1, math.ceil(math.log2(steps + 1))))


def agree(given: float, measured: float, error: float) -> bool:
    """Whether a number that a file gives is that which was measured, with this standard error."""
    return abs(given - measured) <= max(_ERRORS * error, _SHARE * given)


def _is_seen(quantity: Quantity) -> bool:
    return quantity.value > _SEEN * quantity.error


def _check(imperfect: Mapping[str, Any], profile: Profile, path: Path, found: Calibration) -> None:
    """Raises: ValueError: if a file says something else than its calibration has measured."""
    scale = math.sqrt(found.batch) if profile.noise_of == "sample" else 1.0
    compared = {
        "cost-noise": (imperfect.get("cost-noise"), scale * found.cost_noise.value, scale * found.cost_noise.error),
        "delay": (imperfect.get("delay"), found.delay.value, found.delay.error),
        "settling": (imperfect.get("settling"), found.settling.value, found.settling.error),
    }
    if "dac-bits" in imperfect and (level := found.level or found.written_level) is not None:
        step = 2 * imperfect.get("dac-range", _PARAMETERS) / (2 ** imperfect["dac-bits"] - 1)
        compared["dac-bits"] = (step, level, 0.0)
    if {"adc-bits", "adc-range"} <= imperfect.keys() and found.readout_step is not None:
        compared["adc-bits"] = (imperfect["adc-range"] / (2 ** imperfect["adc-bits"] - 1), found.readout_step, 0.0)
    for name, (given, measured, error) in compared.items():
        if given is not None and not agree(given, measured, error):
            what = "levels" if name.endswith("bits") else name
            raise ValueError(
                f"{path}: imperfect.{name} stands for {what} of {given:.3g}, and the calibration measured "
                f"{measured:.3g} ± {error:.1g}: leave imperfect.{name} out, or calibrate again"
            )
