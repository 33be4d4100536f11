"""What a simulated run reports, against what is computed by hand from what it leaves: a test for each case."""

import json
import tomllib
from itertools import pairwise
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from safetensors.numpy import load_file

import mgd
import mgd.cli
from mgd.chips import imperfections
from mgd.datasets import Samples, Task, from_arrays
from mgd.engines import Data, Options, evaluate
from mgd.instruments import Limits, from_callables, opened
from mgd.runs import RunConfig, read_metrics, read_summary

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
SINE_X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
SINE_Y = (0.4 * np.sin(np.pi * SINE_X)).astype(np.float32)


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """Calls `mgd` in this process, in an empty folder; its exit code and all that it said."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left, jax.numpy_dtype_promotion("standard"):
            mgd.cli.main([str(argument) for argument in arguments])
        return int(left.value.code or 0), "".join(capsys.readouterr())

    return call


def quadratic(theta, x, y):
    return jnp.sum((theta - 3) ** 2) + jnp.mean(x)


# --- a chip that only tells its cost


def test_a_cost_only_chip_reports_its_cost_and_a_history_of_it():
    task = from_arrays(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    chip = mgd.chips.from_function(lambda t, x, y: jnp.sum((t - 3) ** 2), init=lambda key: jnp.zeros(5))
    result = mgd.train(chip, task, mgd.discrete(), n_steps=400, key=KEY)
    assert float(result.cost[0]) == pytest.approx(float(jnp.sum((result.theta[0] - 3) ** 2)), rel=1e-5)
    assert float(result.cost[0]) < 1e-3
    costs = result.history.cost.values[0]
    assert (costs.shape, costs[0]) == ((21,), 45.0)
    assert "accuracy" not in result.history
    assert (result.metric, bool(result.solved[0])) == (None, False)
    assert np.isnan(result.accuracy).all()


@pytest.mark.parametrize("n_replicas", [1, 3])
def test_the_cost_of_a_cost_only_chip_is_a_mean_over_all_test_samples(n_replicas):
    x = RNG.random((2503, 1), np.float32)
    theta = jnp.arange(4.0 * n_replicas).reshape(n_replicas, 4)
    chip = mgd.chips.from_function(quadratic, init=lambda key: jnp.zeros(4))
    marks, cost = evaluate(chip, theta, Data.of(Samples(x, np.zeros((2503, 1), np.float32))))
    assert np.isnan(marks).all()
    assert np.asarray(cost) == pytest.approx(((np.asarray(theta) - 3) ** 2).sum(1) + x.mean(), rel=1e-5)


@pytest.mark.long
def test_the_cost_of_an_imperfect_cost_only_chip_is_that_of_the_parameters_it_applies_without_noise():
    chip = mgd.chips.imperfect(
        mgd.chips.from_function(quadratic, init=lambda key: jnp.zeros(4)),
        imperfections.StuckCells(stuck=0.5),
        imperfections.CostNoise(10.0),
    )
    task = from_arrays(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    result = mgd.train(chip, task, mgd.discrete(), n_steps=20, n_replicas=2, key=KEY)
    for replica in range(2):
        theta, device = result.piece(replica)
        applied = mgd.chips.applied_parameters(chip, theta, device=device)
        assert float(result.cost[replica]) == pytest.approx(float(jnp.sum((applied - 3) ** 2)), rel=1e-5)


# --- the right measure for each kind of target


def test_regression_is_judged_by_r2_and_is_not_called_solved():
    task = from_arrays(SINE_X, SINE_Y)
    chip = mgd.chips.mlp((1, 6, 1), activation="tanh", output="linear")
    settings = {"batch": 64, "n_replicas": 4, "key": KEY}
    for n_steps in (1, 4000):
        result = mgd.train(chip, task, mgd.discrete(optimizer=optax.sgd(0.02)), n_steps=n_steps, **settings)
        by_hand = 1 - np.asarray(result.cost) / SINE_Y.var()
        assert (task.kind, result.metric) == ("values", "r2")
        assert np.asarray(result.score) == pytest.approx(by_hand, abs=1e-4)
        assert not result.solved.any()
        assert np.isnan(result.accuracy).all()
        assert "accuracy" not in result.history
        assert result.history.r2.values[:, -1] == pytest.approx(by_hand, abs=1e-4)
        assert result.history.rmse.values[:, -1] == pytest.approx(np.sqrt(result.cost), rel=1e-4)
    assert by_hand.min() > 0.5


@pytest.mark.long
def test_regression_is_solved_where_a_threshold_says_so():
    task = from_arrays(SINE_X, SINE_Y, solved_r2=-8.0)
    chip = mgd.chips.mlp((1, 6, 1), activation="tanh", output="linear")
    result = mgd.train(chip, task, mgd.discrete(), n_steps=1, n_replicas=4, key=KEY)
    assert result.solved.tolist() == [value >= -8 for value in result.score.tolist()]
    assert 0 < result.solved.sum() < 4


def score_of(task: Task, outputs: np.ndarray) -> tuple[str | None, float]:
    """Measure and score of a chip whose parameters are its outputs."""
    outputs = np.asarray(outputs, np.float32)
    chip = mgd.chips.from_function(
        lambda theta, x, y: jnp.sum(theta**2),
        init=lambda key: jnp.asarray(outputs).ravel(),
        respond=lambda theta, x: theta.reshape(outputs.shape)[x[:, 0].astype(jnp.int32)],
    )
    result = mgd.train(chip, task, mgd.discrete(optimizer=optax.sgd(0.0)), n_steps=1, key=KEY)
    return result.metric, float(result.score[0])


ROWS = np.arange(4, dtype=np.float32)[:, None]
MANY = RNG.normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "outputs", "kind", "expected"),
    [
        ([[-1], [1], [1], [-1]], [[-0.2], [0.2], [0.4], [0.9]], "signs", ("accuracy", 0.75)),
        ([-1, 1, 1, -1], [[-0.2], [0.2], [0.4], [0.9]], "signs", ("accuracy", 0.75)),
        ([[0], [1], [1], [0]], [[0.2], [0.6], [0.4], [0.1]], "classes", ("accuracy", 0.75)),
        ([0.0, 1.0, 1.0, 0.0], [[0.2], [0.6], [0.4], [0.1]], "classes", ("accuracy", 0.75)),
        ([2, 0, 1, 1], np.eye(3)[[2, 0, 0, 1]], "classes", ("accuracy", 0.75)),
        ([7, 3, 5, 5], np.eye(3)[[2, 0, 1, 1]], "classes", ("accuracy", 1.0)),
        (2 * np.eye(3)[[2, 0, 1, 1]] - 1, np.eye(3)[[2, 0, 0, 1]], "classes", ("accuracy", 0.75)),
        (
            [[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]],
            [[1, 1, 1], [0, 0, 0], [0, 0, 0], [1, 1, 0.4]],
            "labels",
            ("label_accuracy", 9 / 12),
        ),
        ([[1, 1], [-1, -1], [-1, 1], [1, -1]], [[1, 1], [1, -1], [-1, 0.1], [1, 1]], "signs", ("label_accuracy", 0.75)),
        ([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [1, 0]], np.zeros((4, 2)), "values", None),
        (MANY, 0.5 * MANY, "values", ("r2", 1 - 0.25 * (MANY**2).sum() / ((MANY - MANY.mean(0)) ** 2).sum())),
    ],
)
@pytest.mark.quick("y1-outputs1-signs-expected1", "y10-outputs10-values-expected10")
def test_each_kind_of_target_has_its_measure(y, outputs, kind, expected):
    task = from_arrays(ROWS, y)
    assert task.kind == kind
    if expected is not None:
        metric, score = score_of(task, outputs)
        assert (metric, score) == (expected[0], pytest.approx(expected[1], abs=1e-6))


def test_softened_classes_are_classes_when_they_are_said_to_be():
    y = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0]]
    assert score_of(from_arrays(ROWS, y, kind="classes"), np.eye(2)[[0, 1, 1, 0]]) == ("accuracy", 0.75)


def test_class_numbers_become_the_same_rows_as_one_hot_by_hand():
    labels = np.array([2, 0, 1, 1])
    task = from_arrays(ROWS, labels, test=(ROWS[:2], labels[:2]))
    assert np.array_equal(task.train.y, np.eye(3)[labels])
    assert np.array_equal(task.test.y, np.eye(3)[labels[:2]])
    assert task.classes == ("0", "1", "2")
    assert from_arrays(ROWS, labels, classes=("a", "b", "c", "d")).n_outputs == 4


# --- cross-entropy of one output


@pytest.mark.long
def test_cross_entropy_of_one_output_is_that_of_a_logit():
    logits, target = np.array([[-3.0], [0.0], [2.0], [40.0]], np.float32), np.array([[0], [1], [0.25], [0]], np.float32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_hand = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    by_hand[3] = 40.0
    cost = mgd.chips.CrossEntropy()(jnp.asarray(logits), jnp.asarray(target))
    assert np.asarray(cost) == pytest.approx(by_hand[:, 0], rel=1e-5)
    smoothed = mgd.chips.CrossEntropy(0.2)(jnp.asarray(logits), jnp.asarray(target))
    again = mgd.chips.CrossEntropy()(jnp.asarray(logits), jnp.asarray(0.8 * target + 0.1))
    assert np.asarray(smoothed) == pytest.approx(np.asarray(again), rel=1e-6)


@pytest.mark.long
def test_parity_learns_with_the_cross_entropy_of_one_output(command, tmp_path):
    (tmp_path / "ce1.toml").write_text('name = "ce one output"\n[chip]\nhidden = [2]\ncost = "cross-entropy"\n')
    settings = ("--steps=20000", "--replicas=16", "--json", "--out=run")
    code, said = command("train", "parity", "--chip", "ce1.toml", *settings)
    summary = json.loads(said)
    assert code == 0
    assert summary["cost"] > 0
    assert summary["solved_fraction"] >= 0.5


@pytest.mark.long
def test_every_engine_has_the_same_cross_entropy_of_one_output():
    task, algorithm = mgd.datasets.parity(bits=2), mgd.discrete(optimizer=optax.sgd(0.1))
    chip = mgd.chips.mlp((2, 2, 1), cost="cross-entropy")
    assert not mgd.engines.Fused.applies(chip, algorithm)
    with pytest.raises(ValueError, match="the fused engine does not cover the cross-entropy of one output"):
        mgd.train(chip, task, algorithm, n_steps=10, n_replicas=8, engine="fused", key=KEY)
    measured = mgd.train(chip, task, algorithm, n_steps=300, key=KEY)
    piece = mgd.instruments.Simulated(chip, key=KEY)
    with opened(piece) as instrument:
        on_chip = mgd.train(instrument, task, algorithm, n_steps=300, start=piece.start, cost="cross-entropy", key=KEY)
    assert np.asarray(on_chip.theta) == pytest.approx(np.asarray(measured.theta), abs=1e-4)
    assert float(on_chip.cost[0]) == pytest.approx(float(measured.cost[0]), rel=1e-3)
    assert on_chip.accuracy.tolist() == measured.accuracy.tolist()


@pytest.mark.parametrize("y", [[[-1.0], [1.0]], [[0.3], [2.0]], [[1.0, 1.0], [0.0, 1.0]]])
def test_cross_entropy_of_what_are_no_classes_is_refused(y):
    chip = mgd.chips.mlp((1, len(y[0])), cost="cross-entropy")
    with pytest.raises(ValueError, match=r'cross-entropy needs classes.*take the cost "mse"'):
        mgd.train(chip, from_arrays(ROWS[:2], y), mgd.discrete(), n_steps=1, key=KEY)


def test_a_logistic_output_is_refused_as_a_logit():
    with pytest.raises(ValueError, match="takes one output for a logit"):
        mgd.chips.mlp((2, 2, 1), output="logistic", cost="cross-entropy")


# --- costs that never change


@pytest.mark.parametrize(("value", "said"), [(0.0, "exactly 0 at"), (0.25, r"exactly 0\.25 at")])
@pytest.mark.quick("0.0-exactly 0 at")
def test_a_cost_that_never_changes_is_warned_of(value, said):
    chip = mgd.chips.from_function(lambda t, x, y: 0 * t[0] + value, init=lambda key: jnp.zeros(2))
    task = from_arrays(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    with pytest.warns(mgd.MgdWarning, match=f"cost on the test set was {said} all .* does not depend"):
        mgd.train(chip, task, mgd.discrete(), n_steps=50, n_replicas=3, key=KEY)


@pytest.mark.long
def test_a_cost_that_never_changes_is_told_in_the_closing_lines(command):
    settings = ("--steps=50", "--replicas=3", "--learning-rate=1e-30", "--out=run")
    code, said = command("train", "parity", *settings)
    assert code == 0
    assert "  warning: the cost on the test set was exactly constant for each chip, at all" in said
    assert len((read_summary(Path("run")) or {})["warnings"]) == 1


@pytest.mark.long
def test_chips_that_died_among_others_are_not_warned_of():
    chip = mgd.chips.mlp((2, 2, 1), init="uniform")
    algorithm = mgd.discrete(optimizer=optax.sgd(1e4))  # so large that most saturate at the first update
    result = mgd.train(chip, mgd.datasets.parity(2), algorithm, n_steps=200, n_replicas=32, key=KEY)
    constant = (result.history.cost.values[:, 3:] == result.history.cost.values[:, 3:4]).all(1)
    assert constant.sum() > 0


# --- a part of the test set


def xor_chip():
    """XOR by two thresholds, behind functions: right for all patterns from the start."""
    shown = {}

    def outputs():
        return (shown["x"].sum(1, keepdims=True) == 1).astype(np.float32)

    return from_callables(
        limits=Limits.uniform(2, -1.0, 1.0),
        set_parameters=lambda theta: None,
        present=lambda x, target: shown.update(x=np.asarray(x)),
        read_outputs=outputs,
        safe_state=lambda: None,
    )


@pytest.mark.parametrize(("test_samples", "solved"), [(1, False), (3, False), (4, True)])
@pytest.mark.quick("4-True")
def test_one_of_four_patterns_is_not_called_solved(test_samples, solved):
    with opened(xor_chip()) as chip:
        options = Options(test_samples=test_samples)
        result = mgd.train(chip, mgd.datasets.parity(2), mgd.discrete(), n_steps=2, options=options, key=KEY)
    assert float(result.accuracy[0]) == 1.0
    assert result.solved.tolist() == [solved]


def test_the_closing_line_says_of_how_many_samples(command, tmp_path):
    (tmp_path / "lab.py").write_text(
        "import numpy as np\n"
        "from mgd.instruments import Limits, from_callables\n"
        "def build():\n"
        "    shown = {}\n"
        "    return from_callables(limits=Limits.uniform(2, -1.0, 1.0), set_parameters=lambda theta: None,\n"
        "        present=lambda x, target: shown.update(x=np.asarray(x)), safe_state=lambda: None,\n"
        "        read_outputs=lambda: (shown['x'].sum(1, keepdims=True) == 1).astype(np.float32))\n"
    )
    (tmp_path / "one.toml").write_text(
        "name = 'xor'\n[instrument]\nkind = 'callables'\nbuild = 'lab:build'\ntest_samples = 1\nat_limit = 'saturate'\n"
    )
    code, said = command("train", "parity", "--chip", "one.toml", "--steps=4", "--out=run")
    assert code == 0
    assert "parity: test accuracy 100.0%" in said
    assert "  measured on 1 of 4 test samples, so no chip is called solved" in said
    assert "or more) by" not in said
    assert (read_summary(tmp_path / "run") or {})["solved_fraction"] == 0.0


# --- exported parameters


def logistic(a):
    return 1 / (1 + np.exp(-a))


def by_numpy(theta, sizes, x, neurons=None):
    """A perceptron's outputs, from parameters as they are exported, in float64."""
    h, at = np.asarray(x, np.float64), 0
    for k, (n, m) in enumerate(pairwise(sizes)):
        weight, bias = theta[at : at + n * m].reshape(m, n), theta[at + n * m : at + (n + 1) * m]
        a, at = h @ weight.T - bias, at + (n + 1) * m
        if neurons is None:
            h = logistic(a)
        else:
            alpha, beta, shift, offset = (neurons[f"layer{k + 1}.{name}"] for name in NEURON)
            h = alpha * logistic(beta * (a - shift)) + offset
    return h


