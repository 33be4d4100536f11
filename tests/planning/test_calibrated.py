"""Plans of calibrated chips: what is taken from a calibration, and what contradicts it, word for word."""

import re
from pathlib import Path

import pytest

import mgd
from mgd.calibration import Calibration, Quantity
from mgd.planning import chip_of

CHIP = """
name = "bench"
[chip]
inputs = [49]
outputs = 4
hidden = [4]
[imperfect]
drift = 1e-6
{imperfect}
[instrument]
kind = "scpi"
resource = "TCPIP0::127.0.0.1::5025::SOCKET"
calibration = "found.toml"
[profile]
{profile}
[profile.seconds]
inference = 1e-6
perturbation = 1e-6
write = 1e-3
load = 0.0
latency = 0.0
"""
# Converters of 8 bits from -6 to 6, and costs in steps of a 10-bit one from 0 to 1.
LEVEL, STEP = 12 / 255, 1 / 1023


def quantity(value: float, error: float = 0.0) -> Quantity:
    return Quantity(value=value, error=error)


def found(**changes) -> Calibration:
    """A calibration of a chip of 220 parameters, that was late by two measurements and settled at once."""
    numbers = dict.fromkeys(
        ("cost_noise", "slow_noise", "drift", "settling_seconds", "quadratic", "cubic"), quantity(0)
    )
    numbers |= dict.fromkeys(("gradient_norm", "linear_range", "curvature"), quantity(0.1))
    texts = dict.fromkeys(("maker", "model", "serial", "version", "unit", "mgd_version"), "x")
    floats = dict.fromkeys(("sample_spread", "float_floor", "false_alive", "detectable", "expected_snr"), 0.0)
    above_0 = dict.fromkeys(("smallest_amplitude", "amplitude", "learning_rate", "descent_rate", "expected_angle"), 0.1)
    whole = dict.fromkeys(("measurements", "noise_measurements", "tau_p", "tau_x", "tau_theta"), 10)
    lists = ("allan_lengths", "allan_deviations", "gain", "gain_error", "why")
    empty = dict.fromkeys(("dead", "no_perturbation", "no_write", "unresolved", *lists), ())
    given = {
        "address": "TCPIP0::127.0.0.1",
        "task": "nist7x7",
        "date": "2026-01-01",
        "batch": 64,
        "n_params": 220,
        "seconds_per_measurement": 3e-4,
        "seconds_per_presentation": 3e-4,
        "cost": quantity(0.27),
        "cost_noise": quantity(0.00101, 1e-5),
        "delay": quantity(2.1, 0.1),
        "settling": quantity(0.1, 0.2),
    }
    return Calibration.model_validate(numbers | texts | floats | above_0 | whole | empty | given | changes)


@pytest.fixture
def bench(tmp_path):
    """Writes a chip file with its calibration, and gives the chip."""

    def chip(calibration: Calibration, imperfect: str = "", profile: str = ""):
        calibration.write(tmp_path / "found.toml")
        path: Path = tmp_path / "chip.toml"
        path.write_text(CHIP.format(imperfect=imperfect, profile=profile), encoding="utf-8")
        return chip_of(path)

    return chip


def test_a_plan_takes_from_a_calibration_what_the_file_does_not_say(bench):
    chip = bench(found(level=LEVEL, readout_step=STEP))
    imperfect = chip.settings["imperfect"]
    # White noise of 0.00101, in which the rounding to a step of 0.00098 is.
    assert imperfect.pop("cost-noise") == pytest.approx((0.00101**2 - STEP**2 / 12) ** 0.5)
    assert 2 * imperfect["dac-range"] / (2 ** imperfect.pop("dac-bits") - 1) == pytest.approx(LEVEL)
    assert imperfect.pop("dac-range") >= 10
    assert imperfect["adc-range"] / (2 ** imperfect.pop("adc-bits") - 1) == pytest.approx(STEP)
    assert imperfect.pop("adc-range") >= 4 * 0.27
    assert imperfect == {"drift": 1e-6, "delay": 2, "dac-finer-copy": True}
    assert chip.profile.source.endswith("the calibration found.toml of 2026-01-01")


def test_levels_of_writes_alone_and_noise_of_a_sample(bench):
    imperfect = bench(found(written_level=LEVEL), profile='noise_of = "sample"').settings["imperfect"]
    assert imperfect["dac-own-line"]
    assert imperfect["cost-noise"] == pytest.approx(8 * 0.00101)
    assert "adc-bits" not in imperfect


def test_what_the_file_says_too_stays_as_it_says_it(bench):
    imperfect = bench(found(level=LEVEL), "cost-noise = 0.001\ndac-bits = 8\ndac-range = 6.0").settings["imperfect"]
    assert imperfect == {"drift": 1e-6, "cost-noise": 0.001, "dac-bits": 8, "dac-range": 6.0, "delay": 2}


WRONG = {
    "noise": (
        "cost-noise = 0.01",
        {},
        "imperfect.cost-noise stands for cost-noise of 0.01, and the calibration measured",
    ),
    "delay": ("delay = 7", {}, "imperfect.delay stands for delay of 7, and the calibration measured 2.1 ± 0.1:"),
    "levels": ("dac-bits = 6", {"level": LEVEL}, "imperfect.dac-bits stands for levels of 0.317, and the calibration"),
    "time": ("", {"seconds_per_measurement": 1e-5}, "a measurement of 64 samples took 1e-05 s, and by the profile its"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_contradicts_its_calibration_is_refused_in_a_line(bench, wrong):
    imperfect, changes, said = WRONG[wrong]
    with pytest.raises(ValueError, match=rf"found.toml: {re.escape(said)}.*(leave|correct) .*, or calibrate again$"):
        bench(found(**changes), imperfect)


def test_the_time_of_a_simulated_chip_says_nothing_of_the_profile(bench):
    assert bench(found(seconds_per_measurement=1e-6, address="simulated 0-1")).profile.seconds.inference == 1e-6


def test_a_calibration_of_another_network_is_refused(bench, tmp_path):
    bench(found(n_params=9))
    with pytest.raises(ValueError, match=r"found.toml: this calibration is for 9 parameters, and the chip has 220"):
        mgd.plan("nist7x7", tmp_path / "chip.toml")
