"""Clusters by their texts; jobs by commands that stand for those of SLURM, and machines by a server of ssh here."""

import gc
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mgd
from mgd import RunError
from mgd.clusters import Cluster
from mgd.sweeps import Plan, load_sweep, run

VARY = {"cost-noise": [0.001, 0.01, 0.1], "hidden": [2, 3]}
SETTINGS: dict[str, Any] = {
    "replicas": 2,
    "steps": 60,
    "engine": "measured",
    "tau_theta": 1,
    "tau_x": 1,
    "learning_rate": 1.0,
}
SBATCH = """#!/bin/sh
if grep -q 'SBATCH -p none' "$1"; then
  echo "sbatch: error: invalid partition specified: none" >&2
  exit 1
fi
cp "$1" JOBS/script-$$.sh
setsid sh JOBS/script-$$.sh > JOBS/log-$$ 2>&1 &
echo "Submitted batch job $!"
"""
SERVER = """
import asyncio
import os
import sys
import asyncssh

async def answer(process):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    child = await asyncio.create_subprocess_shell(process.command, cwd=sys.argv[1], start_new_session=True, **pipes)
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    try:
        process.exit(await child.wait())
    finally:
        if child.returncode is None:
            os.killpg(child.pid, 15)

async def listen():
    keys = {"server_host_keys": sys.argv[1] + "/host_key", "authorized_client_keys": sys.argv[1] + "/authorized_keys"}
    server = await asyncssh.listen("127.0.0.1", 0, process_factory=answer, **keys)
    print(server.get_port(), flush=True)
    await server.wait_closed()

asyncio.run(listen())
"""
SCANCEL = "#!/bin/sh\nkill -TERM -- -$1\n"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A queue whose jobs are processes of this machine, and where it keeps them."""
    folder = tmp_path / "queue"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH.replace("JOBS", str(folder)), "scancel": SCANCEL}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@contextmanager
def half_made() -> Iterator[None]:
    """Lets go of a cluster that Dask has half made meanwhile, which complains then that it is unclosed."""
    with warnings.catch_warnings(action="ignore"):
        yield
        gc.collect()


@pytest.mark.parametrize(
    ("text", "workers", "said"),
    [
        ("somewhere", None, r"cluster takes the address of a scheduler .*, ssh:HOST.*, got 'somewhere'"),
        ("tcp://10.0.0.5:8786", 2, "a scheduler has workers of its own: leave workers or cluster out"),
        ("ssh:node1,,node2", None, "ssh takes machines, as in ssh:node1,node2, got 'ssh:node1,,node2'"),
        ("slurm", 2, "there is no sbatch here: give --cluster slurm on a machine from which you submit jobs"),
        ("pbs:cores=1", 2, "there is no qsub here: give --cluster pbs on a machine from which you submit jobs"),
    ],
)  # fmt: skip
def test_a_text_that_means_nothing_here_is_one_line(text, workers, said, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=rf"^{said}$"):
        run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", workers=workers, cluster=text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "package"), [("slurm", "dask-jobqueue"), ("ssh:node1", "asyncssh")])
def test_a_package_that_is_not_there_is_named(text, package, slurm, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf'{text.partition(":")[0]} needs {package}: pip install "mgd\[cluster\]"'):
        Cluster.of(text, 2)


@pytest.mark.parametrize(
    ("text", "workers", "said"),
    [
        ("slurm", None, "slurm needs a number of workers: give --workers 16"),
        ("slurm:cores", 2, "slurm takes NAME=VALUE, as in slurm:cores=1,memory=4GB, got 'cores'"),
        ("slurm:cores=1", 2, "slurm:cores=1: say how many cores and how much memory a job has"),
        ("slurm:cores=1,memory=1GB,colour=red", 2, "slurm:cores=1,memory=1GB,colour=red: .*colour"),
    ],
)
def test_wrong_arguments_of_a_queue_are_one_line(text, workers, said, slurm, tmp_path):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    with half_made():
        with pytest.raises(ValueError, match=said) as caught:
            run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", workers=workers, cluster=text)
        assert "\n" not in str(caught.value)
        del caught


def test_a_job_that_is_refused_is_one_line(slurm, tmp_path):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    text = "slurm:cores=1,memory=1GB,queue=none,interface=lo"
    said = r"the job was refused \(sbatch: error: invalid partition specified: none\)$"
    with half_made(), pytest.raises(RunError, match=said):
        run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", workers=2, cluster=text)


def test_the_job_that_the_page_shows_is_the_one_that_is_submitted():
    jobqueue: Any = pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    page = (Path(__file__).parents[2] / "docs" / "sweep.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n#!/usr/bin/env bash\n")[2].partition("```")[0]
    given = {"cores": 1, "memory": "4GB", "walltime": "02:00:00"}
    with jobqueue.SLURMCluster(**given, scheduler_options={"host": "127.0.0.1", "dashboard_address": ":0"}) as cluster:
        lines = cluster.job_script().replace("tcp://127.0.0.1:", "tcp://10.0.0.5:").splitlines()[1:]
    changing = re.compile(r"\S+/python |:\d{4,5} ")
    assert [changing.sub(" ", line) for line in lines if line] == [
        changing.sub(" ", line) for line in shown.splitlines() if line
    ]


@pytest.mark.slow
def test_jobs_of_a_queue_compute_a_sweep(slurm, tmp_path):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    quiet = mgd.sweep("parity", vary=VARY, out=tmp_path / "quiet", **SETTINGS)
    text = "slurm:cores=1,memory=2GB,walltime=00:10:00,queue=short,interface=lo"
    run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", workers=2, cluster=text)
    assert load_sweep(tmp_path / "out").identical(quiet)
    script = next(slurm.glob("script-*.sh")).read_text()
    assert "#SBATCH -t 00:10:00" in script
    assert "#SBATCH -p short" in script


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The name of a machine that ssh reaches without a password: this one, through a server of ssh on the loopback."""
    asyncssh: Any = pytest.importorskip("asyncssh", reason="asyncssh is not installed")
    secrets = tmp_path / "home" / ".ssh"
    secrets.mkdir(parents=True)
    own, theirs = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    own.write_private_key(secrets / "id_ed25519")
    own.write_public_key(secrets / "authorized_keys")
    theirs.write_private_key(secrets / "host_key")
    with subprocess.Popen([sys.executable, "-c", SERVER, secrets], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        (secrets / "config").write_text(f"Host 127.0.0.1\n  Port {port}\n  User tester\n")
        (secrets / "known_hosts").write_text(f"[127.0.0.1]:{port} {theirs.export_public_key().decode()}")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield "127.0.0.1"
        server.terminate()


@pytest.mark.slow
def test_machines_by_ssh_compute_a_sweep(machine, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed")
    quiet = mgd.sweep("parity", vary=VARY, out=tmp_path / "quiet", **SETTINGS)
    monkeypatch.chdir(tmp_path)  # the folder is given as users do, and the machine is elsewhere
    run(Plan.of({"task": "parity", **SETTINGS}, VARY), Path("out"), workers=2, cluster=f"ssh:{machine}")
    assert load_sweep(tmp_path / "out").identical(quiet)


def test_a_machine_that_does_not_let_us_in_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("asyncssh", reason="asyncssh is not installed")
    pytest.importorskip("distributed", reason="Dask is not installed")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host 127.0.0.1\n  Port 9\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        RunError, match=r"ssh:127\.0\.0\.1: no workers by ssh \(.*Connect call failed.*\): each machine"
    ) as caught:
        run(Plan.of({"task": "parity", **SETTINGS}, VARY), tmp_path / "out", cluster="ssh:127.0.0.1")
    assert "\n" not in str(caught.value)