NEURON = ("alpha", "beta", "shift", "offset")


@pytest.mark.parametrize(
    ("imperfect", "names"),
    [
        (
            {"activation-variation": 0.2},
            {f"activation_variation.layer{layer}.{name}" for layer in (1, 2) for name in NEURON},
        ),
        (
            {"stuck": 0.1, "dead": 0.1, "drift": 1e-3, "leak": 1e-3, "dac-bits": 5},
            {"stuck_cells.mask", "stuck_cells.value", "drift"},
        ),
        ({"cross-talk": 0.2, "parameter-range": 1.5, "cost-noise": 0.01}, set()),
    ],
)
@pytest.mark.long
@pytest.mark.enough("imperfect1-names1")
def test_exported_parameters_give_the_reported_accuracy(tmp_path, imperfect, names):
    """Of chips whose outputs are logistic."""
    settings = {"task": "nist7x7", "hidden": [4], "replicas": 3, "steps": 300, "batch": 8, "imperfect": imperfect}
    settings |= {"cost": "mse", "learning_rate": 0.1}
    run = mgd.runs.start(RunConfig.of(settings), tmp_path / "run")
    theta, device = load_file(run / "theta.safetensors")["theta"], load_file(run / "device.safetensors")
    assert set(device) == names | {"theta_applied"}
    task, summary = mgd.datasets.nist7x7(), read_summary(run) or {}
    hidden = tomllib.loads((run / "config.toml").read_text())["hidden"]
    plain = 0
    for replica, reported in enumerate(summary["accuracy_per_replica"]):
        own = {name.split(".", 1)[-1]: of[replica] for name, of in device.items() if "layer" in name} or None
        sizes = (49, *hidden, 4)
        outputs = by_numpy(device["theta_applied"][replica].astype(np.float64), sizes, task.test.x, own)
        found = np.mean(outputs.argmax(1) == task.test.y.argmax(1))
        assert found == pytest.approx(reported, abs=2 / len(task.test))
        plain += np.mean(by_numpy(theta[replica], sizes, task.test.x).argmax(1) == task.test.y.argmax(1)) != found
    assert plain > 0  # without the piece they are others


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:the perturbation is below the levels")
def test_the_piece_of_a_result_responds_as_reported_and_comes_back_from_its_arrays():
    task = mgd.datasets.parity(bits=2)
    chip = mgd.chips.imperfect(
        mgd.chips.mlp((2, 2, 1)),
        imperfections.ActivationVariation(0.3),
        imperfections.StuckCells(stuck=0.2),
        imperfections.Drift(leak=1e-3),
        imperfections.DAC(6, -3.0, 3.0),
        imperfections.Delay(2),
    )
    result = mgd.train(chip, task, mgd.discrete(), n_steps=200, n_replicas=3, key=KEY)
    arrays = mgd.chips.device_arrays(chip, result.device)
    assert {"drift", "stuck_cells.mask", "activation_variation.layer2.beta", "delay.costs"} <= set(arrays)
    again = mgd.chips.device_from_arrays(chip, arrays)
    assert eqx.tree_equal(again, result.device)
    inner = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), imperfections.ActivationVariation(0.3))
    for replica in range(3):
        theta, device = result.piece(replica)
        outputs = chip.respond(theta, jnp.asarray(task.test.x), device=device, key=KEY)
        cost = float(np.mean((np.asarray(outputs) - task.test.y) ** 2))
        assert cost == pytest.approx(float(result.cost[replica]), rel=1e-5)
        applied = mgd.chips.applied_parameters(chip, theta, device=device)
        own = mgd.chips.device_from_arrays(inner, mgd.chips.device_arrays(chip, device))
        same = inner.respond(applied, jnp.asarray(task.test.x), device=own, key=KEY)
        assert np.array_equal(same, outputs)
        assert not np.array_equal(applied, theta)


