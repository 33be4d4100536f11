"""Clusters by their texts: a scheduler that runs, machines that ssh reaches, jobs of SLURM or PBS; and this machine."""

import importlib
import importlib.util
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .._errors import RunError
from .._stops import not_for_children
from ._dask import MOST_KILLS, distributed, has_pages

# How long a scheduler or a machine may take to answer.
_ANSWER_SECONDS = 10
# The environment of workers on this machine. Dask's own has MALLOC_TRIM_THRESHOLD_ too, with which the C library gives
# large arrays back to the system each time they are freed, and asks for them again: a tenth of the time of a sweep.
_ENVIRONMENT = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1}
# Of each queue of jobs, the command that submits one, and the class of dask-jobqueue.
_QUEUES = {"slurm": ("sbatch", "SLURMCluster"), "pbs": ("qsub", "PBSCluster")}
_ADDRESS = re.compile(r"(tcp|tls|ucx|wss?)://.+|[^/]+:\d+")


@dataclass(frozen=True)
class Cluster:
    """What users ask for.

    Attributes:
        kind: "address", "ssh", "slurm", "pbs" or "here".
        text: as it was given; what it is called.
        hosts: of ssh, the machines.
        options: of a queue, arguments of dask-jobqueue.
        workers: with ssh on each machine, otherwise in all.
    """

    kind: str
    text: str
    hosts: tuple[str, ...] = ()
    options: tuple[tuple[str, int | str], ...] = ()
    workers: int = 1

    @staticmethod
    def of(text: str, workers: int | None) -> "Cluster":
        """What a text means.

        Args:
            text: "tcp://10.0.0.5:8786", "ssh:HOST,HOST", or "slurm" or "pbs" with arguments of dask-jobqueue, as in
                "slurm:cores=1,memory=4GB,walltime=02:00:00".
            workers: with ssh on each machine, of a queue in all.

        Raises:
            ValueError: if it means nothing, or what it needs is not on this machine.
        """
        kind, _, rest = str(text).partition(":")
        if kind in _QUEUES:
            return Cluster(kind, text, options=_options(kind, rest), workers=_counted(kind, workers))
        if kind == "ssh":
            hosts = tuple(host.strip() for host in rest.split(","))
            if not all(hosts):
                raise ValueError(f"ssh takes machines, as in ssh:node1,node2, got {text!r}")
            _needed("asyncssh", "ssh", "asyncssh")
            return Cluster(kind, text, hosts=hosts, workers=workers or 1)
        if not _ADDRESS.fullmatch(str(text)):
            raise ValueError(
                "cluster takes the address of a scheduler (tcp://10.0.0.5:8786), ssh:HOST,HOST, slurm or pbs, "
                f"got {text!r}"
            )
        if workers not in (None, 1):
            raise ValueError("a scheduler has workers of its own: leave workers or cluster out")
        return Cluster("address", text)

    @staticmethod
    def here(workers: int) -> "Cluster":
        """Workers on this machine; those that die are replaced."""
        return Cluster("here", "here", workers=workers)

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """A client of Dask; workers that were started for it end with it.

        Raises:
            ValueError: if an argument is unknown, or Dask is not installed.
            RunError: if nobody answers there.
        """
        if self.kind == "address":
            with self._client() as client:
                yield client
            return
        dask_distributed = distributed()
        given = {
            "distributed.scheduler.allowed-failures": MOST_KILLS - 1,
            "distributed.admin.log-length": 0,
            "distributed.nanny.pre-spawn-environ": _ENVIRONMENT,
        }
        with importlib.import_module("dask.config").set(given):
            match self.kind:
                case "here":
                    cluster = self._of_this_machine(dask_distributed)
                case "ssh":
                    cluster = self._by_ssh(dask_distributed)
                case _:
                    cluster = self._by_jobs()
        with cluster, dask_distributed.Client(cluster) as client:
            yield client

    def cores(self) -> list[list[int]]:
        """Of workers on this machine, the cores of each, which it is to keep to before JAX counts them; else none."""
        if self.kind != "here" or not hasattr(os, "sched_getaffinity"):
            return []
        cores = sorted(os.sched_getaffinity(0))
        return [cores[number % len(cores) :: self.workers] for number in range(self.workers)]

    def _of_this_machine(self, dask_distributed: Any) -> Any:
        with not_for_children():  # which never see Ctrl-C: this process asks them
            return dask_distributed.LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0" if has_pages() else None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )

    def _client(self) -> Any:
        try:
            return distributed().Client(self.text, timeout=_ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            raise RunError(
                f"no scheduler answers at {self.text}: start one with `dask scheduler`, and give the address that it "
                "prints"
            ) from error

    def _by_ssh(self, dask_distributed: Any) -> Any:
        try:
            return dask_distributed.SSHCluster(
                [self.hosts[0], *self.hosts],  # the first has the scheduler too
                connect_options={"connect_timeout": _ANSWER_SECONDS},
                scheduler_options={"port": 0, "dashboard_address": ":0"},
                worker_options={"nthreads": 1, "n_workers": self.workers},
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError) as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            raise RunError(
                f"{self.text}: no workers by ssh ({reason}): each machine must let you in without a password, and have "
                "mgd and Dask at the same path as here"
            ) from error

    def _by_jobs(self) -> Any:
        _, name = _QUEUES[self.kind]
        config = importlib.import_module("dask.config")
        try:
            jobqueue: Any = importlib.import_module("dask_jobqueue")  # which adds its defaults to the configuration
            scheduler = {"dashboard_address": ":0"} | config.get(f"jobqueue.{self.kind}.scheduler-options", {})
            cluster = getattr(jobqueue, name)(
                scheduler_options=scheduler, silence_logs=logging.CRITICAL, **dict(self.options)
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.text}: {_in_one_line(error)}") from error
        try:
            cluster.sync(_submit_one, cluster)
            # A job that ends at its limit of time, or whose machine dies, is followed by another.
            cluster.adapt(minimum=self.workers, maximum=self.workers)
        except RuntimeError as error:
            with suppress(AssertionError):  # of Dask, that what it could not start has started
                cluster.close()
            cluster.status = distributed().Status.closed  # or it complains, whenever it is collected, that it is not
            raise RunError(f"{self.text}: the job was refused ({_refusal(error)})") from error
        except BaseException:
            cluster.close()
            raise
        return cluster


async def _submit_one(cluster: Any) -> None:
    """Submits the first job, so that a refusal is an error here; of later ones it would be a line in Dask's log."""
    cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster


def _options(kind: str, text: str) -> tuple[tuple[str, int | str], ...]:
    """Arguments of dask-jobqueue, once it is known that jobs can be submitted here."""
    command, _ = _QUEUES[kind]
    if shutil.which(command) is None:
        raise ValueError(f"there is no {command} here: give --cluster {kind} on a machine from which you submit jobs")
    _needed("dask_jobqueue", kind, "dask-jobqueue")
    found: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise ValueError(f"{kind} takes NAME=VALUE, as in {kind}:cores=1,memory=4GB, got {part!r}")
        found[name.strip().replace("-", "_")] = int(value) if value.isdecimal() else value
    return tuple(found.items())


def _counted(kind: str, workers: int | None) -> int:
    if workers is None:
        raise ValueError(f"{kind} needs a number of workers: give --workers 16")
    return workers


def _needed(module: str, kind: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ValueError(f'--cluster {kind} needs {package}: pip install "mgd[cluster]"')


def _in_one_line(error: Exception) -> str:
    """What dask-jobqueue says of its arguments."""
    text = str(error)
    if "how much cores and memory" in text:
        return "say how many cores and how much memory a job has, as in cores=1,memory=4GB"
    return text.partition("\n")[0]


def _refusal(error: RuntimeError) -> str:
    """What the command that submits jobs said, at the end of dask-jobqueue's message."""
    lines = str(error).partition("stderr:")[2].split("\n")
    return next((line.strip() for line in lines if line.strip()), str(error).partition("\n")[0])
