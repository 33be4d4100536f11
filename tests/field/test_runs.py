"""Cases from the field: run directories that were harmed, and runs that go on otherwise than they were begun."""

import itertools
import shutil
from pathlib import Path

import jax
import pytest
from safetensors.numpy import load_file

import mgd.cli
from mgd.runs import RunConfig, _execute, start

PLANT = """
import numpy as np
from mgd.instruments import Identity, Limits, from_callables
theta, delta, seen = np.zeros(9, np.float32), np.zeros(9, np.float32), {}
def outputs():
    w = (theta + delta).astype(float)
    hidden = 1 / (1 + np.exp(-(seen["x"] @ w[:4].reshape(2, 2) + w[4:6])))
    return (1 / (1 + np.exp(-(hidden @ w[6:8] + w[8]))))[:, None].astype(np.float32)
def chip(limit):
    return from_callables(
        set_parameters=lambda new: np.copyto(theta, new), perturb=lambda new: np.copyto(delta, new),
        present=lambda x, target: seen.update(x=x, target=target), read_outputs=outputs,
        measure_cost=lambda: float(np.mean((outputs() - seen["target"]) ** 2)),
        identify=lambda: Identity("lab", "plant", "7", "1"), limits=Limits.uniform(9, -limit, limit, "V"),
    )
"""
NUMBERS = itertools.count()


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.fixture
def stopped(own_locks, tmp_path, monkeypatch):
    """A run on a chip without noise, killed at step 40 of 60 with its costs since step 0 in the journal."""
    monkeypatch.setattr(_execute.Session, "_pace", lambda self, n, seconds: setattr(self, "_chunk", 8))
    name = f"field_plant_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(PLANT)
    monkeypatch.syspath_prepend(str(tmp_path))
    table = {"kind": "callables", "build": f"{name}:chip", "arguments": {"limit": 4.0}, "folder": str(tmp_path)}
    settings = {"task": "parity", "bits": 2, "hidden": [2], "learning_rate": 0.5, "weight_decay": 3e-4, "tau_x": 3}
    settings |= {"tau_theta": 7, "steps": 60, "log_every": 20, "instrument": table | {"at_limit": "saturate"}}

    def kill(session) -> None:
        if session.snapshot.step >= 40:
            raise Killed

    with jax.numpy_dtype_promotion("standard"), pytest.raises(Killed):
        start(RunConfig.of(settings), tmp_path / "run", on_progress=kill)
    return tmp_path / "run"


@pytest.fixture
def said(capsys):
    """Gives a command, and has its exit code, output and complaints."""

    def give(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended, jax.numpy_dtype_promotion("standard"):
            mgd.cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return code, out, err

    return give


def edit_config(run: Path, old: str, new: str) -> None:
    """As someone does who means it."""
    path, sums = run / "config.toml", run / "SHA256SUMS"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "config.toml" not in line))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('at_limit = "saturate"', 'at_limit = "stop"', "begun with at_limit = 'saturate', and it is now 'stop'"),
        ("limit = 4.0", "limit = 3.0", "begun with other limits: low of parameter 0 was -4 V, and is now -3 V"),
    ],
)
@pytest.mark.enough("limit = 4.0-limit = 3.0-begun with other limits: low of parameter 0 was -4 V, and is now -3 V")
@pytest.mark.long
def test_resume_under_other_limits_or_at_limit_is_refused(stopped, said, old, new, why):
    edit_config(stopped, old, new)
    code, _, err = said("resume", stopped)
    assert code == 2
    assert err.splitlines()[-1] == f"mgd: {stopped} was {why}: restore that, or start a new run"
    assert list(stopped.glob("costs-*.journal"))


def test_a_flipped_bit_in_the_journal_is_said(stopped, said):
    shutil.copytree(stopped, stopped.with_name("whole"))
    assert said("resume", stopped.with_name("whole"))[0] == 0
    (journal,) = stopped.glob("costs-*.journal")
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)
    code, _, err = said("resume", stopped)
    assert code == 0
    (line,) = (line for line in err.splitlines() if "warning" in line)
    assert line.startswith(f"mgd: warning: {journal} is damaged at byte ")
    assert line.endswith("are lost, with all measured later; they are measured again")
    thetas = [load_file(run / "theta.safetensors")["theta"] for run in (stopped, stopped.with_name("whole"))]
    assert thetas[0].tobytes() == thetas[1].tobytes()  # the chip has no noise


@pytest.mark.long
def test_flipped_bits_and_missing_chunks_of_the_metrics_are_found(stopped, said):
    assert said("resume", stopped)[0] == 0
    ask = ("time", stopped, "--profile", "hw1", "--json")
    due, found = said(*ask), 0
    assert due[0] == 0
    chunks = [path for path in (stopped / "metrics.zarr").rglob("*") if path.is_file() and path.name != "zarr.json"]
    assert len(chunks) >= 8
    for path in chunks:
        content = path.read_bytes()
        for harm in (content[:-6] + bytes([content[-6] ^ 16]) + content[-5:], content[:9], None):
            path.write_bytes(harm) if harm is not None else path.unlink()
            answer = said(*ask)
            assert answer == due or (answer[0] == 2 and answer[2].count("\n") == 1), (path, answer)
            found += answer[0] == 2
            path.write_bytes(content)
    assert found > 2 * len(chunks)
    chunks[0].unlink()
    assert said("resume", stopped)[0] == 0
    assert said(*ask) == due


def test_odd_bytes_in_the_diagnostics_are_one_line_and_nothing_is_lost(stopped, said):
    path = stopped / "diagnostics.jsonl"
    path.write_bytes(path.read_bytes() + b"\xff\xfe\x00odd\n")
    code, out, err = said("resume", stopped)
    assert code == 0
    assert "test accuracy" in out
    lines = [line for line in err.splitlines() if "warning" in line]
    assert lines == [f"mgd: warning: {path}: a line is damaged, and ignored"]
