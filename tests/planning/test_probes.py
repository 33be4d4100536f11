"""Facts from steps along codes, on a cost whose gradients and curvatures are known, and its noise too."""

from collections.abc import Callable

import numpy as np
import pytest

import mgd
from mgd.calibration import Ratio
from mgd.planning._probes import PerCode, Questioner, is_straight

P, SIGMA, AMPLITUDE, CODES = 12, 0.02, 0.3, 60
RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, P))
THETA = RNG.normal(size=P)
ROOT = RNG.normal(size=(P, P)) / 3
HESSIAN = ROOT @ ROOT.T
GRADIENTS = (THETA - X) @ HESSIAN
EXACT = {
    "spread": float(np.mean(np.sum((GRADIENTS - GRADIENTS.mean(0)) ** 2, axis=1))),
    "gradient": float(np.sum(GRADIENTS.mean(0) ** 2)),
    "trace": float(np.trace(HESSIAN)),
    "mixed": float(np.sum(HESSIAN**2) - np.sum(np.diag(HESSIAN) ** 2)),
}
TASK = mgd.datasets.from_arrays(X.astype(np.float32), np.zeros((40, 1), np.float32), kind="values")


def chip(gain: float = 1.0, noise: float = 0.0, cubic: float = 0.0, seed: int = 0) -> Callable:
    """½(gθ − x)ᵀH(gθ − x) where gθ is always the same, in the mean over a batch; and a third order."""
    rng = np.random.default_rng(seed)

    def ask(questions) -> np.ndarray:
        steps = gain * questions.steps[None, :, None] * questions.codes[:, None]
        away = (THETA + steps)[:, :, None] - questions.x[:, None]
        costs = 0.5 * np.einsum("nkbi,ij,nkbj->nk", away, HESSIAN, away) / questions.x.shape[1]
        return costs + cubic * steps.sum(axis=2) ** 3 + noise * rng.normal(size=costs.shape)

    return ask


def scatter(each: np.ndarray) -> float:
    """The standard error of their mean."""
    return float(each.std(ddof=1)) / len(each) ** 0.5


def told(ask: Callable, seed: int, noise: float = 0.0) -> PerCode:
    questions = Questioner(TASK, P, batch=8, rng=np.random.default_rng(seed))
    slopes, curves = questions.of_slopes(CODES, AMPLITUDE), questions.of_curves(CODES, AMPLITUDE)
    return PerCode.of(ask(slopes), ask(curves), AMPLITUDE, one=noise, batch=noise)


def test_facts_are_the_exact_ones_within_their_standard_errors():
    off: dict[str, list[float]] = {name: [] for name in EXACT}
    for seed in range(100):
        codes = told(chip(noise=SIGMA, seed=seed), seed, SIGMA)
        for name, exact in EXACT.items():
            each = getattr(codes, name)
            off[name].append((each.mean() - exact) / scatter(each))
    for name, each in off.items():
        # Errors from few squares are themselves uncertain, and the smaller they are the farther the mean seems off.
        assert abs(np.mean(each)) < 0.6, (name, np.mean(each))
        assert 0.8 < np.std(each) < 1.5, (name, np.std(each))


@pytest.mark.parametrize("noise", [0.0, SIGMA])
def test_a_chip_whose_parameters_do_twice_as_much_has_four_times_all_of_it(noise):
    """Chip and model are asked the same, so that the ratio is far better known than either."""
    for seed in range(10):
        real, model = told(chip(2.0, noise, seed=seed), seed, noise), told(chip(), seed)
        for name, squared in (("spread", 4), ("trace", 4), ("mixed", 16)):
            chips, models, ratio = getattr(real, name), getattr(model, name), Ratio()
            ratio.extend(chips, models, np.ones(len(chips)))
            value, error = ratio.value_and_error()
            assert abs(value - squared) <= 4.5 * error + 1e-6, (name, value, error)
            assert error / value < 0.5 * scatter(chips) / chips.mean(), (name, value, error)


def test_the_mean_of_what_noise_leaves_is_not_below_zero_more_often_than_chance():
    """Without any slope nor curvature, what is left of noise is as often above zero as below."""
    noise = np.random.default_rng(1)
    each = [
        PerCode.of(noise.normal(size=(2 * CODES, 2)), noise.normal(size=(CODES, 3)), 1.0, one=1.0, batch=1.0)
        for _ in range(200)
    ]
    for name in EXACT:
        means = np.array([getattr(one, name).mean() for one in each])
        assert abs(means.mean()) < 4.5 * means.std(ddof=1) / len(means) ** 0.5, name


@pytest.mark.parametrize(("cubic", "noise", "straight"), [(0.0, 0.0, True), (0.5, 0.0, False), (0.5, 1000.0, True)])
def test_a_slope_that_bends_is_seen_unless_noise_hides_it(cubic, noise, straight):
    questions = Questioner(TASK, P, batch=8, rng=np.random.default_rng(0)).of_bend(8, 1.0)
    assert is_straight(chip(cubic=cubic, noise=noise)(questions), 1.0, noise) is straight
