"""What imperfections refuse, and in which words."""

import math

import jax.numpy as jnp
import pytest

from mgd.chips import from_function, imperfect
from mgd.chips.imperfections import (
    ADC,
    DAC,
    ActivationVariation,
    CostNoise,
    CrossTalk,
    Delay,
    Drift,
    FlickerNoise,
    ParameterRange,
    PerturbationGain,
    Settling,
    SoftBoundsWrite,
    StuckCells,
    UpdateNoise,
)

ATLEAST0 = "must be a finite number of 0 or more, got"
SHARE = "must be a number from 0 to 1, got"
BITS = "must be a whole number from 1 to 24, got"
REFUSED = [
    (lambda: ActivationVariation(-0.1), f"activation-variation: sigma {ATLEAST0} -0.1"),
    (lambda: CostNoise(-1.0), f"cost-noise: sigma {ATLEAST0} -1.0"),
    (lambda: CostNoise(relative=-1.0), f"cost-noise: relative {ATLEAST0} -1.0"),
    (lambda: CostNoise(math.nan), f"cost-noise: sigma {ATLEAST0} nan"),
    (lambda: CostNoise(math.inf), f"cost-noise: sigma {ATLEAST0} inf"),
    (lambda: CostNoise(1e39), f"cost-noise: sigma {ATLEAST0} 1e+39"),
    (lambda: UpdateNoise(-0.5), f"update-noise: sigma {ATLEAST0} -0.5"),
    (lambda: PerturbationGain(-0.5), f"perturbation-gain: sigma {ATLEAST0} -0.5"),
    (lambda: FlickerNoise(-0.5), f"flicker-noise: sigma {ATLEAST0} -0.5"),
    (lambda: FlickerNoise(0.5, 0), "flicker-noise: octaves must be a whole number from 1 to 32, got 0"),
    (lambda: FlickerNoise(0.5, 33), "flicker-noise: octaves must be a whole number from 1 to 32, got 33"),
    (lambda: Settling(-0.5), f"settling: tau {ATLEAST0} -0.5"),
    (lambda: Delay(-1), "delay: measurements must be a whole number from 0 to 65536, got -1"),
    (lambda: Delay(65537), "delay: measurements must be a whole number from 0 to 65536, got 65537"),
    (lambda: ADC(0, 0.0, 1.0), f"adc: bits {BITS} 0"),
    (lambda: ADC(25, 0.0, 1.0), f"adc: bits {BITS} 25"),
    (lambda: ADC(8, 1.0, 1.0), "adc: low must be below high, got 1.0 and 1.0"),
    (lambda: ADC(8, math.nan, 1.0), "adc: low must be a finite number, got nan"),
    (lambda: ADC(8, 0.0, math.inf), "adc: high must be a finite number, got inf"),
    (lambda: DAC(0, 0.0, 1.0), f"dac: bits {BITS} 0"),
    (
        lambda: DAC(8, 0.0, 1.0, stochastic=True, finer_copy=True),
        "dac: with a finer copy, writes are not rounded stochastically: leave one out",
    ),
    (lambda: DAC(8, 2.0, -2.0), "dac: low must be below high, got 2.0 and -2.0"),
    (lambda: StuckCells(stuck=-0.1), f"stuck-cells: stuck {SHARE} -0.1"),
    (lambda: StuckCells(dead=1.1), f"stuck-cells: dead {SHARE} 1.1"),
    (lambda: StuckCells(0.5, 0.6), "stuck-cells: stuck + dead must be 1 or less, got 0.5 + 0.6"),
    (lambda: StuckCells(0.5, 0.1, 1.0, 0.0), "stuck-cells: low must be below high, got 1.0 and 0.0"),
    (lambda: CrossTalk(1.5), "cross-talk: coupling must be a number from -1 to 1, got 1.5"),
    (lambda: ParameterRange(1.0, -1.0), "parameter-range: low must be below high, got 1.0 and -1.0"),
    (lambda: Drift(leak=-0.1), f"drift: leak {SHARE} -0.1"),
    (lambda: Drift(leak=1.1), f"drift: leak {SHARE} 1.1"),
    (lambda: Drift(sigma=-0.1), f"drift: sigma {ATLEAST0} -0.1"),
    (lambda: SoftBoundsWrite(0.0), "soft-bounds-write: dw_min must be a finite number above 0, got 0.0"),
    (lambda: SoftBoundsWrite(0.1, 1.5), "soft-bounds-write: up_down must be a number from -1 to 1, got 1.5"),
    (lambda: SoftBoundsWrite(0.1, w_max=-1.0), "soft-bounds-write: 0 must be below w_max, got 0.0 and -1.0"),
    (lambda: SoftBoundsWrite(0.1, w_min=1.0), "soft-bounds-write: w_min must be below 0, got 1.0 and 0.0"),
    (
        lambda: SoftBoundsWrite(0.6, w_max=2.0, w_min=-0.5),
        "soft-bounds-write: dw_min must not be larger than a bound (-0.5 and 2), got 0.6",
    ),
    *(
        (lambda field=field: SoftBoundsWrite(0.1, **{field: -0.2}), f"soft-bounds-write: {field} {ATLEAST0} -0.2")
        for field in ("dw_min_dtod", "dw_min_ctoc", "up_down_dtod", "w_max_dtod", "w_min_dtod")
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_it_refuses_in_one_clear_line(make, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (its whole wording is compared)
        make()
    assert str(raised.value) == message


def test_a_chip_without_neurons_cannot_have_any_that_vary():
    chip = from_function(lambda theta, x, y: jnp.sum(theta), init=lambda key: jnp.zeros(3))
    with pytest.raises(ValueError, match=r"^activation-variation needs neurons: .*, got FunctionChip$"):
        imperfect(chip, ActivationVariation(0.1))
