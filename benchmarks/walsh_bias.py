"""The angle between G and the gradient after whole periods of Walsh codes, measured from one side and without noise.

`python benchmarks/walsh_bias.py` prints a markdown table: NIST7x7, 49-4-4 (220 parameters), the first 64 samples, at
the start of training; means over eight chips and codes, seeds 0 to 7.
"""

import jax
import jax.numpy as jnp
import numpy as np

import mgd
from mgd._counter import Counter
from mgd.perturbations import Walsh

AMPLITUDES, SEEDS = (0.01, 0.03, 0.1, 0.3), range(8)
CHIP = mgd.chips.mlp((49, 4, 4))
SAMPLES = mgd.datasets.nist7x7().train.subset(slice(0, 64))
X, Y = jnp.asarray(SAMPLES.x), jnp.asarray(SAMPLES.y)


def angle(family: Walsh, periods: int, seed: int) -> float:
    """Degrees, of one chip and its codes."""
    start_key, code_key = jax.random.split(jax.random.key(seed))
    theta, code = CHIP.init(key=start_key), jax.random.bits(code_key, (2,), jnp.uint32)

    def cost(perturbation: jax.Array) -> jax.Array:
        return CHIP.measure(theta, perturbation, X, Y, key=code_key)[0]

    gradient = np.asarray(jax.grad(cost)(jnp.zeros_like(theta)), np.float64)
    n = periods * family.period(CHIP.n_params)
    index = jnp.arange(n, dtype=jnp.uint32)
    codes = jax.vmap(lambda m: family(Counter(jnp.uint32(0), m), seed=code, n_params=CHIP.n_params))(index)
    changes = np.asarray(jax.jit(jax.vmap(cost))(codes), np.float64) - float(cost(jnp.zeros_like(theta)))
    found = changes @ np.asarray(codes, np.float64)
    cosine = found @ gradient / np.linalg.norm(found) / np.linalg.norm(gradient)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def main() -> None:
    """The table."""
    print("| Δθ | Walsh, one period of 256 | Walsh, two periods | shared bit, one period of 512 |\n|---|---|---|---|")
    for amplitude in AMPLITUDES:
        ways = (Walsh(amplitude), 1), (Walsh(amplitude), 2), (Walsh(amplitude, shared_bit=True), 1)
        means = [np.mean([angle(*way, seed) for seed in SEEDS]) for way in ways]
        print(f"| {amplitude:g} | " + " | ".join(f"{mean:.2g}°" for mean in means) + " |", flush=True)


if __name__ == "__main__":
    main()
