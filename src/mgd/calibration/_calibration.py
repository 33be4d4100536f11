"""What was measured of one chip and the settings that follow, as they stand in TOML. Nothing here imports JAX."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._input import nearest, read_toml
from ..instruments import Identity, Limits

Finite = Annotated[float, Field(allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Least0 = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1, strict=True)]


class Quantity(BaseModel):
    """A measured number.

    Attributes:
        value: in its unit.
        error: its standard error, in the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Finite
    error: Least0

    @classmethod
    def of(cls, value: Any, error: Any) -> "Quantity":
        """A quantity from numbers of any kind."""
        return cls(value=float(value), error=float(error))

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.1g}"


class Calibration(BaseModel):
    """The measured properties of one chip, each with its standard error, and the settings chosen for it.

    Costs are in the unit in which the chip reads its cost, parameters and perturbations in `unit`.

    Attributes:
        maker: the chip's maker, as it says itself.
        model: its model.
        serial: the serial number of the piece; the calibration belongs to no other.
        version: the version of its firmware.
        address: its address.
        unit: of parameters and perturbations; empty if these are in units of their groups.
        scale: how many units of its group one unit of each θ is, where some are scaled.
        group_units: the unit of each parameter's group, where there are groups; older calibrations have none.
        task: the task whose samples were presented.
        batch: samples over which a measurement was averaged.
        date: when, ISO 8601, UTC.
        mgd_version: of the program that measured.
        n_params: P.
        measurements: made for this calibration.
        seconds_per_measurement: wall time of each.
        seconds_per_presentation: wall time of each change of sample.
        cost: the cost where training starts.
        cost_noise: white part of the noise, standard deviation of one measurement.
        slow_noise: standard deviation of the rest, over `noise_measurements`.
        noise_measurements: length of the record of both.
        drift: slope of the cost at constant settings, per measurement.
        allan_lengths: averaging lengths, in measurements.
        allan_deviations: the Allan deviation at each.
        sample_spread: standard deviation of the cost from batch to batch.
        float_floor: rounding of a cost of this size in float32.
        readout_step: step of the cost's readout, where it is coarser than float32.
        delay: delay of the cost, in measurements.
        settling: time constant of its settling, in measurements.
        settling_seconds: the same in seconds.
        gradient_norm: ‖∇C‖, root mean square over the operating points.
        quadratic: root mean square of sᵀHs over codes s of ±1, H the Hessian.
        cubic: relative error of the slope along a code at amplitude 1, over its square.
        linear_range: largest amplitude at which the slope along a code is within a tenth of that at zero.
        level: widest step seen between levels of perturbed parameters; None if none was seen.
        levels_even: whether all levels that were seen are the same.
        written_level: the same for written parameters, if perturbations have lines of their own.
        smallest_amplitude: smallest amplitude at which the fit of these holds; no less than a level.
        curvature: curvature of the cost along the gradient, the largest of the operating points.
        dead: parameters that respond neither to a perturbation nor to a write.
        no_perturbation: parameters that respond to a write, but not to a perturbation.
        no_write: parameters that respond to a perturbation, but not to a write.
        unresolved: parameters that the budget did not suffice to decide.
        false_alive: probability that noise makes a parameter without a response look like one with a response.
        detectable: smallest response of a parameter, in cost, that each try would have seen.
        gain: applied over intended perturbation of each parameter; NaN if it is unknown.
        gain_error: standard error of each.
        amplitude: Δθ, chosen.
        tau_p: timesteps to hold a perturbation, chosen.
        tau_x: timesteps to hold a sample, chosen.
        tau_theta: timesteps between updates, chosen.
        learning_rate: η of Adam at the start, chosen; it falls to zero over the run, as half a cosine.
        descent_rate: η for plain gradient descent.
        expected_angle: expected angle between G and the gradient with these settings, in degrees.
        expected_snr: expected power of the signal over that of the noise, in C̃.
        why: the reasons, one line each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    maker: str
    model: str
    serial: str
    version: str
    address: str
    unit: str
    task: str
    batch: Positive
    date: str
    mgd_version: str
    n_params: Positive
    measurements: Positive
    seconds_per_measurement: Least0
    seconds_per_presentation: Least0
    noise_measurements: Positive
    allan_lengths: tuple[Positive, ...]
    allan_deviations: tuple[Least0, ...]
    sample_spread: Least0
    float_floor: Least0
    readout_step: Above0 | None = None
    scale: tuple[float, ...] | None = None
    group_units: tuple[str, ...] | None = None
    level: Above0 | None = None
    levels_even: bool | None = None
    written_level: Above0 | None = None
    smallest_amplitude: Above0
    dead: tuple[int, ...]
    no_perturbation: tuple[int, ...]
    no_write: tuple[int, ...]
    unresolved: tuple[int, ...]
    false_alive: Least0
    detectable: Least0
    gain: tuple[float, ...]
    gain_error: tuple[float, ...]
    amplitude: Above0
    tau_p: Positive
    tau_x: Positive
    tau_theta: Positive
    learning_rate: Above0
    descent_rate: Above0
    expected_angle: Least0
    expected_snr: Least0
    why: tuple[str, ...]
    # Tables, which in TOML come after all that is none.
    cost: Quantity
    cost_noise: Quantity
    slow_noise: Quantity
    drift: Quantity
    delay: Quantity
    settling: Quantity
    settling_seconds: Quantity
    gradient_norm: Quantity
    quadratic: Quantity
    cubic: Quantity
    linear_range: Quantity
    curvature: Quantity

    @property
    def id(self) -> str:
        """A digest of the calibration, with which runs record which one they used."""
        return hashlib.sha256(self._toml().encode()).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """The file's name, with the serial number."""
        return f"calibration-{re.sub(r'[^A-Za-z0-9._-]+', '_', self.serial) or 'unnamed'}.toml"

    def settings(self, optimizer: str | None = None) -> dict[str, float | int | str]:
        """The settings of a run that follow.

        Args:
            optimizer: the optimizer that the run uses; None for the chosen one. Plain gradient descent has another
                learning rate, and other optimizers have none here.
        """
        measured: dict[str, float | int | str] = {
            "amplitude": self.amplitude,
            "tau_p": self.tau_p,
            "tau_x": self.tau_x,
            "tau_theta": self.tau_theta,
        }
        if optimizer in (None, "adam"):
            return measured | {"optimizer": "adam", "learning_rate": self.learning_rate, "schedule": "cosine"}
        return measured | ({"learning_rate": self.descent_rate} if optimizer == "sgd" else {})

    def check(self, identity: Identity) -> None:
        """Raises: ValueError: if this calibration does not belong to that chip."""
        if identity.serial != self.serial:
            raise ValueError(
                f"this calibration belongs to the chip with serial {self.serial!r}, and {identity.serial!r} answers "
                f"({identity}): calibrate the connected chip with mgd calibrate, or connect the other one"
            )

    def write(self, path: str | Path) -> Path:
        """Writes a new file and then renames it, so that the file is never incomplete.

        Args:
            path: a file, or a folder, in which the file is named after the serial number.

        Returns:
            The file.
        """
        path = Path(path)
        path = path / self.file_name if os.path.isdir(path) else path
        beside = path.with_name(path.name + ".part")
        beside.write_text(f'id = "{self.id}"\n{self._toml()}', encoding="utf-8")
        os.replace(beside, path)
        return path

    @classmethod
    def read(cls, path: str | Path) -> "Calibration":
        """A calibration that `write` wrote.

        Raises:
            ValueError: if it cannot be read, is no calibration, or was changed since; one line that names the file.
        """
        path = Path(path)
        contents = read_toml(path)
        written = contents.pop("id", None)
        try:
            found = cls(**contents)
        except ValidationError as error:
            raise ValueError(f"{path} is not a calibration: {_one_line(error, list(cls.model_fields))}") from None
        if written is not None and written != found.id:
            raise ValueError(
                f"{path} was changed since it was written: its id is {written} and its contents give {found.id}; "
                "calibrate again, or remove the line of the id if you changed the file on purpose"
            )
        return found

    def _toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True, mode="json"), multiline_strings=False)


def scales(limits: Limits) -> tuple[float, ...] | None:
    """The scale of each parameter, as a calibration keeps it; None if none is scaled."""
    units = limits.units
    return None if units is None or not units.is_scaled else tuple(units.scale.tolist())


def units_of_groups(limits: Limits) -> tuple[str, ...] | None:
    """The unit of each parameter, as a calibration keeps it; None if there are no groups."""
    return None if limits.units is None else limits.units.unit


def _one_line(error: ValidationError, fields: list[str]) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown entry {name!r}{nearest(name, fields)}"
    if first["type"] == "missing":
        return f"{name!r} is missing"
    return f"{name}: {first['msg'][:1].lower() + first['msg'][1:]}, got {first['input']!r}"
