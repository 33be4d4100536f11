"""What an update rule does, found by trying it: optax's transformations are functions, and tell nothing else."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

Coefficients = tuple[float, float, float, float, float, float]
# How many values at least; how well they must agree; and up to where, for beyond it float32 is infinite.
_TRIED, _AGREES, _LARGEST = 512, 1e-4, 1e38
# A rule that counts its updates is tried at these of them. Its coefficients are worked out for so many together, in
# vectors of no more numbers than this.
_UPDATES, _TOGETHER, _MOST_NUMBERS = (0, 1, 6, 1000, 10**6), 1024, 2**22


@dataclass(frozen=True)
class LinearRule:
    r"""An update rule that is linear in each parameter's G, memory m and θ, and the same for all.

    $$m' = r_0 G + r_1 m + r_2 \theta, \qquad \Delta\theta = r_3 G + r_4 m + r_5 \theta$$

    Attributes:
        first: the coefficients r of the first update.
        remembers: whether there is a memory.
        counts: whether other updates have other coefficients, as by a schedule.
        of_updates: the coefficients of the updates with these numbers.
    """

    first: Coefficients
    remembers: bool
    counts: bool
    of_updates: Callable[[Int[np.ndarray, " updates"]], Float[np.ndarray, "updates 6"]]


@functools.lru_cache(maxsize=64)
def linear_rule(optimizer: optax.GradientTransformation, n_params: int) -> LinearRule | None:
    """What an update rule does, if it is linear.

    Plain gradient descent, momentum (Nesterov's too) and weight decay are, also with a schedule. Of values over thirty
    orders of magnitude, what the rule gives must be what the coefficients say: clipping and normalising are recognised
    by that, or by what they remember. It is tried on vectors of the chip's own length: a rule may be made for that one
    alone.

    Args:
        optimizer: the update rule.
        n_params: P.

    Returns:
        The rule; None if it is another.

    >>> rule = linear_rule(optax.sgd(0.5), 9)
    >>> (rule.first[3], rule.remembers, rule.counts)
    (-0.5, False, False)
    >>> falling = linear_rule(optax.sgd(optax.linear_schedule(0.5, 0.0, 10)), 9)
    >>> falling.of_updates(np.array([0, 5]))[:, 3].tolist()
    [-0.5, -0.25]
    """
    rng = np.random.default_rng(0)
    size = (3, -(-_TRIED // n_params), n_params)
    values = jnp.asarray(rng.choice([-1, 1], size) * 10.0 ** rng.uniform(-15, 15, size), jnp.float32)
    rule = _Tried.of(optimizer, values[0, 0])
    if rule is None:
        return None
    for number in _UPDATES if rule.counts else (0,):
        coefficients = rule.coefficients(np.array([number]))[0]
        if not np.all(np.isfinite(coefficients)):  # such as G/|G| of no G
            return None
        memory, delta, counted = jax.vmap(functools.partial(rule.update, number))(*values)
        if np.any(np.asarray(counted) != number + 1):
            return None
        for weights, found in ((coefficients[:3], memory), (coefficients[3:], delta)):
            terms = weights[:, None, None] * np.asarray(values, np.float64)
            size = np.abs(terms).sum(0)
            wrong = np.abs(terms.sum(0) - np.asarray(found, np.float64)) > _AGREES * size
            if np.any(wrong & (size < _LARGEST)):
                return None
    r0, r1, r2, r3, r4, r5 = map(float, rule.coefficients(np.array([0]))[0])
    return LinearRule((r0, r1, r2, r3, r4, r5), rule.remembers, rule.counts, rule.coefficients)


@dataclass(frozen=True)
class _Tried:
    """A rule that remembers one vector at the most, and how many updates there were."""

    optimizer: optax.GradientTransformation
    structure: Any
    is_count: tuple[bool, ...]
    n_params: int

    @staticmethod
    def of(optimizer: optax.GradientTransformation, theta: Float[Array, " p"]) -> "_Tried | None":
        leaves, structure = jax.tree.flatten(optimizer.init(theta))
        is_count = tuple(jnp.issubdtype(leaf.dtype, jnp.integer) and leaf.shape == () for leaf in leaves)
        vectors = [leaf for leaf, count in zip(leaves, is_count, strict=True) if not count]
        if len(vectors) > 1 or any((leaf.shape, leaf.dtype) != (theta.shape, theta.dtype) for leaf in vectors):
            return None
        return _Tried(optimizer, structure, is_count, theta.size)

    @property
    def remembers(self) -> bool:
        return not all(self.is_count)

    @property
    def counts(self) -> bool:
        return any(self.is_count)

    def update(self, number: Any, gradient: Array, trace: Array, theta: Array) -> tuple[Array, Array, Array]:
        """Memory and change after update `number`, and how many there were then."""
        given = [jnp.asarray(number, jnp.int32) if count else trace for count in self.is_count]
        with jax.numpy_dtype_promotion("standard"):  # schedules of optax multiply by counts
            delta, state = self.optimizer.update(gradient, jax.tree.unflatten(self.structure, given), theta)
        after = jax.tree.leaves(state)
        counted = [leaf for leaf, count in zip(after, self.is_count, strict=True) if count]
        memory = [leaf for leaf, count in zip(after, self.is_count, strict=True) if not count]
        reached = jnp.stack(counted) if counted else jnp.asarray(number, jnp.int32) + 1
        return (memory[0] if memory else jnp.zeros_like(trace)), jnp.asarray(delta), reached

    def coefficients(self, numbers: Int[np.ndarray, " updates"]) -> Float[np.ndarray, "updates 6"]:
        """Those of these updates."""
        if not self.counts:
            return _coefficients(self, 0, 1).repeat(len(numbers), axis=0)
        together = max(1, min(_TOGETHER, _MOST_NUMBERS // self.n_params))
        pieces = {
            piece: _coefficients(self, piece * together, together) for piece in set((numbers // together).tolist())
        }
        return np.stack([pieces[number // together][number % together] for number in numbers])


@functools.lru_cache(maxsize=1024)  # runs go on piece by piece, with updates that follow one another
def _coefficients(tried: _Tried, first: int, n_updates: int) -> Float[np.ndarray, "updates 6"]:
    """Those of updates that follow one another."""
    numbers = jnp.asarray(np.minimum(first + np.arange(n_updates), 2**31 - 1), jnp.int32)
    one, zero = jnp.ones(tried.n_params, jnp.float32), jnp.zeros(tried.n_params, jnp.float32)
    columns = [
        jax.vmap(lambda number, given=given: tried.update(number, *given)[:2])(numbers)
        for given in ((one, zero, zero), (zero, one, zero), (zero, zero, one))
    ]
    return np.stack([np.asarray(column[part][:, 0]) for part in (0, 1) for column in columns], axis=1).astype(
        np.float64
    )
