"""Engines for simulated chips, which JAX can trace."""

from ._backpropagated import Backpropagated as Backpropagated
from ._fused import Fused as Fused
from ._in_place import InPlace as InPlace
from ._measured import Measured as Measured
from ._sampled import Sampled as Sampled
from ._spread import Spread as Spread
