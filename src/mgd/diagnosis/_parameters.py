"""Causes in the memory of the parameters: a start at a limit, and writes that it does not take."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..chips import FunctionChip, NetworkChip, applied_parameters
from ..chips.imperfections import Imperfect
from ._case import Case
from ._finding import Finding

# The part of the parameters of which something must be true.
_MOST = 0.5
_NEARLY_ALL = 0.9
# A write of this many times the size of parameters is far more than a level, and far less than the range.
_CHANGE = 0.5
# Of a change in the other direction, what is as good as none.
_NONE = 0.1
_FEWEST_UPDATES = 20


def starts_at_a_limit(case: Case) -> Finding | None:
    """Parameters that can move in one direction only."""
    if isinstance(case.chip, NetworkChip | FunctionChip):
        return None  # these are perfect
    theta = case.start.state.theta[0]
    change = _CHANGE * max(float(jnp.sqrt(jnp.mean(theta**2))), 1e-3)
    up, down = (_moved(case, theta, sign * change) for sign in (1.0, -1.0))
    stopped = (up < _NONE * down) | (down < _NONE * up)
    if stopped.mean() < _MOST:
        return None
    applied = _applied(case, theta)
    return Finding(
        "limit",
        f"{stopped.mean():.0%} of the parameters start at a limit and can only go back from it: they start from "
        f"{float(theta.min()):.3g} to {float(theta.max()):.3g}, and the chip applies {applied.min():.3g} to "
        f"{applied.max():.3g}",
        f"a wider range (to {2 * float(jnp.abs(theta).max()):.2g}), or a start of smaller parameters",
    )


def writes_are_lost(case: Case) -> Finding | None:
    """Parameters that no update has changed."""
    before, after = (_applied(case, progress.state.theta[0]) for progress in (case.start, case.now))
    unchanged = float(np.mean(before == after))
    probes = case.at_start
    if case.updates < _FEWEST_UPDATES or unchanged < _NEARLY_ALL or probes is None or not probes.measured.any():
        return None
    size = _typical_update(case)
    takes = _smallest_write(case, case.start.state.theta[0])
    larger = f"; a write of {takes:.2g} is taken" if takes else ""
    times = max(2.0, takes / size if takes and size else 10.0)
    return Finding(
        "writes",
        f"{unchanged:.0%} of the parameters are exactly as at the start after {case.updates:,} updates: an update is "
        f"about {size:.2g}, which the memory does not take{larger}",
        f"a learning rate {float(f'{times:.2g}'):,.0f} times as large, stochastic rounding (dac-stochastic), or a "
        "finer copy that the host keeps (dac-finer-copy)",
    )


def _moved(case: Case, theta: Float[Array, " p"], change: float) -> Float[np.ndarray, " p"]:
    """How far each parameter that the chip applies moves in the direction of a requested change."""
    device = jax.tree.map(lambda leaf: leaf[0], case.start.device)
    after = case.chip.write(theta, jnp.full_like(theta, change), device=device, key=jax.random.key(0))
    return np.sign(change) * (_applied(case, after) - _applied(case, theta))


def _applied(case: Case, theta: Float[Array, " p"]) -> Float[np.ndarray, " p"]:
    if not isinstance(case.chip, Imperfect):
        return np.asarray(theta)
    device = jax.tree.map(lambda leaf: leaf[0], case.start.device)
    return np.asarray(applied_parameters(case.chip, theta, device=device))


def _typical_update(case: Case) -> float:
    """The size of an update, by the size of C̃ alone."""
    algorithm, probes = case.ask_tell, case.at_start
    assert algorithm is not None, "only what measures is probed"
    assert probes is not None, "only what measures is probed"
    times, amplitude = algorithm.time_constants, float(algorithm.perturbation.amplitude)
    window = max(1, times.tau_theta // times.tau_p)
    size = float(np.sqrt(np.mean(probes.measured**2))) / amplitude / np.sqrt(window)
    theta = case.start.state.theta[0]
    delta, _ = algorithm.optimizer.update(jnp.full_like(theta, size), algorithm.optimizer.init(theta), theta)
    return float(jnp.sqrt(jnp.mean(jnp.asarray(delta) ** 2)))


def _smallest_write(case: Case, theta: Float[Array, " p"]) -> float | None:
    """A size of a write that most parameters take."""
    for change in np.geomspace(1e-6, 10.0, 43):
        if np.mean(_moved(case, theta, float(change)) != 0) > _MOST:
            return float(change)
    return None
