"""Makes plans: settings for a chip, and the hardware time in which they get to a target."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import RunError
from .._input import check_path, check_whole
from .._stops import stop_requested
from .._version import __version__
from ..clusters import Cluster
from ..runs import merged, only_writer, settings_in
from ..theory import Landscape
from ..timing import Profile
from ._at_hand import ask_chip
from ._chips import chip_of
from ._folder import DESCENT, SIMULATIONS, check_folder, plain, write_plan
from ._gpu import gpu_of
from ._kept import Kept, kept_descent
from ._landscape import descend
from ._made import Plan, plan_of
from ._problem import Problem
from ._search import Course, OnCourse, Search, seeds
from ._simulate import Simulator
from ._workers import AbstractWorkers, Elsewhere, Here

if TYPE_CHECKING:
    from ._optuna import Searched

# A trial of a search may take this many times what the plan does.
_SEARCHED = 10.0


def plan(
    task: str | Mapping[str, Any],
    chip: str | os.PathLike | Profile,
    *,
    target: float = 0.9,
    simulations: int = 30,
    seconds: float = 180.0,
    chips: int = 32,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    search: int = 0,
    measure: int = 0,
    gpu: str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    on_course: OnCourse = lambda course: None,
    **settings: Any,
) -> Plan:
    """Chooses the settings with which a chip gets to a target in the least hardware time.

    Structures come from a closed form, learning rate and times from simulations of every measurement.

    Args:
        task: the name of a task, or the table of your own task.
        chip: a chip file with a profile, the name of a chip that comes with the package, or a profile.
        target: the score on the test set that the mean of the chips is to reach.
        simulations: as many as there may be.
        seconds: no simulation of the search begins later than this.
        chips: of each simulation.
        seed: of all random numbers.
        out: a folder, in which a plan that was stopped continues; it also gets the plan. None keeps nothing.
        search: trials of a search of the same space by Optuna's TPE, to check the plan by; 0 for none.
        measure: measurements of the chip, which its file says how to reach; 600 are enough. By these, facts of the task
            are the chip's own, and no longer those of its model alone. 0 asks it nothing.
        gpu: a GPU to compare with by its quoted figures: the name of one that comes with the package, or the path of a
            TOML file with its name, flops and source, and if known launch_seconds.
        workers: simulations at a time, each by a process with cores of its own; None for one, by this process. On a
            cluster, as of `mgd.sweep`. As long as the time is not over, the plan is the same for any number.
        cluster: who simulates, as of `mgd.sweep`; None for this machine.
        on_course: called after each simulation.
        settings: other settings of the runs, as in a configuration file: `hidden`, `imperfect`, ….

    Raises:
        ValueError: if a setting is wrong, the chip's calibration contradicts its file, or the target is out of reach
            for the chip without imperfections; or there is no such cluster, or another chip than was described.
        RunError: if the folder has something else or another plan, or cannot be written; or the cluster does not
            answer.
        DataError: if the task's files are not available.
        HardwareError: if the chip is to be measured, and does not answer.
        Interrupted: if it was asked to stop.
    """
    check_whole(4, simulations=simulations)
    check_whole(2, chips=chips)
    check_whole(0, seed=seed, search=search, measure=measure)
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds!r}")
    if out is not None:
        check_path(out=out)
    there = _elsewhere(workers, cluster)
    compared = None if gpu is None else gpu_of(gpu)
    planned = chip_of(chip)
    given = settings_in({"task": dict(task) if isinstance(task, Mapping) else task}, Path())
    problem = Problem.of(merged(given, settings, planned.settings), planned.profile, target)
    planned.check(problem.n_params)
    folder = None if out is None else Path(out)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_requested("stopped; the simulations that are done are kept"))
        if folder is not None:
            check_folder(folder, problem, chips=chips, seed=seed)
            stack.enter_context(_claimed(folder))
        on_course(Course(0, simulations))
        chip_at_hand = ask_chip(problem, planned, measure, seed=seed, folder=folder, stop=stop) if measure else None
        asked_for = plain(problem.given)
        problem = problem if chip_at_hand is None else chip_at_hand.noisy(problem)
        descent = kept_descent(
            None if folder is None else folder / DESCENT,
            f"{__version__} {seed} {chips} {problem.identity()}",
            lambda: descend(problem, seed=seed, chips=chips),
        )
        if chip_at_hand is not None:
            descent = replace(descent, landscape=chip_at_hand.facts.scaled(descent.landscape))
        if there is None:
            simulating: AbstractWorkers = Here(problem, chips)
        else:
            simulating = Elsewhere(stack.enter_context(there.opened()), there, problem, chips)
        simulator = Simulator(problem, chips)
        kept = Kept(None if folder is None else folder / SIMULATIONS)
        found = Search(
            problem=problem,
            land=descent.landscape,
            workers=simulating,
            simulator=simulator,
            kept=kept,
            simulations=simulations,
            seconds=seconds,
            seed=seed,
            on_course=on_course,
            stop=stop,
        ).run()
        made = plan_of(problem, descent, simulator, found, seed, compared)
        made = made if chip_at_hand is None else replace(made, measured=chip_at_hand.lines(problem))
        if search:
            made = replace(made, searched=_searched(made, descent.landscape, simulator, search, seed, folder, stop))
        if folder is not None:
            asked = {"simulations": simulations, "seconds": seconds, "seed": seed, "search": search, "gpu": gpu}
            write_plan(folder, made, {"given": asked_for, "measure": measure, **asked})
    return made


def _elsewhere(workers: int | None, cluster: str | None) -> Cluster | None:
    """Who simulates; None for this process.

    Raises:
        ValueError: if there is no such cluster.
    """
    if workers is not None:
        check_whole(1, workers=workers)
    if cluster is not None:
        return Cluster.of(cluster, workers)
    return Cluster.here(workers) if workers is not None and workers > 1 else None


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """The folder, which is made if it is not there, for this call alone.

    Raises:
        RunError: if it cannot be made, or another plan is made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error
    with only_writer(folder):
        yield


def _searched(
    made: Plan,
    land: Landscape,
    simulator: Simulator,
    trials: int,
    seed: int,
    folder: Path | None,
    stop: Callable[[], bool],
) -> "Searched":
    """What Optuna finds, on the chips that confirmed the plan.

    Raises:
        Interrupted: if it was asked to stop.
    """
    from ._optuna import search

    searching, confirming = seeds(seed)
    most = _SEARCHED * made.time.seconds
    path = None if folder is None else folder / "search.jsonl"
    given = {"trials": trials, "seed": searching, "most": most, "path": path, "stop": stop}
    found = search(simulator.problem, land, simulator, **given)
    if found.structure is None:
        return found
    again = simulator.passage(found.structure, seed=confirming, guess=max(1.0, float(made.writes)), most=most)
    return replace(found, seconds=again.seconds)
