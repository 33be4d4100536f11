"""Whether `jax.grad` of a chip is the slope of its cost: measured by differences, before an engine trusts it.

A straight-through estimator, a spike's surrogate, a rounding: each has a gradient that a chip does not follow when it
is measured. Two differences tell, for each group of parameters and for all together, with g the gradient and s a
vector of random signs:

- at a *small* step h, (C(θ + h s) − C(θ − h s)) / 2h against g·s. What is constant in pieces does not move;
- at the *working* amplitude Δθ, the same difference against the mean of g(θ + t s)·s over −Δθ < t < Δθ. By the
  fundamental theorem of calculus they are equal whatever the curvature, and with kinks; not where the cost jumps.

Both are taken at points scattered by Δθ about the start: at the start itself, values often lie on a kink (a ReLU whose
input and bias are zero).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ..._numbers import as_data
from ...chips import AbstractChip, CrossEntropy, MeanSquaredError, NetworkChip
from ...chips._pieces import ONCE
from ...chips.imperfections import Imperfect
from .._base import Progress
from .._data import Data
from ._windows import gradient_of

_PACKAGE = __name__.partition(".")[0]
# Points, each with a few samples of its own; and places along a line through each.
_POINTS, _SAMPLES, _REPLICAS, _NODES = 12, 4, 4, 8
# A small step changes the cost, and the largest parameter, by this many of their roundings; where that is no small part
# of the amplitude, over which points are scattered, kinks are as close as the step, and only the amplitude is tried.
_ROUNDINGS, _SMALL = 300, 0.05
# The rounding of a difference of costs, in units of the last place of one: networks sum many numbers.
_MARGIN = 32
_EPS = float(np.finfo(np.float32).eps)
# How far slopes may be apart at a small step (in the median) and at the working amplitude (root mean square), relative
# to themselves. The published convolutional network came to 0.03 and 0.05 at an amplitude of 0.01 (two or three
# starts), to 0.33 at one of 0.5. A chip that does not move comes to 0.67, the median of a normal number, and to 1.
_APART, _APART_AT_WORK = 0.25, 0.5
# Above so many parameters only all of them together are tried at the working amplitude: it takes many gradients.
_LARGE = 10_000
# The amplitude at which a chip without perturbations is tried: the usual one.
USUAL = 0.01


class Slopes(NamedTuple):
    """Slopes of the cost along random directions, at each point.

    Attributes:
        measured: by differences.
        derived: by the gradient.
        unsure: by how much rounding may change the measured ones; infinite where nothing can be told.
    """

    measured: Float[Array | np.ndarray, "*n"]
    derived: Float[Array | np.ndarray, "*n"]
    unsure: Float[Array | np.ndarray, "*n"]


def check_slope(chip: AbstractChip, progress: Progress, data: Data, *, engine: str, amplitude: float = USUAL) -> str:
    """Compares the slope of the chip with its gradient, about the start of a run and on a few samples.

    Args:
        chip: the simulated chip.
        progress: the start.
        data: the samples.
        engine: the name of the engine that needs the gradient.
        amplitude: at which perturbations work.

    Returns:
        What is wrong, as the beginning of a sentence; empty if the two are the same.

    Raises:
        ValueError: if JAX has no gradient of the chip.
    """
    if _is_known(chip):
        return ""
    groups = {"all parameters": slice(0, chip.n_params), **(chip.groups if len(chip.groups) > 1 else {})}
    ends = jnp.array([(place.start, place.stop) for place in groups.values()], jnp.int32)
    n_at_work = len(groups) if chip.n_params <= _LARGE else 1
    theta, device = jax.tree.map(lambda leaf: leaf[0], (progress.state.theta, progress.device))
    shown = data.show(jnp.zeros(_SAMPLES, jnp.int32))
    try:
        eqx.filter_eval_shape(gradient_of, chip, theta, device, *shown, key=jax.random.key(0))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"the {engine} engine needs jax.grad of the chip, which JAX cannot compute: "
            f"{str(error).splitlines()[0]}; use the measured engine"
        ) from error
    small, working = _slopes(as_data(chip), progress, data, jnp.float32(amplitude), ends, n_at_work)
    names = list(groups)
    for k in (*range(1, len(names)), 0):  # an array by its name rather than all
        for slopes, how, most in ((small, np.median, _APART), (working, _rms, _APART_AT_WORK)):
            if k >= slopes.measured.shape[1]:
                continue
            measured, derived, unsure = (np.asarray(values[:, k], np.float64) for values in slopes)
            if _disagree(measured, derived, unsure, how, most):
                return _apart(names[k], _rms(measured), _rms(derived))
    return ""


def _is_known(chip: AbstractChip) -> bool:
    """Whether the whole chip is this package's; tests then know that the gradient is the slope."""
    while isinstance(chip, Imperfect):
        if not type(chip.imperfection).__module__.startswith(f"{_PACKAGE}.chips."):
            return False
        chip = chip.chip
    return type(chip) is NetworkChip and chip.is_ours and isinstance(chip.loss, MeanSquaredError | CrossEntropy)


