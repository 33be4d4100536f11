"""The sampled engine's windows have the distribution of the measured engine's; both see the same samples."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import mgd
from mgd.algorithm import Remeasured, TimeConstants, TwoSided, discrete
from mgd.chips import AbstractChip, from_function, imperfect, mlp
from mgd.chips.imperfections import CostNoise
from mgd.datasets import Samples
from mgd.engines import Data, Measured, Sampled
from mgd.engines.simulated._laws import Errors
from mgd.perturbations import Gaussian, Rademacher, Sequential, Walsh

P = 200
N = 2500  # windows of each engine; the powers below are at this size


def _gradients() -> np.ndarray:
    """Gradients of 32 samples, with much in common, of which no component is more than 1 % of the square."""
    rng = np.random.default_rng(0)
    common = rng.choice([-1, 1], P) * rng.uniform(0.7, 1.3, P)
    return (common[None] + 0.7 * rng.normal(size=(32, P))).astype(np.float32)


GRADIENTS = _gradients()
# Linear in θ, with a sample's features for its gradient: no amplitude is too large.
LINEAR = from_function(lambda theta, x, y: jnp.mean(x @ theta), init=lambda key: jnp.zeros(P))
# Of noise in parts of the cost there is none where the cost is zero.
LARGE = from_function(lambda theta, x, y: 300 + jnp.mean(x @ theta), init=lambda key: jnp.zeros(P))
DATA = Data.of(Samples(GRADIENTS, np.zeros((32, 1), np.float32)))


def noisy(sigma: float) -> AbstractChip:
    return imperfect(LINEAR, CostNoise(sigma))


def watch() -> optax.GradientTransformation:
    """An optimiser that keeps the last G and leaves θ as it is."""
    update = lambda g, state, params=None: (jnp.zeros_like(g), g)
    return optax.GradientTransformation(lambda theta: jnp.zeros_like(theta), update)  # pyright: ignore[reportArgumentType]


def windows(engine: Measured | Sampled, n: int, *, seed: int, data: Data = DATA, start: int = 0, many: int = 1) -> Any:
    """G [n, p] of the last of `many` windows of n replicas that have θ, and the order of samples, in common."""
    progress = engine.init(n, key=jax.random.key(seed))
    state = progress.state
    samples = jnp.broadcast_to(jnp.array([1, 2], jnp.uint32), (n, 2))
    theta = jnp.broadcast_to(engine.chip.init(key=jax.random.key(5)), state.theta.shape)
    state = eqx.tree_at(lambda s: (s.seeds.samples, s.theta), state, (samples, theta))
    progress = eqx.tree_at(lambda p: p.state, progress, state.with_clock(engine.algorithm.clock_at(start)))
    progress = engine.advance(data, progress, many * engine.algorithm.interval)
    assert not progress.diverged.any()
    return np.asarray(progress.state.optimizer, np.float64)


def p_values(one: np.ndarray, other: np.ndarray, along: np.ndarray) -> dict[str, float]:
    """Of two-sample tests of what windows are used for; `along` are directions [k, p] to look in."""
    true = along[0]
    axes = along / np.linalg.norm(along, axis=1, keepdims=True)
    centred = np.concatenate([one - one.mean(0), other - other.mean(0)])
    largest = np.linalg.eigh(centred.T @ centred)[1][:, -3:].T
    axes = np.concatenate([axes, largest])

    def same_mean(x: np.ndarray, y: np.ndarray) -> float:
        """Of the largest difference among columns, with Bonferroni's factor."""
        z = (x.mean(0) - y.mean(0)) / np.sqrt(x.var(0) / len(x) + y.var(0) / len(y))
        return min(1.0, 2 * stats.norm.sf(np.abs(z).max()) * z.size)

    projected = [(g - g.mean(0)) @ axes.T for g in (one, other)]
    squares = [((g - g.mean(0)) ** 2).sum(1, keepdims=True) for g in (one, other)]
    norms = [np.linalg.norm(g, axis=1) for g in (one, other)]
    cosines = [g @ true / (norm * np.linalg.norm(true)) for g, norm in zip((one, other), norms, strict=True)]
    return {
        "mean": same_mean(one, other),
        "mean along the gradient": same_mean((one @ axes[:1].T), (other @ axes[:1].T)),
        "variance along gradients and principal axes": same_mean(*(x**2 for x in projected)),
        "trace": same_mean(*squares),
        "norm": float(stats.ks_2samp(*norms).pvalue),  # pyright: ignore[reportAttributeAccessIssue]
        "cosine": float(stats.ks_2samp(*cosines).pvalue),  # pyright: ignore[reportAttributeAccessIssue]
        "along the gradient": float(stats.ks_2samp(one @ axes[0], other @ axes[0]).pvalue),  # pyright: ignore[reportAttributeAccessIssue]
    }


