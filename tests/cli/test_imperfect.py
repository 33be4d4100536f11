"""Imperfect chips on the command line: options, chip files, and what is refused."""

import shutil
import tomllib
from pathlib import Path

import pytest

from mgd.rows import IMPERFECTIONS

EXAMPLE = Path(__file__).parents[2] / "examples" / "chip.toml"


def refused(said, message: str) -> None:
    """Asserts that a command said this one line, ended with 2, and left nothing behind."""
    assert (said.code, said.out) == (2, "")
    assert said.err == f"mgd: {message}\n"
    assert not Path("run").exists()


def settings(run: str = "run") -> dict:
    return tomllib.loads(Path(run, "config.toml").read_text())


@pytest.mark.long
def test_imperfections_are_settings_of_the_run(train_small):
    options = ("--imperfect=cost-noise=0.001, delay=0", "--imperfect", "dac-bits=8,dac-own-line=true,drift=1e-5")
    assert train_small(*options, "--out=run").code == 0
    expected = {"cost-noise": 0.001, "delay": 0, "dac-bits": 8, "dac-range": 10.0, "dac-own-line": True, "drift": 1e-5}
    assert settings()["imperfect"] == expected
    assert train_small("--out=perfect").code == 0
    assert "imperfect" not in settings("perfect")


@pytest.mark.long
def test_options_go_before_the_files_imperfections_one_by_one(train_small, mgd_cli):
    assert train_small("--imperfect=cost-noise=0.001,update-noise=0.001", "--out=first").code == 0
    options = ("--imperfect=cost-noise=0,leak=1e-5", "--steps=10")
    assert mgd_cli("train", "first/config.toml", *options, "--out=run").code == 0
    assert settings()["imperfect"] == {"cost-noise": 0.0, "update-noise": 0.001, "leak": 1e-5}


NAMES = ", ".join(IMPERFECTIONS)
VALUE = "Invalid value for '--imperfect': give NAME=VALUE, such as cost-noise=0.01,dac-bits=8, got"
BETWEEN = "input should be greater than or equal to"
REFUSED = {
    "cost-nois=1": f"unknown imperfection 'cost-nois': did you mean 'cost-noise'? choose {NAMES}",
    "dac_bits=8": f"unknown imperfection 'dac_bits': did you mean 'dac-bits'? choose {NAMES}",
    "zzz=1": f"unknown imperfection 'zzz'; choose {NAMES}",
    "cost-noise": f"{VALUE} 'cost-noise'",
    "cost-noise=": f"{VALUE} 'cost-noise='",
    "": f"{VALUE} ''",
    "cost-noise=0.1,": f"{VALUE} ''",
    "cost-noise=1,cost-noise=1": "Invalid value for '--imperfect': cost-noise is given twice",
    "cost-noise=lots": "imperfect.cost-noise: input should be a valid number, got 'lots'",
    "cost-noise=true": "imperfect.cost-noise: input should be a valid number, got True",
    "cost-noise=-1": f"imperfect.cost-noise: {BETWEEN} 0, got -1",
    "cost-noise=nan": "imperfect.cost-noise: input should be a finite number, got nan",
    "cost-noise=inf": "imperfect.cost-noise: input should be a finite number, got inf",
    "adc-bits=0": f"imperfect.adc-bits: {BETWEEN} 1, got 0",
    "adc-bits=8.5": "imperfect.adc-bits: input should be a valid integer, got 8.5",
    "dac-bits=25": "imperfect.dac-bits: input should be less than or equal to 24, got 25",
    "dac-bits=8,dac-stochastic=1": "imperfect.dac-stochastic: input should be a valid boolean, got 1",
    "delay=-1": f"imperfect.delay: {BETWEEN} 0, got -1",
    "parameter-range=0": "imperfect.parameter-range: input should be greater than 0, got 0",
    "cross-talk=2": "imperfect.cross-talk: input should be less than or equal to 1, got 2",
    "w-min=1,dw-min=0.1": "imperfect.w-min: input should be less than 0, got 1",
    "dac-range=3": "imperfect: dac-range needs dac-bits: give dac-bits too, or leave dac-range out",
    "adc-range=3": "imperfect: adc-range needs adc-bits: give adc-bits too, or leave adc-range out",
    "stuck-range=3": "imperfect: stuck-range needs stuck: give stuck too, or leave stuck-range out",
    "up-down=0.1": "imperfect: up-down needs dw-min: give dw-min too, or leave up-down out",
    "stuck=0.6,dead=0.7": "imperfect: stuck and dead must sum to 1 or less, got 0.6 and 0.7",
    "dw-min=2,w-max=1": "imperfect: dw-min must not be larger than a bound (w-max, w-min), got 2.0",
}


@pytest.mark.parametrize(("given", "message"), REFUSED.items())
def test_what_is_wrong_is_one_line(given, message, train_small):
    refused(train_small(f"--imperfect={given}", "--out=run"), message)


