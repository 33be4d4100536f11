"""What is seen before a run begins: whether its arguments are numbers that can be, and chip and task go together."""

import math
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._errors import MgdWarning
from ._input import check_whole, nearest
from .algorithm import AbstractAlgorithm
from .chips import AbstractChip, Traits
from .chips.imperfections import Imperfect, inputs_of
from .datasets import Task
from .engines import ENGINES, Data, n_outputs
from .instruments import AbstractInstrument, Guarded
from .rows import TASKS

# What 64-bit steps and 32-bit indices hold.
MOST_STEPS, MOST = 2**63 - 1, 2**31 - 1
# Evaluations of a run: a checkpoint writes them all.
_MOST_LOGGED, _MOST_LOGGED_BYTES = 1_000_000, 2**30


def check_arguments(
    chip: Any, task: Any, algorithm: Any, key: Any, engine: Any, of_instruments: dict[str, Any], vary: Any
) -> None:
    """Raises: ValueError: if an argument is no such thing, or not for such a chip and would be left out in silence."""
    if engine not in ENGINES:
        raise ValueError(
            f"unknown engine {engine!r}{nearest(str(engine), ENGINES)}: choose one of {', '.join(ENGINES)}"
        )
    if not isinstance(task, Task):
        raise ValueError(f"a task is needed, got {_said(task)}: {_task_meant(task)}")
    if algorithm is not None and not isinstance(algorithm, AbstractAlgorithm):
        raise ValueError(
            f"an algorithm is needed, got {_said(algorithm)}: make one with mgd.discrete(), mgd.analog() or "
            "mgd.Backprop(…), or leave it out"
        )
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise ValueError(f"a key is needed, got {_said(key)}: give jax.random.key(0)")
    if isinstance(chip, AbstractChip):
        given = [name for name, value in of_instruments.items() if value is not None]
        if given:
            raise ValueError(
                f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for an instrument: a simulated chip "
                "has the cost that it was made with"
            )
        return
    if not isinstance(chip, Guarded):
        raise ValueError(f"a chip is needed, got {_said(chip)}: {_chip_meant(chip)}")
    if vary is not None:
        raise ValueError("vary is for replicas of a simulated chip, and an instrument is one chip: leave vary out")
    if engine != "auto":
        raise ValueError(f"an instrument has its own engine: leave engine out, got {engine!r}")


def _said(value: Any) -> str:
    """What was given in place of something else."""
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _task_meant(value: Any) -> str:
    if isinstance(value, str) and value in TASKS:
        return f"load it with mgd.datasets.load({value!r})"
    return "make one with mgd.datasets.load(name) or mgd.datasets.from_arrays(x, y)"


def _chip_meant(value: Any) -> str:
    if isinstance(value, AbstractInstrument):
        return "open it first: with mgd.instruments.opened(instrument) as chip"
    if isinstance(value, eqx.Module):
        return "make it one with mgd.chips.from_module(module, cost)"
    return "make one with mgd.chips (mlp, from_module, …), or open an instrument with mgd.instruments.opened"


def check_counts(*, most: int, **numbers: Any) -> None:
    """Raises: ValueError: if one is not a whole number from 1 to the most."""
    check_whole(1, **numbers)
    for name, value in numbers.items():
        if value > most:
            raise ValueError(f"{name} must be at most {most:,}, got {value:,}")


def check_log(n_steps: int, every: int | None, n_replicas: int) -> None:
    """Raises: ValueError: if there would be more evaluations than can be kept and written at each checkpoint."""
    most = min(_MOST_LOGGED, _MOST_LOGGED_BYTES // (8 * n_replicas))
    if every is not None and 0 < most < n_steps // every:
        raise ValueError(
            f"log_every = {every:,} makes {n_steps // every:,} evaluations of {n_replicas:,} replicas, and at most "
            f"{most:,} are kept: give log_every = {-(-n_steps // most):,} or more"
        )


def check_fit(chip: AbstractChip, task: Task) -> None:
    """Raises: ValueError: if a chip cannot be measured on a task's samples, or gives other outputs than these need."""
    data = Data.of(task.test.subset(slice(0, 1)))

    def measure() -> Array:
        x, y = data.show(jnp.zeros(1, jnp.int32))
        theta, perturbation, key = jnp.zeros(chip.n_params), jnp.zeros(chip.n_sites), jax.random.key(0)
        return chip.measure(theta, perturbation, x, y, device=chip.fabricate(key=key), key=key)[0]

    inputs, given = inputs_of(chip), math.prod(task.input_shape)
    try:
        if inputs not in (None, given):
            raise ValueError(f"it has {inputs} inputs, got {given}")
        outputs = n_outputs(chip, data)
        cost = eqx.filter_eval_shape(measure) if outputs in (0, task.n_outputs) else None
    except Exception as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"the chip cannot be measured on {task.name}, whose inputs have shape {task.input_shape} and whose "
            f"targets have {task.n_outputs} outputs: {why}"
        ) from error
    if cost is None:
        raise ValueError(f"the chip has {outputs} outputs, and {task.name} needs {task.n_outputs}")
    if cost.shape != ():
        raise ValueError(f"a chip's cost must be one scalar, got shape {cost.shape} on {task.name}")


def checked_start(start: Any, n_replicas: int, n_params: int) -> Float[np.ndarray, "replica p"]:
    """The parameters that each replica starts with.

    Args:
        start: those of all, of shape (p,), or of each, of shape (replica, p).
        n_replicas: how many there are.
        n_params: how many parameters each has.

    Raises:
        ValueError: if they are of another shape, or no finite numbers.
    """
    try:
        given = np.asarray(start, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"start must be an array of parameters, got a {type(start).__name__}") from None
    if given.shape not in ((n_params,), (1, n_params), (n_replicas, n_params)):
        due = f"({n_params},)" + (f" or ({n_replicas}, {n_params})" if n_replicas > 1 else "")
        raise ValueError(f"the chip has {n_params} parameters: start must have shape {due}, got {given.shape}")
    if not np.isfinite(given).all():
        at = int(np.argwhere(~np.isfinite(given))[0][-1])
        raise ValueError(f"start must be finite numbers, got NaN or infinity for parameter {at}")
    return np.ascontiguousarray(np.broadcast_to(given, (n_replicas, n_params)))


def warn_of_order(chip: AbstractChip, task: Task) -> None:
    """Warns if what a chip answers depends on the samples before: they come in no order that it could know.

    A chip of one's own that remembers is taken to remember samples. Of the imperfections that remember, drift and
    flicker noise have nothing to do with the samples.
    """
    inside, names = chip, []
    while isinstance(inside, Imperfect):
        own = inside.imperfection
        names += [own.name] if own.mixes_samples and own.traits(Traits()).remembers else []
        inside = inside.chip
    names += inside.traits.remembers
    if names and len(task.train.y) > 1 and task.order == "shuffled":
        warnings.warn(
            f"the chip remembers earlier measurements ({', '.join(names)}), and the samples of {task.name} are shown "
            "in shuffled order, on which its outputs then depend: show them in their own order (order = "
            '"sequential"), put samples that belong together into one, or show each sample for longer than the chip '
            "remembers (tau_x)",
            MgdWarning,
            stacklevel=4,
        )
