"""More than one checkpoint: a run goes on from the one before a damaged one, and back to an earlier one."""

import itertools
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from mgd import DivergedError, MgdWarning, RunError
from mgd.runs import RunConfig, _execute, _generations, _hardware, resume, start
from mgd.runs._generations import spaced

PLANT = """
import numpy as np
from mgd.instruments import Identity, Limits, from_callables
theta, delta, seen, costs = np.zeros(9, np.float32), np.zeros(9, np.float32), {}, []
def outputs():
    w = (theta + delta).astype(float)
    hidden = 1 / (1 + np.exp(-(seen["x"] @ w[:4].reshape(2, 2) + w[4:6])))
    return (1 / (1 + np.exp(-(hidden @ w[6:8] + w[8]))))[:, None].astype(np.float32)
def cost():
    costs.append(float(np.mean((outputs() - seen["target"]) ** 2)))
    return costs[-1]
def chip(limit=4.0):
    return from_callables(
        set_parameters=lambda new: np.copyto(theta, new), perturb=lambda new: np.copyto(delta, new),
        present=lambda x, target: seen.update(x=x, target=target), measure_cost=cost, read_outputs=outputs,
        identify=lambda: Identity("lab", "plant", "7", "1"), limits=Limits.uniform(9, -limit, limit, "V"),
    )
"""
NUMBERS = itertools.count()


