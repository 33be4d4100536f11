"""ask and tell against loops written straight from the equations, in NumPy's float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from mgd._counter import Counter
from mgd.algorithm import (
    Accumulate,
    Algorithm,
    HighPass,
    LowPass,
    Remeasured,
    State,
    TimeConstants,
    TwoSided,
    analog,
    discrete,
    rows_of,
)
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

P, N_SAMPLES = 6, 5
CENTRES = np.array(jax.random.normal(jax.random.key(8), (N_SAMPLES, P)))
START = np.array(jax.random.normal(jax.random.key(9), (P,)))
pytestmark = pytest.mark.filterwarnings("ignore:Sinusoid. .* overlap in windows")


def jax_cost(theta, row):
    return jnp.sum(jnp.cos(theta - jnp.asarray(CENTRES)[row])) + 0.1 * jnp.sum(theta) ** 2


def cost(theta: np.ndarray, row: int) -> float:
    return float(np.sum(np.cos(theta - CENTRES[row])) + 0.1 * np.sum(theta) ** 2)


def trace(algorithm: Algorithm, n_steps: int, key) -> tuple[State, np.ndarray, np.ndarray, State]:
    """θ after each timestep by `step`, the samples shown, and the state before the first."""
    start = algorithm.init(jnp.asarray(START), key=key)

    @eqx.filter_jit
    def go(state):
        def body(state, _):
            probe, _ = algorithm.ask(state, slot=algorithm.n_slots - 1)

            def measure(probe, device):
                return jax_cost(probe.theta + probe.perturbation, probe.rows(N_SAMPLES)[0]), device

            state, _, _ = algorithm.step(state, measure)
            return state, (state.theta, probe.rows(N_SAMPLES)[0])

        return lax.scan(body, state, length=n_steps)

    end, (thetas, rows) = go(start)
    return end, np.asarray(thetas, np.float64), np.asarray(rows), start


def codes(algorithm: Algorithm, start: State, n: int) -> np.ndarray:
    """θ̃ at the first n perturbation numbers, by the public family."""
    one = lambda m: algorithm.perturbation(Counter(jnp.uint32(0), m), seed=start.seeds.perturbation, n_params=P)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(n, dtype=jnp.uint32)), np.float64)


@pytest.mark.parametrize(
    ("tau_p", "tau_x", "tau_theta", "two_sided"),
    [(3, 5, 7, False), (1, 1, 1, False), (4, 1, 6, False), (2, 9, 1, False), (3, 5, 7, True)],
)
def test_the_discrete_algorithm_is_the_published_loop(tau_p, tau_x, tau_theta, two_sided):
    check_discrete(Rademacher(0.3), tau_p, tau_x, tau_theta, two_sided)


@pytest.mark.parametrize("family", [Gaussian(0.3), Walsh(0.3), Sequential(0.3), Block(LFSR(0.3), sizes=(1, 3, 2))])
@pytest.mark.quick("family0", "family2")
def test_the_discrete_algorithm_is_the_published_loop_for_other_families(family):
    check_discrete(family, 3, 5, 7, False)


def check_discrete(family, tau_p, tau_x, tau_theta, two_sided):
    rate, n_steps = 0.05, 200
    algorithm = discrete(
        perturbation=family,
        time_constants=TimeConstants(tau_p, tau_x, tau_theta),
        optimizer=optax.sgd(rate),
        baseline=TwoSided() if two_sided else Remeasured(),
    )
    _, thetas, rows, start = trace(algorithm, n_steps, jax.random.key(1))
    signals, mean_square = codes(algorithm, start, n_steps), family.mean_square(P)
    theta, gradient, baseline, row = START.astype(np.float64), np.zeros(P), 0.0, -1
    for n in range(n_steps):
        changed = n % tau_x == 0
        if n % tau_x == 0:
            row = int(rows[n])
        if n % tau_theta == 0 and n > 0:
            theta, gradient, changed = theta - rate * gradient, np.zeros(P), True
            # The state after timestep n − 1 is the state written at the start of n.
        if n > 0:
            assert np.allclose(thetas[n - 1], theta, rtol=0, atol=2e-4), n
        assert rows[n] == row, n
        signal = signals[n // tau_p]
        if two_sided:
            modulation = (cost(theta + signal, row) - cost(theta - signal, row)) / 2
        else:
            baseline = cost(theta, row) if changed else baseline
            modulation = cost(theta + signal, row) - baseline
        gradient = gradient + modulation * signal / mean_square / tau_theta
    assert np.abs(theta - START).max() > 0.1


@pytest.mark.parametrize(
    ("family", "tau_p", "tau_x", "tau_hp"),
    [(Sinusoid(0.3), 1, 100, 50.0), (Sinusoid(0.3), 2, 7, 100.0), (Rademacher(0.3), 3, 5, 4.0)],
)
def test_the_analog_algorithm_is_a_lock_in(family, tau_p, tau_x, tau_hp):
    rate, n_steps, tau_theta = 0.005, 300, 20
    times = TimeConstants(tau_p, tau_x, tau_theta, tau_hp)
    algorithm = analog(perturbation=family, time_constants=times, optimizer=optax.sgd(rate))
    _, thetas, rows, start = trace(algorithm, n_steps, jax.random.key(2))
    signals = codes(algorithm, start, n_steps)
    scale = 1 / (family.mean_square(P) * HighPass().gain(family, times, P))
    a, b = tau_hp / (tau_hp + 1), 1 / (tau_theta + 1)
    theta, gradient, filtered, previous = START.astype(np.float64), np.zeros(P), 0.0, 0.0
    for n in range(n_steps):
        signal = signals[n // tau_p]
        now = cost(theta + signal, int(rows[n]))
        if n % tau_x == 0:
            previous = now
        filtered, previous = a * (filtered + now - previous), now
        gradient = b * filtered * signal * scale + (1 - b) * gradient
        theta = theta - rate * gradient
        assert np.allclose(thetas[n], theta, rtol=0, atol=2e-4), n
    assert np.abs(theta - START).max() > 0.1


def once(algorithm: Algorithm, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    _, thetas, _, start = trace(algorithm, n_steps, jax.random.key(3))
    return thetas, codes(algorithm, start, n_steps)


HELD = 2**31


def test_sequential_windows_of_p_are_forward_finite_differences():
    h, rate = 0.01, 0.1
    algorithm = discrete(
        perturbation=Sequential(h), time_constants=TimeConstants(2, HELD, 2 * P), optimizer=optax.sgd(rate)
    )
    _, thetas, rows, _ = trace(algorithm, 2 * P, jax.random.key(3))
    row = int(rows[0])
    differences = [(cost(START + h * e, row) - cost(START, row)) / h for e in np.eye(P)]
    # float32 costs of order 5 are known to 5e-7; divided by h, times the rate: 5e-6.
    assert np.allclose(thetas[-1], START - rate * np.array(differences), rtol=0, atol=2e-5)


def test_sequential_windows_of_one_are_coordinate_descent():
    h, rate = 0.01, 0.02
    algorithm = discrete(
        perturbation=Sequential(h), time_constants=TimeConstants(1, HELD, 1), optimizer=optax.sgd(rate)
    )
    _, thetas, rows, start = trace(algorithm, P, jax.random.key(3))
    theta, row = START.astype(np.float64), int(rows[0])
    for n, signal in enumerate(codes(algorithm, start, P)):
        # One parameter, its own difference quotient; ⟨θ̃²⟩ = h²/P makes it P times as large.
        theta = theta - rate * P * (cost(theta + signal, row) - cost(theta, row)) / h * (signal != 0)
        assert np.allclose(thetas[n], theta, rtol=0, atol=5e-5)
    assert (thetas[-1] != START).all()


@pytest.mark.parametrize("two_sided", [False, True], ids=["one-sided", "two-sided"])
@pytest.mark.parametrize("window", [1, 4])
def test_simultaneous_signs_are_spsa_averaged_over_the_window(two_sided, window):
    c, rate = 0.01, 0.02
    algorithm = discrete(
        perturbation=Rademacher(c),
        time_constants=TimeConstants(1, HELD, window),
        optimizer=optax.sgd(rate),
        baseline=TwoSided() if two_sided else Remeasured(),
    )
    _, thetas, rows, start = trace(algorithm, 3 * window, jax.random.key(4))
    theta, row, signs = START.astype(np.float64), int(rows[0]), codes(algorithm, start, 3 * window) / c
    for k in range(3):
        estimates = []
        for delta in signs[k * window : (k + 1) * window]:
            if two_sided:
                estimates.append((cost(theta + c * delta, row) - cost(theta - c * delta, row)) / (2 * c * delta))
            else:
                estimates.append((cost(theta + c * delta, row) - cost(theta, row)) / (c * delta))
        theta = theta - rate * np.mean(estimates, axis=0)
        assert np.allclose(thetas[(k + 1) * window - 1], theta, rtol=0, atol=2e-5)


CODE = Rademacher(0.3)
HOLDS = TimeConstants(3, 5, 7)
# Amplitudes are large, so that float32's rounding of costs, which differs from one compiled program to another,
# is small in G.
ALGORITHMS = {
    "discrete": discrete(perturbation=CODE, time_constants=HOLDS),
    "every step": discrete(perturbation=CODE),
    "two-sided": discrete(perturbation=CODE, time_constants=HOLDS, baseline=TwoSided()),
    "analog": analog(perturbation=CODE, time_constants=TimeConstants(1, 9, 5, 30.0)),
    "low-pass": Algorithm(CODE, Remeasured(), LowPass(), optax.sgd(0.1), TimeConstants(2, 3, 5)),  # pyright: ignore[reportArgumentType]
    "high-pass, windows": Algorithm(Walsh(0.3), HighPass(), Accumulate(), optax.sgd(0.1), TimeConstants(2, 9, 5)),  # pyright: ignore[reportArgumentType]
    "momentum": discrete(perturbation=CODE, optimizer=optax.sgd(0.1, momentum=0.9), time_constants=HOLDS),
    "adam": discrete(perturbation=CODE, optimizer=optax.adam(0.05), time_constants=HOLDS),
}


@pytest.fixture
def _optax_promotion():
    """Adam of optax mixes float32 and int32, which the tests' strict promotion refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.usefixtures("_optax_promotion")
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.quick("two-sided")
def test_step_is_ask_and_tell_by_hand(name):
    algorithm, n_steps = ALGORITHMS[name], 23
    end, thetas, _, state = trace(algorithm, n_steps, jax.random.key(5))

    @eqx.filter_jit
    def turn(state):
        probe, state = algorithm.ask(state)
        state, info = algorithm.tell(state, jax_cost(probe.theta + probe.perturbation, probe.rows(N_SAMPLES)[0]))
        return state, info, probe

    measured = writes = 0
    while int(state.clock.step) < n_steps:
        step = int(state.clock.step)
        state, info, probe = turn(state)
        measured += 1
        writes += bool(info.updated)
        assert bool(probe.fresh) == (step % algorithm.time_constants.tau_x == 0)
        assert int(probe.presentation) == step // algorithm.time_constants.tau_x
        if int(state.clock.step) > step:
            assert np.allclose(state.theta, thetas[step], rtol=0, atol=1e-5)
    assert eqx.tree_equal(state, end, rtol=1e-4, atol=1e-5)
    assert (measured, writes) == (
        algorithm.counts(n_steps).cost_measurements,
        algorithm.counts(n_steps).parameter_writes,
    )
    assert np.abs(np.asarray(state.theta) - START).max() > 1e-3


