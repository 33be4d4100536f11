"""Facts of a task, from a descent with exact gradients and some hundreds of measurements where it ends."""

import time
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._judge import Judge
from ..algorithm import Backprop
from ..chips import AbstractChip
from ..engines import Data, choose, gradient_of
from ..theory import Landscape
from ._problem import Problem

_MOST_CHIPS, _BATCH = 8, 64
# Evaluations of a descent, each a tenth more updates than the one before.
_MOST_UPDATES, _FIRST, _GROWTH = 30_000, 10, 1.1
# Probes for each chip. Their steps are these shares of a parameter's usual size.
_PROBES, _LARGE_BATCH = 64, 512
_STEP, _WIDE_STEP = 0.02, 0.2
# Updates of half the stable rate of the start, which curvature that grows on the way is to leave stable.
_SHARE_OF_STABLE = 0.5


@dataclass(frozen=True)
class Descent:
    """A descent with exact gradients to the target.

    Attributes:
        landscape: facts where it ended.
        updates: how many it took, of batches of 64.
        operations: floating-point operations of one gradient, as XLA counts them.
        rate: its learning rate.
        farthest: the largest size of a parameter where it ended.
        seconds: what they took here for one chip, compiling not included.
    """

    landscape: Landscape
    updates: int
    operations: float
    rate: float
    farthest: float
    seconds: float


def descend(problem: Problem, *, seed: int = 0, chips: int = _MOST_CHIPS) -> Descent:
    """Facts of a task, by the descent of some ideal chips; if they leave the range of parameters, of chips within it.

    Args:
        problem: what is planned.
        seed: of the chips.
        chips: how many there are at the most; more than eight say hardly more.

    Raises:
        ValueError: if the chip has no gradient, or does not reach the target, or the converter does not read its cost.
    """
    found = _descend(problem, problem.ideal(), "without imperfections", seed, min(chips, _MOST_CHIPS))
    if found.farthest > problem.bound:
        within = f"with parameters within ± {problem.bound:g}, and no other imperfection,"
        found = _descend(problem, problem.bounded(), within, seed, min(chips, _MOST_CHIPS))
    problem.check_cost(found.landscape.cost)
    return found


def _descend(problem: Problem, chip: AbstractChip, which: str, seed: int, chips: int) -> Descent:
    """The descent of these chips, which are called so."""
    task, key = problem.task, jax.random.key(seed)
    data = Data.of(task.train, task.kind, task.order), Data.of(task.test, task.kind)
    batch = min(_BATCH, len(task.train))
    start = jax.vmap(lambda k: chip.init(key=k))(jax.random.split(jax.random.fold_in(key, 1), chips))
    rate = _SHARE_OF_STABLE / _measured(chip, start, data[0], key).largest
    algorithm = Backprop(optax.sgd(float(rate)))
    engine: Any = choose("auto", chip, algorithm, n_replicas=chips, batch=batch, n_steps=_MOST_UPDATES)
    judge = Judge.of(task, outputs=engine.gives_outputs(data[1]), shown=len(task.test), cost=engine.cost_of_outputs)
    if judge.metric is None:
        raise ValueError(f"{task.name} has no score that could be a target: the chip gives no outputs")
    progress = engine.init(chips, key=key, start=np.asarray(start))
    step, goal, seen = 0, _FIRST, []
    while step < _MOST_UPDATES:
        progress = engine.advance(data[0], progress, goal - step)
        step = goal
        goal = min(_MOST_UPDATES, max(goal + 1, round(goal * _GROWTH)))
        marks, cost = engine.evaluate(progress, data[1])
        seen.append((step, float(np.mean(judge.scores(np.asarray(marks)))), float(np.mean(np.asarray(cost)))))
        if seen[-1][1] >= problem.target:
            break
    else:
        best = max(score for _, score, _ in seen)
        raise ValueError(
            f"the target {problem.target:g} is out of reach for this chip: {chips} chips {which} "
            f"reach {best:.3f} in the mean by {_MOST_UPDATES:,} updates with exact gradients; lower "
            "--target, or give the chip more neurons or a wider range"
        )
    one = engine.init(1, key=key, start=np.asarray(start[:1]))
    one = jax.block_until_ready(engine.advance(data[0], one, 1))  # compiled, which is not to be timed
    began = time.perf_counter()
    jax.block_until_ready(engine.advance(data[0], one, step))
    seconds = time.perf_counter() - began
    found = _measured(chip, progress.state.theta, data[0], jax.random.fold_in(key, 2))
    land = Landscape(
        n_params=chip.n_params,
        spread=found.spread,
        gradient=found.gradient,
        trace=found.trace,
        largest=found.largest,
        quadratic=found.quadratic,
        cubic=found.cubic,
        cost=seen[-1][2],
        exponent=_exponent(seen),
        flow=float(rate) * step,
        scatter=found.scatter,
    )
    farthest = float(jnp.max(jnp.abs(progress.state.theta)))
    return Descent(land, step, operations_of(chip, data[0], batch), float(rate), farthest, seconds)


