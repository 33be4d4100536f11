"""Structures beside a structure: one thing is changed, and the learning rate as the law says."""

from collections.abc import Iterator
from dataclasses import replace

from ..theory import Landscape
from ._guess import guess_of, is_seen
from ._problem import Problem
from ._structure import BASELINES, FAMILIES, OPTIMIZERS, Structure

# What is changed, in the order in which it is tried; what matters most comes first.
COORDINATES = ("rate", "held", "window", "batch", "amplitude", "optimizer", "perturbation", "tau_p", "baseline")
_FACTORS = {"rate": 1.5, "amplitude": 1.6}
_LATE_HOLD = 1.5


def moves(problem: Problem, land: Landscape, structure: Structure, coordinate: str) -> Iterator[list[Structure]]:
    """The directions in which a coordinate can go, each with the structures on its way."""
    match coordinate:
        case "optimizer" | "perturbation" | "baseline":
            choices = {"optimizer": OPTIMIZERS, "perturbation": FAMILIES, "baseline": BASELINES}[coordinate]
            for name in choices:
                if name != getattr(structure, coordinate):
                    other = rescaled(problem, land, structure, replace(structure, **{coordinate: name}))
                    if other is not None:
                        yield [other]
        case _:
            for up in (True, False):
                way, here = [], structure
                for _ in range(3):
                    there = _step(problem, here, coordinate, up)
                    if there is not None and coordinate != "rate":
                        there = rescaled(problem, land, here, there)
                    if there is None:
                        break
                    here = there
                    way.append(here)
                if way:
                    yield way


def rescaled(problem: Problem, land: Landscape, old: Structure, new: Structure) -> Structure | None:
    """The new one, whose rate is to the law's as the old one's is; None if that cannot be, or learns nothing."""
    if not (is_seen(problem, new) and problem.fits(problem.windows(new))):
        return None
    before, after = (guess_of(problem, land, one).structure.rate for one in (old, new))
    return new.with_rate(old.rate * after / before)


def _step(problem: Problem, structure: Structure, coordinate: str, up: bool) -> Structure | None:
    """One step up or down; None if it cannot be."""
    # The hold of a late cost has its best between what loses the signal and what takes long.
    factor = _LATE_HOLD if coordinate == "tau_p" and problem.is_late else _FACTORS.get(coordinate, 2.0)
    factor = factor if up else 1 / factor
    match coordinate:
        case "rate":
            return structure.with_rate(structure.rate * factor)
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