def _disagree(measured: np.ndarray, derived: np.ndarray, unsure: np.ndarray, how: Any, most: float) -> bool:
    known = np.isfinite(measured) & np.isfinite(derived) & np.isfinite(unsure)
    if known.sum() < _POINTS / 2:
        return False  # too little can be told: gradients are below rounding, or costs are not finite
    measured, derived, unsure = measured[known], derived[known], unsure[known]
    apart = np.maximum(np.abs(measured - derived) - unsure, 0.0)
    return bool(how(apart) > most * max(_rms(derived), how(np.abs(measured))))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.asarray(values, np.float64) ** 2)))


def _apart(name: str, measured: float, derived: float) -> str:
    return (
        f"jax.grad is not the slope of this chip's cost in {name}: along random directions the measured slope is "
        f"{measured:.2g}, by jax.grad {derived:.2g} (root mean square), as with straight-through estimators, spikes "
        "and rounded values"
    )


@eqx.filter_jit(**ONCE)
def _slopes(
    chip: AbstractChip,
    progress: Progress,
    data: Data,
    amplitude: Float[Array, ""],
    ends: Int[Array, "groups 2"],
    n_at_work: int,
) -> tuple[Slopes, Slopes]:
    """Slopes at a small step (point, group), and at the working amplitude, of the first so many groups."""
    n_replicas = min(progress.state.theta.shape[0], _REPLICAS)
    places = jnp.arange(chip.n_params)

    def at_point(point: Int[Array, ""]) -> tuple[Slopes, Slopes]:
        replica = point % n_replicas
        start, device = jax.tree.map(lambda leaf: leaf[replica], (progress.state.theta, progress.device))
        row_key, place_key, sign_key, node_key, cost_key = jax.random.split(
            jax.random.fold_in(jax.random.key(0), point), 5
        )
        x, y = data.show(jax.random.randint(row_key, (_SAMPLES,), 0, len(data.y)))
        theta = start + amplitude * jax.random.normal(place_key, start.shape, jnp.float32)

        def cost_at(perturbation: Array) -> Array:
            return chip.measure(theta, perturbation, x, y, device=device, key=cost_key)[0]

        def rate(signs: Array, step: Array) -> Array:
            return (cost_at(step * signs) - cost_at(-step * signs)) / (2 * step)

        gradient_at = jax.grad(cost_at)
        signs = jax.random.rademacher(sign_key, theta.shape, jnp.float32)
        gradient = gradient_at(jnp.zeros_like(theta))
        rounding = _rounding(cost_at, signs * _EPS * jnp.max(jnp.abs(theta)))

        def small(ends: Array) -> Slopes:
            inside = (places >= ends[0]) & (places < ends[1])
            along, largest = jnp.where(inside, signs, 0.0), jnp.max(jnp.where(inside, jnp.abs(theta), 0.0))
            slope = jnp.sqrt(jnp.sum(jnp.where(inside, gradient, 0.0) ** 2))
            step = _ROUNDINGS * jnp.maximum(rounding / (_MARGIN * slope), _EPS * largest)
            unsure = jnp.where(step < _SMALL * amplitude, rounding / (2 * step), jnp.inf)
            return Slopes(rate(along, jnp.minimum(step, amplitude)), jnp.sum(gradient * along), unsure)

        def working(ends: Array) -> Slopes:
            along = jnp.where((places >= ends[0]) & (places < ends[1]), signs, 0.0)
            strata = (jnp.arange(_NODES, dtype=jnp.float32) + jax.random.uniform(node_key, (_NODES,), jnp.float32)) * (
                2 / _NODES
            ) - 1
            derived = lax.map(lambda t: jnp.sum(gradient_at(t * amplitude * along) * along), strata)
            return Slopes(rate(along, amplitude), jnp.mean(derived), rounding / (2 * amplitude))

        return lax.map(small, ends), lax.map(working, ends[:n_at_work])

    return lax.map(at_point, jnp.arange(_POINTS))


def _rounding(cost_at: Any, least: Float[Array, " p"]) -> Float[Array, ""]:
    """By how much rounding may change a difference of costs: by their size, and by what the least changes make."""
    costs = lax.map(lambda k: cost_at(k * least), jnp.arange(-2, 3, dtype=jnp.float32))
    return jnp.maximum(_MARGIN * _EPS * jnp.max(jnp.abs(costs)), 4 * (jnp.max(costs) - jnp.min(costs)))
