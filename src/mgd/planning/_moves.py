"""Structures beside a structure: one thing is changed, and the learning rate as the law says."""

import math
from collections.abc import Iterator
from dataclasses import replace

from ..theory import Landscape
from ._guess import guess_of, is_seen
from ._problem import Problem
from ._structure import BASELINES, FAMILIES, OPTIMIZERS, Structure

# What is changed, in the order in which it is tried; what matters most comes first.
COORDINATES = (
    *("optimizer", "rate", "held", "window", "batch", "amplitude"),
    *("perturbation", "falls", "tau_p", "baseline"),
)
_FACTORS = {"rate": 1.5, "falls": 1.4, "amplitude": 1.6}
# A rate that falls begins at so many times one that stays, and is down after so many times as many windows.
_FALLING, _DOWN = 1.5, 0.8
_LATE_HOLD = 1.5


def moves(
    problem: Problem, land: Landscape, structure: Structure, coordinate: str, windows: float
) -> Iterator[list[Structure]]:
    """The directions in which a coordinate can go, each with the structures on its way.

    Args:
        problem: what is planned.
        land: facts of the task.
        structure: where they begin.
        coordinate: which.
        windows: that this structure takes, as far as is known.
    """
    match coordinate:
        case "falls" if not structure.falls:
            yield [replace(structure, rate=_FALLING * structure.rate, falls=max(1, round(_DOWN * windows)))]
        case "optimizer":  # first at the rate that it has, for the law's limit of a rate may be several times off
            for name in OPTIMIZERS:
                if name != structure.optimizer:
                    same = replace(structure, optimizer=name)
                    law = rescaled(problem, land, structure, same)
                    yield from [[same]] if law in (None, same) else [[same], [law]]
        case "perturbation" | "baseline":
            for name in {"perturbation": FAMILIES, "baseline": BASELINES}[coordinate]:
                if name != getattr(structure, coordinate):
                    other = rescaled(problem, land, structure, replace(structure, **{coordinate: name}))
                    if other is not None:
                        yield [other]
        case _:
            for up in (True, False):
                way, here = [], structure
                for _ in range(3):
                    there = _step(problem, here, coordinate, up)
                    if there is not None and coordinate not in ("rate", "falls"):
                        there = rescaled(problem, land, here, there)
                    if there is None:
                        break
                    here = there
                    way.append(here)
                if way:
                    yield way


def rescaled(problem: Problem, land: Landscape, old: Structure, new: Structure) -> Structure | None:
    """The new one, whose rate and fall are to the law's rate and windows as the old one's are.

    None if that cannot be, or learns nothing.
    """
    if not (is_seen(problem, new) and problem.fits(problem.windows(new))):
        return None
    before, after = (guess_of(problem, land, one) for one in (old, new))
    rate = old.rate * after.structure.rate / before.structure.rate
    if not old.falls:
        return new.with_rate(rate)
    longer = after.windows / before.windows
    falls = max(1, round(old.falls * longer)) if math.isfinite(longer) else old.falls
    return replace(new, rate=rate, falls=falls)


def _step(problem: Problem, structure: Structure, coordinate: str, up: bool) -> Structure | None:
    """One step up or down; None if it cannot be."""
    # The hold of a late cost has its best between what loses the signal and what takes long.
    factor = _LATE_HOLD if coordinate == "tau_p" and problem.is_late else _FACTORS.get(coordinate, 2.0)
    factor = factor if up else 1 / factor
    match coordinate:
        case "rate":
            return structure.with_rate(structure.rate * factor)
        case "falls":
            falls = _whole(structure.falls, factor)
            return None if falls is None else replace(structure, falls=falls)
        case "amplitude":
            return _with_amplitude(problem, structure, factor)
        case "held":  # in windows of the same length, if that is possible
            held, shown = _whole(structure.held, factor), _whole(structure.shown, 1 / factor)
            return None if held is None else replace(structure, held=held, shown=shown or 1)
        case "window":
            shown, held = _whole(structure.shown, factor), _whole(structure.held, factor)
            if shown is None:
                return None if held is None else replace(structure, held=held)
            return replace(structure, shown=shown)
        case "batch":
            batch = _whole(structure.batch, factor)
            return None if batch is None or batch > len(problem.task.train) else replace(structure, batch=batch)
        case _:
            tau_p = _whole(structure.tau_p, factor)
            return None if tau_p is None else replace(structure, tau_p=tau_p)


def _whole(value: int, factor: float) -> int | None:
    changed = round(value * factor)
    return changed if changed >= 1 and changed != value else None


def _with_amplitude(problem: Problem, structure: Structure, factor: float) -> Structure | None:
    """Another amplitude; if there are levels, a whole number of them."""
    amplitude, level = structure.amplitude * factor, problem.level
    if not level:
        return replace(structure, amplitude=amplitude)
    levels, before = round(amplitude / level), round(structure.amplitude / level)
    return None if levels < 1 or levels == before else replace(structure, amplitude=levels * level)
