"""Fleets of served chips, by the command: what is on record, and what is left when a chip or the trainer dies."""

import json
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
INSTRUMENT = "[instrument]\nkind = 'scpi'\nresource = '{resource}'\ntimeout_seconds = 60.0\ngive_up_seconds = 5.0\n"
TRAIN = ("--learning-rate=0.5", "--tau-x=8", "--tau-theta=16", "--amplitude=0.1")


def chip_files(folder, *resources):
    files = []
    for number, resource in enumerate(resources):
        files.append(folder / f"chip-{number}.toml")
        files[-1].write_text(CHIP + INSTRUMENT.format(resource=resource) + "most_together = 1\n")
    return [word for file in files for word in ("--chip", file)]


def kept(run) -> int:
    return sum(file.stat().st_size for file in run.glob("costs.*.journal")) if run.exists() else 0


@pytest.mark.slow
def test_a_chip_of_a_fleet_dies_and_the_trainer_too(serve_process, mgd, begin, wait_for, tmp_path):
    served = [serve_process(CHIP, f"--seed={seed}") for seed in (1, 2, 3)]
    chips = chip_files(tmp_path, *(each.resource for each in served))
    run = tmp_path / "run"
    trainer = begin("train", "parity", *chips, *TRAIN, "--steps=4000", "--out", run)
    wait_for(lambda: kept(run) > 6000 or trainer.poll() is not None)
    served[1].process.kill()
    wait_for(lambda: (run / "dropped.json").exists() or trainer.poll() is not None)
    trainer.send_signal(signal.SIGKILL)
    complaint = trainer.communicate()[1]
    assert "mgd: warning: chip 1 (mgd,virtual chip,2," in complaint
    assert complaint.count("\n") == 1
    # The chip is not asked for again, though the run goes on from before it was dropped.
    done = mgd("resume", run, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert summary["fleet"] == "shared"
    assert list(summary["dropped"]) == ["1"]
    assert summary["dropped"]["1"] % 16 == 0
    assert [a is None for a in summary["accuracy_per_replica"]] == [False, True, False]
    theta = load_file(run / "theta.safetensors")["theta"]
    assert (theta == theta[0]).all()
    serials = [each["serial"] for each in json.loads((run / "instrument.json").read_text())]
    assert serials == ["1", "2", "3"]
    assert not list(run.glob("costs*"))


@pytest.mark.slow
def test_a_fleet_comes_to_the_same_bits_each_time_and_each_may_train_its_own(serve_process, mgd, tmp_path):
    served = [serve_process(CHIP, f"--seed={seed}") for seed in (4, 5)]
    chips = chip_files(tmp_path, *(each.resource for each in served))
    thetas = {}
    adam = ("--learning-rate=0.1", "--optimizer=adam", "--schedule=cosine")
    settings = {"one": (), "again": (), "own": ("--fleet=own",), "adam": adam}
    for name, more in settings.items():
        done = mgd("train", "parity", *chips, *TRAIN, *more, "--steps=160", "--out", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
        thetas[name] = load_file(tmp_path / name / "theta.safetensors")["theta"]
    assert thetas["one"].tobytes() == thetas["again"].tobytes()
    assert (thetas["adam"][0] == thetas["adam"][1]).all()
    assert np.abs(thetas["own"][0] - thetas["own"][1]).max() > 0.1


def test_a_fleet_is_of_real_chips(mgd, tmp_path):
    (tmp_path / "bare.toml").write_text(CHIP)
    chips = chip_files(tmp_path, "TCPIP0::127.0.0.1::1::SOCKET")
    for more in ((*chips, "--simulate"), ("--chip", tmp_path / "bare.toml")):
        done = mgd("train", "parity", *chips, *more)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "give one chip file, and --replicas for several" in done.stderr
