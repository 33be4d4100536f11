"""A spiking network as a chip: leaky integrate-and-fire neurons, with nothing in place of the derivative of a spike.

    mgd train parity --chip spiking.toml

A spike comes or does not come, so the cost has steps. MGD only measures it, with an amplitude that moves spikes.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Spiking(eqx.Module):
    """Neurons that are driven by constant currents, and outputs that read how often they fire.

    Attributes:
        inward: from inputs, and a constant, to currents of neurons.
        outward: from rates of spikes, and a constant, to outputs.
        ticks: for how many ticks of the clock a sample is shown.
        leak: what is left of a membrane's potential after a tick.
    """

    inward: Float[Array, "neurons features"]
    outward: Float[Array, "outputs rates"]
    ticks: int = eqx.field(static=True)
    leak: float = eqx.field(static=True)

    def __init__(self, n_inputs: int, n_neurons: int, n_outputs: int, *, ticks: int, key: Array):
        inward_key, outward_key = jax.random.split(key)
        self.inward = jax.random.normal(inward_key, (n_neurons, n_inputs + 1)) / 2
        self.outward = jax.random.normal(outward_key, (n_outputs, n_neurons + 1))
        self.ticks, self.leak = ticks, 0.9

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        current = self.inward @ jnp.append(2 * x - 1, 1.0)

        def tick(potential: Array, _: None) -> tuple[Array, Array]:
            potential = self.leak * potential + current
            spike = potential > 1.0
            return jnp.where(spike, 0.0, potential), spike

        _, spikes = jax.lax.scan(tick, jnp.zeros_like(current), None, length=self.ticks)
        rates = jnp.mean(spikes.astype(jnp.float32), axis=0)
        return jax.nn.sigmoid(self.outward @ jnp.append(4 * rates, 1.0))


def chip(inputs: tuple[int, ...], outputs: int, key: Array, neurons: int = 12, ticks: int = 32) -> Spiking:
    """The network, with weights drawn from a key."""
    return Spiking(inputs[0], neurons, outputs, ticks=ticks, key=key)
