"""Costs of a batch of outputs, sample by sample."""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jax.nn import log_softmax, softplus
from jaxtyping import Array, Float


class AbstractCost(eqx.Module):
    """The cost of each sample in a batch."""

    @abstractmethod
    def __call__(
        self, outputs: Float[Array, "batch outputs"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, " batch"]:
        """The costs, from outputs and targets."""


class MeanSquaredError(AbstractCost):
    r"""$$C = \frac1K \sum_{k=1}^K (y_k - \hat y_k)^2$$ over the K outputs of a sample."""

    def __call__(self, outputs, target):
        return jnp.mean((outputs - target) ** 2, axis=-1)


class CrossEntropy(AbstractCost):
    r"""Cross-entropy of logits, with label smoothing: softmax for several outputs, the logistic function for one.

    $$C = -\sum_k \big((1 - s)\,\hat y_k + s/K\big) \log \text{softmax}(y)_k, \qquad
      C = -\hat z \log \sigma(y) - (1 - \hat z) \log\big(1 - \sigma(y)\big), \quad
      \hat z = (1 - s)\, \hat y + s/2$$

    One output is the logit of the second of two classes: above 0 it says 1, below 0 it says 0.

    Args:
        smoothing: s, 0 … 1.

    Raises:
        ValueError: if the smoothing is outside 0 … 1.

    >>> float(CrossEntropy()(jnp.zeros((1, 4)), jnp.eye(4)[:1])[0]).__round__(3)
    1.386
    >>> CrossEntropy()(jnp.array([[0.0], [2.0]]), jnp.ones((2, 1))).round(3).tolist()
    [0.693, 0.127]
    """

    smoothing: float = eqx.field(default=0.0, static=True)

    def __check_init__(self):
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"label smoothing must be from 0 to 1, got {self.smoothing}")

    def __call__(self, outputs, target):
        if outputs.shape[-1] == 1:
            softened = (1 - self.smoothing) * target + self.smoothing / 2
            return jnp.sum(softplus(outputs) - softened * outputs, axis=-1)
        softened = (1 - self.smoothing) * target + self.smoothing / outputs.shape[-1]
        return -jnp.sum(softened * log_softmax(outputs), axis=-1)


def cost_named(cost: str | AbstractCost) -> AbstractCost:
    """The cost of that name ("mse", "cross-entropy"), or the cost itself.

    Raises:
        ValueError: if the name is unknown.
    """
    if isinstance(cost, AbstractCost):
        return cost
    if cost == "mse":
        return MeanSquaredError()
    if cost == "cross-entropy":
        return CrossEntropy()
    raise ValueError(f"unknown cost {cost!r}: choose mse or cross-entropy")
