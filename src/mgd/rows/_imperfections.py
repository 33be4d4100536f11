"""Imperfections of simulated chips by the names of their settings, in the order settings are written in.

Where each sits on the signal's path is its class's to say. The settings that go with one have its words in front.
"""

from collections.abc import Mapping
from typing import Any

from ._row import ImperfectionRow, Real, Setting, Truth, Whole
from ._table import Table

_SPREAD, _SHARE, _SIGNED = Real(ge=0), Real(ge=0, le=1), Real(ge=-1, le=1)
_ABOVE_0, _BELOW_0 = Real(gt=0), Real(lt=0)
_BITS = Whole(ge=1, le=24)
# The largest parameter of a chip that has learnt XOR is 7 in the median, and 10 at the most, of 64 chips.
_PARAMETERS = 10.0
# An output in 0 … 1 cannot cost more than 1. Guessing among ten classes costs ln 10 = 2.3; here is twice that.
_LARGEST_COST = {"mse": 1.0, "cross-entropy": 5.0}
_PLACE = "mgd.chips.imperfections"


def _check_broken(given: Mapping[str, Any]) -> None:
    stuck, dead = given.get("stuck"), given.get("dead")
    if (stuck or 0) + (dead or 0) > 1:
        raise ValueError(f"stuck and dead must sum to 1 or less, got {stuck} and {dead}")


def _check_pulses(given: Mapping[str, Any]) -> None:
    largest = min(given.get("w-max", _PARAMETERS), -given.get("w-min", -_PARAMETERS))
    if given.get("dw-min", 0.0) > largest:
        raise ValueError(f"dw-min must not be larger than a bound (w-max, w-min), got {given['dw-min']}")


def _lower_bound(given: Mapping[str, Any], cost: str) -> float:
    return -given.get("w-max", _PARAMETERS)


def _highest_cost(given: Mapping[str, Any], cost: str) -> float:
    return _LARGEST_COST[cost]


