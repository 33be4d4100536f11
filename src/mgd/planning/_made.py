"""A plan that is made: its settings, what it says, and where its numbers come from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runs import RunConfig
from ..timing import HardwareTime, Profile, format_joules, format_seconds
from ._folder import plain
from ._gpu import Gpu, OnGpu, on_gpu
from ._landscape import Descent
from ._problem import Problem
from ._reasons import Gain, error_shares, gains, reasons
from ._search import Found, seeds
from ._simulate import Passage, Simulator
from ._structure import Structure

if TYPE_CHECKING:
    from ._optuna import Searched

# A run may take this many times as long as its slow chips did.
_SPARE = 1.5
_EVALUATIONS = 200
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Plan:
    """Settings with which chips get to a target soon, and what to expect of them.

    Attributes:
        settings: of a run, by the names of configuration files.
        target: the mean score that was asked for.
        reached: whether the mean of the chips got there.
        best: the best mean score of all simulations.
        chips: how many chips the numbers below are of, which the search did not see.
        time: hardware time of one chip until the mean is there, or of the whole simulation if it never is, and its
            shares.
        expected: the hardware times between which the mean of as many other chips is there, with 95 %; infinite for
            never.
        interval: the hardware times after which 10, 50 and 90 % of the chips got there, each by itself; infinite if
            fewer did.
        each: the hardware time after which each chip got there; infinite if it did not.
        fraction: of the chips that got there.
        writes: of each parameter.
        endurance: how often a parameter can be written; None if that is not known, or without a limit.
        error: the parts of G's mean square error, as shares: samples, cross-talk, noise, curvature, late costs.
        gains: what better chips would save.
        backprop_seconds: what the same target takes by gradients on this machine, for one chip.
        reasons: a sentence for each choice.
        simulations: how many there were.
        stopped: whether the time was over before the search had ended.
        engine: that simulated them.
        profile: what the chip takes.
        searched: the best that Optuna's TPE found, with its hardware time on the chips that confirmed the plan; None if
            it was not asked.
        gpu: what backprop would take on a GPU that was named; None if none was.
        measured: what the chip's own measurements said, and what became of it, in lines; empty if it was not asked.
    """

    settings: Mapping[str, Any]
    target: float
    reached: bool
    best: float
    chips: int
    time: HardwareTime
    expected: tuple[float, float]
    interval: tuple[float, float, float]
    each: tuple[float, ...]
    fraction: float
    writes: int
    endurance: int | None
    error: Mapping[str, float]
    gains: tuple[Gain, ...]
    backprop_seconds: float
    reasons: Mapping[str, str]
    simulations: int
    stopped: bool
    engine: str
    profile: Profile
    searched: "Searched | None" = None
    gpu: OnGpu | None = None
    measured: tuple[str, ...] = ()

    def toml(self) -> str:
        """The settings as a file for `mgd train`, with the reasons as comments."""
        lines = [f"# {line}" for line in self.lines()]
        return "\n".join([*lines, "", RunConfig.of(dict(self.settings)).toml()])

    def lines(self) -> list[str]:
        """What to expect, and why, in lines for people."""
        return [
            *self._told(),
            *self.measured,
            *(f"{name} = {self.settings[name]}: {why}" for name, why in self.reasons.items()),
        ]

    def _told(self) -> list[str]:
        low, middle, high = (format_seconds(value) if math.isfinite(value) else "never" for value in self.interval)
        if self.reached:
            others = " to ".join(format_seconds(one) if math.isfinite(one) else "never" for one in self.expected)
            said = [
                f"{self.target:.4g} after {format_seconds(self.time.seconds)} on {self.profile.name} "
                f"(95 %, for {self.chips} other chips: {others})"
            ]
        else:
            found = f"{self.best:.4g} is the best that {self.simulations} simulations found"
            said = [f"{self.target:.4g} is not reached: {found}"]
        said += [
            f"10, 50 and 90 % of {self.chips} chips are there after {low}, {middle} and {high}; "
            f"{self.fraction:.0%} of them get there"
        ]
        if self.time.joules is not None:
            said += [f"energy: {format_joules(self.time.joules)}"]
        shares = sorted(self.time.shares.items(), key=lambda item: -item[1])
        said += ["time goes to " + ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.005)]
        said += ["error of G: " + ", ".join(f"{name} {share:.0%}" for name, share in self.error.items())]
        worn = "" if self.endurance is None else f", {self.writes / self.endurance:.2g} of its endurance"
        said += [f"each parameter is written {self.writes:,} times{worn}"]
        if self.gains:
            said += ["a better chip, by the law: " + ", ".join(map(str, self.gains))]
        if self.reached:
            said += [
                f"backprop on this machine takes {format_seconds(self.backprop_seconds)}, "
                f"{_times(self.backprop_seconds / self.time.seconds)} the chip's time"
            ]
        if self.reached and self.gpu is not None:
            said += [self.gpu.said(self.time.seconds)]
        if self.searched is not None:
            said += [f"TPE finds {self._beside(self.searched)} in {self.searched.trials} trials of the same space"]
        if self.stopped:
            said += ["the time was over before the search had ended: the same command with --out continues"]
        return said

    def _beside(self, searched: "Searched") -> str:
        if not math.isfinite(searched.seconds):
            return "nothing that gets there"
        ratio = f", {_times(searched.seconds / self.time.seconds)} the plan's" if self.reached else ""
        return f"{format_seconds(searched.seconds)}{ratio},"

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON; what never happens is None."""
        return {
            "settings": plain(self.settings),
            "target": self.target,
            "reached": self.reached,
            "best": self.best,
            "chips": self.chips,
            "seconds": self.time.seconds if self.reached else None,
            "joules": self.time.joules if self.reached else None,
            "expected": [_finite(value) for value in self.expected],
            "interval": [_finite(value) for value in self.interval],
            "each": [_finite(value) for value in self.each],
            "fraction": self.fraction,
            "shares": self.time.shares,
            "error": dict(self.error),
            "writes": self.writes,
            "endurance": self.endurance,
            "gains": {gain.what: gain.share for gain in self.gains},
            "backprop_seconds": self.backprop_seconds,
            "reasons": dict(self.reasons),
            "simulations": self.simulations,
            "stopped": self.stopped,
            "engine": self.engine,
            "searched": None if self.searched is None else [self.searched.trials, _finite(self.searched.seconds)],
            "gpu": None if self.gpu is None else self.gpu.model_dump(mode="json"),
            "profile": self.profile.model_dump(mode="json", exclude_none=True),
            "measured": list(self.measured),
        }


