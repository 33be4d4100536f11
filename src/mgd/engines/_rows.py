"""The engines for simulated chips, a row each. Nothing here imports JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Row:
    """An engine among which `choose` chooses.

    Attributes:
        name: its name, or "" if only the algorithm can choose it.
        line: a one-line description; empty if another row of this name has it.
        offer: "module:function" within this package, which makes the engine for a chip, an algorithm and the `Wanted`
            settings, or returns None if another engine is better; if the engine was asked for by name, it refuses what
            it does not support.
    """

    name: str
    line: str
    offer: str


# In the order in which they are tried.
ROWS = (
    Row("", "", ".simulated._backpropagated:offer"),
    Row("measured", "", ".simulated._spread:offer"),
    Row(
        "fused",
        "simulates every measurement in SIMD lanes: several times faster for many small chips (needs mgd[fused])",
        ".simulated._fused._engine:offer",
    ),
    Row(
        "sampled",
        "draws each window's G from its probability law: for long windows and large chips",
        ".simulated._sampled:offer",
    ),
    Row("measured", "", ".simulated._in_place:offer"),
    Row("measured", "simulates every measurement: the reference", ".simulated._measured:offer"),
)
_LINES = {row.name: row.line for row in ROWS if row.line}
ENGINES: Mapping[str, str] = MappingProxyType(
    {"auto": "the fastest engine that supports the settings"}
    | {name: _LINES[name] for name in ("measured", "fused", "sampled")}
)
