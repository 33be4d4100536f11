"""`mgd.runs.calibrate` over a real socket: what a line loses is measured again, as it is in training."""

import re
import signal

import pytest

from mgd import HardwareError
from mgd.runs import calibrate

CHIP = """name = "small"
[chip]
inputs = [2]
outputs = 1
hidden = [2]
init = "uniform"
[imperfect]
cost-noise = 0.002
delay = 1
[instrument]
kind = "scpi"
resource = "{resource}"
at_limit = "saturate"
timeout_seconds = {timeout}
most_together = 32
give_up_seconds = {give_up}
[serve]
serial = "A7"
seed = 3
"""
FAULTS = "disconnect = 0.006\ngarble = 0.006\ndrop = 0.0015\n"
BUDGET = 9000


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Chips of these tests are in use in this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def chip_file(tmp_path, resource: str, *, timeout: float = 5.0, give_up: float = 120.0):
    file = tmp_path / "chip.toml"
    file.write_text(CHIP.format(resource=resource, timeout=timeout, give_up=give_up))
    return file


def is_right(found) -> None:
    """What is known of that chip is found."""
    assert abs(found.cost_noise.value - 0.002) < 4.5 * found.cost_noise.error
    assert (found.delay.value, found.delay.error) == (1, 0)
    assert (found.dead, found.no_perturbation, found.no_write) == ((), (), ())
    assert found.level is None
    assert found.measurements <= BUDGET


@pytest.mark.slow
def test_a_line_that_drops_garbles_and_cuts_messages_is_asked_again(serve_process, tmp_path):
    text = CHIP.format(resource="none", timeout=0.5, give_up=60.0) + FAULTS
    served = serve_process(text)
    found, _ = calibrate(chip_file(tmp_path, served.resource, timeout=0.5), "parity", batch=4, budget=BUDGET)
    served.process.send_signal(signal.SIGTERM)
    said = served.process.communicate(timeout=20)[0]
    faults = re.search(r"(\d+) faults", said)
    assert faults
    assert int(faults[1]) >= 15, said
    is_right(found)


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_anew_is_found_again(serve_process, tmp_path):
    text = CHIP.format(resource="none", timeout=5.0, give_up=120.0)
    served, kills = serve_process(text), []
    port = int(served.resource.split("::")[2])

    def kill(done: int, total: int) -> None:
        if done > 1500 * (len(kills) + 1) and len(kills) < 4:
            kills.append(done)
            now = started[-1].process
            now.kill()
            now.wait(20)
            started.append(serve_process(text, port=port))

    started = [served]
    found, _ = calibrate(chip_file(tmp_path, served.resource), "parity", batch=4, budget=BUDGET, on_progress=kill)
    assert len(kills) == 4
    is_right(found)


@pytest.mark.long
def test_a_chip_that_stays_away_is_given_up_in_one_line_and_nothing_is_written(serve_process, tmp_path):
    served = serve_process(CHIP.format(resource="none", timeout=5.0, give_up=1.0))

    def kill(done: int, total: int) -> None:
        if done > 500 and served.process.poll() is None:
            served.process.kill()
            served.process.wait(20)

    file = chip_file(tmp_path, served.resource, give_up=1.0)
    with pytest.raises(HardwareError, match=r"gave no valid answer for 1 s .*check its power and its line"):
        calibrate(file, "parity", batch=4, budget=BUDGET, on_progress=kill)
    assert [path.name for path in tmp_path.glob("calibration*")] == []
