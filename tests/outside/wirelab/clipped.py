"""Gradient descent that takes no large step."""

import optax

from mgd.rows import Row


def clipped(learning_rate):
    """Gradient descent on G, shortened to norm 1 where it is longer."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(learning_rate))


ROW = Row("gradient descent with G shortened to norm 1", clipped)
