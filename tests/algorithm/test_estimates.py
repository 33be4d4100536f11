"""G against the true gradient: unbiased, with the spread and the bias that theory gives."""

import functools
import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from mgd._counter import Counter
from mgd.algorithm import Accumulate, Algorithm, HighPass, LowPass, Remeasured, TimeConstants, TwoSided, discrete
from mgd.chips import mlp
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh
from mgd.theory import white_gain

CHIP = mlp((2, 3, 1))
P = CHIP.n_params
X = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = jnp.array([[0.0], [1.0], [1.0], [0.0]])
THETA = 2 * CHIP.init(key=jax.random.key(5))
FAMILIES = {
    "rademacher": Rademacher,
    "gaussian": Gaussian,
    "walsh": Walsh,
    "walsh-shared-bit": lambda amplitude: Walsh(amplitude, shared_bit=True),
    "sequential": Sequential,
    "sinusoid": lambda amplitude: Sinusoid(amplitude, 0.05, 0.45),
    "lfsr": LFSR,
    "block-rademacher": lambda amplitude: Block(Rademacher(amplitude), n_blocks=2),
    "block-walsh": lambda amplitude: Block(Walsh(amplitude), sizes=(6, 3, 3, 1)),
    "block-sequential": lambda amplitude: Block(Sequential(amplitude), sizes=(6, 7)),
}
# What estimates go through on their way to the memory, which here stays as it is: G of the last update, the sum
# of all Gs, and how many.
pytestmark = pytest.mark.filterwarnings("ignore:Sinusoid. .* overlap in windows")


class Watched(NamedTuple):
    last: jax.Array
    total: jax.Array
    updates: jax.Array


def watch(skip: int = 0) -> optax.GradientTransformation:
    """An optimiser that writes nothing down but what it is given, after the first `skip` updates."""

    def init(theta):
        return Watched(jnp.zeros_like(theta), jnp.zeros_like(theta), jnp.int32(0))

    def update(gradient, state, params=None):
        counted = jnp.where(state.updates >= skip, gradient, 0.0)
        return jnp.zeros_like(gradient), Watched(gradient, state.total + counted, state.updates + 1)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


def run(algorithm: Algorithm, cost, theta, *, n_steps: int, n_seeds: int, seed: int = 0):
    """Optimiser states of independent runs: `cost` is of (θ + θ̃, row, key), over four samples."""

    def one(key):
        def body(state, _):
            def measure(probe, device):
                return cost(probe.theta + probe.perturbation, probe.rows(4)[0], probe.key), device

            row = algorithm.ask(state, slot=algorithm.n_slots - 1)[0].rows(4)[0]
            state, _, _ = algorithm.step(state, measure)
            return state, row

        state, rows = lax.scan(body, algorithm.init(theta, key=key), length=n_steps)
        return state.optimizer, rows

    watched, rows = eqx.filter_jit(eqx.filter_vmap(one))(jax.random.split(jax.random.key(seed), n_seeds))
    return watched, np.asarray(rows)


def network_cost(theta, row, key):
    return CHIP.measure(theta, jnp.zeros_like(theta), X[row][None], Y[row][None], key=key)[0]


@functools.cache
def network_gradients() -> np.ndarray:
    """The true gradient of each sample."""
    of = jax.jit(jax.vmap(lambda row: jax.grad(network_cost)(THETA, row, jax.random.key(0))))
    return np.asarray(of(jnp.arange(4)), np.float64)


@functools.cache
def network_curvatures() -> np.ndarray:
    """The diagonal of each sample's Hessian."""
    of = jax.jit(jax.vmap(lambda row: jnp.diag(jax.hessian(network_cost)(THETA, row, jax.random.key(0)))))
    return np.asarray(of(jnp.arange(4)), np.float64)


def assert_mean(values, expected, *, deviations: float = 5.0, allowance: float = 0.0) -> None:
    """The mean of independent values [n, …] is as expected, within so many of their own standard errors."""
    values = np.asarray(values, np.float64)
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    assert (error > 0).any()
    assert (np.abs(values.mean(0) - expected) <= deviations * error + allowance).all(), (
        values.mean(0) - expected
    ) / error


TWO_SIDED = ("gaussian", "sequential")


