"""Whether a run can go on from where it is: what a checkpoint is kept of."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import DivergedError
from .._train import Snapshot
from ..algorithm import Algorithm, State
from ._hardware import Member

# How many times the range of a parameter an update without any gradient may be, where parameters stop at their limits.
_MOST_RANGES = 1000.0


def check_sound(snapshot: Snapshot, members: Sequence[Member] = ()) -> None:
    """Refuses a state from which no chip could go on.

    All its numbers must be finite. On a real chip so must be the next update, were the gradient zero; and this update
    must leave parameters where some gradient could bring them back: within their range where a parameter that would
    leave its limits ends the run, and within a thousand ranges where it stops at them. A momentum of 1e30, of a cost
    that was no cost, would be there for hundreds of windows.

    Args:
        snapshot: of a run.
        members: its real chips, if it has any: replica r is chip r.

    Raises:
        DivergedError: if it is not one to go on from.
    """
    state, step = snapshot.progress.state, snapshot.step
    numbers = {"parameters": state.theta, "gradient": state.gradient, "baseline": state.baseline}
    for name, tree in (numbers | {"optimizer": state.optimizer}).items():
        if not all(_finite(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))):
            raise DivergedError(f"the {name} of step {step} are not finite", step=step)
    # An optimizer that remembers nothing does nothing where there is no gradient.
    if not members or not jax.tree.leaves(eqx.filter(state.optimizer, eqx.is_inexact_array)):
        return
    algorithm = members[0].engine.rated.reference
    updates = np.asarray(_coast(algorithm, state.with_clock(None)))
    for update, member in zip(updates, members, strict=True):
        limits = member.engine.bench.instrument.limits
        most = (limits.high - limits.low) * np.float32(_MOST_RANGES if member.engine.options.saturate else 1.0)
        wrong = np.flatnonzero(~(np.abs(update) <= most))
        if wrong.size:
            at = int(wrong[0])
            raise DivergedError(
                f"the optimizer's state at step {step} would change parameter {limits.name(at)} by "
                f"{limits.change(at, float(update[at]))}, whatever the next measurements are (its limits are "
                f"{limits.ends(at)})",
                step=step,
            )


def _finite(leaf: Any) -> bool:
    values = np.asarray(leaf)  # its ends tell, without an array of truths as large as a chip
    return not values.size or bool(np.isfinite(values.max()) and np.isfinite(values.min()))


@eqx.filter_jit
def _coast(algorithm: Algorithm, state: State) -> Float[Array, "replica p"]:
    """The next update of each replica, if its gradient were zero."""

    def one(optimizer: Any, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        return jnp.asarray(algorithm.optimizer.update(jnp.zeros_like(theta), optimizer, theta)[0])

    return jax.vmap(one)(state.optimizer, state.theta)
