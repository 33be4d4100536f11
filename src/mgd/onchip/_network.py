"""The network on the chip: a perceptron in fixed point, as the RTL computes it."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..chips import AbstractChip, MeanSquaredError, Traits
from ._spec import EXACT, Spec

# Fresh parameters are drawn from ± this.
_START = 1.0


class FixedPointNetwork(AbstractChip):
    r"""Logistic neurons in whole numbers: what `mgd_mlp` and `mgd_mlp_serial` compute, to the bit.

    θ + θ̃ has the steps of the circuit's parameters. Inputs, targets and activations are cut to `activation_bits`, and
    1 is the largest number that these can hold. A neuron's sum is exact; its logistic function has four straight
    pieces. The cost is the sum of squares over outputs, cut to the bits of the cost.

    The parameters are those of each neuron in turn: the weights of its inputs, and its bias.

    Args:
        spec: a circuit with `layers`.

    Raises:
        ValueError: if the circuit has no layers.

    >>> chip = FixedPointNetwork(Spec(layers=(2, 2, 1)))
    >>> x, zero = jnp.array([[0.0, 1.0]]), jnp.zeros(9)
    >>> chip.respond(zero, x, key=jax.random.key(0)).tolist()  # 32 of 64 steps, and half a step
    [[0.5078125]]
    >>> float(chip.measure(zero, zero, x, jnp.array([[1.0]]), key=jax.random.key(0))[0])  # (63/64 - 32/64)² in 1/256
    0.234375
    """

    spec: Spec = eqx.field(static=True)
    n_params: int = eqx.field(static=True)

    def __init__(self, spec: Spec):
        if not spec.layers:
            raise ValueError("the circuit has no network of its own: give its layers, such as layers = [2, 2, 1]")
        self.spec, self.n_params = spec, spec.parameters

    @property
    def groups(self) -> Mapping[str, slice]:
        groups, begin = {}, 0
        for number, (inputs, neurons) in enumerate(zip(self.spec.layers, self.spec.layers[1:], strict=False), 1):
            end = begin + (inputs + 1) * neurons
            groups[f"layer {number}"] = slice(begin, end)
            begin = end
        return groups

    @property
    def traits(self) -> Traits:
        return Traits(coarse=("fixed point",))

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        """Fresh parameters, uniform between −1 and 1."""
        return jax.random.uniform(key, (self.n_params,), minval=-_START, maxval=_START)

    def fabricate(self, *, key: PRNGKeyArray) -> None:
        return None

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        costs = self._squares(self._outputs(theta + perturbation, x), self.coded(target))
        return jnp.mean(costs.astype(jnp.float32) * 2.0**-self.spec.cost_fraction), device

    def respond(self, theta, x, *, device=None, key):
        # The middle of what an activation stands for, so that the two sides of 0.5 are alike.
        return (self._outputs(theta, x).astype(jnp.float32) + 0.5) * 2.0**-self.spec.activation_bits

    def cost(self, outputs, target):
        return MeanSquaredError()(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta

    def coded(self, values: Float[Array | np.ndarray, "*shape"]) -> Int[Array, "*shape"]:
        """Inputs or targets in the bits of an activation."""
        steps = 2**self.spec.activation_bits
        return jnp.clip(jnp.floor(jnp.asarray(values) * steps), 0, steps - 1).astype(jnp.int32)

    def _outputs(self, theta: Float[Array, " p"], x: Float[Array, "batch *features"]) -> Int[Array, "batch outputs"]:
        spec, parameters = self.spec, jnp.round(theta * 2.0**self.spec.theta_fraction).astype(jnp.int32)
        activations = self.coded(x).reshape(x.shape[0], -1)
        for place, neurons in zip(self.groups.values(), spec.layers[1:], strict=True):
            layer = parameters[place].reshape(neurons, -1)
            weights, bias = layer[:, :-1], layer[:, -1]
            sums = self._products(activations, weights) + (bias << spec.activation_bits)[None]
            activations = logistic(sums, spec.theta_fraction, spec.activation_bits)
        return activations

    def _products(
        self, activations: Int[Array, "batch inputs"], weights: Int[Array, "neurons inputs"]
    ) -> Int[Array, "batch neurons"]:
        """The sums without biases; in float32, in which XLA has fast products of matrices, where that is exact."""
        inputs = activations.shape[1]
        bits = self.spec.theta_bits + self.spec.activation_bits + inputs.bit_length()
        kind = jnp.float32 if bits <= EXACT else jnp.int32
        products = jnp.matmul(activations.astype(kind), weights.T.astype(kind), precision=lax.Precision.HIGHEST)
        return products.astype(jnp.int32)

    def _squares(
        self, outputs: Int[Array, "batch outputs"], target: Int[Array, "batch outputs"]
    ) -> Int[Array, " batch"]:
        cut = jnp.sum((outputs - target) ** 2, -1) >> (2 * self.spec.activation_bits - self.spec.cost_fraction)
        return jnp.minimum(cut, 2**self.spec.cost_bits - 1)


def logistic(z: Int[Array, "*shape"], drop: int, bits: int) -> Int[Array, "*shape"]:
    """The logistic function in four straight pieces, whose slopes are shifts.

    The third begins at 2 5/16 in place of the paper's 2 3/8, where the function would fall by 1/256.

    Args:
        z: with `bits` + `drop` bits behind the point, of which the last `drop` are not looked at.
        drop: so many.
        bits: of the result, all behind the point.

    References:
        Amin, Curtis and Hayes-Gill, *Piecewise linear approximation applied to nonlinear function of a neural network*,
        IEE Proc. Circuits Devices Syst. 144, 313 (1997).
    """
    size, one = jnp.abs(z) >> drop, 2**bits
    above = jnp.where(size < 5 * one, (size >> 5) + 27 * one // 32, one - 1)
    above = jnp.where(size < 37 * one // 16, (size >> 3) + 5 * one // 8, above)
    above = jnp.where(size < one, (size >> 2) + one // 2, above)
    return jnp.where(z < 0, one - 1 - above, above)