@pytest.mark.parametrize(
    ("name", "baseline"),
    [*((name, Remeasured()) for name in FAMILIES), *((name, TwoSided()) for name in TWO_SIDED)],
    ids=[*FAMILIES, *(f"{name}-two-sided" for name in TWO_SIDED)],
)
@pytest.mark.quick("walsh")
def test_g_is_the_mean_gradient_of_the_samples_seen(name, baseline):
    # 12 timesteps see 6 presentations.
    tau_theta = 12
    times = TimeConstants(tau_p=1, tau_x=2, tau_theta=tau_theta)
    algorithm = Algorithm(FAMILIES[name](1e-3), baseline, Accumulate(), watch(), times)  # pyright: ignore[reportArgumentType]
    n_windows = 2
    watched, rows = run(algorithm, network_cost, THETA, n_steps=n_windows * tau_theta, n_seeds=3000)
    seen = network_gradients()[rows].mean(1)
    # One-sided sequential codes are off by ½ H_ii Δθ.
    one_sided = isinstance(baseline, Remeasured) and "sequential" in name
    bias = 0.5e-3 * network_curvatures()[rows].mean(1) if one_sided else 0.0
    assert_mean(np.asarray(watched.total) / n_windows - seen - bias, 0.0)


@pytest.mark.parametrize(("name", "tau_p", "tau_theta"), [("rademacher", 3, 7), ("sinusoid", 2, 20)])
def test_holds_that_do_not_divide_a_window_leave_g_unbiased(name, tau_p, tau_theta):
    times = TimeConstants(tau_p=tau_p, tau_x=2**31, tau_theta=tau_theta)
    algorithm = Algorithm(FAMILIES[name](1e-3), Remeasured(), Accumulate(), watch(), times)  # pyright: ignore[reportArgumentType]
    watched, rows = run(algorithm, network_cost, THETA, n_steps=3 * tau_theta, n_seeds=2000)
    assert (rows == rows[:, :1]).all()
    assert_mean(np.asarray(watched.total) / 3 - network_gradients()[rows[:, 0]], 0.0)


def linear(gradient):
    return lambda theta, row, key: jnp.sum(gradient * theta)


GRADIENT = jnp.array([1.0, -2.0, 0.5, 0.0, 1.5, -0.25, 0.75, 3.0, -1.0])


@pytest.mark.parametrize(
    ("name", "tau_p", "tau_x", "tau_hp"),
    [
        ("rademacher", 3, 8, 4.0),
        ("rademacher", 4, 13, 100.0),
        ("gaussian", 3, 8, 4.0),
        ("lfsr", 3, 8, 4.0),
        ("sinusoid", 4, 13, 20.0),
        ("walsh", 1, 100, 100.0),
        ("walsh", 3, 8, 4.0),
    ],
)
@pytest.mark.quick("rademacher-3-8-4.0", "sinusoid-4-13-20.0")
def test_through_a_high_pass_and_a_low_pass_g_is_the_gradient(name, tau_p, tau_x, tau_hp):
    n_params, burn, n_steps = 9, 200, 800
    perturbation = FAMILIES[name](0.5)
    times = TimeConstants(tau_p=tau_p, tau_x=tau_x, tau_theta=3, tau_hp=tau_hp)
    algorithm = Algorithm(perturbation, HighPass(), LowPass(), watch(burn), times)  # pyright: ignore[reportArgumentType]
    watched, _ = run(algorithm, linear(GRADIENT), jnp.zeros(n_params), n_steps=n_steps, n_seeds=500)
    mean = np.asarray(watched.total) / (n_steps - burn)
    expected = np.asarray(GRADIENT, np.float64)
    assert_mean(mean, expected, allowance=1e-5)


@pytest.mark.parametrize("tau_p", [1, 7, 4096, 4097, 100_000])
@pytest.mark.parametrize("tau_hp", [3.0, 1e3, 1e6])
def test_white_gain_is_the_mean_of_a_decay_over_a_hold(tau_p, tau_hp):
    pole = tau_hp / (tau_hp + 1)
    expected = np.mean(pole ** np.arange(1, tau_p + 1, dtype=np.float64))
    assert white_gain(pole, tau_p) == pytest.approx(expected, rel=1e-6)


def test_through_a_high_pass_g_is_the_mean_gradient_of_a_network():
    times = TimeConstants(tau_p=1, tau_x=10, tau_theta=5, tau_hp=20.0)
    algorithm = Algorithm(Rademacher(1e-2), HighPass(), LowPass(), watch(100), times)  # pyright: ignore[reportArgumentType]
    watched, _ = run(algorithm, network_cost, THETA, n_steps=500, n_seeds=500)
    # 100 … 500 are whole epochs of 4 presentations; bias of the code is O(Δθ²) = 1e-4 of third derivatives.
    assert_mean(np.asarray(watched.total) / 400, network_gradients().mean(0), allowance=1e-4)


