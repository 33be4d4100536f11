"""What an update rule does, found by trying it: optax's transformations are functions, and tell nothing else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

Coefficients = tuple[float, float, float, float, float, float]
# How many values at least; how well they must agree; and up to where, for beyond it float32 is infinite.
_TRIED, _AGREES, _LARGEST = 512, 1e-4, 1e38


@functools.lru_cache(maxsize=64)
def linear_rule(optimizer: optax.GradientTransformation, n_params: int) -> tuple[Coefficients, bool] | None:
    r"""The coefficients of an update rule that is linear in each parameter's G, memory m and θ, and the same for all.

    $$m' = r_0 G + r_1 m + r_2 \theta, \qquad \Delta\theta = r_3 G + r_4 m + r_5 \theta$$

    Plain gradient descent, momentum (Nesterov's too) and weight decay are. Of values over thirty orders of magnitude,
    what the rule gives must be what the coefficients say: clipping, normalising and schedules are recognised by that,
    or by what they remember. It is tried on vectors of the chip's own length: a rule may be made for that one alone.

    Args:
        optimizer: the update rule.
        n_params: P.

    Returns:
        The coefficients, and whether there is a memory; None if the rule is another.

    >>> rule, remembers = linear_rule(optax.sgd(0.5), 9)
    >>> (rule[3], remembers)
    (-0.5, False)
    """
    rng = np.random.default_rng(0)
    size = (3, -(-_TRIED // n_params), n_params)
    values = jnp.asarray(rng.choice([-1, 1], size) * 10.0 ** rng.uniform(-15, 15, size), jnp.float32)
    leaves, structure = jax.tree.flatten(optimizer.init(values[0, 0]))
    if len(leaves) > 1 or any(leaf.shape != (n_params,) for leaf in leaves):
        return None

    def update(gradient, trace, theta):
        state = jax.tree.unflatten(structure, [trace] if leaves else [])
        delta, state = optimizer.update(gradient, state, theta)
        after = jax.tree.leaves(state)
        return (after[0] if after else jnp.zeros_like(trace)), jnp.asarray(delta)

    one, zero = jnp.ones(n_params, jnp.float32), jnp.zeros(n_params, jnp.float32)
    columns = [update(one, zero, zero), update(zero, one, zero), update(zero, zero, one)]
    memory = [float(column[0][0]) for column in columns]
    delta = [float(column[1][0]) for column in columns]
    if not np.all(np.isfinite(memory + delta)):  # such as G/|G| of no G
        return None
    for weights, found in zip((memory, delta), jax.vmap(update)(*values), strict=True):
        terms = np.asarray(weights)[:, None, None] * np.asarray(values, np.float64)
        size = np.abs(terms).sum(0)
        wrong = np.abs(terms.sum(0) - np.asarray(found, np.float64)) > _AGREES * size
        if np.any(wrong & (size < _LARGEST)):
            return None
    return (memory[0], memory[1], memory[2], delta[0], delta[1], delta[2]), bool(leaves)
