"""A study is computed into a folder cell by cell, and taken up where it was left."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from mgd import RunError
from mgd.reproduction import Row, _reproduce, reproduce, study_named
from mgd.runs import read_header
from mgd.sweeps import Run, Study, Work, execute
from mgd.sweeps._cell import read_result, write_zarr

SMALL = {"task": "parity", "replicas": 2, "log_every": 100, "tau_x": 1}
CELLS = {
    "learns": Run({**SMALL, "steps": 300}),
    "diverges": Run({**SMALL, "steps": 300, "hidden": [3], "activation": "relu", "learning_rate": 1e30}),
    "works": Work("mgd.reproduction._hardware_time:backprop", {"task": "parity", "goal": 0.1, "data": None}),
}


def assemble(results):
    found = {name: float(result.attrs.get("diverged", -1)) for name, result in results.items()}
    accuracy = results["learns"].accuracy
    return xr.Dataset({**found, "accuracy": accuracy}, attrs={"names": "a text"}).assign_coords(replica=["a", "b"])


def draw(data):
    figure = Figure()
    figure.subplots().plot(data.step.values, data.accuracy.values.T)
    return figure


def rows(data):
    return [Row("accuracy", "–", f"{float(data.accuracy[0, -1]):.3f}", "seed 0")]


STUDY = Study(cells=lambda quick: CELLS, minutes=(1, 1), assemble=assemble, draw=draw, rows=rows)


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A study computed once by real workers."""
    folder = tmp_path_factory.mktemp("study") / "out"
    patch = pytest.MonkeyPatch()
    patch.setattr(_reproduce, "study_named", lambda name: STUDY)
    seen = []
    out, found = reproduce("waveforms", folder, workers=2, on_progress=lambda *told: seen.append(told))
    patch.undo()
    return out, found, seen


@pytest.mark.long
def test_data_figure_and_rows_are_there(computed):
    folder, found, seen = computed
    data = xr.open_zarr(folder / "data.zarr", consolidated=False)
    assert data.replica.values.tolist() == ["a", "b"]
    assert data.accuracy.values[:, -1].shape == (2,)
    assert found == [Row(**row) for row in json.loads((folder / "rows.json").read_text())]
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "figure.svg").read_text()
    assert seen[-1] == (3, 3, 1.0)
    assert seen[0] == (0, 3, 0.0)


@pytest.mark.long
def test_a_run_that_diverges_is_a_result(computed):
    data = xr.open_zarr(computed[0] / "data.zarr", consolidated=False)
    assert float(data.learns) == -1
    assert float(data.diverges) >= 0


@pytest.mark.long
def test_what_is_there_is_used_again(computed, monkeypatch):
    folder, found, _ = computed
    monkeypatch.setattr(_reproduce, "study_named", lambda name: STUDY)
    before = (folder / "cells" / "learns" / "summary.json").stat().st_mtime_ns
    seen = []
    _, again = reproduce("waveforms", folder, on_progress=lambda *told: seen.append(told))
    assert again == found
    assert (folder / "cells" / "learns" / "summary.json").stat().st_mtime_ns == before
    assert seen == [(3, 3, 1.0)]


def test_a_damaged_cell_is_named(tmp_path):
    cell = CELLS["works"]
    (tmp_path / "cell" / "result.zarr").mkdir(parents=True)
    with pytest.raises(RunError, match=r"cell is damaged: remove it, and give the command again$"):
        read_result(cell, tmp_path / "cell")


@pytest.mark.long
def test_a_folder_of_something_else_is_refused(computed, tmp_path, monkeypatch):
    folder, _, _ = computed
    other = Study(
        cells=lambda quick: {"learns": CELLS["learns"]}, minutes=(1, 1), assemble=assemble, draw=draw, rows=rows
    )
    monkeypatch.setattr(_reproduce, "study_named", lambda name: other)
    wording = r"has another study, or other settings: give another --out, or remove it$"
    with pytest.raises(RunError, match=wording):
        reproduce("waveforms", folder)
    (folder / "study.json").rename(tmp_path / "study.json")
    with pytest.raises(RunError, match=r"exists and is not a study: give another --out$"):
        reproduce("waveforms", folder)
    (folder / "study.json").write_text('{"study": "wavefo')
    with pytest.raises(RunError, match=wording):
        reproduce("waveforms", folder)
    (tmp_path / "study.json").rename(folder / "study.json")