@pytest.mark.long
def test_a_device_that_lacks_an_array_is_refused():
    chip = mgd.chips.imperfect(mgd.chips.mlp((2, 1)), imperfections.Drift(leak=0.1))
    with pytest.raises(ValueError, match="needs drift, which is not among the arrays: theta"):
        mgd.chips.device_from_arrays(chip, {"theta": np.zeros(3)})


def test_without_a_device_the_advice_is_the_piece_of_the_run():
    chip = mgd.chips.imperfect(mgd.chips.mlp((2, 1)), imperfections.Drift(leak=0.1))
    with pytest.raises(ValueError, match=r"give that of its run \(result.device.*makes another piece"):
        chip.respond(jnp.zeros(3), jnp.zeros((1, 2)), key=KEY)


@pytest.mark.long
def test_a_perfect_chip_has_no_piece_to_keep(tmp_path):
    settings = {"task": "parity", "bits": 2, "hidden": [2], "replicas": 2, "steps": 5}
    run = mgd.runs.start(RunConfig.of(settings), tmp_path / "run")
    assert not (run / "device.safetensors").exists()
    assert "accuracy" in read_metrics(run)


@pytest.mark.long
def test_show_names_the_file_of_the_piece(command):
    settings = ("--steps=5", "--replicas=2", "--imperfect=drift=0.001", "--out=run")
    assert command("train", "parity", *settings)[0] == 0
    code, said = command("show", "run")
    assert code == 0
    assert "run/device.safetensors: random values and memory of its chips" in said


