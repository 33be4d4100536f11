"""What nobody chose is chosen by one rule, and learns."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mgd
from mgd.algorithm import Backprop, Counts, TimeConstants, defaults, fitted
from mgd.runs import RunConfig, build_task, resolve
from mgd.runs._build import build_algorithm, build_chip

KEY = jax.random.key(0)
XOR = mgd.datasets.parity(bits=2)
SETS = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}


@pytest.mark.parametrize(
    ("n_params", "n_steps", "n_samples", "expected"),
    [
        (220, 300_000, 40_000, (16, 0.1011, 64)),
        (9, 100_000, 4, (3, 0.2, 2)),
        (1, 100_000, 1, (1, 0.2, 1)),
        (220, 800, 105, (8, 0.1011, 52)),
        (220, 1, 105, (1, 0.1011, 52)),
        (10_000, 300_000, 40_000, (16, 0.015, 64)),
    ],
)
def test_windows_rates_and_batches_follow_from_chip_run_and_samples(n_params, n_steps, n_samples, expected):
    chosen = defaults(n_params, n_steps, n_samples)
    assert (chosen.tau_theta, chosen.learning_rate, chosen.batch) == expected


def test_what_was_given_stays_and_a_rate_goes_with_a_window_of_one_step():
    chosen = defaults(220, 20_000, 1000)
    for given in (
        mgd.discrete(optimizer=optax.sgd(0.5)),
        mgd.discrete(optimizer=optax.sgd(0.5), time_constants=TimeConstants(1, 2, 4)),
        mgd.analog(),
    ):
        assert fitted(given, chosen, 20_000) is given
    windows = fitted(mgd.discrete(time_constants=TimeConstants(1, 2, 4)), chosen, 20_000)
    assert windows.time_constants == TimeConstants(1, 2, 4)
    assert windows.optimizer is not mgd.discrete().optimizer
    signs = mgd.perturbations.Walsh(0.05)
    all_chosen = fitted(mgd.discrete(perturbation=signs, modulation_limit=1.0), chosen, 20_000)
    assert all_chosen.time_constants == TimeConstants(tau_x=16, tau_theta=16)
    assert (all_chosen.perturbation, all_chosen.modulation_limit, all_chosen.open) == (signs, 1.0, ())


def test_the_rate_is_that_of_adam_at_the_start_and_nothing_at_the_end():
    optimizer = fitted(mgd.discrete(), defaults(220, 3200, 1000), 3200).optimizer  # windows of 16, 200 updates
    theta, gradient = jnp.zeros(220), jnp.ones(220)
    state = optimizer.init(theta)
    sizes = []
    for _ in range(200):
        update, state = optimizer.update(gradient, state, theta)
        sizes.append(-float(update[0]))  # pyright: ignore[reportArgumentType, reportIndexIssue]
    assert sizes[0] == pytest.approx(0.1011, rel=1e-3)
    assert sizes[100] == pytest.approx(0.1011 / 2, rel=1e-2)
    assert 0 < sizes[-1] < 1e-4


def trained(chip, task, algorithm, n_steps, **settings):
    return mgd.train(chip, task, algorithm, n_steps=n_steps, key=KEY, **settings)


@pytest.mark.long
def test_train_chooses_and_counts_what_it_chose():
    chip = mgd.chips.mlp((2, 2, 1))
    result = trained(chip, XOR, None, 900)
    same = trained(chip, XOR, mgd.discrete(), 900)
    by_hand = trained(chip, XOR, fitted(mgd.discrete(), defaults(9, 900, 4), 900), 900, batch=2)
    assert np.array_equal(result.theta, same.theta)
    assert np.array_equal(result.theta, by_hand.theta)
    assert result.counts == Counts(
        cost_measurements=1200, inferences=2400, parameter_writes=300, sample_loads=600, perturbations=1199
    )
    given = trained(chip, XOR, mgd.discrete(optimizer=optax.sgd(0.1)), 900)
    assert (given.counts.inferences, given.counts.parameter_writes) == (1800, 900)
    assert trained(chip, XOR, mgd.discrete(), 900, batch=4).counts.inferences == 4800


@pytest.mark.long
def test_a_chip_behind_io_is_trained_by_the_same_rule():
    chip = mgd.chips.mlp((2, 2, 1))
    with mgd.instruments.opened(mgd.instruments.Simulated(chip, key=KEY)) as bench:
        result = trained(bench, XOR, None, 300)
    assert result.counts.as_dict() == trained(chip, XOR, None, 300).counts.as_dict()


@pytest.mark.parametrize("task", ["nist7x7", "yin-yang", "digits"])
def test_the_command_line_chooses_by_the_same_rule(task):
    config = resolve(RunConfig.of({"task": task, "steps": 640}))
    if task == "yin-yang":  # the one rate of its own
        assert config.learning_rate == 0.3
        config = config.model_copy(update={"learning_rate": defaults(259, 640, 5000).learning_rate})
    built, samples = build_algorithm(config), build_task(config)
    chip = build_chip(config, samples)
    chosen = defaults(chip.n_params, 640, len(samples.train))
    ours = fitted(mgd.discrete(), chosen, 640)
    assert config.batch == chosen.batch
    assert built.time_constants == replace(ours.time_constants, tau_hp=built.time_constants.tau_hp)
    assert built.perturbation == ours.perturbation  # pyright: ignore[reportAttributeAccessIssue]
    theta = jnp.linspace(-1, 1, chip.n_params)
    states = [algorithm.optimizer.init(theta) for algorithm in (built, ours)]
    for k in range(3):
        gradient = jnp.cos(theta * (k + 1))
        updates = []
        for j, algorithm in enumerate((built, ours)):
            with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes integers and floats
                update, states[j] = algorithm.optimizer.update(gradient, states[j], theta)
            updates.append(update)
        assert np.array_equal(*updates)
    in_python = mgd.chips.mlp((*samples.input_shape, *config.hidden, samples.n_outputs))
    assert np.array_equal(chip.init(key=KEY), in_python.init(key=KEY))
    assert type(chip.loss) is type(in_python.loss)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_rate_or_a_plain_optimizer_means_what_it_means_without_the_rule():
    for given in ({"learning_rate": 2.0}, {"optimizer": "sgd"}, {"optimizer": "momentum", "learning_rate": 2.0}):
        config = resolve(RunConfig.of({"task": "nist7x7"} | given))
        assert (config.tau_theta, config.tau_x, config.schedule, config.cost) == (1, 1, "constant", "mse")
        assert config.optimizer == given.get("optimizer", "sgd")
        assert config.learning_rate == given.get("learning_rate", 0.1)
    held = resolve(RunConfig.of({"task": "nist7x7", "tau_theta": 20}))
    assert (held.tau_theta, held.tau_x, held.optimizer, held.schedule) == (20, 20, "adam", "cosine")
    adam = resolve(RunConfig.of({"task": "nist7x7", "optimizer": "adam", "learning_rate": 0.02}))
    assert (adam.tau_theta, adam.learning_rate, adam.cost) == (16, 0.02, "cross-entropy")
    assert isinstance(build_algorithm(resolve(RunConfig.of({"task": "nist7x7", "algorithm": "backprop"}))), Backprop)


def with_regression(name: str, scaling: str | None):
    """A set of one's own as a task, and what logistic regression reaches on the same split."""
    samples, labels = SETS[name](return_X_y=True)
    x, x_test, y, y_test = train_test_split(samples, labels, test_size=0.3, stratify=labels, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(x, y).score(x_test, y_test)
    one_hot = np.eye(y.max() + 1, dtype=np.float32)  # pyright: ignore[reportAttributeAccessIssue]
    return mgd.datasets.from_arrays(x, one_hot[y], test=(x_test, one_hot[y_test]), scaling=scaling), linear


@pytest.mark.parametrize("name", SETS)
@pytest.mark.long
def test_sets_of_ones_own_are_learnt_as_well_as_by_logistic_regression(name):
    task, linear = with_regression(name, "standard")
    chip = mgd.chips.mlp((*task.input_shape, 8, task.n_outputs))
    result = trained(chip, task, mgd.discrete(), 4000, n_replicas=4)
    assert result.accuracy.mean() > linear - 0.03


@pytest.mark.long
def test_a_raw_set_that_cannot_be_learnt_is_warned_of():
    task, linear = with_regression("wine", None)
    with pytest.warns(mgd.MgdWarning, match='^inputs saturate the chip: they go up to .*scaling="standard"'):
        result = trained(mgd.chips.mlp((13, 8, 3)), task, mgd.discrete(), 1000, n_replicas=4)
    assert result.accuracy.mean() < linear - 0.03


@pytest.mark.long
def test_nearly_all_chips_learn_xor():
    result = trained(mgd.chips.mlp((2, 2, 1)), XOR, mgd.discrete(), 150_000, n_replicas=64)
    assert result.solved.mean() >= 0.95
