"""Situations that people reported of instruments on a bench, each with what is right."""

import json
from pathlib import Path

import jax
import pytest

import mgd.cli

from . import plant

STEPS = 400
TRAIN = ("--tau-theta=8", "--batch=4", "--amplitude=0.05", "--weight-decay=0", "--schedule=constant")
ADAM = ("--optimizer=adam", "--learning-rate=0.05")
SGD = ("--optimizer=sgd", "--learning-rate=0.5")


@pytest.fixture
def bench(own_folder, capsys):
    """Calls mgd on a plant of some mode: exit code, what was said, and the plant."""

    def call(mode: str, *command: str, reads: str = "outputs", low=-5.0, high=5.0, settings: str = ""):
        asked = {"cost": "COST?" if reads == "cost" else "", "outputs": "OUT?" if reads == "outputs" else ""}
        with plant.served_over_hislip() if mode == "hislip" else plant.served(mode) as served:
            found, resource = (None, served) if isinstance(served, str) else served
            text = plant.CHIP.format(resource=resource, low=low, high=high, settings=settings, **asked)
            Path("chip.toml").write_text(text)
            whole = [part if part != "CHIP" else "chip.toml" for part in command]
            capsys.readouterr()
            with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
                mgd.cli.main(list(whole))
        said = capsys.readouterr()
        return exit_.value.code or 0, said.out, said.err, found

    return call


def train(*more: str, steps: int = STEPS) -> tuple[str, ...]:
    return ("train", "parity", "--chip", "CHIP", *TRAIN, f"--steps={steps}", "--out", "run", *more)


def summary() -> dict:
    return json.loads(Path("run/summary.json").read_text())


@pytest.mark.long
def test_control(bench):
    code, _, _, _ = bench("clean", *train(*ADAM))
    assert (code, summary()["skipped"], summary()["warnings"]) == (0, 0, [])


@pytest.mark.parametrize("mode", ["over range", "under range"])
@pytest.mark.parametrize("reads", ["cost", "outputs"])
@pytest.mark.long
def test_overload(bench, mode, reads):
    """SCPI's 9.9E37 is no number: it is asked again, and the chip learns as if nothing had been."""
    code, _, _, found = bench(mode, *train(*SGD), reads=reads)
    assert code == 0
    assert found.readings > 400
    assert found.worst < 4.9  # nothing was driven to the limit
    assert summary()["cost"] < 0.3


@pytest.mark.long
def test_a_readout_that_stays_over_range_is_given_up(bench):
    code, _, err, found = bench("always over range", *train(*ADAM, steps=100_000), settings="", reads="cost")
    assert code == 4
    assert "gave no reading: check the detector" in err
    assert found.worst < 4.9


@pytest.mark.long
def test_a_board_that_reads_no_exponents(bench):
    settings = "start = 0.0\nverify = false"
    code, _, _, found = bench("no exponents", *train(*ADAM), low=-1.0, high=1.0, settings=settings)
    assert code == 0
    assert 0 < found.worst <= 1


def test_a_board_that_reads_numbers_otherwise_is_found_before_anything_is_set(bench):
    code, _, err, found = bench("no sign", *train(*ADAM))
    assert code == 4
    assert "check the chip's range and resolution, and how it reads numbers" in err
    assert found.worst < 0.11  # a fiftieth of the way to the limits
    assert not Path("run").exists()
    assert (found.v == 0).all()


@pytest.mark.long
def test_a_detector_that_is_unplugged(bench):
    code, out, err, _ = bench("unplugged", *train(*ADAM))
    assert code == 0
    assert "the cost did not change at all in the last" in out + err
    assert any("check whether the detector is connected" in each for each in summary()["warnings"])


@pytest.mark.long
def test_a_detector_at_its_rail(bench):
    """With the range of the outputs nothing of it teaches, and the closing lines say how often it was."""
    code, out, _, found = bench("rail", *train(*SGD, steps=120), settings="believable = [-0.1, 1.1]")
    assert code == 0
    assert found.worst < 4.9
    assert (summary()["skipped"], summary()["unbelievable"]) == (0, found.readings // 50)
    assert f"readings outside of what is believable, asked again: {found.readings // 50}" in out


@pytest.mark.long
def test_a_detector_that_comes_loose_stops_the_run_which_goes_on_when_it_is_back(own_folder, capsys):
    """Noise alone teaches nothing: exit code 4 with the chip safe, and nothing is lost."""

    def call(*command: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
            mgd.cli.main(list(command))
        return int(exit_.value.code or 0), "".join(capsys.readouterr())

    with plant.served("loose") as (found, resource):
        text = plant.CHIP.format(resource=resource, low=-5.0, high=5.0, settings="", cost="", outputs="OUT?")
        Path("chip.toml").write_text(text)
        whole = [part if part != "CHIP" else "chip.toml" for part in train(*SGD, "--stop-unlearnt=32", steps=800)]
        code, said = call(*whole)
        assert code == 4
        assert "nothing was learnt in the last 32 windows" in said
        assert "to continue: mgd resume run" in said
        assert not found.v.any()  # safe
        assert not Path("run/summary.json").exists()
        found.mode = "clean"
        assert call("resume", "run")[0] == 0
    assert summary()["steps"] == 800


def test_stop_unlearnt_is_for_a_real_chip_and_for_enough_windows(bench):
    code, _, err, found = bench("clean", *train(*SGD, "--stop-unlearnt=0"))
    assert code == 2
    assert "stop_unlearnt" in err
    assert "greater than or equal to 32" in err
    assert found.readings == 0
    code, _, err, _ = bench("clean", "train", "parity", "--stop-unlearnt=64")
    assert code == 2
    assert "stop_unlearnt = 64 is for a real chip, and this run has none" in err


@pytest.mark.parametrize("given", ["[3.0, -1.0]", "[0.0, 9.9e37]", "[0.5]"])
@pytest.mark.quick("[3.0, -1.0]")
def test_a_believable_range_that_is_none_is_refused_before_anything_is_opened(bench, given):
    code, _, err, found = bench("clean", *train(*SGD), settings=f"believable = {given}")
    assert code == 2
    assert "believable" in err
    assert err.count("\n") == 1
    assert found.readings == 0


def test_a_sign_for_no_reading_that_is_believable_is_refused_before_anything_is_opened(bench):
    settings = "believable = [-9.0, 9.0]\nreplies = { no_number = [-7.0] }"
    code, _, err, found = bench("clean", *train(*SGD), settings=settings)
    assert code == 2
    assert "instrument.believable: -7 is within -9 … 9, and replies.no_number says that it stands for no reading" in err
    assert found.readings == 0
    settings = "believable = [0.0, 9.0]\nreplies = { no_number = [-7.0] }"
    assert bench("clean", "chip", "check", "CHIP", settings=settings)[0] == 0


def test_a_big_endian_block(bench):
    code, _, err, _ = bench("big-endian", "chip", "check", "CHIP")
    assert code == 4
    assert 'set byte_order = "big" in the chip file' in err
    code, out, _, _ = bench("big-endian", "chip", "check", "CHIP", settings='byte_order = "big"')
    assert code == 0
    assert "e+" not in out


def test_a_reply_that_ends_by_end_alone(bench):
    pytest.importorskip("pyvisa_py")
    code, out, err, _ = bench("hislip", "chip", "check", "CHIP")
    assert (code, err) == (0, "")
    assert "bench: ACME,BENCH-9,A1,1.0 at TCPIP0::127.0.0.1::hislip0," in out
    assert "outputs 0." in out