def test_asking_twice_changes_nothing():
    algorithm = discrete(time_constants=TimeConstants(3, 5, 7))
    state = algorithm.init(jnp.asarray(START), key=jax.random.key(0))
    ask = eqx.filter_jit(algorithm.ask)
    one, after = ask(state)
    two, _ = ask(after)
    assert eqx.tree_equal(after, state)
    data = lambda p: eqx.tree_at(lambda q: q.key, p, jax.random.key_data(p.key))
    assert eqx.tree_equal(data(one), data(two))


def test_the_clamp_bounds_what_enters_g_and_not_what_is_told():
    def g_of(limit):
        algorithm = discrete(
            perturbation=Rademacher(0.5),
            modulation_limit=limit,
            optimizer=optax.sgd(1.0),
            time_constants=TimeConstants(1, HELD, 1),
        )
        start = algorithm.init(jnp.zeros(4), key=jax.random.key(0))
        step = eqx.filter_jit(lambda s: algorithm.step(s, lambda p, d: (10 * jnp.sum(p.perturbation) + 7, d)))
        state, _, info = step(start)
        return -np.asarray(state.theta), float(info.modulation)

    # A seed whose four signs do not cancel.
    free, modulation = g_of(None)
    assert abs(modulation) >= 10
    clamped, told = g_of(0.25)
    assert told == modulation
    assert np.allclose(clamped, free * 0.25 / abs(modulation), rtol=1e-6)
    assert np.array_equal(g_of(1e6)[0], free)


