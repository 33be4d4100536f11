"""Windows that taught nothing, and those that did: noise alone is found, and slow learning is not accused."""

import numpy as np
import pytest

from mgd.calibration import Learnt


def looked(
    n_params: int, n_windows: int, *, blocks: int, v: float = np.inf, turns: bool = False, seed: int = 0
) -> list[bool]:
    """Whether nothing was found at each look, for a gradient of length 1 in noise of relative power v."""
    rng, found = np.random.default_rng(seed), []
    learnt = Learnt(n_params, n_windows)
    gradient = rng.normal(size=n_params)
    gradient /= np.linalg.norm(gradient)
    sigma = np.sqrt(v / n_params) if np.isfinite(v) else 1.0
    for block in range(blocks):
        signs = (-1.0) ** np.arange(n_windows)[:, None] if turns else 1.0
        signal = gradient * signs * np.isfinite(v)
        first, second = (sigma / np.sqrt(2) * rng.normal(size=(n_windows, n_params)) + signal / 2 for _ in range(2))
        learnt.take(first + second, np.einsum("kp,kp->k", first, second))
        if block:
            found.append(learnt.nothing > 0)
    return found


@pytest.mark.parametrize("n_params", [1, 9, 220])
def test_noise_alone_is_found(n_params):
    found = [each for seed in range(10) for each in looked(n_params, 64, blocks=11, seed=seed)]
    assert np.mean(found) > 0.97  # the bounds are for one in a hundred, and their two kinds are independent


@pytest.mark.parametrize(("n_params", "turns"), [(9, False), (220, False), (9, True)])
def test_slow_learning_is_not_accused(n_params, turns):
    """N/v = 12: in N windows the gradient moves θ by √12 of what noise does, and a window's angle is 67°."""
    v = 1.0 if turns else 64 / 12
    found = [each for seed in range(10) for each in looked(n_params, 64, blocks=11, v=v, turns=turns, seed=seed)]
    assert np.mean(found) < 0.01


def test_windows_are_counted_up_to_the_last_signal():
    rng, learnt = np.random.default_rng(1), Learnt(3, 32)
    silence = np.zeros((16, 3))
    learnt.take(silence, np.zeros(16))
    assert learnt.nothing == 0
    learnt.take(silence, np.zeros(16))
    learnt.take(silence[:7], np.zeros(7))
    assert learnt.nothing == 32
    learnt.take(silence[:9], np.zeros(9))
    assert learnt.nothing == 48
    learnt.take(1 + 0.1 * rng.normal(size=(16, 3)), np.ones(16))
    assert learnt.nothing == 0