@pytest.mark.parametrize(("n_params", "n_perturbations"), [(9, 1), (40, 10), (100, 30)])
def test_rademacher_angle_and_norm_follow_their_laws(n_params, n_perturbations):
    gradient = jax.random.normal(jax.random.key(1), (n_params,))
    algorithm = discrete(
        perturbation=Rademacher(0.5),
        optimizer=watch(),
        time_constants=TimeConstants(tau_x=2**31, tau_theta=n_perturbations),
    )
    watched, _ = run(algorithm, linear(gradient), jnp.zeros(n_params), n_steps=n_perturbations, n_seeds=2000)
    g, true = np.asarray(watched.last, np.float64), np.asarray(gradient, np.float64)
    ratio = 1 + (n_params - 1) / n_perturbations
    # Both laws are exact in the mean square: E‖G‖² = ‖∇C‖²·ratio, E G·∇C = ‖∇C‖².
    assert_mean((g**2).sum(1) / (true**2).sum(), ratio)
    assert_mean(g @ true / (true**2).sum(), 1.0)
    root = np.sqrt((g**2).sum(1)) / np.sqrt((true**2).sum())
    cosine = np.abs(g @ true) / np.sqrt((g**2).sum(1) * (true**2).sum())
    # As root-mean-squares the laws hold with a spread of their own; of the mean they are approximations.
    assert np.sqrt((root**2).mean()) == pytest.approx(
        np.sqrt(ratio), rel=5 * (root**2).std() / ratio / 2 / np.sqrt(2000)
    )
    if n_perturbations == 1:
        assert np.allclose(root * cosine, root**2 / n_params, rtol=1e-4)
    else:
        # Relative corrections of both are of order 1/T.
        assert abs(root.mean() / np.sqrt(ratio) - 1) < 0.5 / n_perturbations
        assert abs(cosine.mean() * np.sqrt(ratio) - 1) < 0.5 / n_perturbations


@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()], ids=["remeasured", "two-sided"])
@pytest.mark.parametrize(
    "perturbation",
    [
        *(Walsh(0.5), Walsh(0.5, shared_bit=True), Sequential(0.5)),
        *(Block(Walsh(0.5), sizes=(2, 3, 4)), Block(Sequential(0.5), n_blocks=3)),
    ],
    ids=["walsh", "walsh-shared-bit", "sequential", "block-walsh", "block-sequential"],
)
@pytest.mark.quick("walsh-remeasured", "block-sequential-two-sided")
def test_orthogonal_codes_give_the_gradient_exactly_at_one_full_period(perturbation, baseline):
    period = perturbation.period(9)
    times = TimeConstants(tau_p=2, tau_x=2**31, tau_theta=2 * period)
    algorithm = discrete(perturbation=perturbation, optimizer=watch(), time_constants=times, baseline=baseline)
    watched, _ = run(algorithm, linear(GRADIENT), jnp.zeros(9), n_steps=4 * period, n_seeds=20)
    assert np.allclose(watched.last, GRADIENT, rtol=0, atol=1e-5)
    assert np.allclose(watched.total / 2, GRADIENT, rtol=0, atol=1e-5)


def test_lfsr_codes_mix_in_one_part_in_n_of_the_others():
    width, length = 7, 127
    times = TimeConstants(tau_x=2**31, tau_theta=length)
    algorithm = discrete(perturbation=LFSR(0.5, width), optimizer=watch(), time_constants=times)
    watched, _ = run(algorithm, linear(GRADIENT), jnp.zeros(9), n_steps=length, n_seeds=20)
    # (1/N) Σ_m s_i s_j = −1/N for i ≠ j.
    true = np.asarray(GRADIENT, np.float64)
    expected = true - (true.sum() - true) / length
    assert np.allclose(watched.last, expected, rtol=0, atol=2e-5)
    assert np.abs(expected - true).max() > 1e-2


SQUARES = jnp.array([1.0, -0.5, 2.0, 0.25, 1.0, 0.0, -1.0, 0.5, 3.0])
CUBES = jnp.array([0.5, 1.0, -1.0, 0.25, 0.0, 2.0, -0.5, 1.0, 0.75])


def quadratic(theta, row, key):
    # A mixed term besides the diagonal: H_ii = SQUARES, H_01 = 1.
    return jnp.sum(GRADIENT * theta) + 0.5 * jnp.sum(SQUARES * theta**2) + theta[0] * theta[1]


def cubic(theta, row, key):
    return jnp.sum(GRADIENT * theta) + 0.5 * jnp.sum(SQUARES * theta**2) + jnp.sum(CUBES * theta**3) / 6