@pytest.fixture
def on_plant(small, tmp_path, monkeypatch):
    """Settings of a run on a chip without noise in this process, and the module that counts its costs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(_hardware, "build_algorithm", _execute.build_algorithm)  # compiled once
    name = f"plant_of_generations_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(PLANT)
    monkeypatch.syspath_prepend(str(tmp_path))
    table = {"kind": "callables", "build": f"{name}:chip", "folder": str(tmp_path), "at_limit": "saturate"}
    config = small(optimizer="momentum", replicas=1, steps=120, instrument=table)
    return config, lambda: len(sys.modules[name].costs)


@pytest.fixture
def half(monkeypatch, killed):
    """Begins a run, with a checkpoint after each piece of 8 steps up to step 60, and kills it at 88."""

    def begin(config: RunConfig, folder: Path) -> Path:
        monkeypatch.setattr(_execute.Session, "_pace", lambda self, n, seconds: setattr(self, "_chunk", 8))
        monkeypatch.setattr(_execute, "_CHECKPOINT_SHARE", 0)
        monkeypatch.setattr(_execute, "CHECKPOINT_SECONDS", 0.0)

        def on_progress(session) -> None:
            if session.snapshot.step >= 60:
                monkeypatch.setattr(_execute, "CHECKPOINT_SECONDS", 1e9)
            if session.snapshot.step >= min(88, config.steps - 8):
                raise killed

        with pytest.raises(killed):
            start(config, folder, on_progress=on_progress)
        return folder

    return begin


def test_one_who_reads_while_another_writes_sees_whole_checkpoints(small, tmp_path):
    """`mgd show` of a run under way: between two renames of the writer the newest is nowhere."""
    start(small(steps=40), tmp_path / "run")
    newest = tmp_path / "run" / _generations.FILE
    settings = _generations.unpack_header(newest).settings
    content, ended = newest.read_bytes(), threading.Event()

    def write() -> None:
        while not ended.is_set():
            _generations.replace_file(newest, content, before=tmp_path / "run" / "checkpoint-8.safetensors")

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        try:
            for _ in range(300):
                header = _generations.read_header(tmp_path / "run")
                arrays = _generations.read_arrays(tmp_path / "run", settings)
                assert header is not None
                assert arrays is not None
                assert header.step == arrays[0].step == 40
        finally:
            ended.set()
    writing.result()


def flip(path: Path, at: int = -50) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


def steps_of(run: Path) -> list[int]:
    older = [int(path.stem.split("-")[1]) for path in run.glob("checkpoint-*")]
    header = _generations.read_header(run)
    return sorted([*older, *([header.step] if header else [])])


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_between_kept_checkpoints_is_at_most_their_age(seed):
    gaps = np.random.default_rng(seed).integers(1, 50, 2000).tolist()
    kept: list[int] = []
    for newest in itertools.accumulate(gaps):
        kept = spaced(newest, [*kept])
        assert len(kept) <= 2 * np.log2(newest + 1) + 3
        kept = [newest, *kept]
    longest = max(gaps)
    for newer, older in itertools.pairwise(kept):
        assert newer - older <= (kept[0] - newer) + 2 * longest


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_gives_the_same_bits(small, tmp_path, half, assert_same_run):
    config = small(steps=120)
    run = half(config, tmp_path / "run")
    whole = start(config, tmp_path / "whole")
    *_, before, newest = steps_of(run)
    flip(run / "checkpoint.safetensors")
    with pytest.warns(MgdWarning, match=rf"checkpoint\.safetensors .*damaged.* from the checkpoint .* step {before}$"):
        resume(run)
    assert newest > before
    assert_same_run(run, whole)


@pytest.mark.parametrize("harm", [flip, lambda path: (path.unlink(), path.mkdir())])
@pytest.mark.long
def test_a_chips_costs_since_the_checkpoint_before_the_damaged_one_are_taken_up(on_plant, tmp_path, half, harm):
    config, measured = on_plant
    run = half(config, tmp_path / "run")
    whole = start(config, tmp_path / "whole")
    at_kill = json.loads((run / "diagnostics.jsonl").read_text().splitlines()[-1])["step"]
    assert steps_of(run)[-1] == at_kill >= 60
    harm(run / "checkpoint.safetensors")
    already = measured()
    with pytest.warns(MgdWarning, match="the run goes on from the checkpoint before it"):
        resume(run)
    thetas = [load_file(folder / "theta.safetensors")["theta"].tobytes() for folder in (run, whole)]
    assert thetas[0] == thetas[1]
    # Of 120 steps 88 were measured before, and kept in two journals.
    counts = json.loads((run / "summary.json").read_text())["counts"]["cost_measurements"]
    assert 0 < measured() - already < counts * 50 / 120


@pytest.mark.long
def test_back_to_before_a_step(on_plant, tmp_path, half):
    config, measured = on_plant
    run = half(config, tmp_path / "run")
    whole = start(config, tmp_path / "whole")
    there = steps_of(run)
    with pytest.raises(RunError, match=r"no checkpoint before step 0: it has those at 0, .*60|64"):
        resume(run, before=0)
    target = there[-2]
    already = measured()
    resume(run, before=target + 1)
    counts = json.loads((run / "summary.json").read_text())["counts"]["cost_measurements"]
    # What was kept after it is measured again.
    assert measured() - already > counts * (120 - target) / 120 * 0.9
    assert not list(run.glob("*.journal"))
    thetas = [load_file(folder / "theta.safetensors")["theta"].tobytes() for folder in (run, whole)]
    assert thetas[0] == thetas[1]
    # A finished one goes back too.
    resume(run, before=20)
    assert load_file(run / "theta.safetensors")["theta"].tobytes() == thetas[0]


@pytest.mark.parametrize("poison", [np.nan, 1e30])
@pytest.mark.enough("nan")
@pytest.mark.long
def test_no_checkpoint_is_kept_of_a_state_that_cannot_go_on(on_plant, tmp_path, monkeypatch, poison):
    config, _ = on_plant
    run, at = tmp_path / "run", []
    monkeypatch.setattr(_execute.Session, "_pace", lambda self, n, seconds: setattr(self, "_chunk", 8))
    monkeypatch.setattr(_execute, "_CHECKPOINT_SHARE", 0)
    monkeypatch.setattr(_execute, "CHECKPOINT_SECONDS", 0.0)

    def met_something(session) -> None:
        at.append(session.snapshot.step)
        if at[-1] == 50:
            optimizer = jax.tree.map(lambda x: jnp.full_like(x, poison), session.snapshot.progress.state.optimizer)
            session.snapshot.progress = eqx.tree_at(lambda p: p.state.optimizer, session.snapshot.progress, optimizer)

    with pytest.raises(DivergedError, match=r"optimizer.*step 50") as raised:
        start(config, run, on_progress=met_something)
    last = at[-2]
    assert f"mgd resume {run} --before {last + 1}, or to an earlier one" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert steps_of(run)[-1] == last
    resume(run, before=last + 1)
    assert np.abs(load_file(run / "theta.safetensors")["theta"]).max() <= 4


def test_lost_parameters_of_a_finished_run_come_from_its_checkpoint(small, tmp_path):
    run = start(small(steps=20), tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    flip(run / "theta.safetensors", -3)
    resume(run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_a_large_chip_keeps_two(small, tmp_path, monkeypatch, half):
    monkeypatch.setattr(_generations, "LARGE", 100)
    run = half(small(steps=120), tmp_path / "run")
    assert len(steps_of(run)) == 2


@pytest.mark.long
def test_a_run_of_before_there_were_lists_and_generations_goes_on(small, tmp_path, half, assert_same_run):
    config = small(steps=120)
    run = half(config, tmp_path / "run")
    whole = start(config, tmp_path / "whole")
    for path in (run / "SHA256SUMS", *run.glob("checkpoint-*")):
        path.unlink()
    resume(run)
    assert_same_run(run, whole)
