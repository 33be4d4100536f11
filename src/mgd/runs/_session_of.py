"""A run of simulated chips as a session, as of its last checkpoint."""

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp

from .._errors import MgdWarning, RunError
from .._train import Session
from ..chips import AbstractChip
from ..datasets import Task
from ._begun import start_of
from ._build import build_task
from ._config import RunConfig
from ._directory import read_config
from ._execute import make_session
from ._generations import read_checkpoint
from ._parts import Given, Parts
from ._presets import resolve


def session_of(folder: Path, chip: AbstractChip | None = None, task: Task | None = None) -> Session:
    """The session of a run as of its last checkpoint.

    What was warned of when the run began is not warned of again.

    Args:
        folder: the run directory.
        chip: the chip of a run of `mgd.train`, which the run directory does not contain.
        task: its task, likewise.

    Raises:
        ValueError: if a part is missing, or is given for a run whose settings describe it.
        RunError: if it is not a run directory, a part is another one, or there is no checkpoint yet.
        DataError: if the task's files cannot be read.
    """
    config = read_config(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MgdWarning)
        session = _of_settings(folder, config, chip, task) if config.python is None else _of(folder, config, chip, task)
    found = read_checkpoint(folder, session.snapshot, config.identity())
    if found is None:
        raise RunError(f"{folder} has no checkpoint yet: wait for its first, or continue it: mgd resume {folder}")
    session.snapshot, _ = found
    return session


def _of_settings(folder: Path, config: RunConfig, chip: AbstractChip | None, task: Task | None) -> Session:
    for name, part in {"chip": chip, "task": task}.items():
        if part is not None:
            raise ValueError(f"{folder} has settings that describe its {name}: leave {name} out")
    whole = resolve(config)
    return make_session(whole, build_task(whole), start_of(config, folder))


def _of(folder: Path, config: RunConfig, chip: AbstractChip | None, task: Task | None) -> Session:
    if chip is None or task is None:
        name = "chip" if chip is None else "task"
        raise ValueError(
            f"the {name} of {folder} was made in Python, and is not in its settings: give it in Python, as {name}=…"
        )
    assert config.python is not None, "the run was begun in Python"
    key = jax.random.wrap_key_data(jnp.asarray(config.python.key, jnp.uint32))
    parts = Parts(chip, task, Given().completed(folder, config.python), config, key, start_of(config, folder))
    parts.check_same(folder)
    return parts.session()
