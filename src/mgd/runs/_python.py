"""Training from Python: any chip, any task, in memory or in a run directory."""

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from rich.console import Console

from .._arguments import MOST_STEPS, check_arguments, check_counts, checked_start
from .._errors import Interrupted, MgdWarning, RunError
from .._stops import stop_requested
from .._train import Result, Session
from .._until import Until
from .._vary import Vary
from ..algorithm import AbstractAlgorithm
from ..chips import AbstractChip, AbstractCost
from ..datasets import Task
from ..diagnosis import Finding, first_finding
from ..engines import Options
from ..instruments import Guarded
from ._begun import keep_start, start_of
from ._build import build_task
from ._checkpoint import Owner
from ._config import RunConfig
from ._directory import check_out, only_writer, read_config, read_summary
from ._execute import (
    OnProgress,
    Place,
    fresh_place,
    go_back_before,
    is_whole,
    lengthened,
    make_session,
    run_into,
    take_up,
)
from ._execute import resume as resume_settings
from ._generations import read_checkpoint
from ._keeping import AbstractKeeping
from ._parts import Given, Parts
from ._presets import resolve
from ._progress import progress as shown


def train(
    chip: AbstractChip | Guarded,
    task: Task,
    algorithm: AbstractAlgorithm | None = None,
    *,
    n_steps: int,
    key: PRNGKeyArray,
    n_replicas: int = 1,
    batch: int | None = None,
    engine: str = "auto",
    log_every: int | None = None,
    devices: int = 1,
    start: Float[np.ndarray, "*replica p"] | None = None,
    cost: str | AbstractCost | None = None,
    options: Options | None = None,
    vary: Vary | None = None,
    until_accuracy: float | None = None,
    until_solved: bool = False,
    patience: int | None = None,
    out: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> Result:
    """Trains replicas of a simulated chip, or an instrument.

    Ctrl-C ends the run with `Interrupted`. Its `result` has the results so far. A run in a directory also has a
    checkpoint, from which `mgd.resume` continues.

    Args:
        chip: a simulated chip, whose replicas differ by their keys; or an instrument that `mgd.instruments.opened`
            opened, which has one replica.
        task: the task to learn.
        algorithm: the training algorithm; `mgd.discrete()` by default. Parts that `discrete` was not given are chosen
            here for the chip and the number of steps (`mgd.algorithm.fitted`).
        n_steps: timesteps.
        key: the seed of all random numbers: the same key gives the same run, to the bit.
        n_replicas: chips trained side by side.
        batch: samples over which a measurement is averaged; by default 1, or up to 64 if time constants are chosen
            here.
        engine: for simulated chips: "measured", "fused" (many small chips), "sampled" (long windows of large chips), or
            "auto". "auto" takes the fused engine if it is installed, supports chip and algorithm, and there are enough
            chips; otherwise the measured one.
        log_every: timesteps between two evaluations on the test set. By default they are spaced evenly in the logarithm
            of the step; a run that may end early has 200 of them at equal distances.
        devices: JAX devices that share the replicas, or the perturbations within a hold of a single chip; only in the
            measured engine. The result is that of one device, to rounding.
        start: the parameters at the start, of shape (p,) for all replicas or (replica, p) for each. By default a
            simulated chip draws them; an instrument has its own, or else random ones about the middle of its limits.
        cost: for an instrument, the cost of its outputs: "mse" (the default) or "cross-entropy"; a simulated chip has
            its own.
        options: for an instrument, further settings of the training.
        vary: for simulated chips, the numbers in which replicas differ: for each name a sequence with one value for
            each replica. Names are "learning_rate", "momentum", "weight_decay" or another number of the optimizer,
            "amplitude", "modulation_limit", numbers of an imperfection, such as "cost-noise.sigma", and "optimizer",
            whose values are optax transformations. A setting that is not a number, or that changes the program,
            cannot vary.
        until_accuracy: the run ends when the mean test accuracy of all replicas is at least this, from 0 to 1.
        until_solved: the run ends when every replica has solved the task.
        patience: the run ends when the mean test score (the cost, if there is no score) has not improved for this many
            timesteps.
        out: a run directory to make. It keeps checkpoints, metrics, the costs of an instrument, and the results.
        progress: whether to show a progress bar; by default on a terminal and in a notebook.

    Returns:
        Final parameters, score, counts and history.

    Warns:
        MgdWarning: if the cost on the test set never changed, or for the first cause that is found if the run has
            not learnt its task; `mgd.results.diagnose` looks for all.

    Raises:
        ValueError: if chip and task do not match, a number is out of range, an argument is not for this kind of chip,
            replicas do not fit in memory, or the sampled engine finds that `jax.grad` is not the slope of the chip.
        DivergedError: if a measured cost was NaN or infinite.
        HardwareError, LimitError: from an instrument, as from `mgd.engines.Instrumented.advance`.
        Interrupted: if the run was asked to stop.
        RunError: if the run directory exists or cannot be written.

    >>> import mgd
    >>> task = mgd.datasets.parity(bits=2)
    >>> result = mgd.train(
    ...     mgd.chips.mlp((2, 2, 1)), task, mgd.discrete(), n_steps=1000, n_replicas=3, key=jax.random.key(0)
    ... )
    >>> result.theta.shape, result.counts.cost_measurements
    ((3, 9), 1334)
    """
    check_arguments(chip, task, algorithm, key, engine, {"cost": cost, "options": options}, vary)
    check_counts(n_steps=n_steps, batch=1 if batch is None else batch, most=MOST_STEPS)
    given = Given(algorithm, cost, options, vary)
    Until(until_accuracy, until_solved, patience)  # wrong numbers are refused before anything is made
    config = RunConfig.model_construct(  # the session checks the others
        task=task.name,
        steps=n_steps,
        batch=batch,
        replicas=n_replicas,
        engine=engine,
        log_every=log_every,
        devices=devices,
        until_accuracy=until_accuracy,
        until_solved=until_solved or None,
        patience=patience,
    )
    begun = None if start is None else checked_start(start, n_replicas, chip.n_params)
    parts = Parts(chip, task, given, config, key, begun)
    if out is None:
        with _shown(n_steps, progress) as on_progress:
            return _in_memory(parts.session(), on_progress)
    folder = Path(out)
    check_out(folder)
    keeping, pickled = parts.keeping(), given.pickled()
    config = parts.described(keeping.session, None if pickled is None else pickled.digest)
    with fresh_place(folder, config, task, keeping) as place, _shown(n_steps, progress) as on_progress:
        keep_start(folder, begun)
        if pickled is not None:
            pickled.keep(folder)
        _into(place, keeping, on_progress)
    return _ended(keeping.session, folder)


def resume(
    out: str | os.PathLike,
    *,
    chip: AbstractChip | Guarded | None = None,
    task: Task | None = None,
    algorithm: AbstractAlgorithm | None = None,
    n_steps: int | None = None,
    before: int | None = None,
    cost: str | AbstractCost | None = None,
    options: Options | None = None,
    vary: Vary | None = None,
    progress: bool | None = None,
) -> Result:
    """Continues a run from its last checkpoint; it ends as if it had never stopped, to the bit.

    Args:
        out: the run directory, of `mgd.train` or of the command `mgd train`.
        chip: the chip of a run of `mgd.train`, which the run directory does not contain.
        task: its task, likewise.
        algorithm: its algorithm, if one was given. The user who began the run need not give it again on the same
            machine: it is kept in the run directory.
        n_steps: if given, the run continues to this many timesteps in all, whatever was to end it.
        before: if given, the run goes back to the newest checkpoint before this step.
        cost: as `algorithm`.
        options: as `algorithm`.
        vary: as `algorithm`.
        progress: whether to show a progress bar; by default on a terminal and in a notebook.

    Returns:
        As `mgd.train`; for a finished run, its results.

    Raises:
        ValueError: if a part of the run is missing.
        RunError: if it is not a run directory, the parts are not those of the run, or its checkpoints cannot be used.
        DivergedError, HardwareError, LimitError, Interrupted: as `mgd.train`.

    >>> import mgd, tempfile
    >>> chip, task = mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(bits=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = mgd.train(chip, task, n_steps=500, key=jax.random.key(0), out=f"{folder}/run")
    ...     more = mgd.resume(f"{folder}/run", chip=chip, task=task, n_steps=1000)
    >>> first.n_steps, more.n_steps
    (500, 1000)
    """
    folder = Path(out)
    known = read_config(folder)
    given = Given(algorithm, cost, options, vary)
    if known.python is None:
        return _resume_settings(folder, {"chip": chip, "task": task, **given.named()}, n_steps, before, progress)
    if chip is None or task is None:
        missing = "chip" if chip is None else "task"
        raise ValueError(f"{folder} was begun by a Python program: give its {missing} again, as {missing}=…")
    key = jax.random.wrap_key_data(jnp.asarray(known.python.key, jnp.uint32))
    check_arguments(chip, task, algorithm, key, known.engine, {"cost": cost, "options": options}, vary)
    with only_writer(folder):
        config = lengthened(folder, n_steps)
        parts = Parts(chip, task, given.completed(folder, known.python), config, key, start_of(config, folder))
        parts.check_same(folder)
        if before is not None:
            go_back_before(folder, before, config.identity())
        keeping, owner = parts.keeping(), Owner(config.identity())
        if before is None and is_whole(folder):
            found = read_checkpoint(folder, keeping.session.snapshot, owner.settings)
            if found is not None:
                keeping.session.snapshot, _ = found
                return keeping.session.result()
        with _shown(config.steps or 1, progress) as on_progress:
            _into(Place(config, folder, owner), keeping, on_progress, take_up)
    return _ended(keeping.session, folder)


def _in_memory(session: Session, on_progress: OnProgress) -> Result:
    """Trains, and keeps nothing."""
    with stop_requested("stopped at once; nothing was kept: give out=… to keep a run") as stop:
        while not session.finished:
            session.advance()
            on_progress(session)
            if stop() and not session.finished:
                step = session.snapshot.step
                raise Interrupted(
                    f"stopped at step {step}; the exception's result has the results so far; give out=… to be able to "
                    "continue",
                    step=step,
                    result=session.result() if session.snapshot.steps else None,
                )
    return _ended(session)


def _into(
    place: Place,
    keeping: AbstractKeeping,
    on_progress: OnProgress,
    how: Callable[[AbstractKeeping, Place, OnProgress], None] = run_into,
) -> None:
    """Trains in a run directory, or continues there.

    Raises:
        Interrupted: if it is asked to stop, with the results so far.
    """
    try:
        how(keeping, place, on_progress)
    except Interrupted as error:
        session = keeping.session
        error.result = session.result() if session.snapshot.steps else None
        raise


def _ended(session: Session, folder: Path | None = None) -> Result:
    doubts = session.doubts()
    if folder is None:
        found = first_finding(session)
    else:  # it was looked for when the summary was written
        kept = (read_summary(folder) or {}).get("diagnosis")
        found = None if kept is None else Finding(**kept)
    for doubt in doubts if found is None else [*doubts, str(found)]:
        warnings.warn(doubt, MgdWarning, stacklevel=3)
    return session.result()


def _resume_settings(
    folder: Path, parts: dict[str, Any], n_steps: int | None, before: int | None, progress: bool | None
) -> Result:
    """Continues a run that its settings describe, as `mgd resume` does."""
    if given := [name for name, part in parts.items() if part is not None]:
        raise ValueError(f"{folder} has settings that describe its {given[0]}: leave {given[0]} out")
    known = read_config(folder)
    if known.instruments:
        raise ValueError(f"{folder} is a run on a real chip of a chip file: continue it with mgd resume {folder}")
    with _shown(n_steps or known.steps or 1, progress) as on_progress:
        resume_settings(folder, before=before, steps=n_steps, on_progress=on_progress)
    config = read_config(folder)
    session = make_session(resolve(config), build_task(resolve(config)), start_of(config, folder))
    found = read_checkpoint(folder, session.snapshot, config.identity())
    if found is None:
        raise RunError(f"{folder} has no checkpoint: start the run anew")
    session.snapshot, _ = found
    return session.result()


def _shown(steps: int, progress: bool | None) -> AbstractContextManager[OnProgress]:
    """A bar, if one is wanted."""
    console = Console(stderr=True)
    wanted = console.is_terminal or console.is_jupyter if progress is None else progress
    return shown(steps) if wanted else nullcontext(lambda session: None)