def seen(seed: jax.Array, n: int, *, n_samples: int, batch: int = 1) -> np.ndarray:
    one = lambda k: rows_of(Counter(jnp.uint32(0), k), seed=seed, n_samples=n_samples, batch=batch)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(n, dtype=jnp.uint32)))


@pytest.mark.parametrize(("n_samples", "batch"), [(5, 1), (44, 1), (12, 4), (7, 3), (4, 9), (1, 2)])
def test_every_sample_is_seen_once_an_epoch_also_by_batches_across_epochs(n_samples, batch):
    seed = jnp.array([4, 5], jnp.uint32)
    epochs = 6 * batch
    rows = seen(seed, epochs * n_samples // batch, n_samples=n_samples, batch=batch).reshape(epochs, n_samples)
    assert np.array_equal(np.sort(rows, axis=1), np.tile(np.arange(n_samples), (epochs, 1)))
    # The order does not depend on how it is cut into batches.
    assert np.array_equal(rows.ravel(), seen(seed, rows.size, n_samples=n_samples).ravel())


def test_epochs_and_seeds_have_orders_of_their_own():
    one = seen(jnp.array([4, 5], jnp.uint32), 3000, n_samples=1000).reshape(3, 1000)
    two = seen(jnp.array([4, 6], jnp.uint32), 1000, n_samples=1000)[:, 0]
    for a, b in ((one[0], one[1]), (one[1], one[2]), (one[0], two)):
        assert (a == b).sum() < 8  # Poisson of mean 1: fewer than 8 but for 1 in 100,000


def test_samples_far_into_a_run_are_those_of_their_epoch():
    seed, n_samples, batch, presentation = jnp.array([4, 5], jnp.uint32), 7, 3, 10**10
    rows = rows_of(Counter.of(presentation), seed=seed, n_samples=n_samples, batch=batch)
    singles = [
        int(rows_of(Counter.of(presentation * batch + k), seed=seed, n_samples=n_samples, batch=1)[0])
        for k in range(batch)
    ]
    assert rows.tolist() == singles
