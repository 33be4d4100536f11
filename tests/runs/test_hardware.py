"""Runs on a chip behind a real socket: what they come to, and what is kept when trainer, server or line die."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
INSTRUMENT = "[instrument]\nkind = 'scpi'\nresource = '{resource}'\ntimeout_seconds = {timeout}\n{more}\n"
TRAIN = ("--learning-rate=0.5", "--tau-x=8", "--tau-theta=16", "--amplitude=0.1")
# As a calibration advises: the host keeps Adam's moments, and where it is in the schedule.
ADAM = ("--learning-rate=0.1", "--optimizer=adam", "--schedule=cosine")


def chip_file(folder: Path, resource: str, *, timeout: float = 60.0, more: str = "") -> Path:
    path = folder / "bench.toml"
    path.write_text(CHIP + INSTRUMENT.format(resource=resource, timeout=timeout, more=more))
    return path


def theta_of(run: Path) -> np.ndarray:
    return load_file(run / "theta.safetensors")["theta"]


def kept(run: Path) -> int:
    """Bytes of costs in the journal, or −1 if there is none yet."""
    files = list(run.glob("costs-*.journal"))
    return max((file.stat().st_size for file in files), default=-1)


def test_a_served_chip_is_trained_as_the_simulated_one(serve_process, mgd, tmp_path):
    served = serve_process(CHIP, "--seed=0")
    chip = chip_file(tmp_path, served.resource)
    real = mgd("train", "parity", "--chip", chip, *TRAIN, "--steps=2000", "--out", tmp_path / "real", "--json")
    assert (real.returncode, real.stderr) == (0, "")
    simulated = mgd(
        *("train", "parity", "--chip", chip, "--simulate", *TRAIN, "--steps=2000", "--replicas=1"),
        *("--out", tmp_path / "simulated", "--json"),
    )
    first, second = json.loads(real.stdout), json.loads(simulated.stdout)
    assert first["counts"] == second["counts"]
    assert first["accuracy"] == second["accuracy"]
    assert first["cost"] == pytest.approx(second["cost"], rel=0.05)
    np.testing.assert_allclose(theta_of(tmp_path / "real"), theta_of(tmp_path / "simulated"), rtol=0.05, atol=0.02)
    # Which chip it was is on record, and nothing is left that only an unfinished run needs.
    assert json.loads((tmp_path / "real/instrument.json").read_text())[0]["serial"] == "0"
    assert not list((tmp_path / "real").glob("costs*"))
    assert first["instrument"].startswith("mgd,virtual chip,0,")


@pytest.mark.parametrize("more", [(), ADAM], ids=["descent", "adam"])
@pytest.mark.long
@pytest.mark.enough("descent")
def test_killed_in_mid_window_it_goes_on_to_the_same_bits(serve_process, mgd, wait_for, begin, tmp_path, more):
    served = serve_process(CHIP, "--seed=1")
    # One measurement at a time, so that a kill falls anywhere in a window.
    chip = chip_file(tmp_path, served.resource, more="most_together = 1")
    settings = ("train", "parity", "--chip", chip, *TRAIN, *more, "--steps=3000")
    assert mgd(*settings, "--out", tmp_path / "whole").returncode == 0
    run, trainer = tmp_path / "cut", begin(*settings, "--out", tmp_path / "cut")
    for threshold in (1000, 5000):
        wait_for(lambda goal=threshold, of=trainer: kept(run) > goal or of.poll() is not None)
        assert trainer.poll() is None
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        assert (run / "checkpoint.safetensors").exists()
        trainer = begin("resume", run)
    complaint = trainer.communicate(timeout=200)[1]
    assert trainer.returncode == 0, complaint
    assert theta_of(run).tobytes() == theta_of(tmp_path / "whole").tobytes()


@pytest.mark.long
def test_a_server_that_dies_and_comes_back_leaves_no_trace(serve_process, mgd, wait_for, begin, tmp_path):
    served = serve_process(CHIP, "--seed=2")
    port = int(served.resource.split("::")[2])
    chip = chip_file(tmp_path, served.resource, timeout=2.0, more="most_together = 1")
    settings = ("train", "parity", "--chip", chip, *TRAIN, "--steps=3000")
    assert mgd(*settings, "--out", tmp_path / "whole").returncode == 0
    run, trainer = tmp_path / "cut", begin(*settings, "--out", tmp_path / "cut", "--json")
    wait_for(lambda: kept(run) > 2000 or trainer.poll() is not None)
    served.process.kill()
    served.process.wait()
    serve_process(CHIP, "--seed=2", port=port)
    said, complaint = trainer.communicate(timeout=200)
    assert trainer.returncode == 0, complaint
    assert json.loads(said)["recoveries"] >= 1
    assert theta_of(run).tobytes() == theta_of(tmp_path / "whole").tobytes()


@pytest.mark.slow
def test_a_chip_that_stays_away_ends_the_run_with_code_4(serve_process, mgd, wait_for, begin, tmp_path):
    served = serve_process(CHIP, "--seed=3")
    port = int(served.resource.split("::")[2])
    chip = chip_file(tmp_path, served.resource, timeout=0.5, more="most_together = 1\ngive_up_seconds = 1.0")
    run = tmp_path / "run"
    trainer = begin("train", "parity", "--chip", chip, *TRAIN, "--steps=3000", "--out", run)
    wait_for(lambda: kept(run) > 2000 or trainer.poll() is not None)
    served.process.kill()
    said, complaint = trainer.communicate(timeout=100)
    assert (trainer.returncode, said) == (4, "")
    assert complaint.count("\n") == 1
    assert complaint.startswith(f"mgd: {served.resource} gave no valid answer for 1 s (")
    assert complaint.endswith("check its power and its line; all measurements are kept\n")
    serve_process(CHIP, "--seed=3", port=port)
    assert mgd("resume", run).returncode == 0


@pytest.mark.long
def test_sigterm_leaves_the_chip_safe_and_the_run_to_go_on(serve_process, mgd, wait_for, begin, tmp_path):
    import socket

    served = serve_process(CHIP, "--seed=4")
    chip = chip_file(tmp_path, served.resource, more="most_together = 1")
    run = tmp_path / "run"
    trainer = begin("train", "parity", "--chip", chip, *TRAIN, "--steps=100000", "--out", run)
    wait_for(lambda: kept(run) > 2000 or trainer.poll() is not None)
    with socket.create_connection(("127.0.0.1", int(served.resource.split("::")[2]))) as line, line.makefile() as reply:
        line.sendall(b"PAR:DATA?\n")
        assert set(reply.readline().strip().split(",")) != {"0"}
        trainer.send_signal(signal.SIGTERM)
        complaint = trainer.communicate(timeout=100)[1]
        assert trainer.returncode == 130
        assert f"to continue: mgd resume {run}" in complaint
        line.sendall(b"PAR:DATA?\n")
        assert set(reply.readline().strip().split(",")) == {"0"}


@pytest.mark.long
def test_two_trainers_on_one_chip_are_refused(serve_process, mgd, wait_for, begin, tmp_path):
    served = serve_process(CHIP, "--seed=5")
    chip = chip_file(tmp_path, served.resource, more="most_together = 1")
    run = tmp_path / "run"
    trainer = begin("train", "parity", "--chip", chip, *TRAIN, "--steps=100000", "--out", run)
    wait_for(lambda: kept(run) > 0 or trainer.poll() is not None)
    second = mgd("train", "parity", "--chip", chip, *TRAIN, "--out", tmp_path / "second")
    assert second.returncode == 4
    assert second.stderr == (
        f"mgd: {served.resource} is in use by process {trainer.pid}: two trainers on one chip would undo each "
        "other's writes; stop that one first\n"
    )
    assert not (tmp_path / "second").exists()


@pytest.mark.long
def test_another_chip_is_refused_before_anything_is_measured(serve_process, mgd, tmp_path):
    served = serve_process(CHIP, "--seed=6")
    port = int(served.resource.split("::")[2])
    chip = chip_file(tmp_path, served.resource)
    run = tmp_path / "run"
    assert mgd("train", "parity", "--chip", chip, *TRAIN, "--steps=64", "--out", run).returncode == 0
    (run / "summary.json").unlink()
    served.stop()
    other = serve_process(CHIP, "--seed=7", port=port)
    said = mgd("resume", run)
    assert said.returncode == 2
    assert said.stderr == (
        f"mgd: {run} was begun on the chip with serial '6', and '7' answers at {other.resource}: connect that chip, "
        "or start a new run\n"
    )
    said = mgd("train", "parity", "--chip", chip_file(tmp_path, other.resource, more="serial = '6'"), "--out", "x")
    assert said.returncode == 4
    assert "serial '7' answers (mgd,virtual chip,7," in said.stderr


@pytest.mark.parametrize(
    ("more", "arguments", "said"),
    [
        ("", ("nist7x7",), "chip.inputs is [2], and nist7x7 has [49]: correct it, or take another task"),
        ("", ("parity", "--algorithm=backprop"), "backprop needs a model of the chip"),
        ("", ("parity", "--replicas=3"), "an instrument is one chip: replicas must be 1, got 3"),
        ("", ("parity", "--engine=sampled"), "engine is for simulated chips: leave 'sampled' out, or give --simulate"),
        ("", ("parity", "--imperfect=cost-noise=0.1"), "imperfect is for simulated chips: leave it out"),
        ("", ("parity", "--fleet=own"), "fleet needs several real chips: give --chip for each of them"),
        ("", ("parity", "--simulate", "--record=x"), "record needs a real chip: give --chip with a file"),
        ("kindd = 'x'", ("parity",), "kindd"),
        ("at_limit = 'clip'", ("parity",), "at_limit"),
        ("test_samples = 0", ("parity",), "test_samples"),
    ],
)
def test_what_is_wrong_is_one_line(serve_process, mgd, tmp_path, served_once, more, arguments, said):
    chip = chip_file(tmp_path, served_once.resource, more=more)
    done = mgd("train", *arguments, "--chip", chip, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def served_once(serve_process):
    return serve_process(CHIP, "--seed=8")


def test_a_chip_that_is_not_there_is_code_4(mgd, tmp_path):
    chip = chip_file(tmp_path, "TCPIP0::127.0.0.1::1::SOCKET", timeout=0.5)
    done = mgd("train", "parity", "--chip", chip, "--out", tmp_path / "run")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "TCPIP0::127.0.0.1::1::SOCKET" in done.stderr
    assert os.listdir(tmp_path) == ["bench.toml"] or not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", ["most_together = 1", ""], ids=["one by one", "batches"])
@pytest.mark.enough("batches")
@pytest.mark.long
def test_a_recorded_run_is_made_again_without_the_chip(serve_process, mgd, tmp_path, more):
    served = serve_process(CHIP + "[imperfect]\ncost-noise = 0.01\n", "--seed=9")
    chip, recording, run = chip_file(tmp_path, served.resource, more=more), tmp_path / "exchanges", tmp_path / "run"
    settings = ("train", "parity", "--chip", chip, *TRAIN, "--steps=640")
    done = mgd(*settings, "--out", run, "--record", recording)
    assert (done.returncode, done.stderr) == (0, "")
    served.stop()
    replayed = mgd("replay", run)
    assert replayed.stderr == ""
    measured = json.loads((run / "summary.json").read_text())["counts"]["cost_measurements"]
    assert replayed.stdout == f"{run}: {measured:,} measurements a chip, replayed to the same parameters, to the bit\n"
    # Another run is not what was recorded, and the place of the difference is told.
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("learning_rate = 0.5", "learning_rate = 0.25"))
    (run / "SHA256SUMS").unlink()  # it is meant
    other = mgd("replay", run)
    assert (other.returncode, other.stderr.count("\n")) == (4, 1)
    assert str(recording) in other.stderr
    assert mgd(*settings, "--out", "x", "--record", recording).stderr == (
        f"mgd: {recording} is there already: record to another file\n"
    )
