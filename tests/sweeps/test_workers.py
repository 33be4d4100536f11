"""Workers of Dask: the same results as in one process, whatever dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import mgd
from mgd import MgdWarning, RunError
from mgd.sweeps import Plan, load_sweep, run
from mgd.sweeps._workers import Crew, Report, Store

pytest.importorskip("distributed", reason="Dask is not installed")

VARY = {"cost-noise": [0.001, 0.01, 0.1], "hidden": [2, 3]}
SETTINGS: dict[str, Any] = {
    "replicas": 2,
    "steps": 60,
    "engine": "measured",
    "tau_theta": 1,
    "tau_x": 1,
    "learning_rate": 1.0,
}
# A chip that kills the worker that builds it, if it is told to; not the process that asks what it is.
DEADLY = """
import os
import distributed
import mgd

def build(inputs, outputs, deadly=0):
    try:
        distributed.get_worker()
    except ValueError:
        pass
    else:
        if deadly:
            os._exit(9)
    return mgd.chips.mlp((*inputs, 2, outputs))
"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The sweep as one process computes it."""
    return mgd.sweep("parity", vary=VARY, out=tmp_path_factory.mktemp("quiet") / "out", **SETTINGS)


@pytest.fixture
def as_processes_compile(cache_env, monkeypatch):
    """Workers take their programs from where this session's processes keep them."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, cache_env[name])


def children_of(process: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *children_of(child)]
    return found


def workers_below(process: int) -> list[int]:
    """Workers of Dask among them, which are started by spawning."""
    found = []
    for child in children_of(process):
        try:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:  # it has ended
            pass
    return found


@pytest.mark.long
def test_two_workers_give_the_same_bits(quiet, tmp_path, as_processes_compile):
    assert mgd.sweep("parity", vary=VARY, out=tmp_path / "out", workers=2, **SETTINGS).identical(quiet)


@pytest.mark.long
@pytest.mark.enough("1000000000.0")
@pytest.mark.parametrize("soon", [-1.0, 1e9])
def test_workers_are_started_where_it_is_worth_it(quiet, tmp_path, as_processes_compile, monkeypatch, soon):
    monkeypatch.setattr("mgd.sweeps._sweep._SOON_SECONDS", soon)
    crews = []
    run(
        Plan.of({"task": "parity", **SETTINGS}, VARY),
        tmp_path / "out",
        on_course=lambda course: crews.append(course.workers),
    )
    assert max(crews) == (1 if soon > 0 else len(os.sched_getaffinity(0)))
    assert load_sweep(tmp_path / "out").identical(quiet)


@pytest.mark.long
def test_workers_that_are_killed_are_replaced(quiet, tmp_path, as_processes_compile):
    killed: list[int] = []

    def kill(course):
        victims = [worker for worker in workers_below(os.getpid()) if worker not in killed]
        if victims and len(killed) < 4:
            killed.append(victims[0])
            os.kill(victims[0], signal.SIGKILL)

    run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", workers=2, on_course=kill)
    assert len(killed) == 4
    assert load_sweep(tmp_path / "out").identical(quiet)


@pytest.mark.slow
def test_a_point_that_kills_its_worker_is_named_and_left_out(tmp_path, as_processes_compile):
    (tmp_path / "deadly.py").write_text(DEADLY)
    chip = {"build": "deadly:build", "folder": str(tmp_path)}
    plan = Plan.of({"task": "parity", "chip": chip, **SETTINGS}, {"chip.deadly": [0, 1], "cost-noise": [0.001, 0.1]})
    with pytest.warns(MgdWarning, match=r"cost-noise=0\.\d* killed its worker three times, and is left out") as told:
        run(plan, tmp_path / "out", workers=2)
    named = sorted(str(each.message).partition(" killed")[0] for each in told)
    assert named == ["the point chip.deadly=1, cost-noise=0.001", "the point chip.deadly=1, cost-noise=0.1"]
    found = load_sweep(tmp_path / "out")
    assert found["chip.deadly"].values.tolist() == [0]
    assert found.computed.values.all()


@pytest.mark.long
def test_a_cluster_computes_it_and_its_end_loses_nothing(quiet, tmp_path, cluster):
    address, processes = cluster
    plan, folder = Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out"

    def end(course):
        if course.computed >= 2:
            processes[0].kill()

    with pytest.raises(RunError, match=r"the cluster tcp://.* is gone; the points that are computed are kept"):
        run(plan, folder, cluster=address, on_course=end)
    assert load_sweep(folder).computed.sum() >= 2
    run(plan, folder, workers=1)
    assert load_sweep(folder).identical(quiet)


@pytest.mark.long
def test_a_client_that_is_killed_continues(quiet, tmp_path, cluster, cache_env):
    address, _ = cluster
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mgd.sweeps import plan_of, run\n"
        f"plan = plan_of('parity', {VARY!r}, None, {SETTINGS!r})\n"
        f"run(plan, Path(sys.argv[1]), cluster={address!r}, on_course=lambda c: print(c.computed, flush=True))\n"
    )
    folder = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True, env=cache_env
    ) as client:
        while int(client.stdout.readline()) < 2:
            pass
        client.kill()
    run(Plan.of({"task": "parity", **SETTINGS}, VARY), folder, cluster=address)
    assert load_sweep(folder).identical(quiet)


# A chip that notes which worker begins it, and when.
NOTED = """
import time
import distributed
import mgd

