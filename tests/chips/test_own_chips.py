"""Real small chips of one's own from Python, with run directory, resume and prediction: a mesh, spikes, a mere cost."""

from importlib import import_module
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import mgd

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _examples(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)


def mesh():
    module = import_module("mesh")
    return mgd.chips.from_module(lambda key: module.chip((12,), 6, key)), module.task()


def spiking():
    module, traits = import_module("spiking"), mgd.chips.Traits(coarse=("spikes",))
    return mgd.chips.from_module(lambda key: module.chip((2,), 1, key), traits=traits), mgd.datasets.parity(bits=2)


def fibre():
    module = import_module("fibre")
    cost, init = module.chip()
    return mgd.chips.from_function(cost, init=init), module.task()


@pytest.mark.parametrize(
    ("make", "n_params"), [(mesh, 30), (spiking, 49), (fibre, 4)], ids=["mesh", "spiking", "fibre"]
)
@pytest.mark.enough("fibre")
@pytest.mark.long
def test_a_chip_of_ones_own_is_kept_taken_up_and_answers(tmp_path, make, n_params):
    chip, task = make()
    assert chip.n_params == n_params
    whole = mgd.train(chip, task, n_steps=600, key=KEY, out=tmp_path / "whole")
    mgd.train(chip, task, n_steps=600, key=KEY, out=tmp_path / "run")
    result = mgd.resume(tmp_path / "run", chip=chip, task=task, before=600)
    assert np.array_equal(result.theta, whole.theta)
    run = mgd.load_run(tmp_path / "run", chip=chip, task=task)
    assert np.array_equal(run.theta, whole.theta)
    if make is fibre:
        assert result.cost[0] < chip.measure(chip.init(key=KEY), np.zeros(4), np.zeros((1, 1)), None, key=KEY)[0] / 10
        with pytest.raises(ValueError, match="gives only a cost and no outputs"):
            run.predict([[0.0]])
    else:
        outputs = run.answer(task.test)
        assert outputs.shape == task.test.y.shape
        assert run.scores is not None
        right = outputs.argmax(1) == task.test.y.argmax(1) if make is mesh else (outputs > 0.5) == (task.test.y > 0.5)
        assert np.isclose(right.mean(), run.scores[0])


@pytest.mark.long
def test_a_mesh_loses_no_light():
    fields = jax.random.normal(KEY, (12,))
    powers = import_module("mesh").Mesh(6, KEY)(fields)
    assert np.isclose(powers.sum(), (fields**2).sum(), rtol=1e-5)


@pytest.mark.parametrize("engine", ["sampled", "backprop"])
def test_spikes_are_refused_where_a_gradient_is_needed(engine):
    chip, task = spiking()
    algorithm = mgd.Backprop(optax.sgd(0.1)) if engine == "backprop" else mgd.discrete()
    with pytest.raises(ValueError, match="spikes"):
        mgd.train(chip, task, algorithm, n_steps=40, key=KEY, engine="auto" if engine == "backprop" else engine)


@pytest.mark.parametrize(
    ("names", "n_params"), [(["layers[1].*"], 4), (("layers[0].weight", "*.bias"), 10), (["module.layers[0].bias"], 3)]
)
def test_names_say_what_is_trained(names, n_params):
    chip = mgd.chips.from_module(lambda key: eqx.nn.MLP(2, 1, 3, 1, key=key), trainable=names)
    assert chip.n_params == n_params


def test_a_name_of_no_array_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"no array 'layers\[1\]\.wait': did you mean 'layers\[1\]\.weight'\?; there are"
    ):
        mgd.chips.from_module(lambda key: eqx.nn.MLP(2, 1, 3, 1, key=key), trainable=["layers[1].wait"])
