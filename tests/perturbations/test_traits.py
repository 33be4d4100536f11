"""What families say of themselves holds, and is all that the rest of the package asks of them."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd import perturbations
from mgd._counter import Counter
from mgd.engines import Instrumented, Options
from mgd.instruments import Limits, from_callables, opened
from mgd.perturbations import (
    LFSR,
    AbstractPerturbation,
    Block,
    Gaussian,
    Rademacher,
    Sequential,
    SignalTraits,
    Sinusoid,
    Walsh,
)

P = 7
FAMILIES = {
    "rademacher": Rademacher(0.5),
    "gaussian": Gaussian(0.5),
    "walsh": Walsh(0.5),
    "walsh that shares a bit": Walsh(0.5, shared_bit=True),
    "sequential": Sequential(0.5),
    "sinusoid": Sinusoid(0.5),
    "lfsr": LFSR(0.5, width=7),
    "blocks of walsh": Block(Walsh(0.5), sizes=(1, 4, 2)),
    "blocks of gaussian": Block(Gaussian(0.5), n_blocks=2),
    "blocks of blocks": Block(Block(Rademacher(0.5), n_blocks=2), sizes=(3, 4)),
}
family = pytest.mark.parametrize("name", FAMILIES)


def code(perturbation: AbstractPerturbation, n: int) -> np.ndarray:
    """θ̃ of the first n perturbations [n, p]."""
    one = lambda i: perturbation(Counter(jnp.uint32(0), i), seed=jnp.array([1, 2], jnp.uint32), n_params=P)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(n, dtype=jnp.uint32)), np.float64)


@family
def test_no_perturbation_is_larger_than_it_says_and_signs_are_no_smaller(name):
    perturbation = FAMILIES[name]
    largest, found = perturbation.amplitude * perturbation.traits(P).largest, np.abs(code(perturbation, 4000)).max()
    assert found <= largest
    # The largest of 28,000 normal values is about 4.2.
    assert found > (0.6 if "gaussian" in name else 0.99) * largest


def test_the_largest_normal_value_is_within_what_is_said():
    # Word 15 of this row has its 24 highest bits set (found by search).
    values = Gaussian(0.5)(Counter.of(155_860), seed=jnp.array([1, 2], jnp.uint32), n_params=16)
    assert 0.9 * 2.7 < float(values[15]) < 0.5 * Gaussian(0.5).traits(16).largest


@family
def test_a_period_sums_to_zero_where_it_is_said(name):
    perturbation = FAMILIES[name]
    period = perturbation.period(P)
    if period is None:
        assert not perturbation.traits(P).zero_sum
        return
    total = np.abs(code(perturbation, period).sum(0))
    if perturbation.traits(P).zero_sum:
        assert (total <= perturbation.amplitude).all()
        assert period > 8 or not total.any()
    else:
        assert (total > 0).all()


@family
def test_independent_perturbations_tell_nothing_of_the_next(name):
    perturbation = FAMILIES[name]
    traits = perturbation.traits(P)
    assert traits.independent == (name in {"rademacher", "gaussian", "blocks of gaussian", "blocks of blocks"})
    if traits.independent:
        s = code(perturbation, 4000)
        later = s[traits.turn :] * s[: -traits.turn]
        assert (np.abs(later.mean(0)) < 5 * later.std(0) / np.sqrt(len(later))).all()


@family
def test_after_a_turn_each_parameter_was_perturbed(name):
    turn = FAMILIES[name].traits(P).turn
    s = code(FAMILIES[name], 12 * turn) != 0
    if name == "sequential":  # one parameter at a time is still one block
        assert turn == 1
        return
    assert s.reshape(-1, turn, P).any(1).all()
    assert turn == 1 or not s.reshape(-1, turn, P)[:, : turn - 1].any(1).all()


class Peaks(AbstractPerturbation):
    """Of a package of others: mostly nothing, and now and then a peak of three times the amplitude."""

    amplitude: float = 0.1

    def __call__(self, index, *, seed, n_params):
        signs = Rademacher(3 * self.amplitude)(index, seed=seed, n_params=n_params)
        return jnp.where(index.remainder(9) == 0, signs, 0.0)

    def mean_square(self, n_params):
        return self.amplitude**2

    def period(self, n_params):
        return None

    def traits(self, n_params):
        return SignalTraits(largest=3.0, independent=False, zero_sum=False, turn=1)

    def high_pass_gain(self, pole, tau_p, n_params):
        raise ValueError("peaks do not pass")

    def check(self, n_params, tau_p, window):
        pass


def test_a_family_of_others_with_large_peaks_keeps_its_distance_from_a_limit():
    sent = []
    chip = from_callables(
        set_parameters=lambda theta: sent.append(np.array(theta)),
        measure_cost=lambda: float(((sent[-1] - 5.0) ** 2).sum()),  # the minimum is far beyond the limits
        limits=Limits.uniform(3, -1.0, 1.0),
    )
    algorithm = mgd.discrete(perturbation=Peaks(), optimizer=optax.sgd(0.1))
    options, start = Options(saturate=True), np.zeros(3, np.float32)
    with opened(chip) as guarded:
        engine = Instrumented(guarded, algorithm, start, cost=mgd.chips.MeanSquaredError(), options=options)
        assert np.allclose(engine.room, [[-0.7] * 3, [0.7] * 3], atol=1e-6)
        # The guard lets nothing beyond a limit: with a margin of one amplitude the first peak would end the run.
        result = mgd.train(guarded, TASK, algorithm, n_steps=400, key=jax.random.key(0), options=options, start=start)
    assert np.abs(sent).max() <= 1.0
    assert np.allclose(result.theta, 0.7, atol=1e-6)


TASK = mgd.datasets.from_arrays(np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32))

# Engines that work a family out on their own terms (kernels, laws, pieces of θ) have to know which it is.
_MAY_KNOW = "engines/simulated"


def test_nobody_else_looks_at_the_class_of_a_family():
    """Families describe themselves: what is asked by class is wrong for a family of others."""
    root, names = Path(mgd.__file__).parent, {*perturbations.__dict__} - {"AbstractPerturbation"}
    found = []
    for file in root.rglob("*.py"):
        if file.is_relative_to(root / "perturbations") or file.is_relative_to(root / _MAY_KNOW):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                asked |= {part.attr for part in ast.walk(node.args[1]) if isinstance(part, ast.Attribute)}
                found += [f"{file.relative_to(root)}:{node.lineno}"] if asked & names else []
    assert found == []
