"""Plans beside the paper's settings, today's defaults and searches by TPE, in hardware time on simulated chips.

    python benchmarks/plan.py slow narrow hw1 noisy memristive    # NIST7x7, 49-4-4, to 85 %
    python benchmarks/plan.py slow --task digits --target 0.85
    python benchmarks/plan.py noisy --task mine.csv --hidden 8    # your own data
    python benchmarks/plan.py prompt late later settling late-noisy --chips 8   # costs that come late
    python benchmarks/plan.py slow --trials 200                   # and two searches of 200 trials each by TPE
    python benchmarks/plan.py slow --trials 200 --journals kept   # which the same command continues if it is stopped
    python benchmarks/plan.py narrow --trials 200 --searches 1 --patience 3    # one, of shorter trials

Every time is that of the mean of chips that no search saw (32, or --chips), with every measurement simulated.
Needs Optuna for the searches: pip install "mgd[plan]".
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mgd.planning import Course, Plan, Problem, Simulator, Structure, descend, plan, search
from mgd.runs import calibrate, settings_in, task_given
from mgd.timing import Profile, format_seconds

CHIPS, FRESH = 32, 1000
PUBLISHED_AMPLITUDE = 0.01  # of the whole vector's norm, with a rate of 1 on a sum (McCaughan et al. 2023)


def profile(name: str, **given) -> Profile:
    seconds = {"inference": 0.0, "perturbation": 0.0, "write": 0.0, "load": 0.0, "latency": 0.0}
    more = {key: value for key, value in given.items() if key not in seconds}
    seconds |= {key: value for key, value in given.items() if key in seconds}
    return Profile.of({"name": name, "description": name, "source": "benchmarks/plan.py", "seconds": seconds, **more})


# Cells of 6 bits between soft bounds, whose pulses up are a quarter larger than down.
MEMRISTIVE = {"dw-min": 0.3, "w-max": 10.0, "up-down": 0.13, "dw-min-ctoc": 0.3}
SLOWLY_WRITTEN = profile("slowly written", inference=1e-6, write=1e-4, load=1e-5)
CASES = {
    "slow": (profile("slow", inference=1e-6, write=1e-3), {}),
    "narrow": (profile("narrow", inference=1e-8, load=1e-5, buffer=1), {}),
    "hw1": (profile("hw1", inference=1e-7, perturbation=1e-3, write=1e-3), {}),
    "noisy": (profile("noisy", inference=1e-6), {"cost-noise": 0.03}),
    "memristive": (profile("memristive", inference=1e-7, perturbation=1e-8, write=1e-6, endurance=10**6), MEMRISTIVE),
    # The same chip with costs that come ever later, and as `mgd calibrate` would train it.
    "prompt": (SLOWLY_WRITTEN, {}),
    "late": (SLOWLY_WRITTEN, {"delay": 1}),
    "later": (SLOWLY_WRITTEN, {"delay": 4}),
    "settling": (SLOWLY_WRITTEN, {"settling": 2.0}),
    "late-noisy": (SLOWLY_WRITTEN, {"delay": 2, "settling": 1.5, "cost-noise": 0.01}),
}


def published(n_params: int) -> Structure:
    """One perturbation, one sample and one update a timestep."""
    amplitude = PUBLISHED_AMPLITUDE / n_params**0.5
    return Structure("rademacher", "remeasured", "sgd", 1, 1, 1, 1, amplitude, 1.0 / n_params)


def calibrated(problem: Problem, task: str, hidden: int) -> dict[str, Structure]:
    """As `mgd calibrate` advises for a simulated piece: with Adam, at a constant rate, and with plain descent."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chip.toml"
        imperfect = "".join(f"{name} = {value}\n" for name, value in problem.imperfect.items())
        path.write_text(f'name = "a piece"\n[chip]\nhidden = [{hidden}]\n[imperfect]\n{imperfect}', encoding="utf-8")
        found, _ = calibrate(path, task, simulate=True)
    held, shown = found.tau_x // found.tau_p, found.tau_theta // found.tau_x
    rates = {"adam": found.learning_rate, "sgd": found.descent_rate}
    return {
        f"{name} as calibrated": Structure(
            "rademacher", "remeasured", name, held, shown, found.batch, found.tau_p, found.amplitude, rate
        )
        for name, rate in rates.items()
    }


def planned(made: Plan) -> Structure:
    """The structure of a plan's settings."""
    s = made.settings
    rate = s["learning_rate"] * (10 if s["optimizer"] == "momentum" else 1)
    held = s["tau_x"] // s["tau_p"]
    shown = s["tau_theta"] // s["tau_x"]
    names = s["perturbation"], s["baseline"], s["optimizer"]
    falls = s.get("fall_steps", 0) // s["tau_theta"]
    return Structure(*names, held, shown, s["batch"], s["tau_p"], s["amplitude"], rate, falls)


