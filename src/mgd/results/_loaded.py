"""A run directory as one object: its chips, their parameters and their outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from safetensors import SafetensorError
from safetensors.numpy import load

from .._errors import RunError
from .._metric import metric_in
from .._numbers import as_data
from ..chips import AbstractChip, CrossEntropy, applied_parameters, device_arrays, device_from_arrays
from ..chips.imperfections import Imperfect, loss_of
from ..datasets import Samples, Task
from ..instruments import Units
from ..runs import (
    DEVICE,
    INSTRUMENT,
    METRICS,
    RunConfig,
    Shapes,
    TaskFacts,
    build_chip,
    build_task,
    damaged,
    read_arrays,
    read_bytes,
    read_config,
    read_json,
    read_metrics,
    read_summary,
    read_task_facts,
    read_theta,
    resolve,
    theta_of,
    warn_if_changed,
)

if TYPE_CHECKING:
    import xarray as xr

# Imperfections whose numbers change the parameters that a chip computes with, and are not stored for each piece.
_OF_DESIGN = ("dac.", "parameter-range.", "cross-talk.")
# Samples in one call of a chip.
_TOGETHER = 1000


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run, finished or not: its parameters, its chips and their outputs.

    Attributes:
        folder: the run directory.
        settings: all settings, defaults included.
        summary: the results; None if the run is not finished.
        task: the facts of its task, without the samples.
        step: the timestep of these parameters.
        theta: parameters of each replica, as the controller knows them.
        chip: the design, with its imperfections; None for a real chip, or for a chip made in Python that was not given.
        device: random values and memory of each replica's chip, a tree of arrays with a leading replica axis; None for
            perfect chips.
        groups: names of slices of θ.
        on_bench: whether the run was on real chips.
        unit: the unit of θ on a real chip; empty for the network's own units, or those of groups of parameters.
        units: what θ stands for on each real chip; None where it is what is set, in one unit.

    >>> import tempfile, mgd
    >>> settings = mgd.runs.RunConfig.of({"task": "parity", "steps": 50, "replicas": 2})
    >>> run = mgd.load_run(mgd.runs.start(settings, Path(tempfile.mkdtemp()) / "run"))
    >>> run.theta.shape, run.predict([[0, 1], [1, 1]], replica=1).shape
    ((2, 9), (2, 1))
    """

    folder: Path
    settings: RunConfig
    summary: dict[str, Any] | None
    task: TaskFacts
    step: int
    theta: Float[np.ndarray, "replica p"]
    chip: AbstractChip | None
    device: Any
    groups: Mapping[str, slice]
    on_bench: bool = False
    unit: str = ""
    units: tuple[Units | None, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the run is finished; if not, this object is as of its last checkpoint."""
        return self.summary is not None

    @property
    def n_replicas(self) -> int:
        return self.theta.shape[0]

    def on_chip(self) -> Float[np.ndarray, "replica p"]:
        """The values that each real chip is set to for its θ."""
        each = map(self.units_of, range(self.n_replicas))
        return np.stack([t if one is None else one.on_chip(t) for one, t in zip(each, self.theta, strict=True)])

    def units_of(self, number: int) -> Units | None:
        """What θ stands for on a real chip of the run; None if it is what is set, in one unit."""
        return self.units[number] if number < len(self.units) else None

    @cached_property
    def history(self) -> "xr.Dataset":
        """Score, cost and counts over (replica, step), so far.

        Raises:
            RunError: if the run was not evaluated yet, or the file is damaged.
        """
        return read_metrics(self.folder)

    @property
    def evaluated(self) -> bool:
        """Whether the run was evaluated yet."""
        return (self.folder / METRICS).exists()

    @property
    def scores(self) -> Float[np.ndarray, " replica"] | None:
        """The score of each replica at the last evaluation on the test samples; None if there is none."""
        metric = metric_in(self.history) if self.evaluated else None
        return None if metric is None else self.history[metric].values[:, -1]

    def best(self) -> int:
        """The replica with the best score on samples held out of training, if there are any, or on the test samples.

        Without outputs, it is the replica with the lowest cost.

        Raises:
            ValueError: if no replica has a score.
        """
        if self.n_replicas == 1:
            return 0
        if not self.evaluated:
            raise ValueError(f"{self.folder} was not evaluated yet, so no replica is the best: give its number")
        metric = metric_in(self.history)
        held_out = (self.summary or {}).get(f"held_out_{metric}_per_replica")
        if held_out:
            values = np.array([np.nan if score is None else score for score in held_out])
        else:
            values = self.scores if metric else -self.history["cost"].values[:, -1]
        if values is None or np.isnan(values).all():
            raise ValueError(f"no replica of {self.folder} has a score, so none is the best: give its number")
        return int(np.nanargmax(values))

    def replicas(self, which: int | str = "best") -> tuple[int, ...]:
        """The numbers of the chosen replicas.

        Args:
            which: a number, counted from 0, "best" or "all".

        Raises:
            ValueError: if there is no such replica.
        """
        if which == "all":
            return tuple(range(self.n_replicas))
        if which == "best":
            return (self.best(),)
        if isinstance(which, bool) or not isinstance(which, int | np.integer) or not 0 <= which < self.n_replicas:
            there = "0" if self.n_replicas == 1 else f"0 to {self.n_replicas - 1}"
            raise ValueError(f"{self.folder} has replicas {there}: give one of them, best or all, got {which!r}")
        return (int(which),)

    def piece(self, replica: int | str = "best") -> tuple[Float[Array, " p"], Any]:
        """Parameters and device of one chip, as at the end of the run."""
        number = self.one(replica)
        return jnp.asarray(self.theta[number]), jax.tree.map(lambda leaf: leaf[number], self.device)

    def one(self, replica: int | str = "best") -> int:
        """The number of one replica.

        Raises:
            ValueError: if there is no such replica, or `replica` is "all".
        """
        first, *more = self.replicas(replica)
        if more:
            raise ValueError(f"give one replica, by its number or as best, got {replica!r}")
        return first

    @property
    def is_logit(self) -> bool:
        """Whether one output is a logit, split at 0."""
        loss = None if self.chip is None else loss_of(self.chip)
        return isinstance(loss, CrossEntropy) if loss is not None else self.settings.cost == "cross-entropy"

    def predict(self, x: Any, *, replica: int | str = "best") -> Float[np.ndarray, "n outputs"]:
        """The outputs for inputs in your own units, scaled as in training.

        Args:
            x: one row for each sample, of the shape of the training inputs.
            replica: the chip: its number, or "best".

        Raises:
            ValueError: if the inputs have another shape, there is no such replica, or there is no model of the chip.
        """
        x = np.asarray(x)
        self.task.check_inputs(x)
        return self._answers(x, self.task.shown, replica)

    def answer(self, samples: Samples, *, replica: int | str = "best") -> Float[np.ndarray, "n outputs"]:
        """The outputs for samples of a task, whose inputs are already scaled."""
        return self._answers(samples.x, lambda x: np.asarray(samples.features(jnp.asarray(x))), replica)

    def applied(self) -> Float[np.ndarray, "replica p"]:
        """The parameters that each chip computes with: θ on the levels of a converter, with stuck cells, and so on."""
        chip = self.chip
        if not isinstance(chip, Imperfect):
            return self.theta
        each = eqx.filter_jit(jax.vmap(lambda theta, device: applied_parameters(chip, theta, device=device)))
        return np.asarray(each(jnp.asarray(self.theta), self.device))

    def device_arrays(self) -> dict[str, np.ndarray]:
        """Random values and memory of each chip, by name, with a leading replica axis."""
        return {} if self.chip is None else device_arrays(self.chip, self.device)

    def model(self) -> AbstractChip:
        """The design.

        Raises:
            ValueError: if the run was on a real chip, or the design was made in Python and not given.
        """
        if self.chip is None and not self.on_bench:
            raise ValueError(
                f"the chip of {self.folder} was made in Python, and is not in its settings: give it in Python, as "
                "chip=, to mgd.load_run or to the function of mgd.runs for this command"
            )
        if self.chip is None:
            raise ValueError(
                f"{self.folder} is a run on a real chip, which has no model: put its parameters on the chip, with mgd "
                f"apply {self.folder} --chip FILE, or give load_run a model as chip="
            )
        return self.chip

    def _answers(self, x: np.ndarray, shown: Callable, replica: int | str) -> Float[np.ndarray, "n outputs"]:
        chip, (theta, device) = self.model(), self.piece(replica)
        if len(x) == 0:
            raise ValueError(f"{self.folder}: there are no samples to predict")
        size, parts = min(len(x), _TOGETHER), []
        for start in range(0, len(x), size):
            part = shown(x[start : start + size])
            whole = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])  # compiled once
            parts.append(np.asarray(_outputs(as_data(chip), theta, jnp.asarray(whole), device))[: len(part)])
        outputs = np.concatenate(parts)
        if outputs.shape[1] == 0:
            raise ValueError(f"the chip of {self.folder} gives only a cost and no outputs")
        return outputs


@eqx.filter_jit
def _outputs(chip: AbstractChip, theta: Float[Array, " p"], x: Array, device: Any) -> Float[Array, "n outputs"]:
    return chip.respond(theta, x, device=device, key=jax.random.key(0))


def load_run(folder: str | Path, *, chip: AbstractChip | None = None, task: Task | None = None) -> LoadedRun:
    """A run directory as one object, finished or not.

    Args:
        folder: the run directory.
        chip: the design, if the settings do not contain it: the chip was made in Python, or is a real one of which you
            have a model.
        task: the task, if the run directory does not describe it.

    Returns:
        The run; an unfinished run is as of its last checkpoint.

    Raises:
        RunError: if it is not a run directory, one of its files is damaged, or there is no checkpoint yet.
        ValueError: if the chip has another number of parameters, or the task has other inputs.
        DataError: if the task's files are needed and cannot be read.
    """
    folder = Path(folder)
    given = read_config(folder)
    in_python = made_in_python(given)
    settings, summary = given if in_python else resolve(given), read_summary(folder)
    arrays: dict[str, np.ndarray] = {}
    if summary is not None:
        theta, step = read_theta(folder), summary["steps"]
    else:
        found = read_arrays(folder, given.identity())
        if found is None:
            raise RunError(f"{folder} has no checkpoint yet: wait for its first, or continue it: mgd resume {folder}")
        header, arrays = found
        theta, step = theta_of(arrays), header.step
    facts = _facts(folder, settings, task)
    instruments = read_json(folder, INSTRUMENT) or [{}]
    instrument = instruments[0]
    on_bench = bool(instrument or settings.instruments)
    if chip is None and not on_bench and not in_python:
        chip = build_chip(resolve(given), Shapes(facts.input_shape, facts.n_outputs))
        if given.chip is not None:
            warn_if_changed(given.chip, folder, "what it answers may be another chip's")
    if chip is not None and chip.n_params != theta.shape[1]:
        raise ValueError(
            f"the chips of {folder} have {theta.shape[1]:,} parameters, and this chip has {chip.n_params:,}: give the "
            "one that was trained"
        )
    if chip is not None and in_python:
        _check_varied(folder, given)
    groups = chip.groups if chip is not None else {k: slice(*of) for k, of in (instrument.get("groups") or {}).items()}
    return LoadedRun(
        folder=folder,
        settings=settings,
        summary=summary,
        task=facts,
        step=step,
        theta=theta,
        chip=chip,
        device=None if chip is None else _device(folder, chip, arrays, given.identity(), len(theta)),
        groups=groups or {"theta": slice(0, theta.shape[1])},
        on_bench=on_bench,
        unit=instrument.get("unit", ""),
        units=tuple(Units.of(one["units"]) if "units" in one else None for one in instruments),
    )


def _check_varied(folder: Path, config: RunConfig) -> None:
    """Raises: ValueError: if the chips of a run do not have one design."""
    if config.python is None or "vary" not in config.python.given:
        return
    if names := [str(name) for name in read_metrics(folder).coords if str(name).startswith(_OF_DESIGN)]:
        raise ValueError(
            f"the chips of {folder} differ in {', '.join(names)}, so one chip is not the design of all: load the run "
            "without chip=, and make a chip for each replica"
        )


def made_in_python(config: RunConfig) -> bool:
    """Whether a Python program made the run, so that chip and task are not in its settings."""
    return config.python is not None


def samples_of(run: LoadedRun, task: Task | None) -> Task:
    """The task of a run, with its samples.

    Raises:
        ValueError: if it was made in Python and is not given.
        DataError: if its files cannot be read.
    """
    if task is not None:
        return task
    if made_in_python(run.settings):
        raise ValueError(f"the task of {run.folder} was made in Python: give it as task=, or give a file of samples")
    return build_task(resolve(run.settings))


def _facts(folder: Path, settings: RunConfig, task: Task | None) -> TaskFacts:
    facts = read_task_facts(folder)
    if task is not None:
        given = TaskFacts.of(task)
        if facts is not None and (given.input_shape, given.n_outputs) != (facts.input_shape, facts.n_outputs):
            raise ValueError(
                f"{folder} was trained on inputs of shape {facts.input_shape} with {facts.n_outputs} outputs, and the "
                f"given task has {given.input_shape} with {given.n_outputs}"
            )
        return facts or given
    if facts is None and made_in_python(settings):
        raise ValueError(f"the task of {folder} was made in Python: give it, as load_run({str(folder)!r}, task=…)")
    return facts or TaskFacts.of(build_task(resolve(settings)))


def _device(folder: Path, chip: AbstractChip, arrays: dict[str, np.ndarray], settings: str, n_replicas: int) -> Any:
    """The devices of all replicas, from the files of a finished run or from the checkpoint of another."""
    like = eqx.filter_eval_shape(chip.fabricate, key=jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(like)
    if not leaves:
        return like
    content = None if arrays else read_bytes(folder, DEVICE)
    try:
        if content is not None:
            device = device_from_arrays(chip, load(content))
        else:
            device = _from_checkpoint(folder, like, arrays, settings)
    except (SafetensorError, ValueError) as error:
        raise damaged(folder, DEVICE, str(error)) from None
    for leaf, (_, due) in zip(jax.tree.leaves(device), leaves, strict=True):
        if leaf.shape != (n_replicas, *due.shape):
            raise damaged(folder, DEVICE, f"it has shape {leaf.shape}, expected {(n_replicas, *due.shape)}")
    return device


def _from_checkpoint(folder: Path, like: Any, arrays: dict[str, np.ndarray], settings: str) -> Any:
    if not arrays:
        found = read_arrays(folder, settings)
        if found is None:
            raise damaged(folder, DEVICE, "it is missing, and so is the checkpoint")
        arrays = found[1]
    leaves = jax.tree_util.tree_leaves_with_path(like)
    names = ["progress.device" + jax.tree_util.keystr(path) for path, _ in leaves]
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"the checkpoint has no {missing[0]}")
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(arrays[name]) for name in names])
