"""What speeds are measured against: this machine's limit, its matrix unit, and a NumPy loop."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

SOURCE = Path(__file__).with_name("roofline.c")


def build_roofline() -> Path:
    """Compiles the hand-vectorised yardstick; it is fixed to one algorithm, one code, no noise."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the yardstick needs a C compiler with OpenMP: install gcc")
    program = Path(tempfile.mkdtemp()) / "roofline"
    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp"]
    subprocess.run([compiler, *flags, "-o", str(program), str(SOURCE), "-lm"], check=True)
    return program


def roofline_seconds(program: Path, sizes: Sequence[int], replicas: int, steps: int) -> float:
    """Seconds of `steps` timesteps of that many replicas."""
    arguments = [str(n) for n in (*sizes, replicas, steps)]
    printed = subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True).stdout
    return json.loads(printed)["seconds"]


def best_of(call: Callable[[], object], rounds: int = 5) -> float:
    """The least of some timings: the others were disturbed."""
    call()
    return min(_timed(call) for _ in range(rounds))


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def sgemm_rate() -> float:
    """Multiply-adds a second of a large single-precision matrix product."""
    n = 2048
    a = jnp.ones((n, n), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    return n**3 / best_of(lambda: product(a).block_until_ready())


def numpy_loop(
    sizes: tuple[int, int, int], x: np.ndarray, y: np.ndarray, replicas: int, steps: int, rate: float = 0.1
) -> np.ndarray:
    """Discrete MGD as a careful user would write it in NumPy: replicas along the first axis, float32.

    All τ = 1, signs, re-measured baseline, plain gradient descent. Returns the parameters.
    """
    inputs, hidden, outputs = sizes
    cut = np.cumsum([hidden * inputs, hidden, outputs * hidden])
    amplitude = np.float32(0.01)
    rng = np.random.default_rng(0)
    n_params = int(cut[-1]) + outputs
    theta = rng.uniform(-1, 1, (replicas, n_params)).astype(np.float32)

    def cost(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        w1, b1, w2, b2 = np.split(theta, cut, axis=1)
        z = 1 / (1 + np.exp(b1 - np.einsum("rhi,ri->rh", w1.reshape(-1, hidden, inputs), x)))
        out = 1 / (1 + np.exp(b2 - np.einsum("roh,rh->ro", w2.reshape(-1, outputs, hidden), z)))
        return ((out - y) ** 2).mean(1)

    for _ in range(steps):
        rows = rng.integers(0, len(x), replicas)
        signs = rng.integers(0, 2, theta.shape, dtype=np.int8) * np.float32(2 * amplitude) - amplitude
        difference = cost(theta + signs, x[rows], y[rows]) - cost(theta, x[rows], y[rows])
        theta -= (np.float32(rate) / amplitude**2) * difference[:, None] * signs
    return theta
