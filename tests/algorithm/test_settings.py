"""Counts, conventions, and what is refused."""

import math
from itertools import product

import jax
import jax.numpy as jnp
import optax
import pytest

from mgd import MgdWarning
from mgd.algorithm import (
    Accumulate,
    Algorithm,
    Backprop,
    Counts,
    HighPass,
    LowPass,
    Ordinary,
    Published,
    Remeasured,
    TimeConstants,
    TwoSided,
    analog,
    discrete,
    from_published,
    to_published,
)
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh


def counted(n_steps: int, name: str, tau_p: int, tau_x: int, interval: int, batch: int) -> Counts:
    """The same numbers, by going through the run."""
    measurements = writes = loads = changes = 0
    on_chip: object = 0
    for n in range(n_steps):
        loads += n % tau_x == 0
        signals = {"remeasured": [n // tau_p], "two-sided": [n // tau_p, (n // tau_p, "-")], "high-pass": [n // tau_p]}
        signals = [("on", s) for s in signals[name]]
        if name == "remeasured" and (n % tau_x == 0 or n % interval == 0):
            signals = [0, *signals]
        for signal in signals:
            changes += signal != on_chip
            on_chip = signal
        measurements += len(signals)
        writes += (n + 1) % interval == 0
    return Counts(measurements, measurements * batch, writes, loads * batch, changes)


@pytest.mark.parametrize(
    "baseline", [Remeasured(), TwoSided(), HighPass()], ids=["remeasured", "two-sided", "high-pass"]
)
@pytest.mark.parametrize("integrator", [Accumulate(), LowPass()], ids=["accumulate", "low-pass"])
def test_counts_in_closed_form_are_those_of_a_run(baseline, integrator):
    name = {Remeasured: "remeasured", TwoSided: "two-sided", HighPass: "high-pass"}[type(baseline)]
    compared = 0
    for tau_p, tau_x, tau_theta in product((1, 2, 3, 4), (1, 2, 5, 6), (1, 3, 4, 10)):
        if name == "high-pass" and tau_p % tau_x == 0:
            continue
        times = TimeConstants(tau_p, tau_x, tau_theta)
        algorithm = Algorithm(Rademacher(), baseline, integrator, optax.sgd(0.1), times)  # pyright: ignore[reportArgumentType]
        interval = tau_theta if isinstance(integrator, Accumulate) else 1
        assert algorithm.interval == interval
        for n_steps in (0, 1, 2, 7, 60, 61, 121):
            assert algorithm.counts(n_steps, batch=3) == counted(n_steps, name, tau_p, tau_x, interval, 3)
            compared += 1
    assert compared > 100


def test_counts_of_long_runs_are_exact_integers():
    counts = discrete(time_constants=TimeConstants(3, 5, 7)).counts(10**10, batch=1000)
    holds = -(-(10**10) // 5) + -(-(10**10) // 7) - -(-(10**10) // 35)
    assert counts.cost_measurements == 10**10 + holds
    assert counts.inferences == 1000 * (10**10 + holds)
    assert counts.parameter_writes == 10**10 // 7
    assert counts.sample_loads == 2 * 10**12
    assert all(type(value) is int for value in counts.as_dict().values())


CONVENTIONS = [
    (Rademacher(), lambda p: 1 / math.sqrt(p)),
    (Walsh(), lambda p: 1 / math.sqrt(p)),
    (LFSR(), lambda p: 1 / math.sqrt(p)),
    (Gaussian(), lambda p: 1 / math.sqrt(p)),
    (Sinusoid(), lambda p: math.sqrt(2 / p)),
    (Sequential(), lambda p: 1.0),
]


@pytest.mark.parametrize(("family", "per_norm"), CONVENTIONS, ids=lambda v: type(v).__name__)
def test_published_settings_and_ours_are_each_other(family, per_norm):
    published = Published(0.05, 0.1)
    ours = from_published(published, perturbation=family, n_params=220, tau_theta=1000)
    assert ours.amplitude == pytest.approx(0.05 * per_norm(220), rel=1e-12)
    assert ours.learning_rate == pytest.approx(0.1 * 1000 / 220, rel=1e-12)
    back = to_published(ours, perturbation=family, n_params=220, tau_theta=1000)
    assert back == pytest.approx(published, rel=1e-12)
    assert from_published(back, perturbation=family, n_params=220, tau_theta=1000) == pytest.approx(ours, rel=1e-12)


def test_the_published_xor_settings():
    ours = from_published(Published(0.05, 0.1), perturbation=Rademacher(), n_params=9, tau_theta=1)
    assert ours == pytest.approx(Ordinary(0.05 / 3, 0.1 / 9), rel=1e-12)


@pytest.mark.parametrize("tau_theta", [1, 50])
def test_a_published_step_is_ours(tau_theta):
    # On a linear cost, written out in the published convention: G = Σ C̃ θ̃/Δ², θ ← θ − η G.
    gradient, published = jnp.array([1.0, -2.0, 0.5, 3.0]), Published(0.5, 0.1)
    family = Rademacher()
    ours = from_published(published, perturbation=family, n_params=4, tau_theta=tau_theta)
    algorithm = discrete(
        perturbation=Rademacher(ours.amplitude),
        optimizer=optax.sgd(ours.learning_rate),
        time_constants=TimeConstants(1, 2**31, tau_theta),
    )
    start = algorithm.init(jnp.zeros(4), key=jax.random.key(0))

    def body(state, _):
        applied = algorithm.ask(state, slot=1)[0].perturbation
        cost = lambda p, device: (jnp.sum(gradient * (p.theta + p.perturbation)), device)
        return algorithm.step(state, cost)[0], applied

    end, applied = jax.lax.scan(body, start, length=tau_theta)
    published_g = (applied @ gradient) @ applied / published.norm**2
    assert jnp.allclose(end.theta, -published.learning_rate * published_g, rtol=1e-4, atol=1e-6)


def unchecked(**values) -> TimeConstants:
    """Time constants without the tests' type checker, which would refuse some values before the code does."""
    times = object.__new__(TimeConstants)
    for name, value in {"tau_p": 1, "tau_x": 1, "tau_theta": 1, "tau_hp": 100.0, **values}.items():
        object.__setattr__(times, name, value)
    times.__post_init__()
    return times


@pytest.mark.parametrize("name", ["tau_p", "tau_x", "tau_theta"])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, 2**31 + 1])
def test_time_constants_that_are_not_are_refused(name, value):
    message = rf"^{name} must be a whole number of timesteps from 1 to 2\*\*31, got {value!r}$"
    with pytest.raises(ValueError, match=message):
        unchecked(**{name: value})


@pytest.mark.parametrize("value", [0, 0.0, -1.0, float("nan"), float("inf"), True, "1"])
def test_high_pass_constants_that_are_not_are_refused(value):
    with pytest.raises(ValueError, match=f"^tau_hp must be a finite number of timesteps above 0, got {value!r}$"):
        unchecked(tau_hp=value)


def test_time_constants_in_range_are_taken():
    assert unchecked(tau_p=2**31, tau_x=1, tau_theta=3, tau_hp=5) == TimeConstants(2**31, 1, 3, 5.0)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_clamps_that_are_not_are_refused(limit):
    with pytest.raises(ValueError, match=f"^modulation_limit must be above 0, or None for no clamp, got {limit}$"):
        discrete(modulation_limit=limit)


@pytest.mark.parametrize(("tau_p", "tau_x"), [(1, 1), (4, 4), (4, 2), (6, 1)])
def test_a_high_pass_needs_samples_held_longer_than_perturbations(tau_p, tau_x):
    message = f"^the high-pass baseline cannot see perturbations .* tau_x >= {tau_p + 1}, got tau_x = {tau_x}"
    with pytest.raises(ValueError, match=message):
        analog(perturbation=Rademacher(), time_constants=TimeConstants(tau_p, tau_x, 10))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Sequential(), "^Sequential perturbation cannot be used with the high-pass baseline"),
        (Block(Rademacher(), n_blocks=2), "^Block perturbation cannot be used with the high-pass baseline"),
    ],
)
def test_codes_that_a_high_pass_would_mix_up_are_refused(family, message):
    with pytest.raises(ValueError, match=message):
        analog(perturbation=family)