def compare(
    name: str, task: str, target: float, hidden: int, chips: int, searches: argparse.Namespace, **budget
) -> None:
    chip, imperfect = CASES[name]
    others = {"hidden": [hidden], "cost": "mse", **({"imperfect": imperfect} if imperfect else {})}
    given = {**settings_in({"task": task_given(task)}, Path()), **others}
    began = time.perf_counter()
    made = plan(task_given(task), chip, target=target, chips=chips, on_course=_say, **budget, **others)
    took = time.perf_counter() - began
    problem = Problem.of(given, chip, target)
    simulator = Simulator(problem, chips)
    structure = planned(made)
    fresh = simulator.passage(structure, seed=FRESH, guess=max(1, made.writes), most=5 * made.time.seconds)
    low, high = made.expected
    within = "within" if low <= fresh.seconds <= high else "outside of"
    print(f"{name} on {task} to {target:g}: {made.settings}")
    print(
        f"  plan: {format_seconds(made.time.seconds)} said, {_said(fresh.seconds)} on fresh chips, {within} "
        f"{_said(low)} to {_said(high)}; {made.simulations} simulations in {took:.0f} s, {made.engine}"
    )
    print(f"  schedule: {made.reasons['schedule']}")
    times = 2 if problem.is_late else 12  # beside them stands Adam, which no quick engine simulates
    most = times * (fresh.seconds if np.isfinite(fresh.seconds) else made.time.seconds)
    default = replace(published(problem.n_params), amplitude=0.01, rate=0.1, batch=64)
    beside = {"the paper's settings": published(problem.n_params), "the defaults of sgd": default}
    if problem.is_late:
        beside = calibrated(problem, task, hidden)
    for what, other in beside.items():
        passage = simulator.passage(other, seed=FRESH, guess=10_000, most=most)
        said = (
            f"{passage.seconds / fresh.seconds:.1f} times"
            if np.isfinite(passage.seconds)
            else f"more than {times} times"
        )
        print(f"  {what}: {said} the plan's (best mean score {passage.best:.3f})", flush=True)
    if not searches.trials:
        return
    land = descend(problem).landscape
    for number in searches.searches:
        began = time.perf_counter()
        most = searches.patience * fresh.seconds
        path = searches.journals and searches.journals / f"{name}-{Path(task).stem}-{number}.log"
        given = {"trials": searches.trials, "seed": number, "most": most, "path": path}
        found = search(problem, land, simulator, **given, on_trial=_tell)
        took = time.perf_counter() - began
        if found.structure is None:
            print(f"  TPE, seed {number}, {found.trials} trials in {took:.0f} s: none gets there", flush=True)
            continue
        again = simulator.passage(found.structure, seed=FRESH, guess=1000, most=3 * max(found.seconds, fresh.seconds))
        print(
            f"  TPE, seed {number}, {found.trials} trials in {took:.0f} s: {_said(again.seconds)} on fresh chips "
            f"({_said(found.seconds)} on its own), plan / search {fresh.seconds / again.seconds:.2f}",
            flush=True,
        )


def _say(course: Course) -> None:
    best = "" if course.best is None else f", best {format_seconds(course.best[1])}"
    print(f"{course.simulations} of {course.of} simulations, {course.seconds:.0f} s{best}", file=sys.stderr, flush=True)


def _tell(trials: int, best: float) -> None:
    print(f"{trials} trials, best {_said(best)}", file=sys.stderr, flush=True)


def _said(seconds: float) -> str:
    return format_seconds(seconds) if np.isfinite(seconds) else "never"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=list(CASES))
    parser.add_argument("--task", default="nist7x7", help="a name, or a file of your own data")
    parser.add_argument("--target", type=float, default=0.85)
    parser.add_argument("--hidden", type=int, default=4)
    parser.add_argument("--trials", type=int, default=0)
    parser.add_argument("--searches", type=int, nargs="+", default=[1, 2], help="their seeds")
    parser.add_argument("--patience", type=float, default=10.0, help="times as long as the plan, for a trial")
    parser.add_argument("--journals", type=Path, help="a folder that keeps the trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chips", type=int, default=CHIPS)
    parser.add_argument("--simulations", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=180.0)
    a = parser.parse_args()
    if a.journals:
        a.journals.mkdir(parents=True, exist_ok=True)
    for case in a.cases:
        budget = {"simulations": a.simulations, "seconds": a.seconds, "seed": a.seed}
        compare(case, a.task, a.target, a.hidden, a.chips, a, **budget)
