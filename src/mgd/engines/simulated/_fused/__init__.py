"""The fused engine: many small chips in SIMD lanes. Only `_lanes`, and what works on lanes, needs Numba."""

from ._engine import Fused as Fused
