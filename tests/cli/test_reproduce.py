"""`mgd reproduce` from outside."""

import subprocess
import sys

from mgd.reproduction import STUDIES


def said(*arguments, cwd):
    command = [sys.executable, "-m", "mgd", "reproduce", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_list_is_of_all_studies(tmp_path):
    done = said("--list", cwd=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(STUDIES)


def test_bad_input_is_one_line(tmp_path):
    for arguments, start in (
        (("angel",), "mgd: unknown study 'angel': did you mean 'angle'?; choose waveforms, "),
        ((), "mgd: which study? choose waveforms, "),
        (("angle", "--workers", "0"), "mgd: Invalid value for '--workers': 0 is not in the range x>=1."),
    ):
        done = said(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(start)
        assert done.stderr.count("\n") == 1


def test_images_that_are_not_there_are_one_line(tmp_path):
    done = said("fashion-mnist", "--quick", "--data", str(tmp_path / "nowhere"), cwd=tmp_path)
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert last.startswith("mgd: ")
    assert "nowhere" in last
    assert "Traceback" not in done.stderr