def test_a_wrong_table_in_a_file_names_the_file(mgd_cli):
    Path("c.toml").write_text('task = "parity"\n[imperfect]\ncost-noise = "much"')
    said = mgd_cli("train", "c.toml", "--out=run")
    refused(said, "c.toml: imperfect.cost-noise: input should be a valid number, got 'much'")
    Path("c.toml").write_text('task = "parity"\nimperfect = 3')
    assert mgd_cli("train", "c.toml", "--out=run").err.startswith("mgd: c.toml: imperfect: input should be")


# Chip files.


@pytest.mark.long
def test_the_example_chip_trains_and_its_settings_are_the_runs(mgd_cli):
    said = mgd_cli("train", "nist7x7", "--chip", EXAMPLE, "--steps=5", "--replicas=2", "--batch=2", "--out=run")
    assert (said.code, said.err) == (0, "")
    told, kept = tomllib.loads(EXAMPLE.read_text()), settings()
    assert kept["imperfect"] == told["imperfect"]
    assert {name: kept[name] for name in told["chip"]} == told["chip"]
    shutil.copytree("run", "again")
    Path("again/summary.json").unlink()
    assert mgd_cli("resume", "again").code == 0
    assert Path("again/theta.safetensors").read_bytes() == Path("run/theta.safetensors").read_bytes()


@pytest.mark.long
def test_options_go_before_the_chip_and_the_chip_before_the_config(mgd_cli):
    Path("c.toml").write_text(
        'task = "parity"\nhidden = [5]\nactivation = "relu"\nsteps = 5\nreplicas = 2\n[imperfect]\nleak = 0.1'
    )
    Path("chip.toml").write_text("[chip]\nhidden = [3]\n[imperfect]\ncost-noise = 0.1\nupdate-noise = 0.2")
    options = ("--imperfect=cost-noise=0.01", "--chip=chip.toml", "--out=run")
    assert mgd_cli("train", "c.toml", *options).code == 0
    kept = settings()
    assert (kept["hidden"], kept["activation"], kept["steps"]) == ([3], "logistic", 5)
    assert kept["imperfect"] == {"cost-noise": 0.01, "update-noise": 0.2}
    assert mgd_cli("train", "c.toml", *options[:2], "--hidden=4", "--out=other").code == 0
    assert settings("other")["hidden"] == [4]


@pytest.mark.long
def test_another_kind_of_chip_on_the_command_line_goes_before_the_files(mgd_cli):
    Path("chip.toml").write_text("[chip]\nchannels = [3]\n")
    said = mgd_cli("train", "parity", "--chip=chip.toml", "--hidden=2", "--steps=5", "--replicas=1", "--out=run")
    assert said.code == 0, said
    assert settings()["hidden"] == [2]
    assert "channels" not in settings()


def test_an_empty_chip_is_the_tasks_own_and_perfect(mgd_cli):
    Path("chip.toml").write_text('name = "plain"\n')
    assert mgd_cli("train", "parity", "--chip=chip.toml", "--steps=5", "--replicas=1", "--out=run").code == 0
    assert settings()["hidden"] == [2]
    assert "imperfect" not in settings()


FILES = {
    "[chip]\nhiden = [3]": "chip.toml: unknown setting 'chip.hiden': did you mean 'hidden'?",
    "[chp]\nhidden = [3]": "chip.toml: unknown setting 'chp': did you mean 'chip'?",
    "[chip]\nhidden = [0]": "chip.toml: chip.hidden.0: input should be greater than or equal to 1, got 0",
    "[chip]\nhidden = [3]\nchannels = [3]": (
        "chip.toml: chip has hidden (perceptron) or channels (convolutional network), not both"
    ),
    '[chip]\ncost = "mes"': "chip.toml: chip.cost: input should be 'mse' or 'cross-entropy', got 'mes'",
    "name = 3": "chip.toml: name: input should be a valid string, got 3",
    "[imperfect]\ncost-nois = 3": (
        f"chip.toml: unknown imperfection 'cost-nois': did you mean 'cost-noise'? choose {NAMES}"
    ),
    "[imperfect]\ncost-noise = -3": f"chip.toml: imperfect.cost-noise: {BETWEEN} 0, got -3",
    "[imperfect]\ndac-range = 3": (
        "chip.toml: imperfect: dac-range needs dac-bits: give dac-bits too, or leave dac-range out"
    ),
}


@pytest.mark.parametrize(("text", "message"), FILES.items())
def test_a_wrong_chip_file_names_file_and_field(text, message, train_small):
    Path("chip.toml").write_text(text)
    refused(train_small("--chip=chip.toml", "--out=run"), message)


def test_a_chip_file_that_is_none(train_small):
    refused(train_small("--chip=none.toml", "--out=run"), "cannot read none.toml: No such file or directory")
    Path("chip.toml").write_text("[chip")
    assert train_small("--chip=chip.toml", "--out=run").err.startswith("mgd: chip.toml is not TOML: ")