def full_period(perturbation, baseline, cost, *, n_windows: int = 1, n_seeds: int = 2) -> np.ndarray:
    """G [seed, p] averaged over windows of a code's period each, at θ = 0."""
    period = perturbation.period(9)
    times = TimeConstants(tau_x=2**31, tau_theta=period)
    algorithm = discrete(perturbation=perturbation, optimizer=watch(), time_constants=times, baseline=baseline)
    watched, _ = run(algorithm, cost, jnp.zeros(9), n_steps=n_windows * period, n_seeds=n_seeds)
    return np.asarray(watched.total, np.float64) / n_windows


@pytest.mark.parametrize("amplitude", [0.5, 0.25])
def test_one_sided_sequential_bias_is_half_the_curvature_times_the_amplitude(amplitude):
    g = full_period(Sequential(amplitude), Remeasured(), quadratic)
    assert np.allclose(g, np.asarray(GRADIENT + 0.5 * SQUARES * amplitude), rtol=0, atol=1e-5)


def test_two_sided_sequential_is_exact_on_a_quadratic():
    g = full_period(Sequential(0.5), TwoSided(), quadratic)
    assert np.allclose(g, np.asarray(GRADIENT), rtol=0, atol=1e-5)


@pytest.mark.parametrize("amplitude", [0.5, 0.25])
def test_two_sided_sequential_bias_is_a_sixth_of_the_third_derivative(amplitude):
    g = full_period(Sequential(amplitude), TwoSided(), cubic)
    assert np.allclose(g, np.asarray(GRADIENT + CUBES * amplitude**2 / 6), rtol=0, atol=1e-5)


@pytest.mark.parametrize("amplitude", [0.5, 0.25])
@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()], ids=["remeasured", "two-sided"])
@pytest.mark.quick("remeasured-0.25")
def test_symmetric_codes_are_biased_in_the_second_order_only(amplitude, baseline):
    # With s_i = ±1 and a diagonal cubic, ⟨C̃ s_i⟩/Δθ = g_i + Δθ² ∂³_i/6, and even terms are the same for all s.
    g = full_period(Walsh(amplitude), baseline, cubic)
    assert np.allclose(g, np.asarray(GRADIENT + CUBES * amplitude**2 / 6), rtol=0, atol=1e-5)


@pytest.mark.long
def test_one_sided_mixed_curvature_averages_out_with_the_flips_of_walsh():
    g = full_period(Walsh(0.5), Remeasured(), quadratic, n_windows=20, n_seeds=200)
    assert_mean(g, np.asarray(GRADIENT), allowance=1e-5)
    # The flips are at work: in single periods some pair of rows makes a third.
    assert np.allclose(full_period(Walsh(0.5), TwoSided(), quadratic), np.asarray(GRADIENT), rtol=0, atol=1e-5)


@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()], ids=["remeasured", "two-sided"])
@pytest.mark.quick("remeasured")
def test_rows_that_share_a_bit_are_exact_on_a_quadratic_in_every_period(baseline):
    walsh = Walsh(0.5, shared_bit=True)
    g = full_period(walsh, baseline, quadratic, n_seeds=20)
    assert np.allclose(g, np.asarray(GRADIENT), rtol=0, atol=1e-5)
    # Without it, some of 20 seeds make parameter 0, 1 or a third of them the product of the other two.
    off = np.abs(full_period(Walsh(0.5), Remeasured(), quadratic, n_seeds=20) - np.asarray(GRADIENT))
    assert off.max() == pytest.approx(0.5, abs=1e-5)  # Δθ H_01


@pytest.mark.parametrize("n_params", [3, 8, 9, 20])
@pytest.mark.quick("8")
def test_a_one_sided_period_of_walsh_codes_mixes_curvature_in_as_derived(n_params):
    # G_i − g_i = Δθ Σ f_i f_j f_k H_jk over the pairs j, k whose rows make row i.
    rng, seed, amplitude = np.random.default_rng(n_params), jnp.array([3, n_params], jnp.uint32), 0.25
    hessian = rng.normal(size=(n_params, n_params))
    hessian += hessian.T
    gradient = rng.normal(size=n_params)
    for shared_bit in (False, True):
        walsh = Walsh(amplitude, shared_bit=shared_bit)
        period = walsh.period(n_params)
        one = lambda m, walsh=walsh: walsh(Counter(jnp.uint32(0), m), seed=seed, n_params=n_params)
        codes = np.asarray(jax.vmap(one)(jnp.arange(period, dtype=jnp.uint32)), np.float64)
        costs = codes @ gradient + 0.5 * np.einsum("mj,jk,mk->m", codes, hessian, codes)
        found = costs @ codes / (period * amplitude**2) - gradient
        rows, flips = np.asarray(walsh._rows(seed, n_params)), codes[0] / amplitude  # the first column has no bits
        expected = np.zeros(n_params)
        for i, j, k in itertools.product(range(n_params), repeat=3):
            if j < k and rows[j] ^ rows[k] == rows[i]:
                expected[i] += amplitude * flips[i] * flips[j] * flips[k] * hessian[j, k]
        assert np.allclose(found, expected, rtol=0, atol=1e-12)
        assert (np.abs(expected).max() > 0.1) is not shared_bit


