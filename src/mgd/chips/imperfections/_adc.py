"""A converter that reads the cost."""

from dataclasses import replace
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..._numbers import NUMBER, derived
from .._base import Traits
from ._checks import require_range, require_whole
from ._kinds import AbstractReadout
from ._levels import MOST_BITS, Levels, steps_of


class ADC(AbstractReadout):
    r"""The cost is read by an analog-to-digital converter: rounded to one of 2^bits levels.

    $$C \leftarrow C_\text{low} + q \left\lfloor \frac{C - C_\text{low}}{q} \right\rceil, \qquad
      q = \frac{C_\text{high} - C_\text{low}}{2^\text{bits} - 1}$$

    A cost beyond an end is read as that end, as on a real chip; while it saturates, perturbations do not change it.

    Args:
        bits: the number of bits of the converter.
        low: C_low, the lowest level, in the cost's unit.
        high: C_high, the highest.

    Raises:
        ValueError: if bits is not from 1 to 24, or low is not below high.

    >>> import jax
    >>> ADC(2, 0.0, 3.0).read(None, jax.numpy.float32(1.4), key=jax.random.key(0))[0].item()
    1.0

    References:
        Bennett, *Spectra of quantized signals*, Bell Syst. Tech. J. 27, 446 (1948): the error's variance is q²/12.
    """

    name: ClassVar[str] = "adc"
    place: ClassVar[int] = 2
    bits: int = eqx.field(static=True)
    low: float = eqx.field(metadata=NUMBER)
    high: float = eqx.field(metadata=NUMBER)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require_whole(self.name, "bits", self.bits, low=1, high=MOST_BITS)
        require_range(self.name, self.low, self.high)

    @property
    def lsb(self) -> float:
        """From one level to the next."""
        return steps_of(self.bits, self.low, self.high)["step"]

    def _derive(self) -> dict[str, float]:
        return steps_of(self.bits, self.low, self.high)

    def start(self, *, key: PRNGKeyArray) -> None:
        return None

    def read(self, memory: None, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], None]:
        return Levels(self.bits, self.low, **derived(self)).nearest(cost), memory

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, coarse=(*inside.coarse, self.name))


def from_zero(bits: int, high: float) -> ADC:
    """Levels from 0 up, as settings have them."""
    return ADC(bits, 0.0, high)
