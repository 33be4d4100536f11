"""Training on the chip: the circuit of multiplexed gradient descent, as RTL with its twin and for SPICE.

Names load on first use.
"""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._analog import AnalogSpec as AnalogSpec
    from ._analog_deck import generate_analog as generate_analog
    from ._check import check as check
    from ._circuit import Circuit as Circuit
    from ._clock import Clock as Clock
    from ._clock import clock as clock
    from ._generate import generate as generate
    from ._network import FixedPointNetwork as FixedPointNetwork
    from ._report import Area as Area
    from ._report import area as area
    from ._report import traffic as traffic
    from ._spec import Spec as Spec
    from ._verilated import Verilated as Verilated

_PUBLIC = {
    "AnalogSpec": "_analog",
    "Area": "_report",
    "Circuit": "_circuit",
    "Clock": "_clock",
    "FixedPointNetwork": "_network",
    "Spec": "_spec",
    "Verilated": "_verilated",
    "area": "_report",
    "check": "_check",
    "clock": "_clock",
    "generate": "_generate",
    "generate_analog": "_analog_deck",
    "traffic": "_report",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]
