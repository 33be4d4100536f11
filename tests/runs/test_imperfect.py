"""Imperfections as settings of a run: what is built from them, what is kept, and resuming to the bit."""

import signal
import subprocess
import sys

import pytest
from safetensors import safe_open

from mgd.chips import imperfections as kinds
from mgd.chips.imperfections import Imperfect
from mgd.rows import IMPERFECTIONS
from mgd.runs import RunConfig, build_task, read_config, resolve, resume, start
from mgd.runs._build import build_chip
from mgd.runs._config import Settings

ALL = {
    "delay": 2,
    "adc-bits": 12,
    "adc-range": 2.0,
    "flicker-noise": 1e-4,
    "cost-noise": 1e-3,
    "cost-noise-relative": 0.01,
    "settling": 0.5,
    "dac-bits": 10,
    "dac-range": 6.0,
    "dac-stochastic": True,
    "dac-finer-copy": False,
    "dac-own-line": True,
    "perturbation-gain": 0.1,
    "drift": 1e-4,
    "leak": 1e-5,
    "update-noise": 1e-3,
    "dw-min": 0.002,
    "up-down": 0.1,
    "w-max": 4.0,
    "w-min": -3.0,
    "dw-min-dtod": 0.2,
    "dw-min-ctoc": 0.3,
    "up-down-dtod": 0.05,
    "w-max-dtod": 0.15,
    "w-min-dtod": 0.25,
    "parameter-range": 5.0,
    "cross-talk": 0.01,
    "stuck": 0.1,
    "stuck-range": 2.0,
    "dead": 0.05,
    "activation-variation": 0.2,
}


def config_with(**imperfect) -> Settings:
    return resolve(
        RunConfig.of({"task": "parity", "imperfect": {k.replace("_", "-"): v for k, v in imperfect.items()}})
    )


def around(config: Settings) -> list:
    """The imperfections of a run's chip, from the network outwards."""
    chip, found = build_chip(config, build_task(config)), []  # pyright: ignore[reportArgumentType]
    while isinstance(chip, Imperfect):
        found.append(chip.imperfection)
        chip = chip.chip
    return found[::-1]


def test_settings_have_the_listed_names_and_no_other():
    assert set(IMPERFECTIONS.own) == set(ALL)
    # Of each row all settings are there, one after the other: that is the order of a config.toml.
    rows = list({id(row): row for row in IMPERFECTIONS.own.values()}.values())
    assert [setting.name for row in rows for setting in row.settings] == list(IMPERFECTIONS.own)


@pytest.mark.parametrize("order", [list(ALL), list(reversed(ALL)), sorted(ALL)])
def test_each_is_put_at_its_place_with_its_numbers(order):
    config = resolve(RunConfig.of({"task": "parity", "imperfect": {name: ALL[name] for name in order}}))
    expected = [
        kinds.ActivationVariation(0.2),
        kinds.StuckCells(0.1, 0.05, -2.0, 2.0),
        kinds.CrossTalk(0.01),
        kinds.ParameterRange(-5.0, 5.0),
        kinds.SoftBoundsWrite(0.002, 0.1, 4.0, -3.0, 0.2, 0.3, 0.05, 0.15, 0.25),
        kinds.UpdateNoise(1e-3),
        kinds.Drift(1e-5, 1e-4),
        kinds.PerturbationGain(0.1),
        kinds.DAC(10, -6.0, 6.0, True, True),
        kinds.Settling(0.5),
        kinds.CostNoise(1e-3, 0.01),
        kinds.FlickerNoise(1e-4),
        kinds.ADC(12, 0.0, 2.0),
        kinds.Delay(2),
    ]
    assert [repr(one) for one in around(config)] == [repr(one) for one in expected]


def test_ranges_that_are_not_given_have_defaults_that_config_toml_keeps():
    config = config_with(dac_bits=8, adc_bits=8, stuck=0.1, dw_min=0.01)
    given = config.imperfect
    assert [given[name] for name in ("dac-range", "adc-range", "stuck-range")] == [10, 1, 1]
    assert (given["w-max"], given["w-min"]) == (10, -10)
    assert config_with(dw_min=0.01, w_max=2.0).imperfect["w-min"] == -2
    assert "dac-range = 10.0\n" in config.toml()
    assert resolve(config) == config
    entropy = RunConfig.of({"task": "digits", "cost": "cross-entropy", "imperfect": {"adc-bits": 8}})
    assert resolve(entropy).imperfect["adc-range"] == 5
    assert "range" not in config_with(cost_noise=0.1).toml()
    assert [vars(one) for one in around(config_with(dead=0.5))] == [vars(kinds.StuckCells(0.0, 0.5, -1.0, 1.0))]


def test_imperfections_are_part_of_what_a_run_is():
    runs = [config_with(), config_with(cost_noise=0.1), config_with(cost_noise=0.2), config_with(update_noise=0.1)]
    assert len({run.identity() for run in runs}) == 4
    assert config_with().imperfect is None
    assert config_with().toml() == resolve(RunConfig.of({"task": "parity"})).toml()


MEMORY = {
    "flicker-noise": 1e-3,
    "delay": 2,
    "settling": 0.5,
    "drift": 1e-4,
    "leak": 1e-5,
    "stuck": 0.1,
    "activation-variation": 0.1,
    "dac-bits": 10,
    "dac-own-line": True,
    "dac-stochastic": True,
    "cost-noise": 1e-3,
}


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.long
def test_config_toml_keeps_them_and_gives_the_same_run(small, tmp_path, assert_same_run):
    run = start(small(imperfect=MEMORY), tmp_path / "run")
    kept = read_config(run)
    assert kept.imperfect == MEMORY | {"dac-range": 10, "stuck-range": 1}
    assert_same_run(run, start(kept, tmp_path / "again"))
    perfect = start(small(), tmp_path / "perfect")
    assert (perfect / "theta.safetensors").read_bytes() != (run / "theta.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.long
def test_a_checkpoint_holds_the_device(small, tmp_path):
    run = start(small(imperfect=MEMORY, steps=10), tmp_path / "run")
    with safe_open(run / "checkpoint.safetensors", "np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if ".device" in name]  # noqa: SIM118
    assert [3, 16] in shapes  # 1/f noise of three chips
    assert [3, 2] in shapes  # costs on their way
    assert [3, 9] in shapes  # drift


DRIVER = """
import os, signal, sys
from mgd.runs import RunConfig, _execute, start
from pathlib import Path
import mgd._train
_execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE, mgd._train._CHUNK_SECONDS = 0.0, 0, 0.02

def kill(session):
    if session.snapshot.step > 200 and session.snapshot.step % 7 and session.snapshot.step % 1000:
        os.kill(os.getpid(), signal.SIGKILL)

start(RunConfig.read(Path(sys.argv[1])), Path(sys.argv[2]), on_progress=kill)
"""


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.slow
def test_kill_9_and_resumed_is_the_unbroken_run(replicas, small, tmp_path, cache_env, assert_same_run):
    config = small(imperfect=MEMORY, steps=50_000, log_every=10_000, replicas=replicas)
    whole = start(config, tmp_path / "whole")
    (tmp_path / "config.toml").write_text(config.toml())
    broken = tmp_path / "broken"
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "config.toml"), str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=cache_env)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (broken / "summary.json").exists()
    resume(broken)
    assert_same_run(broken, whole)