@pytest.mark.long
def test_on_a_network_the_error_after_a_period_falls_with_the_square_of_the_amplitude_where_a_bit_is_shared():
    whole_cost = lambda theta, row, key: CHIP.measure(theta, jnp.zeros_like(theta), X, Y, key=key)[0]
    gradient = np.asarray(jax.grad(whole_cost)(THETA, None, jax.random.key(0)))

    def error(walsh: Walsh) -> float:
        """‖G − ∇C‖ / ‖∇C‖ after one period, in the mean over seeds."""
        times = TimeConstants(tau_x=2**31, tau_theta=walsh.period(P))
        algorithm = discrete(perturbation=walsh, optimizer=watch(), time_constants=times)
        watched, _ = run(algorithm, whole_cost, THETA, n_steps=walsh.period(P), n_seeds=50)
        off = np.asarray(watched.last, np.float64) - gradient
        return float(np.sqrt((off**2).sum(1).mean()) / np.linalg.norm(gradient))

    plain, shared = ([error(Walsh(a, shared_bit=bit)) for a in (0.2, 0.1)] for bit in (False, True))
    assert plain[0] / plain[1] == pytest.approx(2, rel=0.1)
    assert shared[0] / shared[1] == pytest.approx(4, rel=0.1)
    assert shared[1] < 0.3 * plain[1]


SIGMA = 0.3


def noisy(theta, row, key):
    return SIGMA * jax.random.normal(key)


@pytest.mark.parametrize(
    ("baseline", "tau_x", "parts"),
    [(Remeasured(), 2**31, 2.0), (Remeasured(), 1, 2.0), (TwoSided(), 1, 0.5)],
    ids=["one baseline", "a baseline each", "two-sided"],
)
@pytest.mark.quick("two-sided")
def test_cost_noise_enters_each_estimate_with_the_variance_derived(baseline, tau_x, parts):
    # var G_i = parts·σ²/(Δθ² T): σ² of C; σ² of C₀, whether one is shared (Σ_n s_i)²/T² = 1/T or T are drawn;
    # (σ² + σ²)/4 of a two-sided pair.
    amplitude, n = 0.5, 24
    times = TimeConstants(tau_x=tau_x, tau_theta=n)
    algorithm = discrete(perturbation=Rademacher(amplitude), optimizer=watch(), time_constants=times, baseline=baseline)
    watched, _ = run(algorithm, noisy, jnp.zeros(9), n_steps=n, n_seeds=4000)
    noise = np.asarray(watched.last, np.float64)
    unit = SIGMA**2 / (amplitude**2 * n)
    assert_mean(noise, 0.0)
    assert_mean(noise**2, parts * unit)


@pytest.mark.long
def test_balanced_codes_do_not_see_the_noise_of_a_shared_baseline():
    amplitude, n = 0.5, 16
    times = TimeConstants(tau_x=2**31, tau_theta=n)
    algorithm = discrete(perturbation=Walsh(amplitude), optimizer=watch(), time_constants=times)
    watched, _ = run(algorithm, noisy, jnp.zeros(9), n_steps=n, n_seeds=4000)
    assert_mean(np.asarray(watched.last, np.float64) ** 2, SIGMA**2 / (amplitude**2 * n))


@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()], ids=["remeasured", "two-sided"])
def test_every_measurement_has_noise_of_its_own(baseline):
    algorithm = discrete(optimizer=optax.sgd(0.0), time_constants=TimeConstants(), baseline=baseline)
    ask, tell = eqx.filter_jit(algorithm.ask), eqx.filter_jit(algorithm.tell)
    keys = set()
    for seed in (0, 1):
        state = algorithm.init(jnp.zeros(3), key=jax.random.key(seed))
        for _ in range(20):
            probe, state = ask(state)
            keys.add(tuple(jax.random.key_data(probe.key).tolist()))
            state, _ = tell(state, jnp.float32(0))
    assert len(keys) == 40
