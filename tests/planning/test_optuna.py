"""Searches by Optuna, by which plans are checked."""

import sys

import numpy as np
import pytest

from mgd import Interrupted
from mgd.planning import Problem, Simulator, search
from mgd.theory import Landscape
from mgd.timing import load_profile

LAND = Landscape(9, 0.01, 0.001, 0.05, 0.08, 0.13, 0.04, 0.02, 2.0, 10_000.0, 0.01)


@pytest.fixture
def problem() -> Problem:
    return Problem.of({"task": "parity", "hidden": [2]}, load_profile("hw2"), 0.6)


def test_without_optuna_a_line_says_what_to_install(problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r'a search needs Optuna, which is not installed: pip install "mgd\[plan\]"'):
        search(problem, LAND, Simulator(problem, 4), trials=2, seed=0, most=1e-5)


def test_a_search_that_was_asked_to_stop_keeps_what_it_has(problem, tmp_path):
    pytest.importorskip("optuna")
    given = {"seed": 0, "most": 1e-5, "path": tmp_path / "search.jsonl"}
    told: list[int] = []
    with pytest.raises(Interrupted, match="stopped after 2 trials of the search"):
        search(
            problem,
            LAND,
            Simulator(problem, 4),
            trials=5,
            on_trial=lambda n, _: told.append(n),
            stop=lambda: len(told) == 2,
            **given,
        )
    found = search(problem, LAND, Simulator(problem, 4), trials=3, on_trial=lambda n, _: told.append(n), **given)
    assert (told, found.trials) == ([1, 2, 3], 3)


def test_a_search_whose_every_trial_wears_the_chip_out_finds_nothing():
    pytest.importorskip("optuna")
    worn = load_profile("hw2").model_copy(update={"endurance": 1})
    problem = Problem.of({"task": "parity", "hidden": [2]}, worn, 0.6)
    found = search(problem, LAND, Simulator(problem, 4), trials=3, seed=0, most=1e-9)
    assert (found.structure, found.seconds, found.trials) == (None, np.inf, 3)


@pytest.mark.slow
def test_a_search_continues_where_it_was_stopped(problem, tmp_path):
    optuna = pytest.importorskip("optuna")
    given = {"seed": 2, "most": 1e-2, "path": tmp_path / "search.jsonl"}
    first = search(problem, LAND, Simulator(problem, 4), trials=3, **given)
    told: list[int] = []
    second = search(problem, LAND, Simulator(problem, 4), trials=8, on_trial=lambda n, _: told.append(n), **given)
    assert (first.trials, second.trials) == (3, 8)
    assert told == list(range(4, 9))
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(given["path"])))
    drawn = [trial.params for trial in optuna.load_study(study_name="plan", storage=journal).trials]
    assert all(one not in drawn[:n] for n, one in enumerate(drawn))
    assert second.seconds <= first.seconds
    assert np.isfinite(second.seconds)
    assert second.structure is not None
    assert np.isfinite(second.structure.rate)