def test_texts_are_stored_without_a_warning(tmp_path):
    write_zarr(xr.Dataset({"name": ("k", ["long", "x"])}, {"k": ["a", "bcd"]}), tmp_path / "data.zarr")
    data = xr.open_zarr(tmp_path / "data.zarr", consolidated=False)
    assert data.name.values.tolist() == ["long", "x"]
    assert data.k.values.tolist() == ["a", "bcd"]


def test_an_unknown_study_is_one_line():
    with pytest.raises(ValueError, match=r"^unknown study 'angel': did you mean 'angle'\?; choose waveforms, "):
        study_named("angel")


SCRIPT = """
import sys
from pathlib import Path
from mgd import Interrupted
from mgd.reproduction import _reproduce
from mgd.runs import _execute
from mgd.sweeps import Run, Study
import xarray as xr
from matplotlib.figure import Figure

settings = {"task": "parity", "replicas": 2, "log_every": 250_000, "tau_x": 1, "steps": 500_000, "batch": 4}
study = Study(
    cells=lambda quick: {"a": Run(settings), "b": Run({**settings, "seed": 1})}, minutes=(1, 1),
    assemble=lambda results: xr.Dataset({name: result.cost for name, result in results.items()}),
    draw=lambda data: Figure(), rows=lambda data: [],
)
_execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE = 0.0, 0  # so that others see how far it is
if __name__ == "__main__":
    _reproduce.study_named = lambda name: study
    try:
        _reproduce.reproduce("waveforms", Path(sys.argv[1]), workers=2)
    except Interrupted as error:
        print(error)
        sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_a_study_that_is_stopped_goes_on_to_the_same_bits(tmp_path, how):
    script, cell = tmp_path / "study.py", tmp_path / "cut" / "cells" / "a"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script)]
    process = subprocess.Popen([*command, str(tmp_path / "cut")], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (cell / "checkpoint.safetensors").exists() or not read_header(cell).step:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    said, _ = process.communicate(timeout=120)  # until its workers are gone too: they have the same stdout
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said == "stopped with 0 of 2 cells done; continue with the same command\n"
    else:
        assert process.returncode == -signal.SIGKILL
    for name in ("cut", "whole"):
        subprocess.run([*command, str(tmp_path / name)], check=True, timeout=400)
    cut, whole = (xr.open_zarr(tmp_path / name / "data.zarr", consolidated=False).load() for name in ("cut", "whole"))
    assert np.array_equal(cut.a.values, whole.a.values)
    assert np.array_equal(cut.b.values, whole.b.values)
    assert not np.array_equal(cut.a.values, cut.b.values)


@pytest.mark.slow
def test_a_cluster_computes_the_same(computed, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(_reproduce, "study_named", lambda name: STUDY)
    address, _ = cluster
    folder, _ = reproduce("waveforms", tmp_path / "out", cluster=address)
    data, due = (xr.open_zarr(one / "data.zarr", consolidated=False).load() for one in (folder, computed[0]))
    assert data.accuracy.identical(due.accuracy)
    assert data.diverges.identical(due.diverges)


@pytest.mark.slow
def test_a_command_that_is_killed_continues_on_the_cluster(computed, cluster, tmp_path, cache_env):
    address, _ = cluster
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_execute import CELLS, STUDY\n"
        "from mgd.sweeps import execute\n"
        "say = lambda done, total, share: print(done, flush=True)\n"
        f"rows = execute(STUDY, CELLS, sys.argv[1], title={{}}, cluster={address!r}, on_progress=say)\n"
        "print(rows[0].ours)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cache_env) as client:
        while int(client.stdout.readline()) < 1:
            pass
        client.kill()
    again = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=cache_env, check=True)
    assert again.stdout.splitlines()[-1] == computed[1][0].ours


@pytest.mark.long
def test_a_cluster_that_ends_is_one_line(cluster, tmp_path):
    (address, processes), seen = cluster, []

    def end(*told):
        seen.append(told)
        if len(seen) == 2:  # the first is before anything is asked of it
            processes[0].kill()

    with pytest.raises(RunError, match=r"the cluster tcp://.* is gone; the cells that are computed are kept"):
        execute(STUDY, CELLS, tmp_path / "out", title={}, cluster=address, on_progress=end)


def test_a_cluster_that_is_none_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"^cluster takes the address of a scheduler .*, got 'somewhere'$"):
        reproduce("waveforms", tmp_path / "out", cluster="somewhere")
    assert not (tmp_path / "out").exists()
