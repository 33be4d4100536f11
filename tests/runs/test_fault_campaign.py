"""Hundreds of faults on the wire, and kills of both sides, while a chip is trained: nothing is lost, nothing is twice.

A message is dropped, answered too late, answered in broken bytes, or the line is cut, before or after the message was
dealt with; the server is ended and started again; the trainer is killed and resumed. The chip has no noise, so the run
must come to the parameters of a run without faults, to the bit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

# Few limits and much to learn, so that parameters lie at their limits too.
CHIP = """
name = "small"
[chip]
inputs = [2]
outputs = 1
hidden = [2]
[instrument]
kind = "scpi"
resource = "{resource}"
timeout_seconds = {timeout}
retries = 1
most_together = {together}
at_limit = "saturate"
give_up_seconds = 100.0
[serve]
serial = "S1"
limits = [-1.1, 1.1]
"""
FAULTS = "drop = 0.015\nlate = 0.01\nlate_seconds = 0.3\ndisconnect = 0.02\ngarble = 0.015\n"
TRAIN = ("--learning-rate=10", "--tau-x=4", "--tau-theta=8", "--amplitude=0.1", "--steps=1600")
FEWEST_FAULTS, TRAINER_KILLS, SERVER_KILLS = 200, 4, 4


def costs_kept(run) -> int:
    """Costs that were measured and kept, to the nearest record: those of the last checkpoint, and the journal's."""
    files = [(int(file.stem.split("-")[1]), file) for file in run.glob("costs-*.journal")]
    if not files:
        return -1
    step, file = max(files)
    try:
        return step * 10 // 8 + file.stat().st_size // 12
    except FileNotFoundError:
        return -1


def faults_of(process: subprocess.Popen) -> tuple[int, int]:
    """Ends a server; how many faults it made, and commands it refused."""
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=20)[0]
    found = re.search(r"(\d+) commands refused, (\d+) faults", said)
    assert found, said
    return int(found[2]), int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("together", [1], ids=["one by one"])
def test_no_measurement_is_lost_or_counted_twice(serve_process, cache_env, tmp_path, together):
    env = cache_env | {"XDG_STATE_HOME": str(tmp_path / "state")}
    file = tmp_path / "bench.toml"

    def chip(resource: str, timeout: float, faults: str = "") -> str:
        text = CHIP.format(resource=resource, timeout=timeout, together=together) + faults
        file.write_text(text)
        return text

    def command(*arguments: object) -> subprocess.Popen:
        every = [sys.executable, "-m", "mgd", *map(str, arguments)]
        return subprocess.Popen(every, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    calm = serve_process(chip("none", 5.0))
    chip(calm.resource, 5.0)
    trainer = command("train", "parity", "--chip", file, *TRAIN, "--out", tmp_path / "calm", "--json")
    said, complaint = trainer.communicate(timeout=300)
    assert trainer.returncode == 0, complaint
    expected = json.loads(said)

    # What is killed must not be writing to what the others read.
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"
    text = chip("none", 0.15, FAULTS)
    served = serve_process(text, "--seed=0")
    port = int(served.resource.split("::")[2])
    chip(served.resource, 0.15, FAULTS)
    run, faults, refused = tmp_path / "run", 0, 0
    trainer = None
    while trainer is None or trainer.poll() == 4:  # a run is not begun on a chip that does not answer at first
        assert not run.exists()
        trainer = command("train", "parity", "--chip", file, *TRAIN, "--out", run, "--json")
        while trainer.poll() is None and not run.exists():
            time.sleep(0.01)
    kills = TRAINER_KILLS + SERVER_KILLS
    total = expected["counts"]["cost_measurements"]
    for kill in range(kills):
        goal = total * (kill + 1) // (kills + 1)
        end = time.monotonic() + 200
        while costs_kept(run) < goal:
            assert trainer.poll() is None, trainer.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        if kill % 2:
            found = faults_of(served.process)
            faults, refused = faults + found[0], refused + found[1]
            served = serve_process(text, "--seed=0", port=port)
        else:
            os.kill(trainer.pid, signal.SIGKILL)
            trainer.communicate()
            trainer = command("resume", run, "--json")
    said, complaint = trainer.communicate(timeout=300)
    assert trainer.returncode == 0, complaint
    found = faults_of(served.process)
    print(f"{faults + found[0]} faults on the wire, {kills} kills")
    faults, refused = faults + found[0] + kills, refused + found[1]

    summary, theta = json.loads(said), load_file(run / "theta.safetensors")["theta"]
    assert faults >= FEWEST_FAULTS, f"only {faults}"
    assert refused == 0  # no write outside the limits came to the chip
    assert theta.tobytes() == load_file(tmp_path / "calm/theta.safetensors")["theta"].tobytes()
    assert np.abs(theta).max() == pytest.approx(1.0)  # a perturbation short of the limits, where parameters came to lie
    for name in ("counts", "accuracy", "cost", "skipped"):
        assert summary[name] == expected[name]
    assert expected["recoveries"] == 0