# --- data that cannot be used

X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([[0], [1], [1], [0]], np.float32)


def with_at(array, place, value):
    changed = np.array(array)
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("x", "y", "test", "message"),
    [
        (with_at(X, (2, 1), np.nan), Y, None, r"inputs must be finite: row 2, column 1 is nan \(1 of 4 rows"),
        (with_at(X, (0, 2), -np.inf), Y, None, "inputs must be finite: row 0, column 2 is -inf"),
        (X, with_at(Y, (3, 0), np.nan), None, "targets must be finite: row 3, column 0 is nan"),
        (X, with_at(Y[:, 0], 1, np.inf), None, "targets must be finite: row 1 is inf"),
        (X, Y, (X, with_at(Y, (1, 0), np.nan)), "test targets must be finite: row 1, column 0"),
        (X, Y, (with_at(X, (1, 0), np.nan), Y), "test inputs must be finite: row 1, column 0"),
        (1e300 * X.astype(np.float64), Y, None, "inputs go up to 1.1e.301, beyond what float32 holds: scale them"),
        (X.astype(str), Y, None, "inputs must be real numbers, got text"),
        (X, np.array([["a"], ["b"], ["b"], ["a"]]), None, r"targets must be real numbers, got text of shape \(4, 1\)"),
        (X, ["a", "b", "b", "a"], (X[:1], ["c"]), "class 'c' of the test targets is not one of the classes a, b"),
        (X.astype(object), Y, None, "inputs must be real numbers, got objects of mixed types"),
        (X + 1j, Y, None, "inputs must be real numbers, got complex numbers: put real and imaginary"),
        (X.astype("datetime64[s]"), Y, None, "inputs must be real numbers, got dates"),
        ([[1.0, 2.0], [3.0]], Y[:2], None, "inputs must be one array of numbers, got rows of different length"),
        (np.ma.masked_equal(X, 3), Y, None, "inputs have masked entries"),
        (np.float32(3.0), Y, None, "inputs must be an array with one row a sample, got the single number"),
        (X[:0], Y[:0], None, "needs at least one row, got none"),
        (X, Y[:3], None, "as many targets as inputs are needed, got 4 inputs and 3 targets"),
        (X, [0, 1, 1], None, "as many targets as inputs are needed, got 4 inputs and 3 targets"),
        (X, np.zeros((4, 0)), None, r"targets must have one row a sample and one column an output, got shape \(4, 0\)"),
        (X[:, :, None], np.zeros((4, 3, 2)), None, r"got shape \(4, 3, 2\).*outputs of a sequence side by side"),
        (X, Y, (X[:, :2], Y), "test samples must look like training samples"),
        (X, Y, (X, np.eye(2)[[0, 1, 1, 0]]), "test samples must look like training samples"),
        (X, [1, 1, 1, 1], None, "all 4 targets are of the class 1: give samples of two classes or more"),
        (X, [0, 1, 2, 1], (X[:1], [3]), "class 3 of the test targets is not one of the classes 0, 1, 2"),
        (X, [0, 1, 2, 1], (X[:1], [[1.0]]), "test targets must be class numbers"),
        (
            np.tile(X, (3, 1)),
            np.tile([0.0, 1, 2, 1], 3),
            None,
            r"whole numbers 0 … 2: give classes as whole numbers of shape",
        ),
        (
            np.tile(X, (3, 1)),
            np.tile([0, 1, 2, 1], 3)[:, None],
            None,
            r"whole numbers 0 … 2: give classes as whole numbers of shape",
        ),
        (X, np.array([[0, 1], [2, 1], [0, 0], [1, 2]]), None, r"shape \(4, 2\) and type int64 are the whole numbers"),
        (np.zeros((60, 1)), np.arange(60), None, "60 different whole numbers: say kind"),
    ],
)
def test_data_that_cannot_be_used_are_refused_in_one_line(x, y, test, message):
    with pytest.raises(ValueError, match=message) as refused:
        from_arrays(x, y, test=test)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "no such"}, "unknown kind 'no such' of targets: choose one of classes, signs, labels, values"),
        ({"kind": "signs"}, r"targets of the kind 'signs' are -1 or 1 in every column, and training target \[0, 0\]"),
        ({"solved_r2": 0.9}, "the targets are classes: give solved_accuracy"),
        ({"kind": "values", "solved_accuracy": 0.9}, "values have no accuracy: give solved_r2"),
    ],
)
def test_kinds_that_targets_are_not_of_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(X, Y, **settings)