def plan_of(problem: Problem, descent: Descent, simulator: Simulator, found: Found, seed: int, gpu: Gpu | None) -> Plan:
    """The plan of what a search found, which the same chips confirmed.

    Args:
        problem: what was planned.
        descent: how gradients alone got there.
        simulator: of the chips.
        found: by the search.
        seed: of the search.
        gpu: to compare with; None for none.
    """
    structure, passage, land = found.structure, found.passage, descent.landscape
    reached = math.isfinite(passage.mean)
    steps = passage.mean if reached else passage.steps
    each = tuple(simulator.time_of(structure, one).seconds if math.isfinite(one) else math.inf for one in passage.each)
    low, middle, high = map(float, np.quantile(each, _QUANTILES, method="inverted_cdf"))
    counts = simulator.counts(structure, steps)
    return Plan(
        settings=_settings(problem, found, seed),
        target=problem.target,
        reached=reached,
        best=found.best,
        chips=len(passage.each),
        time=simulator.time_of(structure, steps),
        expected=_of_others(simulator, structure, passage),
        interval=(low, middle, high),
        each=each,
        fraction=float(np.isfinite(each).mean()),
        writes=counts.parameter_writes,
        endurance=problem.profile.endurance,
        error=error_shares(problem, land, structure),
        gains=gains(problem, land),
        backprop_seconds=descent.seconds,
        reasons=reasons(problem, land, structure, tried=found.simulations, otherwise=found.otherwise),
        simulations=found.simulations,
        stopped=found.stopped,
        engine=passage.engine,
        profile=problem.profile,
        gpu=None if gpu is None else on_gpu(gpu, updates=descent.updates, operations=descent.operations),
    )


def _of_others(simulator: Simulator, structure: Structure, passage: Passage) -> tuple[float, float]:
    """Between which hardware times other chips are there: these chips' mean and the others' scatter alike."""
    if not math.isfinite(passage.mean):
        return math.inf, math.inf
    steps = (passage.mean * (one / passage.mean) ** math.sqrt(2) for one in passage.between)
    low, high = (simulator.time_of(structure, one).seconds if math.isfinite(one) else math.inf for one in steps)
    return low, high


def _settings(problem: Problem, found: Found, seed: int) -> dict[str, Any]:
    """The settings file's: of a run that is long enough for slow chips, and ends when the mean is there."""
    structure, passage = found.structure, found.passage
    window = structure.window * structure.tau_p
    last = max((one for one in passage.each if math.isfinite(one)), default=passage.steps)
    windows = max(1, math.ceil(_SPARE * last / window))
    run = {
        "weight_decay": 0.0,
        "steps": windows * window,
        "replicas": len(passage.each),
        "seed": seeds(seed)[1],
        "log_every": max(1, windows // _EVALUATIONS) * window,
        "until_accuracy": problem.target,
    }
    return {**problem.described(structure), **structure.settings(), **run}


def _finite(value: float) -> float | None:
    """A number of JSON, which has no infinity."""
    return value if math.isfinite(value) else None


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times"