ONE_SIDED, TWO_SIDED = Remeasured(), TwoSided()
# Family, time constants (τ_p, τ_x, τ_θ), baseline, σ_C/Δθ, clamp/Δθ, batch. ‖g‖ is about 17.
LAWS = {
    "gaussian": (Gaussian, (1, 8, 8), ONE_SIDED, 0.0, None, 1),
    "gaussian, many samples": (Gaussian, (1, 2, 16), ONE_SIDED, 0.0, None, 1),
    "gaussian, baselines shared": (Gaussian, (1, 4, 8), ONE_SIDED, 20.0, None, 2),
    "gaussian, held over samples": (Gaussian, (4, 2, 16), ONE_SIDED, 40.0, None, 1),
    "gaussian, two-sided, held": (Gaussian, (2, 4, 16), TWO_SIDED, 40.0, None, 1),
    "signs": (Rademacher, (1, 32, 16), ONE_SIDED, 20.0, None, 1),
    "signs, clamped": (Rademacher, (1, 1, 8), ONE_SIDED, 10.0, 15.0, 2),
    "signs, two-sided, clamped": (Rademacher, (1, 8, 8), TWO_SIDED, 20.0, 15.0, 1),
    "signs, relative noise": (Rademacher, (1, 16, 32), ONE_SIDED, CostNoise(1.0, relative=0.008), None, 1),
    "walsh, noise": (Walsh, (2, 300, 600), ONE_SIDED, 100.0, None, 1),
    "sequential, noise": (Sequential, (1, 100, 300), ONE_SIDED, 5.0, None, 1),
}
AMPLITUDE = 0.125


def engines(name: str, *, tau_theta: int | None = None) -> tuple[Measured, Sampled]:
    family, times, baseline, sigma, clamp, batch = LAWS[name]
    algorithm = discrete(
        perturbation=family(AMPLITUDE),
        optimizer=watch(),
        time_constants=TimeConstants(times[0], times[1], tau_theta or times[2]),
        baseline=baseline,
        modulation_limit=None if clamp is None else clamp * AMPLITUDE,
    )
    absolute = isinstance(sigma, float)
    chip = (noisy(sigma * AMPLITUDE) if sigma else LINEAR) if absolute else imperfect(LARGE, sigma)
    return Measured(chip, algorithm, batch), Sampled(chip, algorithm, batch)


