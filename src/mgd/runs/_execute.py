"""Runs a session into a run directory, and takes up where it was left."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from safetensors.numpy import save

from .._errors import DivergedError, HardwareError, Interrupted, LimitError, RunError
from .._log import LOG
from .._stops import stop_requested
from .._train import Session
from .._version import __version__
from ..chips import applied_parameters, device_arrays
from ..chips.imperfections import Imperfect
from ..datasets import Task
from ..diagnosis import first_finding
from ._begun import keep_start, start_of, with_start
from ._build import build_algorithm, build_chip, build_task, build_until
from ._calibrated import with_calibration
from ._checkpoint import Owner, theta_of, unpack_arrays, unpack_header
from ._chip_facts import check_same_chip
from ._code import check_said
from ._config import RunConfig, Settings
from ._contents import CONFIG, CURVE, DEVICE, DROPPED, SUMMARY, TASK, THETA, put, read_bytes, read_json
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
# That a chip may take to answer after SIGTERM or SIGHUP; then it is left without the measurement that is waited for.
STOP_SECONDS = 10.0
# At most one part in this of the time goes into writing checkpoints.
_CHECKPOINT_SHARE = 20

OnProgress = Callable[[Session], None]


def start(config: RunConfig, out: str | Path | None = None, *, on_progress: OnProgress = lambda session: None) -> Path:
    """Trains with these settings into a new run directory.

    Args:
        config: the settings; None means the task's default.
        out: the directory; None for the first free `runs/TASK-N`.
        on_progress: called about twice a second.

    Returns:
        The run directory.

    Raises:
        ValueError: if the settings are wrong or contradict each other.
        DataError: if the task's files are not available.
        RunError: if the directory exists or cannot be written.
        DivergedError: if a cost was not finite; the last good checkpoint is kept.
        Interrupted: if the run was asked to stop.
    """
    config = config if isinstance(config, Settings) else resolve(with_calibration(with_facts(config)))
    config, out = with_start(config), None if out is None else Path(out)
    check_out(out)
    task, theta = build_task(config), start_of(config)
    with _ready(config, task, start=theta) as keeping, fresh_place(out, config, task, keeping) as place:
        keep_start(place.folder, theta)
        run_into(keeping, place, on_progress)
    return place.folder


@contextmanager
def fresh_place(out: Path | None, config: RunConfig, task: Task, keeping: AbstractKeeping) -> "Iterator[Place]":
    """A run directory of these settings, which nobody else writes to while the body runs.

    Raises:
        RunError: if it cannot be made.
    """
    folder = make_directory(out, config.task_name)
    with only_writer(folder):
        write_config(folder, config)
        with _writing(folder):
            write_task_facts(folder, task)
        yield Place(config, folder, Owner.fresh(config.identity(), measured=bool(keeping.members)))


def resume(
    folder: str | Path,
    *,
    before: int | None = None,
    steps: int | None = None,
    on_progress: OnProgress = lambda session: None,
) -> Path:
    """Continues a run from its last checkpoint; it ends as if it had never stopped, to the bit.

    If a checkpoint is damaged, it says so and takes the one before it. It also uses the costs of a chip that were kept
    since then, so that the run gives the same bits.

    Args:
        folder: the run directory.
        before: if given, the run goes back to the newest checkpoint before this step, even if it is finished. What was
            learnt and measured after it is discarded; chips of a fleet that were dropped later stay dropped.
        steps: if given, the run continues to this many timesteps in all, whatever was to end it.
        on_progress: called about twice a second.

    Raises:
        RunError: if it is not a run directory, its checkpoints cannot be used, or there is none before that step.
        DataError, DivergedError, Interrupted: as `start`.
    """
    folder = Path(folder)
    if read_config(folder).python is not None:
        raise RunError(
            f'{folder} was begun by a Python program: continue it there, with mgd.resume("{folder}", chip=…, task=…)'
        )
    with only_writer(folder):
        given = lengthened(folder, steps)
        # Of what was written: a default that came later is no other setting.
        config, settings = resolve(given), given.identity()
        if before is not None:
            go_back_before(folder, before, settings)
        elif is_whole(folder) or _theta_again(config, folder, settings):
            return folder
        check_said(config.code, folder)
        task = build_task(config)
        check_same_chip(config, task, folder)
        with _writing(folder):
            write_task_facts(folder, task)
        with _ready(config, task, folder, start_of(config, folder)) as keeping:
            take_up(keeping, Place(config, folder, Owner(settings)), on_progress)
    return folder


def take_up(keeping: AbstractKeeping, place: "Place", on_progress: OnProgress) -> None:
    """Continues a run from its last checkpoint, or from its start if there is none yet."""
    settings, session = place.owner.settings, keeping.session
    found = read_checkpoint(place.folder, session.snapshot, settings)
    owner = Owner.fresh(settings, measured=bool(keeping.members))
    if found is not None:
        session.snapshot, owner = found
    run_into(keeping, replace(place, owner=owner), on_progress)


def lengthened(folder: Path, steps: int | None) -> RunConfig:
    """The settings of a run that continues to this many timesteps in all; None for as many as were planned.

    Raises:
        RunError: if the run has made this many already.
    """
    config = read_config(folder)
    if steps is None or (steps == config.steps and config.begun_for is not None):
        return config
    header = read_header(folder)
    made = 0 if header is None else header.step
    if steps <= made:
        raise RunError(f"{folder} has made {made:,} timesteps: give --steps more than that, got {steps:,}")
    longer = config.model_copy(update={"steps": steps, "begun_for": config.begun_for or config.steps})
    with _writing(folder):
        # First the run is no longer finished, then it is longer: whenever this is cut off, it can be continued.
        (folder / SUMMARY).unlink(missing_ok=True)
        put(folder, {CONFIG: longer.toml().encode()})
    return longer


def is_whole(folder: Path) -> bool:
    """Whether a run is finished, and all its files can be read."""
    if not is_finished(folder):
        return False
    try:
        read_metrics(folder)
        read_bytes(folder, DEVICE)
        read_json(folder, TASK)
    except RunError:
        return False
    return True


def go_back_before(folder: Path, before: int, settings: str) -> None:
    """Makes the newest checkpoint before a step the last one.

    Raises:
        RunError: if there is none, or it cannot be written.
    """
    with _writing(folder):
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
def _writing(folder: Path, go_on: str = "") -> Iterator[None]:
    """Raises: RunError: in place of an OSError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise RunError(
            f"cannot write to {folder}: {reason}; the last good checkpoint is kept: correct that, then "
            f"{go_on or f'mgd resume {folder}'}"
        ) from error


