"""Neurons that are not all alike."""

from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float


class Neurons(eqx.Module):
    r"""The activation of each neuron k of a layer: y_k = α_k f(β_k (a_k − a₀_k)) + b_k.

    Attributes:
        alpha: gain of the output.
        beta: gain of the input.
        shift: offset of the input, a₀.
        offset: offset of the output, b.
    """

    alpha: Float[Array, " outputs"]
    beta: Float[Array, " outputs"]
    shift: Float[Array, " outputs"]
    offset: Float[Array, " outputs"]

    def __call__(self, f: Callable, a: Float[Array, "*batch outputs"]) -> Float[Array, "*batch outputs"]:
        """The outputs of neurons whose ideal activation is f."""
        alpha, beta, shift, offset = (
            v.reshape((1,) * (a.ndim - 1) + (-1,)) for v in (self.alpha, self.beta, self.shift, self.offset)
        )
        return alpha * f(beta * (a - shift)) + offset
