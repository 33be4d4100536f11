"""1/f noise on the cost."""

import math
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER, derived, is_zero
from .._base import Traits
from ._checks import require, require_whole
from ._kinds import AbstractReadout


class FlickerNoise(AbstractReadout):
    r"""1/f noise on every measured cost: a sum of relaxations, one for each octave.

    $$C_n \leftarrow C_n + \sum_{k=0}^{K-1} z_{k,n}, \qquad
      z_{k,n+1} = a_k z_{k,n} + \sqrt{1 - a_k^2}\, \frac{\sigma}{\sqrt K}\, \mathcal N(0, 1), \qquad
      a_k = e^{-2^{-k}}$$

    Each relaxation, of time constant 2^k measurements, has the same variance; together they have a spectrum close
    to 1/f from 1/(2π 2^(K − 1)) to 1/2π per measurement, and the variance σ² from the first measurement on.

    Args:
        sigma: σ, the total standard deviation, in the cost's unit; 0 for none.
        octaves: K; the slowest relaxation takes 2^(K − 1) measurements.

    Raises:
        ValueError: if sigma is negative or not finite, or octaves is not from 1 to 32.

    >>> import jax
    >>> noise = FlickerNoise(0.1, octaves=4)
    >>> memory = noise.start(key=jax.random.key(0))
    >>> cost, memory = noise.read(memory, jnp.float32(1), key=jax.random.key(1))
    >>> memory.shape
    (4,)

    References:
        Keshner, *1/f noise*, Proc. IEEE 70, 212 (1982).
    """

    name: ClassVar[str] = "flicker-noise"
    place: ClassVar[int] = 1
    sigma: float = eqx.field(metadata=NUMBER)
    octaves: int = eqx.field(static=True, default=16)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)
        require_whole(self.name, "octaves", self.octaves, low=1, high=32)

    def _derive(self) -> dict[str, Any]:
        each = self.sigma / math.sqrt(self.octaves)
        return {"start": each, "renew": each * np.sqrt(-np.expm1(-2 * self._rates))}

    def start(self, *, key: PRNGKeyArray) -> Float[Array, " k"]:
        return normal(derived(self)["start"], key=key, shape=(self.octaves,))

    def read(
        self, memory: Float[Array, " k"], cost: Float[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, " k"]]:
        keep = jnp.asarray(np.exp(-self._rates), jnp.float32)
        return cost + jnp.sum(memory), keep * memory + normal(derived(self)["renew"], key=key, shape=(self.octaves,))

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, remembers=(*inside.remembers, self.name)) if not is_zero(self.sigma) else inside

    @property
    def _rates(self) -> Float[np.ndarray, " k"]:
        return 0.5 ** np.arange(self.octaves)
