"""What is seen before a run begins: whether its arguments are numbers that can be, and chip and task go together."""

import math
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._errors import MgdWarning
from .chips import AbstractChip, Traits
from .chips.imperfections import Imperfect, inputs_of
from .datasets import Task
from .engines import ENGINES, Data, n_outputs
from .instruments import Guarded

# What 64-bit steps and 32-bit indices hold.
MOST_STEPS, MOST = 2**63 - 1, 2**31 - 1
# Evaluations of a run: a checkpoint writes them all.
_MOST_LOGGED, _MOST_LOGGED_BYTES = 1_000_000, 2**30


def check_arguments(chip: Any, engine: Any, of_instruments: dict[str, Any], vary: Any) -> None:
    """Raises: ValueError: if an argument is not for such a chip, and would be left out in silence."""
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(ENGINES)}")
    if isinstance(chip, AbstractChip):
        given = [name for name, value in of_instruments.items() if value is not None]
        if given:
            raise ValueError(
                f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for a chip behind I/O: a simulated one "
                "starts as its key says, and has the cost that it was made with"
            )
        return
    if not isinstance(chip, Guarded):
        raise ValueError(
            f"a chip is needed, got a {type(chip).__name__}: make one by mgd.chips (from_module, from_function), or "
            "give what mgd.instruments.opened gives"
        )
    if vary is not None:
        raise ValueError("vary is for replicas of a simulated chip, and a chip behind I/O is one: leave vary out")
    if engine != "auto":
        raise ValueError(f"a chip behind I/O is measured by an engine of its own: leave engine out, got {engine!r}")


def check_whole(*, most: int, **numbers: Any) -> None:
    """Raises: ValueError: if one is no whole number from 1 to the most."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
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
            raise ValueError(f"it has {inputs} inputs, and {given} are given")
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
            "in shuffled order: what it answers depends on the order; present them as they lie (order = "
            '"sequential"), put what belongs together into one sample, or show each sample for longer than the chip '
            "remembers (tau_x)",
            MgdWarning,
            stacklevel=4,
        )
