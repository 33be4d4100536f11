"""Runs a session into a run directory, and takes up where it was left."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from .._errors import Interrupted, RunError
from .._stops import stop_requested
from .._train import Session
from .._version import __version__
from ..chips import applied_parameters, device_arrays
from ..chips.imperfections import Imperfect
from ..datasets import Task
from ._build import build_algorithm, build_chip, build_task
from ._calibrated import with_calibration
from ._checkpoint import read_checkpoint, write_checkpoint
from ._config import RunConfig
from ._curve import draw_curve
from ._directory import (
    CURVE,
    DEVICE,
    SUMMARY,
    THETA,
    check_out,
    is_finished,
    make_directory,
    only_writer,
    read_config,
    write_config,
    write_metrics,
)
from ._hardware import Hardware, opened_hardware
from ._presets import resolve
from ._replace import replace_file

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
    config = resolve(with_calibration(config))
    check_out(out)
    task = build_task(config)
    with _ready(config, task) as (session, hardware):
        folder = make_directory(out, config.task)
        with only_writer(folder):
            write_config(folder, config)
            _run(session, hardware, config, folder, on_progress)
    return folder


def resume(folder: Path, *, on_progress: OnProgress = lambda session: None) -> Path:
    """Goes on with a run from its last checkpoint; it ends as if it had never stopped, to the bit.

    Args:
        folder: the run directory.
        on_progress: called about twice a second.

    Raises:
        RunError: if it is not a run directory, or its checkpoint cannot be used.
        DataError, DivergedError, Interrupted: as `start`.
    """
    config = resolve(read_config(folder))
    with only_writer(folder):
        if not is_finished(folder):
            with _ready(config, build_task(config), folder) as (session, hardware):
                session.snapshot = read_checkpoint(folder, session.snapshot, config.identity()) or session.snapshot
                _run(session, hardware, config, folder, on_progress)
    return folder


@contextmanager
def _ready(config: RunConfig, task: Task, folder: Path | None = None) -> Iterator[tuple[Session, Hardware | None]]:
    """A session at its start; of a real chip, with the chip open, which is safe again when the body is left."""
    if not config.instruments:
        yield make_session(config, task), None
        return
    with opened_hardware(config, task, folder) as hardware:
        yield hardware.session, hardware


def make_session(config: RunConfig, task: Task) -> Session:
    """A session of resolved settings, at its start."""
    settings = config.model_dump()
    return Session(
        build_chip(config, task),
        task,
        build_algorithm(config),
        n_steps=settings["steps"],
        n_replicas=settings["replicas"],
        batch=settings["batch"],
        key=jax.random.key(settings["seed"]),
        engine=settings["engine"],
        log_every=settings["log_every"],
        devices=settings["devices"] or 1,
    )


def _run(session: Session, hardware: Hardware | None, config: RunConfig, folder: Path, on_progress: OnProgress) -> None:
    try:
        keeping = nullcontext(lambda: None) if hardware is None else hardware.recorded(folder)
        hint = f"stopped at once; it goes on from its last checkpoint with: mgd resume {folder}"
        with stop_requested(hint) as stop, keeping as checkpointed:
            _checkpoint(session, config, folder)
            checkpointed()
            due = time.monotonic() + CHECKPOINT_SECONDS
            while not session.finished:
                session.advance()
                on_progress(session)
                # While a run takes up what was kept, its old checkpoint and what follows it stay as they are.
                behind = hardware is not None and hardware.behind
                if stop():
                    if not behind:
                        _checkpoint(session, config, folder)
                    step = session.snapshot.step
                    raise Interrupted(f"stopped at step {step}; go on with: mgd resume {folder}", step=step)
                if not behind and (time.monotonic() >= due or (hardware is not None and hardware.full)):
                    taken = _checkpoint(session, config, folder)
                    checkpointed()
                    due = time.monotonic() + max(CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * taken)
            _checkpoint(session, config, folder)
            checkpointed()
        _finish(session, config, folder, {} if hardware is None else hardware.summary())
        if hardware is not None:
            hardware.finished()
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise RunError(
            f"cannot write to {folder}: {reason}; the last good checkpoint is kept: mend that, then mgd resume {folder}"
        ) from error


def _checkpoint(session: Session, config: RunConfig, folder: Path) -> float:
    """Writes checkpoint and metrics; the seconds it took."""
    started = time.monotonic()
    write_checkpoint(folder, session.snapshot, config.identity())
    if session.snapshot.steps:
        write_metrics(folder, session.history())
    return time.monotonic() - started


def _finish(session: Session, config: RunConfig, folder: Path, more: dict[str, Any]) -> None:
    """Writes what a finished run leaves; the summary last, as it says that all the rest is there."""
    theta = np.asarray(session.snapshot.progress.state.theta)
    groups = {name: [piece.start, piece.stop] for name, piece in session.groups.items()}
    replace_file(folder / THETA, save({"theta": theta}, {"groups": json.dumps(groups)}))
    if arrays := _pieces(session):
        replace_file(folder / DEVICE, save(arrays))
    summary = summarise(session, config) | more
    chips = "1 chip" if session.n_replicas == 1 else f"{session.n_replicas} chips"
    draw_curve(
        session.history(),
        folder / CURVE,
        title=f"{config.task}: {chips} of {session.n_params:,} parameters, {config.method}",
        guess=_guess(session.task),
    )
    replace_file(folder / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())


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
        "task": config.task,
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
