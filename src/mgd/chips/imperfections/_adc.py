"""A converter that reads the cost."""

from dataclasses import replace
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..._numbers import NUMBER
from .._base import Traits
from ._checks import require_range, require_whole
from ._kinds import AbstractReadout
from ._levels import MOST_BITS, Levels, inverse, step_of


class ADC(AbstractReadout):
    r"""The cost is read by an analog-to-digital converter: rounded to one of 2^bits levels.

    $$C \leftarrow C_\text{low} + q \left\lfloor \frac{C - C_\text{low}}{q} \right\rceil, \qquad
      q = \frac{C_\text{high} - C_\text{low}}{2^\text{bits} - 1}$$

    A cost beyond an end is read as that end, as hardware does: where it saturates, no perturbation shows.

    Args:
        bits: of the converter.
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

    # One LSB, in double precision, and its inverse.
    _step: float = eqx.field(metadata=NUMBER, init=False)
    _per_step: float = eqx.field(metadata=NUMBER, init=False)

    def __post_init__(self):
        require_whole(self.name, "bits", self.bits, low=1, high=MOST_BITS)
        require_range(self.name, self.low, self.high)
        self._step = step_of(self.bits, self.low, self.high)
        self._per_step = inverse(self._step)

    def start(self, *, key: PRNGKeyArray) -> None:
        return None

    def read(self, memory: None, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], None]:
        return Levels(self.bits, self.low, self._step, self._per_step).nearest(cost), memory

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, coarse=(*inside.coarse, self.name))