@functools.cache
def compared(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of the measured and of the sampled engine, and the gradients in them, their mean first."""
    measured, sampled = engines(name)
    one, other = windows(measured, N, seed=1), windows(sampled, N, seed=2)
    return one, other, gradients_seen(measured)


def gradients_seen(engine: Measured) -> np.ndarray:
    """Of the first window: the mean gradient, and those of up to three presentations."""
    times = engine.algorithm.time_constants
    n = max(1, times.tau_theta // times.tau_x)
    rows = [
        mgd.algorithm.rows_of(
            engine.algorithm.clock_at(k).step, seed=jnp.array([1, 2], jnp.uint32), n_samples=32, batch=engine.batch
        )
        for k in range(n)
    ]
    each = GRADIENTS[np.asarray(rows)].mean(1).astype(np.float64)
    return np.concatenate([each.mean(0)[None], each[:3]])


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.quick("signs")
def test_a_window_has_the_distribution_that_measuring_gives(name):
    one, other, along = compared(name)
    found = p_values(one, other, along)
    assert min(found.values()) > 1e-3, found


def scaled_along(g: np.ndarray, axis: np.ndarray, factor: float) -> np.ndarray:
    """Windows with that much more variance along an axis."""
    unit = axis / np.linalg.norm(axis)
    part = (g - g.mean(0)) @ unit
    return g + np.outer((np.sqrt(factor) - 1) * part, unit)


@pytest.mark.parametrize("name", ["gaussian", "gaussian, many samples", "signs"])
@pytest.mark.quick("signs")
def test_a_variance_that_is_off_by_a_little_would_be_seen(name):
    one, other, along = compared(name)
    wider = other.mean(0) + np.sqrt(1.15) * (other - other.mean(0))
    assert p_values(one, wider, along)["trace"] < 1e-12
    assert (
        p_values(one, scaled_along(other, along[0], 1.5), along)["variance along gradients and principal axes"] < 1e-6
    )


@pytest.mark.slow
def test_another_number_of_perturbations_would_be_seen():
    one, _, along = compared("signs")
    other = windows(engines("signs", tau_theta=8)[1], N, seed=2)
    assert p_values(one, other.mean(0) + np.sqrt(8 / 16 * 1.15) * (other - other.mean(0)), along)["trace"] < 1e-6


def _wrong(monkeypatch, change) -> None:
    """Engines made from now on have errors so changed."""
    right = Sampled._errors
    monkeypatch.setattr(Sampled, "_errors", lambda self: change(right(self)))


WRONG = {
    "without the baseline's noise": lambda e: Errors(e.own, 0.0, e.limit),
    "without a measurement's own noise": lambda e: Errors(0.0, e.shared, e.limit),
    "with a baseline for each perturbation": lambda e: Errors(float(np.hypot(e.own, e.shared)), 0.0, e.limit),
    "with a baseline too few a hold": lambda e: Errors(e.own, e.shared * 1.4142, e.limit),
    "with another clamp": lambda e: Errors(e.own, e.shared, e.limit * 1.15 if e.limit else None),
}


@pytest.mark.parametrize(
    ("name", "wrong", "test"),
    [
        ("gaussian, baselines shared", "without the baseline's noise", "trace"),
        ("signs", "with a baseline for each perturbation", "norm"),
        ("gaussian, held over samples", "with a baseline too few a hold", "trace"),
        ("signs", "without a measurement's own noise", "trace"),
        ("signs, clamped", "with another clamp", "trace"),
        ("walsh, noise", "without the baseline's noise", "trace"),
        ("sequential, noise", "with a baseline for each perturbation", "norm"),
    ],
)
@pytest.mark.quick("signs-without a measurement's own noise-trace")
def test_noise_left_out_or_put_elsewhere_would_be_seen(name, wrong, test, monkeypatch):
    one, _, along = compared(name)
    _wrong(monkeypatch, WRONG[wrong])
    sampled = engines(name)[1]
    other = windows(sampled, N, seed=2)
    assert p_values(one, other, along)[test] < 1e-6


NETWORK = mlp((9, 8, 3), activation="tanh", init="glorot", cost="mse")
PATTERNS = Data.of(
    Samples(
        np.random.default_rng(1).normal(size=(32, 9)).astype(np.float32),
        np.random.default_rng(2).uniform(size=(32, 3)).astype(np.float32),
    )
)


def _off(perturbation, times: TimeConstants, baseline, start: int, batch: int) -> float:
    """How far G of the third window of the two engines with the same codes are apart, relative to G."""
    algorithm = discrete(perturbation=perturbation, optimizer=watch(), time_constants=times, baseline=baseline)
    one, other = (
        windows(kind(NETWORK, algorithm, batch), 3, seed=1, data=PATTERNS, start=start, many=3)
        for kind in (Measured, Sampled)
    )
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


SHARED = functools.partial(Walsh, shared_bit=True)
# The Walsh period is 128 and P = 107, or 256 where rows share a bit: windows within one, of one, over several and
# across its ends.
CODES = {
    "walsh, less than a period": (Walsh, TimeConstants(1, 50, 50), ONE_SIDED, 0, 1),
    "walsh, a period": (Walsh, TimeConstants(1, 128, 128), ONE_SIDED, 2**33, 2),
    "walsh, across periods, samples held over windows": (Walsh, TimeConstants(1, 400, 200), ONE_SIDED, 2**33 + 208, 1),
    "walsh with a shared bit": (SHARED, TimeConstants(1, 256, 256), ONE_SIDED, 2**33, 1),
    "walsh, samples change, two-sided": (Walsh, TimeConstants(3, 30, 300), TWO_SIDED, 0, 2),
    "sequential, held over samples": (Sequential, TimeConstants(4, 2, 80), ONE_SIDED, 0, 1),
    "sequential, two-sided": (Sequential, TimeConstants(2, 60, 300), TWO_SIDED, 300 * 2**30, 1),
}


# Of these, one of each family runs by default.
QUICK = ("walsh, across periods, samples held over windows", "walsh with a shared bit", "sequential, two-sided")
EVERY = [pytest.param(*code, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, code in CODES.items()]


@pytest.mark.parametrize(("family", "times", "baseline", "start", "batch"), EVERY)
@pytest.mark.enough("walsh with a shared bit")
@pytest.mark.long
def test_codes_that_are_not_random_are_the_very_ones_of_the_run(family, times, baseline, start, batch):
    # One-sided, curvature makes an error of the first order in the amplitude. Two-sided it is of the second, as it is
    # over a period whose rows share a bit.
    assert start % times.tau_theta == start % times.tau_x == 0
    large, small = (_off(family(a), times, baseline, start, batch) for a in (0.16, 0.04))
    power = 1 if baseline is ONE_SIDED and family is not SHARED else 2
    assert small < 0.1
    assert 4**power * 0.75 < large / small < 4**power * 1.33
