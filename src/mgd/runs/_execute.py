"""Runs a session into a run directory, and takes up where it was left."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from .._errors import DivergedError, Interrupted, LimitError, RunError
from .._log import LOG
from .._stops import stop_requested
from .._train import Session
from .._version import __version__
from ..chips import applied_parameters, device_arrays
from ..chips.imperfections import Imperfect
from ..datasets import Task
from ._build import build_algorithm, build_chip, build_task
from ._calibrated import with_calibration
from ._checkpoint import Owner, theta_of, unpack_arrays, unpack_header
from ._code import check_said
from ._config import RunConfig, Settings
from ._contents import CURVE, DEVICE, DROPPED, SUMMARY, TASK, THETA, put, read_bytes, read_json
from ._curve import draw_curve
from ._directory import (
    check_out,
    is_finished,
    make_directory,
    only_writer,
    read_config,
    read_summary,
    read_theta,
    write_config,
)
from ._generations import FILE, go_back, read_checkpoint, read_header, write_checkpoint
from ._hardware import model_of, opened_hardware
from ._keeping import AbstractKeeping, Nothing
from ._metrics import read_metrics, write_metrics
from ._presets import resolve, with_facts
from ._sound import check_sound
from ._task_facts import write_task_facts

CHECKPOINT_SECONDS = 15.0
# At most one part in this of the time goes into writing checkpoints.
_CHECKPOINT_SHARE = 20

OnProgress = Callable[[Session], None]


def start(config: RunConfig, out: Path | None = None, *, on_progress: OnProgress = lambda session: None) -> Path:
    """Trains by these settings into a fresh run directory.

    Args:
        config: settings; what is None is the task's default.
        out: the directory; None for the first free `runs/TASK-N`.
        on_progress: called about twice a second.

    Returns:
        The run directory.

    Raises:
        ValueError: if the settings are wrong or do not go together.
        DataError: if the task's files cannot be had.
        RunError: if the directory exists or cannot be written.
        DivergedError: if a cost was not finite; the last good checkpoint is kept.
        Interrupted: if the run was asked to stop.
    """
    config = config if isinstance(config, Settings) else resolve(with_calibration(with_facts(config)))
    check_out(out)
    task = build_task(config)
    with _ready(config, task) as keeping:
        folder = make_directory(out, config.task_name)
        with only_writer(folder):
            write_config(folder, config)
            with _writing(folder):
                write_task_facts(folder, task)
            owner = Owner.fresh(config.identity(), measured=bool(keeping.members))
            _run(keeping, _Place(config, folder, owner), on_progress)
    return folder


def resume(folder: Path, *, before: int | None = None, on_progress: OnProgress = lambda session: None) -> Path:
    """Goes on with a run from its last checkpoint; it ends as if it had never stopped, to the bit.

    A checkpoint that is damaged is said so, and the one before it taken; the costs of a chip that were kept since are
    taken up as well, so that the run comes to the same bits.

    Args:
        folder: the run directory.
        before: if given, the run goes back to the newest checkpoint before this step, finished or not. What was
            learnt and measured after it is forgotten; chips of a fleet that were dropped later stay dropped.
        on_progress: called about twice a second.

    Raises:
        RunError: if it is not a run directory, its checkpoints cannot be used, or there is none before that step.
        DataError, DivergedError, Interrupted: as `start`.
    """
    given = read_config(folder)
    # Of what was written: a default that came later is no other setting.
    config, settings = resolve(given), given.identity()
    with only_writer(folder):
        if before is not None:
            with _writing(folder):
                _go_back(folder, before, settings)
        elif is_whole(folder) or _theta_again(config, folder, settings):
            return folder
        check_said(config.code, folder)
        task = build_task(config)
        with _writing(folder):
            write_task_facts(folder, task)
        with _ready(config, task, folder) as keeping:
            session = keeping.session
            found = read_checkpoint(folder, session.snapshot, settings)
            owner = Owner.fresh(settings, measured=bool(keeping.members))
            if found is not None:
                session.snapshot, owner = found
            _run(keeping, _Place(config, folder, owner), on_progress)
    return folder


def is_whole(folder: Path) -> bool:
    """Whether a run is finished, and all that it left can be read."""
    if not is_finished(folder):
        return False
    try:
        read_metrics(folder)
        read_bytes(folder, DEVICE)
        read_json(folder, TASK)
    except RunError:
        return False
    return True


def _go_back(folder: Path, before: int, settings: str) -> None:
    step = go_back(folder, before, settings)
    try:
        dropped = read_json(folder, DROPPED)
    except RunError:  # then nobody is: all are opened again, and measured from there
        (folder / DROPPED).unlink(missing_ok=True)
        put(folder, {DROPPED: b"{}\n"})
        return
    if dropped:
        since = {chip: [min(at, step), why] for chip, (at, why) in dropped.items()}
        put(folder, {DROPPED: (json.dumps(since, indent=2) + "\n").encode()})


def _theta_again(config: Settings, folder: Path, settings: str) -> bool:
    """Takes lost parameters of a finished run from its last checkpoint, without its chip; whether that was all."""
    with suppress(RunError):
        read_theta(folder)
        return False  # it is something else that is to be made again
    try:
        if read_summary(folder) is None:
            return False
        header = unpack_header(folder / FILE)
        if (header.settings, header.step) != (settings, config.steps):
            return False
        theta = theta_of(unpack_arrays(folder / FILE, header))
    except RunError:
        return False
    task = build_task(config)
    model = model_of(config, task) if config.instruments else build_chip(config, task)
    with _writing(folder):
        put(folder, {THETA: _packed(theta, {"theta": slice(0, theta.shape[1])} if model is None else model.groups)})
    return is_whole(folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises: RunError: in place of an OSError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise RunError(
            f"cannot write to {folder}: {reason}; the last good checkpoint is kept: mend that, then mgd resume {folder}"
        ) from error


@dataclass(frozen=True)
class _Place:
    """Where a run is kept, and whose it is."""

    config: Settings
    folder: Path
    owner: Owner


@contextmanager
def _ready(config: Settings, task: Task, folder: Path | None = None) -> Iterator[AbstractKeeping]:
    """A session at its start; of a real chip, with the chip open, which is safe again when the body is left."""
    if not config.instruments:
        yield Nothing(make_session(config, task))
        return
    with opened_hardware(config, task, folder) as hardware:
        yield hardware


def make_session(config: Settings, task: Task) -> Session:
    """A session of resolved settings, at its start."""
    return Session(
        build_chip(config, task),
        task,
        build_algorithm(config),
        n_steps=config.steps,
        n_replicas=config.replicas,
        batch=config.batch,
        key=jax.random.key(config.seed),
        engine=config.engine,
        log_every=config.log_every,
        devices=config.devices or 1,
    )


def _run(keeping: AbstractKeeping, place: _Place, on_progress: OnProgress) -> None:
    folder, session = place.folder, keeping.session
    with _writing(folder), _undoable(session, place):
        hint = f"stopped at once; it goes on from its last checkpoint with: mgd resume {folder}"
        with stop_requested(hint) as stop, keeping.recorded(folder, place.owner) as checkpointed:
            _checkpoint(keeping, place)
            checkpointed()
            due = time.monotonic() + CHECKPOINT_SECONDS
            while not session.finished:
                session.advance()
                on_progress(session)
                # While a run takes up what was kept, its old checkpoint and what follows it stay as they are.
                behind = keeping.behind
                if stop():
                    if not behind:
                        _checkpoint(keeping, place)
                    step = session.snapshot.step
                    raise Interrupted(f"stopped at step {step}; go on with: mgd resume {folder}", step=step)
                if not behind and (time.monotonic() >= due or keeping.full):
                    taken = _checkpoint(keeping, place)
                    checkpointed()
                    due = time.monotonic() + max(CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * taken)
            _checkpoint(keeping, place)
            checkpointed()
        _finish(session, place, keeping.summary())
        keeping.finished()


@contextmanager
def _undoable(session: Session, place: _Place) -> Iterator[None]:
    """Says how a run on chips that was taught wrongly goes on: from its checkpoint it would take up the same costs."""
    try:
        yield
    except (DivergedError, LimitError) as error:
        header = read_header(place.folder) if place.config.instruments else None
        if header is None:
            raise
        message = (
            f"{error}; the last good checkpoint is that of step {header.step}: mend what made this of the costs, then "
            f"go back to it with mgd resume {place.folder} --before {header.step + 1}, or to an earlier one"
        )
        if isinstance(error, DivergedError):
            raise DivergedError(message, step=error.step) from error
        raise LimitError(message) from error


def _checkpoint(keeping: AbstractKeeping, place: _Place) -> float:
    """Writes checkpoint and metrics; the seconds it took.

    Raises:
        DivergedError: if the run could not go on from here; nothing is written.
    """
    started, session = time.monotonic(), keeping.session
    check_sound(session.snapshot, keeping.members)
    write_checkpoint(place.folder, session.snapshot, place.owner)
    LOG.debug("%s: checkpoint of step %d", place.folder, session.snapshot.step)
    if session.snapshot.steps:
        write_metrics(place.folder, session.history(), place.owner.settings)
    return time.monotonic() - started


def _finish(session: Session, place: _Place, more: dict[str, Any]) -> None:
    """Writes what a finished run leaves; the summary last, as it says that all the rest is there."""
    config = place.config
    theta = np.asarray(session.snapshot.progress.state.theta)
    summary = summarise(session, config) | more
    chips = "1 chip" if session.n_replicas == 1 else f"{session.n_replicas} chips"
    curve = draw_curve(
        session.history(),
        title=f"{config.task_name}: {chips} of {session.n_params:,} parameters, {config.method}",
        guess=_guess(session.task),
    )
    contents = {THETA: _packed(theta, session.groups), CURVE: curve}
    if arrays := _pieces(session):
        contents[DEVICE] = save(arrays)
    put(place.folder, contents | {SUMMARY: (json.dumps(summary, indent=2) + "\n").encode()})


def _packed(theta: np.ndarray, groups: Mapping[str, slice]) -> bytes:
    """A file of parameters, and which of them belong together."""
    named = {name: [piece.start, piece.stop] for name, piece in groups.items()}
    return save({"theta": theta}, {"groups": json.dumps(named)})


def _pieces(session: Session) -> dict[str, np.ndarray]:
    """What simulated chips that are not perfect are made of, by name, and the parameters that they compute with."""
    chip, progress = session.chip, session.snapshot.progress
    if not isinstance(chip, Imperfect) or progress.device is None:
        return {}
    applied = jax.vmap(lambda theta, device: applied_parameters(chip, theta, device=device))
    theta = np.asarray(applied(progress.state.theta, progress.device))
    return {"theta_applied": theta} | device_arrays(chip, progress.device)


def summarise(session: Session, config: RunConfig) -> dict[str, Any]:
    """The summary of a finished session, of plain JSON types."""
    result, judge = session.result(), session.judge
    measure = judge.metric or "accuracy"
    # Every summary has these, whatever it is judged by.
    scores = {"accuracy": None, "accuracy_per_replica": [None] * session.n_replicas}
    scores |= {"held_out_accuracy_per_replica": None}
    scores[measure] = _mean(result.score)
    scores[f"{measure}_per_replica"] = [_number(a) for a in np.asarray(result.score)]
    scores[f"held_out_{measure}_per_replica"] = _held_out(session)
    return {
        "task": config.task_name,
        "engine": session.engine,
        "algorithm": config.algorithm,
        "perturbation": config.perturbation,
        "n_params": session.n_params,
        "steps": result.n_steps,
        "replicas": session.n_replicas,
        "batch": session.batch,
        "seed": config.seed,
        "metric": judge.metric,
        **scores,
        "cost": _mean(result.cost),
        "test_samples": judge.shown,
        "test_samples_of": len(session.task.test),
        "solved_accuracy": session.task.threshold,
        "solved_fraction": _number(np.mean(np.asarray(result.solved))),
        "counts": result.counts.as_dict(),
        "seconds": round(result.seconds, 3),
        "warnings": session.doubts(),
        "version": __version__,
    }


def _held_out(session: Session) -> list[float | None] | None:
    """The score of each replica on the samples held out of training, if there are any."""
    scores = session.held_out()
    return None if scores is None else [_number(a) for a in np.asarray(scores)]


def _mean(values: Any) -> float | None:
    """Over the replicas that have one: a chip of a fleet that was dropped, or gives no outputs, has none."""
    known = np.asarray(values)[~np.isnan(np.asarray(values))]
    return float(known.mean()) if known.size else None


def _number(value: Any) -> float | None:
    """A JSON number; None for NaN, which JSON does not have."""
    return None if math.isnan(value) else float(value)


def _guess(task: Task) -> float:
    """The score of the best answer that does not look at the inputs."""
    y = task.test.y
    if task.kind == "values":
        return 0.0  # of the mean of the targets, R² is 0
    if task.kind == "classes" and y.shape[1] > 1:
        return float(np.bincount(y.argmax(1)).max() / len(y))
    yes = (y > (0.0 if task.kind == "signs" else 0.5)).mean(0)
    return float(np.maximum(yes, 1 - yes).mean())
