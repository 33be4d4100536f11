"""Writes by pulses whose size depends on where the parameter is."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER, derived
from .._base import Traits
from ._checks import require, require_positive, require_range
from ._kinds import AbstractMemory
from ._levels import inverse
from ._write import Store

# The last float32 below 1: a pulse as large as the way to the bound goes all of it, to rounding.
_MOST = 1 - 2.0**-24
# A spread may not turn a bound's sign, or put it onto zero.
_LEAST_BOUND = 0.01


class Pulses(eqx.Module):
    """How each cell takes pulses: its bounds, and the logarithm of what one pulse leaves of the way there."""

    top: Float[Array, " p"]
    bottom: Float[Array, " p"]
    log_up: Float[Array, " p"]
    log_down: Float[Array, " p"]


class SoftBoundsWrite(AbstractMemory):
    r"""Writes in whole pulses, which are asymmetric and smaller near a bound: a resistive cell with soft bounds.

    $$n = \left\lfloor \frac{|\Delta|}{\Delta w_\text{min}} + u \right\rfloor, \qquad
      \theta_i \leftarrow b_i - (b_i - \theta_i) \left(1 - \frac{s_i}{b_i}\right)^n
        + \sigma_\text{c-to-c}\, \Delta w_\text{min} \sqrt n\, \xi$$

    with u uniform in 0 … 1; upwards, towards b = w_max, s = Δw_min (1 + up_down); downwards, towards b = w_min,
    s = −Δw_min (1 − up_down): the change of one pulse at θ = 0. Both changes are equal at the symmetry point,
    2 up_down / ((1 + up_down) / w_max − (1 − up_down) / w_min), to which pairs of an up and a down pulse lead.

    From device to device Δw_min and the bounds differ by factors of mean 1, and up_down by an addend; all are normal
    and drawn once for each piece. No pulse goes the wrong way, and no bound is nearer to 0 than a hundredth of its
    value. A start outside the bounds is moved to the bound.

    Args:
        dw_min: Δw_min, in the parameter's unit.
        up_down: asymmetry of up and down pulses, relative.
        w_max: the upper bound, in the parameter's unit.
        w_min: the lower bound.
        dw_min_dtod: device-to-device spread of Δw_min, relative.
        dw_min_ctoc: σ_c-to-c, cycle-to-cycle noise of one pulse, in units of Δw_min.
        up_down_dtod: device-to-device spread of up_down.
        w_max_dtod: device-to-device spread of the upper bound, relative.
        w_min_dtod: device-to-device spread of the lower bound, relative.

    Raises:
        ValueError: if dw_min is not above 0, or larger than a bound; w_max not above or w_min not below 0; up_down not
            from −1 to 1; or a spread negative.

    >>> store = lambda theta, delta, *, key: theta + delta
    >>> cell, key = SoftBoundsWrite(0.1), jax.random.key(0)
    >>> two = cell.take(cell.spread(1, key=key), jnp.zeros(1), jnp.full(1, 0.2), store=store, key=key)
    >>> round(two.item(), 4)  # 0.1, and 0.9 of that
    0.19

    References:
        Rasch et al., *A flexible and fast PyTorch toolkit for simulating training and inference on analog crossbar
        arrays*, AICAS (2021), arXiv:2104.02184: the soft-bounds device, with these names but the cycle-to-cycle one.
    """

    name: ClassVar[str] = "soft-bounds-write"
    place: ClassVar[int] = 4
    dw_min: float = eqx.field(metadata=NUMBER)
    up_down: float = eqx.field(metadata=NUMBER, default=0.0)
    w_max: float = eqx.field(metadata=NUMBER, default=1.0)
    w_min: float = eqx.field(metadata=NUMBER, default=-1.0)
    dw_min_dtod: float = eqx.field(metadata=NUMBER, default=0.0)
    dw_min_ctoc: float = eqx.field(metadata=NUMBER, default=0.0)
    up_down_dtod: float = eqx.field(metadata=NUMBER, default=0.0)
    w_max_dtod: float = eqx.field(metadata=NUMBER, default=0.0)
    w_min_dtod: float = eqx.field(metadata=NUMBER, default=0.0)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require_positive(self.name, "dw_min", self.dw_min)
        require(self.name, "up_down", self.up_down, low=-1.0, high=1.0)
        require_range(self.name, 0.0, self.w_max, ("0", "w_max"))
        require_range(self.name, self.w_min, 0.0, ("w_min", "0"))
        if self.dw_min > min(self.w_max, -self.w_min):
            raise ValueError(
                f"{self.name}: dw_min must not be larger than a bound ({self.w_min:g} and {self.w_max:g}), "
                f"got {self.dw_min!r}"
            )
        for field in ("dw_min_dtod", "dw_min_ctoc", "up_down_dtod", "w_max_dtod", "w_min_dtod"):
            require(self.name, field, getattr(self, field), low=0.0)

    def _derive(self) -> dict[str, float]:
        return {"per_pulse": inverse(self.dw_min), "noise": self.dw_min_ctoc * self.dw_min}

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> Pulses:
        size, skew, above, below = jax.random.normal(key, (4, n_params))
        step = self.dw_min * (1 + self.dw_min_dtod * size)
        up_down = self.up_down + self.up_down_dtod * skew
        top = self.w_max * jnp.maximum(1 + self.w_max_dtod * above, _LEAST_BOUND)
        bottom = self.w_min * jnp.maximum(1 + self.w_min_dtod * below, _LEAST_BOUND)
        up, down = step * (1 + up_down) / top, step * (1 - up_down) / -bottom
        return Pulses(top, bottom, jnp.log1p(-jnp.clip(up, 0, _MOST)), jnp.log1p(-jnp.clip(down, 0, _MOST)))

    def held(self, own: Pulses, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        return jnp.clip(theta, own.bottom, own.top)

    def take(
        self, own: Pulses, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        round_key, noise_key, inner_key = jax.random.split(key, 3)
        n = jnp.floor(jnp.abs(delta) * derived(self)["per_pulse"] + jax.random.uniform(round_key, theta.shape))
        inside = self.held(own, theta)
        up = delta > 0
        way = jnp.where(up, own.top, own.bottom) - inside
        moved = inside - way * jnp.expm1(n * jnp.where(up, own.log_up, own.log_down))
        noise = normal(derived(self)["noise"], key=noise_key, shape=theta.shape) * jnp.sqrt(n)
        return store(theta, self.held(own, moved + noise) - theta, key=inner_key)

    def traits(self, inside: Traits) -> Traits:
        return inside
