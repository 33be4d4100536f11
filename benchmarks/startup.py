"""What a command spends before it computes: `python benchmarks/startup.py`. Nothing of it is asserted anywhere.

Every figure is of fresh processes, the median of several; the first, which reads files from disk, does not count.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
IMPORT = "import mgd"
# From the first import to the first timestep of one XOR chip, told in parts.
FIRST_STEP = """
import time
marks = [time.perf_counter()]
mark = lambda: marks.append(time.perf_counter())
from mgd.cli._compiled import keep_compiled
keep_compiled()
import jax; mark()
import mgd; mgd.train; mark()
from mgd.engines import Data, Measured
task, engine = mgd.datasets.parity(bits=2), Measured(mgd.chips.mlp((2, 2, 1)), mgd.discrete())
progress = engine.init(1, key=jax.random.key(0)); mark()
engine.advance(Data.of(task.train), progress, 1).state.theta.block_until_ready(); mark()
print(*(b - a for a, b in zip(marks, marks[1:])))
"""


def seconds(*command: str, cache: str) -> tuple[float, str]:
    """Wall time of a fresh Python, and what it printed."""
    names = ("JAX_COMPILATION_CACHE_DIR", "PYTHONWARNINGS")
    env = {name: value for name, value in os.environ.items() if name not in names} | {"XDG_CACHE_HOME": cache}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], check=True, capture_output=True, text=True, env=env, cwd=folder
        )
        return time.perf_counter() - started, done.stdout


def cold_and_warm(*command: str) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Runs with an empty cache and with a filled one, in turn."""
    cold, warm = [], []
    for k in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as cache:
            # matplotlib's list of fonts is made once a machine, and is not what is asked here.
            seconds("-c", "import matplotlib.font_manager", cache=cache)
            pair = [seconds(*command, cache=cache) for _ in range(2)]
        if k:
            cold.append(pair[0])
            warm.append(pair[1])
    return cold, warm


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        empty, imported = (
            statistics.median(seconds("-c", code, cache=cache)[0] for _ in range(ROUNDS)) for code in ("pass", IMPORT)
        )
    print(f"import mgd: {imported - empty:.3f} s over a Python that imports nothing")
    for name, runs in zip(("cold", "with the cache"), cold_and_warm("-c", FIRST_STEP), strict=True):
        parts = [
            statistics.median(column) for column in zip(*([*map(float, out.split())] for _, out in runs), strict=True)
        ]
        jax, mgd, init, step = parts
        print(
            f"XOR, first step {name}: {sum(parts):.2f} s (import jax {jax:.2f}, mgd {mgd:.2f}; "
            f"fresh parameters {init:.2f}, step compiled and made {step:.2f})"
        )
    for name, runs in zip(
        ("cold", "with the cache"), cold_and_warm("-m", "mgd", "train", "parity", "--steps=1000"), strict=True
    ):
        print(f"mgd train parity --steps 1000 {name}: {statistics.median(wall for wall, _ in runs):.2f} s")


if __name__ == "__main__":
    main()