@dataclass(frozen=True)
class Place:
    """Where a run is kept, and whose it is.

    Attributes:
        config: its settings.
        folder: its directory.
        owner: whose its checkpoints are.
    """

    config: RunConfig
    folder: Path
    owner: Owner

    @property
    def measured(self) -> bool:
        """Whether its costs are those of real chips, which do not come again."""
        return bool(self.config.instruments) or (self.config.python is not None and self.config.python.behind_io)

    def go_on(self, before: int | None = None) -> str:
        """What to write, on the command line or in Python, to continue the run.

        Args:
            before: if given, the run is to go back to its newest checkpoint before this step.
        """
        if self.config.python is None:
            return f"mgd resume {self.folder}" + ("" if before is None else f" --before {before}")
        back = "" if before is None else f", before={before}"
        return f'mgd.resume("{self.folder}", chip=…, task=…{back})'


@contextmanager
def _ready(
    config: Settings,
    task: Task,
    folder: Path | None = None,
    start: Float[np.ndarray, "chip p"] | None = None,
) -> Iterator[AbstractKeeping]:
    """A session at its start; of a real chip, with the chip open, which is safe again when the body is left."""
    if not config.instruments:
        yield Nothing(make_session(config, task, start))
        return
    with opened_hardware(config, task, folder, start) as hardware:
        yield hardware


def make_session(config: Settings, task: Task, start: Float[np.ndarray, "chip p"] | None = None) -> Session:
    """A session of resolved settings, at its start: with these parameters, or fresh ones."""
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
        start=start,
        until=build_until(config),
    )


def run_into(keeping: AbstractKeeping, place: Place, on_progress: OnProgress) -> None:
    """Runs a session into a run directory, until its end or until it is asked to stop.

    Raises:
        RunError: if the directory cannot be written.
        DivergedError: if a cost was not finite; the last good checkpoint is kept.
        HardwareError: if nothing was learnt in as many windows as `stop_unlearnt` says.
        Interrupted: if the run was asked to stop.
    """
    folder, session = place.folder, keeping.session
    with _writing(folder, place.go_on()), _undoable(session, place):
        hint = f"stopped at once; to continue from its last checkpoint: {place.go_on()}"
        patience = STOP_SECONDS if keeping.members else None
        with (
            stop_requested(hint, patience_seconds=patience) as stop,
            keeping.recorded(folder, place.owner) as checkpointed,
        ):
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
                    raise Interrupted(f"stopped at step {step}; to continue: {place.go_on()}", step=step)
                if not behind and not session.finished and (why := keeping.unlearnt):
                    _checkpoint(keeping, place)
                    checkpointed()
                    raise HardwareError(f"{why}; stopped at step {session.snapshot.step}; to continue: {place.go_on()}")
                if not behind and (time.monotonic() >= due or keeping.full):
                    taken = _checkpoint(keeping, place)
                    checkpointed()
                    due = time.monotonic() + max(CHECKPOINT_SECONDS, _CHECKPOINT_SHARE * taken)
            _checkpoint(keeping, place)
            checkpointed()
        _finish(session, place, keeping.summary())
        keeping.finished()


@contextmanager
def _undoable(session: Session, place: Place) -> Iterator[None]:
    """Says how a run on chips that was taught wrongly goes on: from its checkpoint it would take up the same costs."""
    try:
        yield
    except (DivergedError, LimitError) as error:
        header = read_header(place.folder) if place.measured else None
        if header is None:
            raise
        message = (
            f"{error}; the last good checkpoint is that of step {header.step}: correct what caused this, then "
            f"go back to it with {place.go_on(header.step + 1)}, or to an earlier one"
        )
        if isinstance(error, DivergedError):
            raise DivergedError(message, step=error.step) from error
        raise LimitError(message) from error


def _checkpoint(keeping: AbstractKeeping, place: Place) -> float:
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


def _finish(session: Session, place: Place, more: dict[str, Any]) -> None:
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
        "measured_cost": _mean(session.snapshot.measured[-1]),
        "ended_by": session.ended_by if result.n_steps < session.n_steps else None,
        "test_samples": judge.shown,
        "test_samples_of": len(session.task.test),
        "solved_accuracy": session.task.threshold,
        "solved_fraction": _number(np.mean(np.asarray(result.solved))),
        "counts": result.counts.as_dict(),
        "seconds": round(result.seconds, 3),
        "warnings": session.doubts(),
        "diagnosis": None if (found := first_finding(session)) is None else found.as_dict(),
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