_ROWS = (
    ImperfectionRow(
        (
            Setting(
                "activation-variation",
                _SPREAD,
                "spread of each neuron's gains and offsets, fixed for each chip",
                argument="sigma",
            ),
        ),
        f"{_PLACE}:ActivationVariation",
    ),
    ImperfectionRow(
        (
            Setting("stuck", _SHARE, "fraction of parameters that are stuck at a value, whatever is written"),
            Setting(
                "stuck-range",
                _ABOVE_0,
                "stuck values are uniform from minus this to this (1)",
                argument="end",
                needs="stuck",
                default=1.0,
            ),
            Setting("dead", _SHARE, "fraction of parameters that are stuck at 0"),
        ),
        f"{_PLACE}._stuck_cells:symmetric",
        _check_broken,
    ),
    ImperfectionRow(
        (
            Setting(
                "cross-talk",
                _SIGNED,
                "share of each parameter's signal that also appears on its neighbours' lines",
                argument="coupling",
            ),
        ),
        f"{_PLACE}:CrossTalk",
    ),
    ImperfectionRow(
        (Setting("parameter-range", _ABOVE_0, "largest size of a parameter: writes stop there", argument="end"),),
        f"{_PLACE}._parameter_range:symmetric",
    ),
    ImperfectionRow(
        (
            Setting(
                "dw-min", _ABOVE_0, "smallest write: writes are whole pulses of this size, smaller towards soft bounds"
            ),
            Setting("up-down", _SIGNED, "asymmetry of upward and downward pulses, relative (0)", needs="dw-min"),
            Setting("w-max", _ABOVE_0, "upper soft bound (10)", needs="dw-min", default=_PARAMETERS),
            Setting("w-min", _BELOW_0, "lower soft bound (minus w-max)", needs="dw-min", default=_lower_bound),
            Setting(
                "dw-min-dtod", _SPREAD, "device-to-device spread of the pulse's size, relative (0)", needs="dw-min"
            ),
            Setting(
                "dw-min-ctoc", _SPREAD, "cycle-to-cycle noise of one pulse, in units of dw-min (0)", needs="dw-min"
            ),
            Setting("up-down-dtod", _SPREAD, "device-to-device spread of the asymmetry (0)", needs="dw-min"),
            Setting("w-max-dtod", _SPREAD, "device-to-device spread of the upper bound, relative (0)", needs="dw-min"),
            Setting("w-min-dtod", _SPREAD, "device-to-device spread of the lower bound, relative (0)", needs="dw-min"),
        ),
        f"{_PLACE}:SoftBoundsWrite",
        _check_pulses,
    ),
    ImperfectionRow(
        (
            Setting(
                "update-noise",
                _SPREAD,
                "standard deviation of the noise on each parameter at each write",
                argument="sigma",
            ),
        ),
        f"{_PLACE}:UpdateNoise",
    ),
    ImperfectionRow(
        (
            Setting("leak", _SHARE, "fraction of each parameter that is lost at each measurement"),
            Setting(
                "drift",
                _SPREAD,
                "standard deviation of each parameter's random walk, per measurement",
                argument="sigma",
            ),
        ),
        f"{_PLACE}:Drift",
    ),
    ImperfectionRow(
        (
            Setting(
                "perturbation-gain",
                _SPREAD,
                "relative spread of the applied perturbations, fixed for each chip",
                argument="sigma",
            ),
        ),
        f"{_PLACE}:PerturbationGain",
    ),
    ImperfectionRow(
        (
            Setting("dac-bits", _BITS, "number of bits of the converters that set parameters", argument="bits"),
            Setting(
                "dac-range",
                _ABOVE_0,
                "levels go from minus this to this (10)",
                argument="end",
                needs="dac-bits",
                default=_PARAMETERS,
            ),
            Setting(
                "dac-stochastic",
                Truth(),
                "true: writes are rounded stochastically; false: to the nearest level (false)",
                argument="stochastic",
                needs="dac-bits",
            ),
            Setting(
                "dac-own-line",
                Truth(),
                "true: the perturbation has its own line past the converter; false: it goes through it (false)",
                argument="own_line",
                needs="dac-bits",
            ),
            Setting(
                "dac-finer-copy",
                Truth(),
                "true: the host keeps finer parameters; false: only the converter has them (false)",
                argument="finer_copy",
                needs="dac-bits",
            ),
        ),
        f"{_PLACE}._dac:symmetric",
    ),
    ImperfectionRow(
        (Setting("settling", _SPREAD, "time constant of the cost, in measurements", argument="tau"),),
        f"{_PLACE}:Settling",
    ),
    ImperfectionRow(
        (
            Setting(
                "cost-noise", _SPREAD, "standard deviation of white noise on every measured cost", argument="sigma"
            ),
            Setting(
                "cost-noise-relative",
                _SPREAD,
                "standard deviation of white noise on every measured cost, in parts of the cost as it is",
                argument="relative",
            ),
        ),
        f"{_PLACE}:CostNoise",
    ),
    ImperfectionRow(
        (
            Setting(
                "flicker-noise", _SPREAD, "standard deviation of 1/f noise on every measured cost", argument="sigma"
            ),
        ),
        f"{_PLACE}:FlickerNoise",
    ),
    ImperfectionRow(
        (
            Setting("adc-bits", _BITS, "number of bits of the converter that reads the cost", argument="bits"),
            Setting(
                "adc-range",
                _ABOVE_0,
                "levels go from 0 to this (1; for cross-entropy 5)",
                argument="high",
                needs="adc-bits",
                default=_highest_cost,
            ),
        ),
        f"{_PLACE}._adc:from_zero",
    ),
    ImperfectionRow(
        (Setting("delay", Whole(ge=0, le=2**16), "delay of the cost, in measurements", argument="measurements"),),
        f"{_PLACE}:Delay",
    ),
)

IMPERFECTIONS = Table(
    "imperfection",
    "mgd.imperfections",
    ImperfectionRow,
    "mgd.chips.imperfections:AbstractImperfection",
    {setting.name: row for row in _ROWS for setting in row.settings},
    several=True,
)