def operations_of(chip: AbstractChip, data: Data, batch: int) -> float:
    """Floating-point operations of the gradient of a batch."""
    key = jax.random.key(0)

    def gradient(theta: Float[Array, " p"]) -> Float[Array, " p"]:
        x, y = data.show(jnp.arange(batch))
        return gradient_of(chip, theta, chip.fabricate(key=key), x, y, key=key)[0]

    counted: Any = jax.jit(gradient).lower(jnp.zeros(chip.n_params)).cost_analysis()
    return float(counted["flops"])


def _exponent(seen: list[tuple[int, float, float]]) -> float:
    """q of L ~ s^(−1/q) over the last threefold of updates."""
    last = [(step, cost) for step, _, cost in seen if step >= seen[-1][0] / 3]
    if len(last) < 2:
        return 1.0
    steps, costs = np.log(np.array(last)).T
    slope = np.polyfit(steps, costs, 1)[0]
    return float(np.clip(-1 / min(slope, -1e-3), 0.3, 10.0))


@dataclass(frozen=True)
class _Measured:
    spread: float
    gradient: float
    trace: float
    largest: float
    quadratic: float
    cubic: float
    scatter: float


def _measured(chip: AbstractChip, theta: Float[Array, "chips p"], data: Data, key: PRNGKeyArray) -> _Measured:
    """Facts by differences of costs along random codes, in the mean over chips and codes."""
    size = float(jnp.sqrt(jnp.mean(theta**2)))
    batch = min(_LARGE_BATCH, len(data.y))
    found = (np.asarray(x) for x in _differences(chip, theta, data, key, jnp.float32(size), batch))
    single, near, wide, even, costs = found
    gradient = float(np.mean(near**2) - np.mean(single**2) / batch)
    gradient = max(gradient, 0.0)
    trace, frobenius = float(np.mean(even)), float(np.sqrt(np.mean(np.var(even, axis=1, ddof=1)) / 2))
    third = (wide - near) / ((_WIDE_STEP * size) ** 2 - (_STEP * size) ** 2)
    return _Measured(
        spread=max(float(np.mean(single**2)) - gradient, 1e-30),
        gradient=gradient,
        trace=max(trace, 0.0),
        largest=frobenius,
        quadratic=float(np.sqrt(trace**2 + 2 * frobenius**2)),
        cubic=float(np.sqrt(np.mean(third**2))),
        scatter=float(np.mean(np.var(costs, axis=1, ddof=1))),
    )


@eqx.filter_jit
def _differences(
    chip: AbstractChip,
    theta: Float[Array, "chips p"],
    data: Data,
    key: PRNGKeyArray,
    size: Float[Array, ""],
    batch: int,
) -> tuple[Float[Array, "chips probe"], ...]:
    """Slopes of single samples' costs and of a large batch's along codes, near and wide; curvatures along normal ones;
    costs of single samples.

    The curvature along normal numbers z has the mean tr H and the variance 2‖H‖², which is hardly more than twice
    the square of the largest curvature.
    """

    def of_chip(theta: Float[Array, " p"], key: PRNGKeyArray) -> tuple:
        device = chip.fabricate(key=jax.random.fold_in(key, 0))

        def cost(delta: Float[Array, " p"], rows: Any) -> Float[Array, ""]:
            x, y = data.show(rows)
            return chip.measure(theta, delta, x, y, device=device, key=key)[0]

        def probe(key: PRNGKeyArray) -> tuple:
            of_rows, of_signs, of_normal = jax.random.split(key, 3)
            rows = jax.random.randint(of_rows, (batch,), 0, len(data.y))
            signs = jax.random.rademacher(of_signs, theta.shape, jnp.float32)
            normal = jax.random.normal(of_normal, theta.shape)

            def slope(rows: Any, step: Float[Array, ""]) -> Float[Array, ""]:
                return (cost(step * signs, rows) - cost(-step * signs, rows)) / (2 * step)

            step, wide = _STEP * size, _WIDE_STEP * size
            curve = (cost(5 * step * normal, rows) + cost(-5 * step * normal, rows) - 2 * cost(0 * normal, rows)) / (
                25 * step**2
            )
            one = cost(0 * normal, rows[:1])
            return slope(rows[:1], step), slope(rows, step), slope(rows, wide), curve, one

        return jax.lax.map(probe, jax.random.split(jax.random.fold_in(key, 1), _PROBES))

    return jax.lax.map(lambda both: of_chip(*both), (theta, jax.random.split(key, len(theta))))