def build(inputs, outputs, mark=0, into=""):
    try:
        distributed.get_worker()
    except ValueError:
        pass
    else:
        with open(into, "a") as file:
            file.write(f"{mark} {time.time_ns()}\\n")
    return mgd.chips.mlp((*inputs, 2, outputs))
"""
CLIENT = """
import sys
from pathlib import Path
from mgd.sweeps import Plan, _sweep

_sweep._BATCH_SECONDS = 0.0  # so that each point is a part
_sweep.run(Plan.of({settings!r}, {vary!r}), Path(sys.argv[1]), cluster={address!r})
"""


@pytest.mark.slow
def test_ten_deaths_of_workers_and_two_of_clients_change_nothing(tmp_path, cluster, cache_env):
    address, processes = cluster
    (tmp_path / "noted.py").write_text(NOTED)
    begun, folder = tmp_path / "begun", tmp_path / "out"
    chip = {"build": "noted:build", "folder": str(tmp_path), "arguments": {"into": str(begun)}}
    settings, vary = {"task": "parity", "chip": chip, **SETTINGS}, {"chip.mark": list(range(30))}
    plan = Plan.of(settings, vary)
    mark_of = {Store.part_of([point.digest]): point.values["chip.mark"] for point in plan.points()}
    code = CLIENT.format(settings=settings, vary=vary, address=address)

    def client():
        return subprocess.Popen([sys.executable, "-c", code, str(folder)], env=cache_env)

    there: dict[int, int] = {}
    killed, clients = 0, [client()]
    while clients[-1].poll() is None:
        time.sleep(0.02)
        new = {mark_of[part.name] for part in folder.glob("parts/*.zarr")} - set(there)
        there |= dict.fromkeys(new, time.time_ns())
        victims = [worker for nanny in processes[1:] for worker in workers_below(nanny.pid)]
        if new and victims and killed < 10:
            os.kill(victims[killed % len(victims)], signal.SIGKILL)
            killed += 1
            if killed in (3, 6):
                clients[-1].kill()
                clients[-1].wait()
                clients.append(client())
    assert (killed, [each.returncode for each in clients]) == (10, [-signal.SIGKILL, -signal.SIGKILL, 0])
    run(plan, tmp_path / "quiet", workers=1)
    assert load_sweep(folder).identical(load_sweep(tmp_path / "quiet"))
    notes = [tuple(map(int, line.split())) for line in begun.read_text().splitlines()]
    assert {mark for mark, _ in notes} == set(range(30))
    assert not [mark for mark, when in notes if when > there.get(mark, when)], "a point that was there was begun again"


def test_a_cluster_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("mgd.clusters._cluster._ANSWER_SECONDS", 1)
    plan = Plan.of({"task": "parity", **SETTINGS}, VARY)
    with pytest.raises(
        RunError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9: start one with `dask scheduler`"
    ):
        run(plan, tmp_path / "out", cluster="tcp://127.0.0.1:9")


def test_workers_that_write_elsewhere_are_one_line(tmp_path, monkeypatch):
    class Done:
        status = "finished"

        def result(self):
            return Report(1.0, 1.0, "0.zarr")

        def release(self):
            pass

    class Client:
        status = "running"

        def submit(self, *given, **more):
            return Done()

    plan = Plan.of({"task": "parity", **SETTINGS}, VARY)
    monkeypatch.setattr("distributed.wait", lambda futures, **given: type("Waited", (), {"done": set(futures)}))
    crew = Crew(Client(), Store.claimed(tmp_path / "out", plan), [], "tcp://10.0.0.5:8786")
    crew._running[crew._client.submit()] = tuple(plan.points())
    with pytest.raises(RunError, match=r"the workers of tcp://10.* do not write to this .*out: give an out that all"):
        crew.finished()
