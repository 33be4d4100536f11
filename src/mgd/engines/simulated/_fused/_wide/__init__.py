"""The kernel once more, in vectors of twice as many lanes: the same sources, imported again under this name.

Numba compiles a function once for the types that it is given, and `_lanes` makes the types: each width needs modules of
its own. `_lanes` reads the width off its name.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parents[1])]
