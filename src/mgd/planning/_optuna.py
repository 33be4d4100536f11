"""A search of the same space by Optuna's TPE, to check a plan by."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..theory import Landscape
from ._guess import guess_of
from ._problem import Problem
from ._simulate import Simulator
from ._structure import BASELINES, FAMILIES, OPTIMIZERS, Structure

# What of the space is a power of two, and the largest power.
_POWERS = {"held": 10, "shown": 10, "batch": 10, "tau_p": 6}
_AMPLITUDES, _RATES = (1e-4, 10.0), (1e-3, 1e3)


@dataclass(frozen=True)
class Searched:
    """What a search came to.

    Attributes:
        structure: the best.
        seconds: its hardware time, with the chips that the search saw; infinite if none got there.
        trials: how many structures were simulated.
    """

    structure: Structure
    seconds: float
    trials: int


def search(
    problem: Problem,
    land: Landscape,
    simulator: Simulator,
    *,
    trials: int,
    seed: int,
    most: float,
    path: Path | None = None,
    on_trial: Callable[[int, float], None] = lambda n, best: None,
) -> Searched:
    """The best structure that TPE finds, which knows nothing of the law.

    Args:
        problem: what is planned.
        land: facts of the task, for how often a simulation is looked at.
        simulator: of its chips.
        trials: structures that are simulated, those in the file included.
        seed: of the sampler and of the chips.
        most: seconds of hardware after which a trial that is not there ends.
        path: the journal of a search, which continues; None to keep nothing.
        on_trial: called after each trial, with how many there are and the best time.

    Raises:
        ValueError: if Optuna is not installed.
    """
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = None
    if path is not None:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(storage=storage, sampler=sampler, study_name="plan", load_if_exists=True)
    reached: dict[int, float] = {
        trial.number: trial.user_attrs["seconds"] for trial in study.trials if trial.user_attrs
    }

    def objective(trial: Any) -> float:
        structure = _structure_of(trial.suggest_categorical, trial.suggest_int, trial.suggest_float)
        if structure.batch > len(problem.task.train) or not problem.fits(structure.windows(problem.n_params)):
            raise optuna.TrialPruned
        best = min(reached.values(), default=np.inf)
        limit = min(most, 1.02 * best)
        guess = guess_of(problem, land, structure)
        windows = guess.windows if np.isfinite(guess.windows) else 1000.0
        passage = simulator.passage(structure, seed=seed, guess=windows, most=limit)
        if np.isfinite(passage.seconds):
            reached[trial.number] = passage.seconds
            trial.set_user_attr("seconds", passage.seconds)
            return float(np.log(passage.seconds))
        # The further it was from the target, the later it would have been.
        return float(np.log(limit) + 1 + problem.target - passage.best)

    def note(study: Any, trial: Any) -> None:
        on_trial(len(study.trials), min(reached.values(), default=np.inf))

    left = trials - len(study.trials)
    if left > 0:
        study.optimize(objective, n_trials=left, callbacks=[note])
    if not reached:
        best = study.best_trial.params
        return Searched(_of_params(best), np.inf, len(study.trials))
    number = min(reached, key=lambda one: reached[one])
    return Searched(_of_params(study.trials[number].params), reached[number], len(study.trials))


def _of_params(params: dict[str, Any]) -> Structure:
    def known(name: str, *_: Any, **__: Any) -> Any:
        return params[name]

    return _structure_of(known, known, known)


def _structure_of(choice: Callable, whole: Callable, real: Callable) -> Structure:
    """A structure whose parts are suggested, or known."""
    powers = {name: 2 ** whole(name, 0, most) for name, most in _POWERS.items()}
    return Structure(
        perturbation=choice("perturbation", FAMILIES),
        baseline=choice("baseline", BASELINES),
        optimizer=choice("optimizer", OPTIMIZERS),
        amplitude=real("amplitude", *_AMPLITUDES, log=True),
        rate=real("rate", *_RATES, log=True),
        **powers,
    )


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise ValueError('a search needs Optuna, which is not installed: pip install "mgd[plan]"') from None
