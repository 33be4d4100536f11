"""Runs that a program in Python makes: kept in a directory, interrupted, gone on with, and refused with other parts."""

import signal
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.instruments import Limits, from_callables, opened
from mgd.runs import _python, read_metrics, read_summary

KEY = jax.random.key(3)
CHIP, TASK = mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(bits=2)
SETTINGS: dict[str, Any] = {"n_steps": 60, "n_replicas": 3, "log_every": 20, "key": KEY}


def algorithm() -> mgd.Algorithm:
    times = mgd.TimeConstants(tau_x=3, tau_theta=7)
    return mgd.discrete(optimizer=optax.sgd(0.5, momentum=0.5), time_constants=times)


def same(a: mgd.Result, b: mgd.Result) -> None:
    np.testing.assert_array_equal(a.theta, b.theta)
    assert a.history.drop_attrs().identical(b.history.drop_attrs())
    assert a.counts == b.counts


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C comes once, when so many timesteps are made."""

    def at(step: int) -> None:
        asked = [step]

        @contextmanager
        def shown(steps, progress):
            def on_progress(session):
                if asked and session.snapshot.step >= asked[0]:
                    asked.clear()
                    signal.raise_signal(signal.SIGINT)

            yield on_progress

        monkeypatch.setattr(_python, "_shown", shown)

    return at


@pytest.mark.usefixtures("ragged")
@pytest.mark.long
def test_it_is_kept_interrupted_and_ends_as_the_run_in_memory(tmp_path, interrupted):
    whole = mgd.train(CHIP, TASK, algorithm(), **SETTINGS)
    interrupted(25)
    with pytest.raises(mgd.Interrupted, match=r'to continue: mgd\.resume\("[^"]*", chip=…, task=…\)') as caught:
        mgd.train(CHIP, TASK, algorithm(), **SETTINGS, out=tmp_path / "run")
    assert 25 <= caught.value.step < 60
    assert caught.value.result.n_steps == caught.value.step
    same(mgd.resume(tmp_path / "run", chip=CHIP, task=TASK), whole)
    same(mgd.resume(tmp_path / "run", chip=CHIP, task=TASK), whole)  # finished: what it came to
    assert read_summary(tmp_path / "run")["steps"] == 60
    assert read_metrics(tmp_path / "run").identical(whole.history)


@pytest.mark.usefixtures("ragged")
def test_without_a_directory_what_it_came_to_is_in_the_exception(interrupted):
    interrupted(25)
    with pytest.raises(mgd.Interrupted, match="give out=…") as caught:
        mgd.train(CHIP, TASK, algorithm(), **SETTINGS)
    assert caught.value.result.theta.shape == (3, 9)
    assert caught.value.result.history.step.values.tolist() == [0, 20]


@pytest.mark.parametrize("broken", [False, True], ids=["in one go", "interrupted"])
def test_a_chip_of_functions_keeps_its_costs_and_its_last_parameters(tmp_path, broken):
    """A real chip whose own cost is no cost of outputs: every measurement is in the journal."""
    asked, theta = [30] if broken else [], np.zeros(4, np.float32)

    def chip():
        def measure() -> float:
            if asked and len(made) >= asked[0]:
                asked.clear()
                signal.raise_signal(signal.SIGINT)
            made.append(float(np.sum((theta - 0.5) ** 2)))
            return made[-1]

        limits = Limits.uniform(4, -2.0, 2.0, "V")
        return from_callables(
            set_parameters=lambda values: theta.__setitem__(slice(None), values), measure_cost=measure, limits=limits
        )

    made: list[float] = []
    task = mgd.datasets.from_arrays(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    run: dict[str, Any] = {"n_steps": 40, "key": KEY, "log_every": 10}
    with opened(chip()) as open_chip:
        if broken:
            with pytest.raises(mgd.Interrupted):
                mgd.train(open_chip, task, algorithm(), out=tmp_path / "run", **run)
            result = mgd.resume(tmp_path / "run", chip=open_chip, task=task)
        else:
            result = mgd.train(open_chip, task, algorithm(), out=tmp_path / "run", **run)
    with opened(chip()) as open_chip:
        due = mgd.train(open_chip, task, algorithm(), **run)
    np.testing.assert_array_equal(result.theta, due.theta)
    assert np.isfinite(result.history.cost).all()
    assert np.isfinite(result.history.measured_cost[:, 1:]).all()
    assert result.history.cost[0, -1] < result.history.cost[0, 0]


def test_a_longer_run_goes_past_its_end(tmp_path):
    settings: dict[str, Any] = SETTINGS | {"n_steps": 120}
    whole = mgd.train(CHIP, TASK, algorithm(), **settings)
    mgd.train(CHIP, TASK, algorithm(), **SETTINGS, out=tmp_path / "run", until_accuracy=0.1)
    assert read_summary(tmp_path / "run")["ended_by"] == "the mean accuracy is 50.0%"
    longer = mgd.resume(tmp_path / "run", chip=CHIP, task=TASK, n_steps=120)
    np.testing.assert_array_equal(longer.theta, whole.theta)
    with pytest.raises(mgd.RunError, match=r"has made 120 timesteps: give --steps more than that, got 50"):
        mgd.resume(tmp_path / "run", chip=CHIP, task=TASK, n_steps=50)


@pytest.mark.long
def test_numbers_that_vary_and_a_start_are_taken_up_again(tmp_path, interrupted):
    start = np.linspace(-1, 1, 27).reshape(3, 9).astype(np.float32)
    given = SETTINGS | {"vary": {"learning_rate": [0.1, 0.2, 0.4]}, "start": start}
    whole = mgd.train(CHIP, TASK, algorithm(), **given)
    mgd.train(CHIP, TASK, algorithm(), **given, out=tmp_path / "run")
    again = mgd.resume(tmp_path / "run", chip=CHIP, task=TASK, before=60)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert again.varied["learning_rate"].tolist() == [0.1, 0.2, 0.4]


OTHERS = {
    "another network": ({"chip": mgd.chips.mlp((2, 3, 1))}, "was begun on another chip: at its start"),
    "another cost": ({"chip": mgd.chips.mlp((2, 2, 1), cost=mgd.chips.CrossEntropy())}, "was begun on another chip"),
    "other samples": ({"task": mgd.datasets.parity(bits=3)}, "was begun on other samples than those of parity"),
    "no chip": ({"chip": None}, "give its chip again, as chip=…"),
    "no task": ({"task": None}, "give its task again, as task=…"),
    "a cost": ({"cost": "mse"}, "cost is for an instrument"),
    "vary": ({"vary": {"learning_rate": [1.0, 2.0, 3.0]}}, "was begun without vary: leave it out"),
}


@pytest.fixture(scope="module")
def run_of_adam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    mgd.train(CHIP, TASK, algorithm(), **SETTINGS, out=folder)
    return folder


@pytest.mark.parametrize(("changes", "words"), OTHERS.values(), ids=OTHERS)
@pytest.mark.quick("a cost", "no chip")
def test_other_parts_are_refused(run_of_adam, changes, words):
    with pytest.raises((mgd.RunError, ValueError), match=words):
        mgd.resume(run_of_adam, **({"chip": CHIP, "task": TASK} | changes))


def test_what_another_user_pickled_is_not_read_and_is_to_be_given_again(run_of_adam, monkeypatch):
    def never(content: bytes):
        raise AssertionError("a pickle of another user's was read")

    monkeypatch.setattr("mgd.runs._known.is_remembered", lambda what: False)
    monkeypatch.setattr("mgd.runs._known.cloudpickle.loads", never)
    with pytest.raises(ValueError, match=r"was not begun here by this user: give algorithm=… again"):
        mgd.resume(run_of_adam, chip=CHIP, task=TASK)
    assert mgd.resume(run_of_adam, chip=CHIP, task=TASK, algorithm=algorithm()).n_steps == 60


def test_a_run_of_settings_is_gone_on_with_from_python_too(tmp_path, small):
    mgd.runs.start(small(), tmp_path / "run")
    assert mgd.resume(tmp_path / "run", n_steps=90).n_steps == 90
    with pytest.raises(ValueError, match="has settings that describe its chip: leave chip out"):
        mgd.resume(tmp_path / "run", chip=CHIP)


def test_a_run_of_python_is_not_gone_on_with_by_its_settings(run_of_adam):
    with pytest.raises(mgd.RunError, match=r"was begun by a Python program: continue it there, with mgd\.resume"):
        mgd.runs.resume(run_of_adam)


WRONG = {
    "a task's name": (
        {"task": "parity"},
        r"a task is needed, got 'parity': load it with mgd\.datasets\.load",
    ),
    "no task at all": ({"task": "letters"}, r"got 'letters': make one with mgd\.datasets\.load"),
    "an algorithm's name": ({"algorithm": "discrete"}, r"an algorithm is needed, got 'discrete': make one with"),
    "a seed": ({"key": 0}, r"a key is needed, got 0: give jax\.random\.key\(0\)"),
    "an old key": ({"key": jnp.zeros(2, jnp.uint32)}, r"a key is needed, got a ArrayImpl"),
    "a closed instrument": (
        {
            "chip": from_callables(
                set_parameters=print, measure_cost=lambda: 0.0, limits=Limits.uniform(9, -1.0, 1.0, "V")
            )
        },
        r"a chip is needed, got a \w+: open it first: with mgd\.instruments\.opened",
    ),
    "a start of another length": ({"start": np.zeros(8)}, r"start must have shape \(9,\) or \(3, 9\), got \(8,\)"),
    "a start that is none": ({"start": "twin"}, "start must be an array of parameters, got a str"),
    "NaN": ({"start": np.full(9, np.nan)}, "start must be finite numbers, got NaN or infinity for parameter 0"),
    "percent": ({"until_accuracy": 90}, "until_accuracy must be above 0 and at most 1, got 90: 0.9 stands for 90 %"),
    "no patience": ({"patience": 0}, "patience must be a number of timesteps of at least 1, got 0"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_said_in_one_line(changes, words):
    given = {"chip": CHIP, "task": TASK} | SETTINGS | changes
    with pytest.raises(ValueError, match=words) as caught:
        mgd.train(**given)
    assert "\n" not in str(caught.value)
