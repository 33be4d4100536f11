"""Dask: whether it is there, what it answers, and what is said when it does not. Nothing here imports JAX."""

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from .._errors import RunError

# How often what is computed may kill its worker.
MOST_KILLS = 3


def has_dask() -> bool:
    """Whether there can be workers."""
    return importlib.util.find_spec("distributed") is not None


def distributed() -> Any:
    """Dask's package for workers.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise ValueError(
            'several workers need Dask: pip install "mgd[sweep]", or leave workers and cluster out'
        ) from None


def has_pages() -> bool:
    """Whether Dask can show pages of what workers do."""
    return importlib.util.find_spec("bokeh") is not None


def dashboard_of(client: Any) -> str | None:
    """The address of the page that shows what workers do; None if there is none."""
    return client.dashboard_link if "dashboard" in client.scheduler_info()["services"] else None


@contextmanager
def there(client: Any, where: str, what: str) -> Iterator[None]:
    """Raises: RunError: if the scheduler does not answer any more, or what is computed kills its workers."""
    try:
        yield
    except CancelledError:  # by Dask, of what was asked of a scheduler that has ended
        raise _gone(where, what) from None
    except distributed().KilledWorker:
        raise RunError(
            f"workers of {where} died of one of the {what} (out of memory?); those that are computed are kept: give "
            "the command again"
        ) from None
    except OSError as error:  # of the network, or of what was computed
        if isinstance(error, distributed().comm.CommClosedError) or client.status != "running":
            raise _gone(where, what) from None
        raise
    if client.status not in ("running", "connecting"):
        raise _gone(where, what)


def _gone(where: str, what: str) -> RunError:
    """The error that says so."""
    return RunError(f"the cluster {where} is gone; the {what} that are computed are kept: give the command again")


def keep_to(cores: Sequence[Sequence[int]]) -> None:
    """Keeps the worker that calls this to its cores of `Cluster.cores`, if there are any, before JAX counts them."""
    if cores:
        os.sched_setaffinity(0, cores[int(distributed().get_worker().name)])


def not_wanted() -> Callable[[], bool]:
    """A question for what a worker computes: whether nobody waits for it any more.

    A thread cannot be ended from outside, so that what is cancelled has to ask.
    """
    worker = distributed().get_worker()
    key = worker.get_current_task()

    def asked() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return asked
