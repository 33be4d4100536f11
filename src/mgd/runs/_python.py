"""Training by a program in Python: of any chip, on any task, in memory or into a run directory."""

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

from .._arguments import MOST_STEPS, check_arguments, check_whole, checked_start
from .._errors import Interrupted, MgdWarning, RunError
from .._stops import stop_requested
from .._train import Result, Session
from .._until import Until
from .._vary import Vary
from ..algorithm import AbstractAlgorithm
from ..chips import AbstractChip, AbstractCost
from ..datasets import Task
from ..engines import Options
from ..instruments import Guarded
from ._begun import keep_start, start_of
from ._build import build_task
from ._checkpoint import Owner
from ._config import RunConfig
from ._directory import check_out, only_writer, read_config
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
    """Trains replicas of a simulated chip, or a chip behind I/O.

    Ctrl-C ends the run with `Interrupted`. What it has come to is in `Interrupted.result`; a run in a directory has a
    checkpoint, from which `mgd.resume` goes on.

    Args:
        chip: what is trained. Replicas of a simulated chip differ by their keys. A chip behind I/O is one that
            `mgd.instruments.opened` gives, and there is one replica.
        task: what it is trained on.
        algorithm: how; `mgd.discrete()` by default, whose parts that are not given are chosen here for the chip and
            the number of steps (`mgd.algorithm.fitted`).
        n_steps: timesteps.
        key: everything random is drawn from it: same key, same run, to the bit.
        n_replicas: chips trained side by side.
        batch: samples a measurement is averaged over; by default 1, or where time constants are chosen here, up to 64.
        engine: of simulated chips: "measured", "fused" (many small chips), "sampled" (long windows of large chips), or
            "auto": fused where it covers chip and algorithm, there are enough of them and it is installed, otherwise
            measured.
        log_every: timesteps between two evaluations on the test set; by default they are spaced evenly in the
            logarithm of the step, or 200 of them evenly over a run that may end early.
        devices: JAX devices that share the replicas, or, of one chip, the perturbations within a hold; measured engine
            only. The run is that of one device, to rounding.
        start: the parameters at the start, of shape (p,), or (replica, p) for each replica its own. By default a
            simulated chip draws them; a chip behind I/O has its own, or they are drawn about the middle of its limits.
        cost: of outputs of a chip behind I/O, "mse" (the default) or "cross-entropy"; a simulated chip is made with
            its own.
        options: how a chip behind I/O is trained, beyond the algorithm.
        vary: of simulated chips, numbers in which replicas differ: for each name a sequence with one for each replica.
            Names are "learning_rate", "momentum", "weight_decay" or another number of the optimizer, "amplitude",
            "modulation_limit", those of an imperfection, as "cost-noise.sigma", and "optimizer", of which values are
            optax transformations. What is no number, or makes another program of one, cannot vary.
        until_accuracy: the run ends when the mean test accuracy of all replicas is at least this, from 0 to 1.
        until_solved: the run ends when every replica has solved the task.
        patience: the run ends when the mean test score (the cost, where there is no score) has not become better for
            so many timesteps.
        out: a run directory to make: it keeps checkpoints, metrics, costs of a real chip and what the run comes to.
        progress: whether a bar is shown; by default it is on a terminal and in a notebook.

    Returns:
        Final parameters, score, counts and history.

    Warns:
        MgdWarning: if the cost on the test set never changed.

    Raises:
        ValueError: if chip and task do not fit, a number is out of range, an argument is not for such a chip, replicas
            do not fit in memory, or the sampled engine finds that `jax.grad` is not the slope of the chip.
        DivergedError: if a measured cost was NaN or infinite.
        HardwareError, LimitError: of a chip behind I/O, as `mgd.engines.Instrumented.advance`.
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
    check_whole(n_steps=n_steps, batch=1 if batch is None else batch, most=MOST_STEPS)
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
    with fresh_place(folder, config, keeping) as place, _shown(n_steps, progress) as on_progress:
        keep_start(folder, begun)
        if pickled is not None:
            pickled.keep(folder)
        _into(place, keeping, on_progress)
    return _ended(keeping.session)


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
    """Goes on with a run from its last checkpoint; it ends as if it had never stopped, to the bit.

    Args:
        out: the run directory that `mgd.train` was given, or one that `mgd train` made.
        chip: the chip of the run, which Python made: its settings are not in the directory.
        task: likewise.
        algorithm: likewise; it need not be given where the run was begun by this user on this machine.
        n_steps: if given, the run goes on to so many timesteps in all, whatever it was to end by.
        before: if given, the run goes back to the newest checkpoint before this step.
        cost: as `algorithm`, if one was given to `mgd.train`.
        options: likewise.
        vary: likewise.
        progress: whether a bar is shown; by default it is on a terminal and in a notebook.

    Returns:
        As `mgd.train`; of a finished run, what it came to.

    Raises:
        ValueError: if a part of the run is not given.
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
        raise ValueError(f"{folder} was begun by a program in Python: give its {missing} again, as {missing}=…")
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
    return _ended(keeping.session)


def _in_memory(session: Session, on_progress: OnProgress) -> Result:
    """Trains, and keeps nothing."""
    with stop_requested("stopped at once; nothing was kept: give out=… to keep a run") as stop:
        while not session.finished:
            session.advance()
            on_progress(session)
            if stop() and not session.finished:
                step = session.snapshot.step
                raise Interrupted(
                    f"stopped at step {step}; what it came to is in the exception's result; give out=… to go on with "
                    "such a run",
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
    """Trains into a run directory, or goes on there.

    Raises:
        Interrupted: if it is asked to stop, with what it came to.
    """
    try:
        how(keeping, place, on_progress)
    except Interrupted as error:
        session = keeping.session
        error.result = session.result() if session.snapshot.steps else None
        raise


def _ended(session: Session) -> Result:
    for doubt in session.doubts():
        warnings.warn(doubt, MgdWarning, stacklevel=3)
    return session.result()


def _resume_settings(
    folder: Path, parts: dict[str, Any], n_steps: int | None, before: int | None, progress: bool | None
) -> Result:
    """Goes on with a run whose settings say all, as `mgd resume` does."""
    if given := [name for name, part in parts.items() if part is not None]:
        raise ValueError(f"{folder} has the settings of a whole run, with its {given[0]}: leave {given[0]} out")
    known = read_config(folder)
    if known.instruments:
        raise ValueError(f"{folder} is a run on a chip on a bench, by a chip file: go on with mgd resume {folder}")
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
