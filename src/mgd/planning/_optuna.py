"""A search of the same space by Optuna's TPE, to check a plan by."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import Interrupted
from ..theory import Landscape
from ._guess import guess_of
from ._problem import Problem
from ._simulate import Simulator
from ._structure import BASELINES, FAMILIES, OPTIMIZERS, Structure

# What of the space is a power of two, and the largest power.
_POWERS = {"held": 10, "shown": 10, "batch": 10, "tau_p": 6}
# A rate stays, or falls in 1, 2, 4, … windows.
_FALLS = 17
_AMPLITUDES, _RATES = (1e-4, 10.0), (1e-3, 1e3)


@dataclass(frozen=True)
class Searched:
    """What a search came to.

    Attributes:
        structure: the best; None if none got there.
        seconds: its hardware time, with the chips that the search saw; infinite if none got there.
        trials: how many structures were simulated.
    """

    structure: Structure | None
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
    stop: Callable[[], bool] = lambda: False,
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
        stop: asked again and again whether to stop.

    Raises:
        ValueError: if Optuna is not installed.
        Interrupted: if it was asked to stop.
    """
    optuna = _optuna()
    study = _study(optuna, path, seed)
    ended = [trial for trial in study.trials if trial.state.is_finished()]
    reached = {trial.number: trial.user_attrs["seconds"] for trial in ended if trial.user_attrs}

    def check_not_stopped(n: int) -> None:
        if stop():
            again = "with the same file, the same call continues"
            raise Interrupted(f"stopped after {n} trials of the search; {again}", step=n)

    for n in range(len(ended), trials):
        check_not_stopped(n)
        trial = study.ask()
        structure = _structure_of(trial.suggest_categorical, trial.suggest_int, trial.suggest_float)
        limit = min(most, 1.02 * min(reached.values(), default=np.inf))
        one = simulator.time_of(structure, structure.window * structure.tau_p).seconds
        cannot_be = structure.batch > len(problem.task.train) or not problem.fits(structure.windows(problem.n_params))
        if cannot_be or one > limit:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            windows = guess_of(problem, land, structure).windows
            windows = windows if np.isfinite(windows) else 1000.0
            passage = simulator.passage(structure, seed=seed, guess=windows, most=limit, stop=stop)
            check_not_stopped(n)
            if np.isfinite(passage.seconds):
                reached[trial.number] = passage.seconds
                trial.set_user_attr("seconds", passage.seconds)
                study.tell(trial, float(np.log(passage.seconds)))
            else:  # the further it was from the target, the later it would have been
                study.tell(trial, float(np.log(limit) + 1 + problem.target - passage.best))
        on_trial(n + 1, min(reached.values(), default=np.inf))
    if not reached:
        return Searched(None, np.inf, max(trials, len(ended)))
    number = min(reached, key=lambda one: reached[one])
    return Searched(_of_params(study.trials[number].params), reached[number], max(trials, len(ended)))


def _of_params(params: dict[str, Any]) -> Structure:
    def known(name: str, *_: Any, **__: Any) -> Any:
        return params.get(name, 0) if name == "falls" else params[name]  # which searches of older versions have not

    return _structure_of(known, known, known)


def _structure_of(choice: Callable, whole: Callable, real: Callable) -> Structure:
    """A structure whose parts are suggested, or known."""
    powers = {name: 2 ** whole(name, 0, most) for name, most in _POWERS.items()}
    falls = whole("falls", 0, _FALLS)
    return Structure(
        perturbation=choice("perturbation", FAMILIES),
        baseline=choice("baseline", BASELINES),
        optimizer=choice("optimizer", OPTIMIZERS),
        amplitude=real("amplitude", *_AMPLITUDES, log=True),
        rate=real("rate", *_RATES, log=True),
        falls=2 ** (falls - 1) if falls else 0,
        **powers,
    )


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise ValueError('a search needs Optuna, which is not installed: pip install "mgd[plan]"') from None


def _study(optuna: Any, path: Path | None, seed: int) -> Any:
    """The search in a journal, or a new one."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = None
    if path is not None:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(storage=storage, study_name="plan", load_if_exists=True)
    if n := len(study.trials):  # a sampler with the same seed would draw the same structures again
        seed = int(np.random.SeedSequence((seed, n)).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study
