"""Settings written as TOML are the settings that are read, and one that is wrong is one line with its name."""

import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mgd.runs import RunConfig

AMOUNT = st.floats(1e-30, 1e30)
COUNT = st.integers(1, 2**31 - 1)
RIGHT = {
    "bits": st.integers(2, 16),
    "hidden": st.lists(COUNT, max_size=4).map(tuple),
    "activation": st.sampled_from(["logistic", "tanh", "relu"]),
    "label_smoothing": st.floats(0, 1),
    "algorithm": st.sampled_from(["discrete", "analog"]),
    "perturbation": st.sampled_from(["rademacher", "walsh", "lfsr", "gaussian", "sequential", "sinusoid"]),
    "blocks": COUNT,
    "amplitude": AMOUNT,
    "modulation_limit": AMOUNT,
    "optimizer": st.sampled_from(["sgd", "adam", "lion"]),
    "learning_rate": AMOUNT,
    "weight_decay": st.floats(0, 1e30),
    "tau_p": COUNT,
    "tau_x": COUNT,
    "tau_theta": COUNT,
    "tau_hp": st.floats(1e-30, 2**31),
    "batch": COUNT,
    "steps": st.integers(1, 2**63 - 1),
    "replicas": st.integers(1, 2**63 - 1),
    "seed": st.integers(0, 2**32 - 1),
    "bitwise": st.booleans(),
    "log_every": st.integers(1, 2**63 - 1),
    "data": st.text(),
    "record": st.text(),
    "fleet": st.sampled_from(["shared", "own"]),
    "imperfect": st.fixed_dictionaries({}, optional={"cost-noise": st.floats(0, 1e30), "delay": st.integers(0, 9)}),
}
SETTINGS = st.fixed_dictionaries({"task": st.just("parity")}, optional=RIGHT)
# Nothing that a setting of numbers takes: the wrong type, out of range, or not finite.
WRONG = st.one_of(st.integers(max_value=-1), st.floats(max_value=-1e-30), st.just(float("nan")), st.text())


@given(SETTINGS)
def test_settings_are_read_as_they_were_written(settings):
    config = RunConfig.of(settings)
    again = RunConfig.of(tomllib.loads(config.toml()))
    assert again == config
    assert again.identity() == config.identity()


@given(SETTINGS, st.text(), st.text())
def test_where_things_lie_is_not_what_a_run_is(settings, data, record):
    config = RunConfig.of(settings)
    assert RunConfig.of(settings | {"data": data, "record": record}).identity() == config.identity()


@given(SETTINGS, st.integers(0, 2**32 - 1))
def test_another_seed_is_another_run(settings, seed):
    assume(settings.get("seed") != seed)
    assert RunConfig.of(settings | {"seed": seed}).identity() != RunConfig.of(settings).identity()


@given(SETTINGS, st.sampled_from(["amplitude", "batch", "learning_rate", "seed", "steps", "tau_p", "tau_hp"]), WRONG)
def test_a_wrong_number_is_one_line_that_names_it(settings, name, wrong):
    with pytest.raises(ValueError, match=rf"^{name}: [^\n]*$"):
        RunConfig.of(settings | {name: wrong})
