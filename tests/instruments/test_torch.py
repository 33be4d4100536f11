"""PyTorch modules as chips, against what PyTorch itself gives."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import pytest

import mgd
from mgd.chips import CrossEntropy, MeanSquaredError
from mgd.instruments import Limits, from_torch, load_instrument, opened

if TYPE_CHECKING:
    import torch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 2)).astype(np.float32)
TARGET = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 5)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """PyTorch takes 190 MB: it is imported where its tests run, and not in every worker that knows of them."""
    global torch
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))


def _own(module, theta, x=X) -> np.ndarray:
    """The outputs as PyTorch gives them with these parameters in the module."""
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(torch.tensor(theta), module.parameters())
        return module(torch.tensor(x)).numpy()


def test_parameters_are_the_modules_in_its_order(module):
    chip = from_torch(module)
    assert chip.names == ("0.weight", "0.bias", "3.weight", "3.bias")
    assert chip.groups == {
        "0.weight": slice(0, 8),
        "0.bias": slice(8, 12),
        "3.weight": slice(12, 24),
        "3.bias": slice(24, 27),
    }
    assert chip.start.tolist() == torch.nn.utils.parameters_to_vector(module.parameters()).tolist()


def test_outputs_are_those_of_the_module_perturbed_or_not(module):
    theta, wiggle = (RNG.normal(0, 0.3, 27).astype(np.float32) for _ in range(2))
    with opened(from_torch(module)) as chip:
        chip.present(X, TARGET)
        chip.set_parameters(theta)
        plain = chip.read_outputs()
        chip.perturb(wiggle)
        perturbed = chip.read_outputs()
        held = chip.inner.parameters()  # pyright: ignore[reportAttributeAccessIssue]
    assert held.tolist() == theta.tolist()  # the module is that without the perturbation
    assert plain == pytest.approx(_own(module, theta), abs=1e-6)
    assert perturbed == pytest.approx(_own(module, theta + wiggle), abs=1e-6)


@pytest.mark.parametrize(("cost", "ours"), [("mse", MeanSquaredError()), ("cross-entropy", CrossEntropy())])
def test_costs_are_those_of_our_own_chips(module, cost, ours):
    with opened(from_torch(module, cost=cost)) as chip:
        chip.present(X, TARGET)
        expected = jnp.mean(ours(jnp.asarray(chip.read_outputs()), jnp.asarray(TARGET)))
        assert chip.measure_cost() == pytest.approx(float(expected), rel=1e-6)
        assert chip.measure_batch(np.zeros((2, 27))) == pytest.approx([float(expected)] * 2, rel=1e-6)


def test_a_batch_gives_what_one_by_one_gives(module):
    wiggles = RNG.normal(0, 0.1, (6, 27)).astype(np.float32)
    with opened(from_torch(module, cost=lambda outputs, target: (outputs - target).abs().sum(-1))) as chip:
        chip.present(X, TARGET)
        together, alone = chip.measure_batch(wiggles), []
        for wiggle in wiggles:
            chip.perturb(wiggle)
            alone.append(chip.measure_cost())
    assert together == pytest.approx(alone, rel=1e-5)
    assert len(set(alone)) == 6


def test_a_module_that_does_not_vectorise_is_measured_one_by_one():
    class Branches(torch.nn.Module):  # pyright: ignore[reportGeneralTypeIssues]
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x * self.gain if float(self.gain.sum()) > 1 else -x

    with opened(from_torch(Branches())) as chip:
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        assert chip.measure_batch(np.array([[-0.5], [1.0]])).tolist() == [1.0, 4.0]


def test_a_subset_by_name_leaves_the_rest_as_it_is(module):
    bias = module[0].bias.detach().clone()
    chip = from_torch(module, names=["3.bias", "*.weight"])
    assert chip.names == ("0.weight", "3.weight", "3.bias")
    chip.set_parameters(np.zeros(23, np.float32))
    assert module[0].bias.tolist() == bias.tolist()
    assert not module[0].weight.any()


def test_frozen_parameters_are_not_trained_and_shared_ones_once(module):
    module[0].requires_grad_(False)
    assert from_torch(module).names == ("3.weight", "3.bias")
    tied = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    with opened(from_torch(tied)) as chip:
        assert chip.n_params == 4
        chip.set_parameters(np.zeros(4))
        chip.perturb(np.array([2.0, 0, 0, 2.0]))  # both layers double
        chip.present(np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32))
        assert chip.read_outputs().tolist() == [[4.0, 4.0]]


def test_other_precisions_are_kept(module):
    chip = from_torch(module.double())
    chip.set_parameters(np.full(27, 0.1, np.float32))
    chip.open()
    chip.present(X, TARGET)
    assert chip.read_outputs().dtype == np.float32
    assert module[0].weight.dtype == torch.float64


def test_a_training_ends_with_the_trained_module():
    """By the algorithm itself, to the least squares that are known."""
    import equinox as eqx
    import jax

    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 2)).astype(np.float32)
    weights = np.array([[1.0, -2.0]], np.float32)
    linear = torch.nn.Linear(2, 1, bias=False)
    algorithm = mgd.discrete(time_constants=mgd.TimeConstants(tau_p=1, tau_x=1, tau_theta=2))
    ask, tell = eqx.filter_jit(algorithm.ask), eqx.filter_jit(algorithm.tell)
    with opened(from_torch(linear)) as chip:
        chip.present(x, x @ weights.T)
        state = algorithm.init(jnp.asarray(chip.inner.start), key=jax.random.key(0))  # pyright: ignore
        for _ in range(600):
            probe, state = ask(state)
            chip.set_parameters(np.asarray(probe.theta))
            chip.perturb(np.asarray(probe.perturbation))
            state, _ = tell(state, jnp.float32(chip.measure_cost()))
        assert chip.measure_cost() < 1e-2
    assert linear.weight.detach().numpy() == pytest.approx(weights, abs=0.1)


REFUSED = {
    "no module": (lambda m: from_torch(3), "a torch.nn.Module is needed, got a int"),
    "no such parameter": (lambda m: from_torch(m, names=["0.wieght"]), "'0.wieght': did you mean '0.weight'.; there"),
    "none to train": (lambda m: from_torch(torch.nn.Tanh()), "a Tanh has no parameters to train"),
    "no shape yet": (lambda m: from_torch(torch.nn.LazyLinear(2)), "'weight' has no shape yet: pass a batch"),
    "complex": (lambda m: from_torch(torch.nn.Linear(2, 2, dtype=torch.complex64)), "'weight' is torch.complex64"),
    "unknown cost": (lambda m: from_torch(m, cost="hinge"), "unknown cost 'hinge': choose mse or cross-entropy"),
    "too few limits": (lambda m: from_torch(m, limits=Limits.uniform(3, -1.0, 1.0)), "27 parameters and limits for 3"),
    "a start outside": (lambda m: from_torch(m, limits=(5.0, 6.0)), "at the start, parameter 0 would be set to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(module, name):
    make, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        make(module)


def test_a_batch_that_the_module_does_not_take_is_a_failure_of_the_chip(module):
    with opened(from_torch(module)) as chip:
        chip.present(np.zeros((2, 7), np.float32), np.zeros((2, 3), np.float32))
        with pytest.raises(mgd.HardwareError, match=r"for inputs of shape \(2, 7\) the module raised mat1 and mat2"):
            chip.measure_cost()
        chip.present(X, np.zeros((5, 1), np.float32))
        with pytest.raises(ValueError, match=r"outputs have shape \(5, 3\) and targets \(5, 1\)"):
            chip.measure_cost()


LAB = """
import torch

def net(width=3):
    return torch.nn.Linear(2, width)
"""


@pytest.fixture
def lab(write_module) -> str:
    return write_module(LAB)


def test_as_settings(tmp_path, lab):
    settings = {"module": f"{lab}:net", "arguments": {"width": 4}, "names": ["weight"], "limits": [-2, 2.5]}
    chip = load_instrument("torch", settings, tmp_path)
    assert (chip.n_params, chip.limits.low[0], chip.limits.high[7]) == (8, -2, 2.5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs the setting 'module'"),
        ({"module": "LAB:nett"}, "has no function 'nett': did you mean 'net'"),
        ({"module": "LAB:net", "limits": [1]}, r"limits must be the lowest and the highest value, .* got \[1\]"),
        ({"module": "LAB:net", "limits": [2, 1]}, "parameter 0 must be finite with low < high"),
        ({"module": "LAB:net", "names": "weight"}, "names must be a list of names or patterns"),
        ({"module": "LAB:net", "cost": 3}, "cost must be mse or cross-entropy, got 3"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, lab, settings, words):
    settings = {key: value.replace("LAB", lab) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises(ValueError, match=words):
        load_instrument("torch", settings, tmp_path)