def test_samples_made_by_hand_are_checked_too():
    with pytest.raises(ValueError, match="row 2, column 1 is nan"):
        Samples(with_at(X, (2, 1), np.nan), Y)
    with pytest.raises(ValueError, match=r"got shape \(4,\)"):
        Samples(X, Y[:, 0])


class OneNumber(eqx.Module):
    """A module that gives a number where a vector is due."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.dot(self.weight, x)


@pytest.mark.parametrize(
    ("chip", "message"),
    [
        (mgd.chips.mlp((2, 2, 1)), r"whose inputs have shape \(3,\) and .*: it has 2 inputs, got 3"),
        (mgd.chips.mlp((3, 2)), "the chip has 2 outputs, and arrays needs 1"),
        (mgd.chips.from_module(lambda key: eqx.nn.Linear(2, 1, key=key)), "whose inputs have shape"),
        (
            mgd.chips.from_module(lambda key: OneNumber(jax.random.normal(key, (3,)))),
            r"must give outputs of shape \(2, outputs\), and it gives \(2,\)",
        ),
    ],
)
@pytest.mark.usefixtures("as_users_call")
def test_a_network_that_does_not_fit_is_refused_in_one_line(chip, message):
    with pytest.raises(ValueError, match=message) as refused:
        mgd.train(chip, from_arrays(X, Y), mgd.discrete(), n_steps=1, key=KEY)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("y", [np.ones((4, 1)), np.eye(2)[[0, 0, 0, 0]], np.full((4, 1), 0.3)])
def test_targets_that_are_all_the_same_are_refused(y):
    with pytest.raises(ValueError, match="all 4 training targets of arrays are the same"):
        mgd.train(mgd.chips.mlp((3, y.shape[1])), from_arrays(X, y), mgd.discrete(), n_steps=1, key=KEY)


def test_a_cost_that_is_nan_from_the_start_is_not_blamed_on_the_learning_rate():
    chip = mgd.chips.from_function(lambda t, x, y: jnp.sum(t) + jnp.nan, init=lambda key: jnp.zeros(2))
    with pytest.raises(mgd.DivergedError, match="no parameter had changed yet, so check the chip's cost"):
        mgd.train(chip, from_arrays(X, Y), mgd.discrete(), n_steps=5, key=KEY)


# --- a batch beyond the data


def test_a_batch_beyond_the_data_is_refused():
    with pytest.raises(ValueError, match="batch must be at most the 4 training samples of parity, got 5"):
        mgd.train(mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(2), mgd.discrete(), n_steps=1, batch=5, key=KEY)


def test_a_batch_beyond_the_data_is_refused_on_the_command_line(command):
    code, said = command("train", "parity", "--batch=5", "--steps=5", "--out=run")
    assert code == 2
    assert "batch must be at most the 4 training samples of parity, got 5" in said
    assert said.count("\n") == 1
    code, said = command("train", "nist7x7", "--batch=50", "--holdout=39960", "--steps=5", "--out=run")
    assert (code, "at most the 40 training samples" in said) == (2, True)