def test_sinusoids_below_the_corner_are_refused():
    # The corner of τ_hp = 4 is (1 − 4/5)/2π = 0.0318 cycles a timestep; holds of 2 halve 0.05.
    with pytest.raises(ValueError, match=r"^Sinusoid: the lowest frequency, 0.025 .* corner at 0.0318; raise tau_hp"):
        analog(time_constants=TimeConstants(2, 100, 100, 4.0))
    assert analog(time_constants=TimeConstants(1, 100, 100, 4.0)).interval == 1


def test_sinusoids_that_overlap_in_a_window_are_warned_of():
    # 9 parameters over a band of 0.4: spacing 0.0444, 22.5 perturbations, 45 timesteps in holds of two.
    times = TimeConstants(2, 100, 44, 100.0)
    with pytest.warns(
        MgdWarning, match=r"^Sinusoid: 9 frequencies are 0.0444 .* tau_theta = 44; raise tau_theta to 45 or"
    ):
        discrete(perturbation=Sinusoid(), time_constants=times).init(jnp.zeros(9), key=jax.random.key(0))
    longer = TimeConstants(2, 100, 45, 100.0)
    discrete(perturbation=Sinusoid(), time_constants=longer).init(jnp.zeros(9), key=jax.random.key(0))
    # A low-pass has no window that would end before the frequencies are told apart.
    analog(time_constants=times).init(jnp.zeros(9), key=jax.random.key(0))


def test_a_chip_without_parameters_is_refused():
    with pytest.raises(ValueError, match=r"^theta must be a vector of at least one parameter, got shape \(0,\)$"):
        discrete().init(jnp.zeros(0), key=jax.random.key(0))


def test_a_family_that_cannot_perturb_so_many_is_refused_at_the_start():
    with pytest.raises(ValueError, match=r"^LFSR of width 3 has 7 bits, not enough for 9"):
        discrete(perturbation=LFSR(1e-2, 3)).init(jnp.zeros(9), key=jax.random.key(0))


def test_presets_are_what_they_say():
    assert isinstance(discrete().baseline, Remeasured)
    assert isinstance(discrete().integrator, Accumulate)
    assert discrete().time_constants == TimeConstants(1, 1, 1)
    assert isinstance(analog().baseline, HighPass)
    assert isinstance(analog().integrator, LowPass)
    assert analog().time_constants == TimeConstants(1, 100, 100, 100.0)


def test_a_high_passes_constant_is_not_left_out_in_silence():
    with pytest.raises(
        ValueError, match=r"^tau_hp belongs to a high-pass baseline, not to Remeasured: leave tau_hp out"
    ):
        discrete(time_constants=TimeConstants(tau_hp=20.0))
    with pytest.raises(ValueError, match=r"^backprop has no perturbation and no high-pass: leave tau_p and tau_hp out"):
        Backprop(optax.sgd(0.1), TimeConstants(tau_p=4))


@pytest.mark.parametrize("optimizer", ["adam", optax.sgd, 0.1])
def test_what_is_no_optimizer_is_refused(optimizer, as_users_call):
    with pytest.raises(ValueError, match=r"^optimizer must be an optax transformation, such as optax.sgd\(0.1\), got "):
        discrete(optimizer=optimizer)
