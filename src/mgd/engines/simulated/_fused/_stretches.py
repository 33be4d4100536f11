"""Stretches of a run in which the rule of updates stays as it is: the kernel knows no other."""

from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..._linear_rule import Coefficients
from ._plan import Plan
from ._settings import CREDIT, DECAY, DESCENT, RATE, Group, Update

_MOST_COUNTED = 2**31 - 1


class Stretch(NamedTuple):
    """Timesteps that follow one another.

    Attributes:
        first: the number of the first.
        n_steps: how many.
        rule: the coefficients of the updates in them.
    """

    first: int
    n_steps: int
    rule: Coefficients


def stretches_of(plan: Plan, optimizer: Any, first: int, n_steps: int) -> tuple[Stretch, ...]:
    """The stretches of `n_steps` timesteps from number `first` on, for replicas whose optimizers are in this state."""
    interval, end = plan.update.interval, first + n_steps
    if not plan.rule.counts:
        return (Stretch(first, n_steps, plan.rule.first),)
    windows = range(first // interval, -(-end // interval))
    numbers = np.minimum(_counted(optimizer) + np.arange(len(windows)), _MOST_COUNTED)
    rules = map(tuple, plan.rule.of_updates(numbers).tolist())
    found = []
    for rule, alike in groupby(zip(windows, rules, strict=True), key=lambda one: one[1]):
        here = [window for window, _ in alike]
        start, stop = max(first, here[0] * interval), min(end, (here[-1] + 1) * interval)
        found.append(Stretch(start, stop - start, rule))
    return tuple(found)


def updating(plan: Plan, group: Group, rule: Coefficients) -> Update:
    """What the kernel is told of a rule, which the group's own numbers are made to agree with."""
    if plan.update.remembers:
        return plan.update._replace(rule=rule)
    if plan.rule.counts:
        group.numbers[RATE], group.numbers[DECAY] = rule[3], rule[5]
        group.numbers[DESCENT] = rule[3] * group.numbers[CREDIT].astype(np.float64)
    return plan.update


def counting(optimizer: Any, trace: np.ndarray | None, updates: int) -> Any:
    """An optimizer's state after so many more updates, with this memory."""
    leaves, structure = jax.tree.flatten(optimizer)

    def after(leaf: Any) -> Any:
        if _is_count(leaf):
            return jnp.minimum(leaf, _MOST_COUNTED - updates) + updates
        return jnp.asarray(trace)

    return jax.tree.unflatten(structure, map(after, leaves))


def _counted(optimizer: Any) -> int:
    """How many updates there were, which is the same for all replicas."""
    return int(next(leaf for leaf in jax.tree.leaves(optimizer) if _is_count(leaf)).ravel()[0])


def _is_count(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.integer))
