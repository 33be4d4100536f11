"""The chip that is planned for, if it is at hand: opened, asked and left, and what it said kept with the plan."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import Interrupted, RunError
from .._input import read_file
from ..bench import watchdog
from ..calibration import Budget, Prober, float_floor
from ..instruments import Guarded
from ..runs import ChipFile, RunConfig, at_hand, build_cost, chip_settings, replace_file, resolve
from ..theory import hold_for
from ._ask import Asking, least_measurements
from ._calibrated import agree
from ._chips import PlannedChip
from ._facts import Facts
from ._folder import digest_of
from ._problem import NOISES, Problem

_FILE = "measured.json"
# A cost that is so many times the model's, or slopes with less in common, are not of the chip that was described.
_FAR, _ALIKE, _ERRORS = 3.0, 0.3, 3.0
# Roundings of float32 by which a cost may scatter without noise.
_ROUNDINGS = 8


@dataclass(frozen=True)
class ChipAtHand:
    """What a chip said of itself.

    Attributes:
        facts: beside those of its model.
        told: where they are from, for people.
    """

    facts: Facts
    told: str

    def noisy(self, problem: Problem) -> Problem:
        """The problem with the chip's noise, if nothing is said of noise.

        Raises:
            ValueError: if something else is said.
        """
        noise, batch, cost = self.facts.noise, self.facts.batch, self.facts.cost.chip.value
        said = float(problem.noise(batch, cost))
        if not said:
            seen = noise.value > _ROUNDINGS * float_floor(cost)
            return problem.with_imperfect(cost_noise=noise.value) if seen else problem
        # Of flicker, and of steps in which noise does not show, so short a record does not have all.
        whole = "flicker-noise" not in problem.imperfect and noise.value > problem.readout / 2
        if whole and not agree(said, noise.value, noise.error):
            raise ValueError(
                f"the chip's noise is {noise} of a measurement of {batch} samples, and {said:.3g} by [imperfect]: "
                "correct cost-noise there, or leave it out; what was measured is kept"
            )
        return problem

    def lines(self, problem: Problem) -> tuple[str, ...]:
        """What was measured, and what becomes of it in a problem that `noisy` made."""
        taken = problem.imperfect.get("cost-noise") == self.facts.noise.value
        noise = "the simulations have it" if taken else "what [imperfect] says of noise is kept"
        return self.told, *self.facts.lines(), f"its noise is {self.facts.noise} of a measurement: {noise}"


def ask_chip(
    problem: Problem, planned: PlannedChip, n: int, *, seed: int, folder: Path | None, stop: Callable[[], bool]
) -> ChipAtHand:
    """Measures the facts of a chip, or reads them if its folder has them.

    Args:
        problem: the model of the chip, and its task.
        planned: how to reach it.
        n: measurements, at the most.
        seed: of codes, samples, and the parameters at which it is measured.
        folder: of the plan; None keeps nothing.
        stop: asked after each exchange whether to stop.

    Raises:
        ValueError: if the file does not say where the chip is, it is another chip than the model describes, or n is too
            small.
        HardwareError: if it does not answer, or answers wrongly.
        RunError: if the folder has the facts of something else, or cannot be written.
        Interrupted: if it was asked to stop.
    """
    file = planned.file
    if file is None or file.instrument is None:
        raise ValueError(f"measure = {n} is for a chip that can be reached: give a chip file with a table [instrument]")
    path, key = None if folder is None else folder / _FILE, _key(problem, planned, file, n, seed)
    if path is not None and os.path.lexists(path):
        facts = _read(path, key)
        return ChipAtHand(facts, f"{_told(facts)}: {path} of {facts.date}")
    facts = _measured(problem, planned, file, n, seed, stop)
    _check_alike(problem, facts)
    if path is None:
        return ChipAtHand(facts, _told(facts))
    _write(path, key, facts)
    return ChipAtHand(facts, f"{_told(facts)}, which {path} keeps")


def _told(facts: Facts) -> str:
    return f"the chip {facts.identity} was measured {facts.measurements:,} times"


def _measured(
    problem: Problem, planned: PlannedChip, file: ChipFile, n: int, seed: int, stop: Callable[[], bool]
) -> Facts:
    """Opens the chip, asks it, and leaves it in its safe state."""
    given = {name: value for name, value in problem.given.items() if name not in ("imperfect", "engine")}
    config = resolve(RunConfig.of({**chip_settings([file], simulate=False), **given, "seed": seed}))
    config.tables[0].check_fits(problem.task.name, problem.task.input_shape, problem.task.n_outputs)
    delay, settling = int(problem.imperfect.get("delay", 0)), float(problem.imperfect.get("settling", 0.0))
    hold = hold_for(delay, settling)
    if n < (least := least_measurements(delay, hold)):
        raise ValueError(f"the facts of a chip take {least} measurements at least, got measure = {n}")

    def counted(done: int) -> None:
        if stop():
            raise Interrupted(
                f"stopped after {done} of {n} measurements of the chip, which is in its safe state; the same call "
                "begins them again",
                step=done,
            )

    with at_hand(file.load_instrument(), config, problem.task) as chip:
        _check_is_described(problem, planned, chip.instrument)
        budget = Budget(n, {}, chip.instrument.address)
        prober = Prober(chip.instrument, build_cost(config), budget, chip.give_up_seconds, counted)
        prober.settle(delay, hold)
        linear_range = None if planned.calibration is None else planned.calibration[1].linear_range.value
        with watchdog(chip.instrument.address, chip.give_up_seconds, prober.silence):
            return Asking(problem, prober, chip.start.astype(np.float32), seed, linear_range).facts()


def _check_is_described(problem: Problem, planned: PlannedChip, guarded: Guarded) -> None:
    """Raises: ValueError: if another chip is there than the one that the file, or its calibration, is of."""
    if guarded.n_params != problem.n_params:
        raise ValueError(
            f"{guarded.address} has {guarded.n_params} parameters, and the network of the chip file has "
            f"{problem.n_params}: correct [chip]"
        )
    if planned.calibration is not None:
        planned.calibration[1].check(guarded.known())


def _check_alike(problem: Problem, facts: Facts) -> None:
    """Raises: ValueError: if the chip's cost, or its slopes, are not those of the model that was described."""
    cost, likeness = facts.cost, facts.likeness
    if not 1 / _FAR < cost.ratio.value < _FAR:
        raise ValueError(
            f"the chip {facts.identity} has a cost of {cost.chip} where its model has {cost.model:.3g}: it reads "
            "another cost, or has another network; correct [chip]"
        )
    if likeness.value + _ERRORS * likeness.error < _ALIKE:
        late = "" if problem.imperfect.get("delay") else ", or its cost comes late, as mgd calibrate would find"
        raise ValueError(
            f"the slopes of the chip {facts.identity} are not those of its model (their correlation is {likeness}): "
            f"its parameters are in another order, it has another network{late}; correct [chip]"
        )


def _key(problem: Problem, planned: PlannedChip, file: ChipFile, n: int, seed: int) -> str:
    """A digest of all that was asked for."""
    instrument = {name: value for name, value in (file.instrument or {}).items() if name != "folder"}
    calibration = None if planned.calibration is None else planned.calibration[1].id
    # What is said of noise may be corrected after the chip was measured.
    imperfect = {name: value for name, value in problem.imperfect.items() if name not in NOISES}
    asked: Any = [{**problem.given, "imperfect": imperfect}, instrument, calibration, n, seed]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _write(path: Path, key: str, facts: Facts) -> None:
    said = {"key": key, "facts": facts.model_dump(mode="json")}
    try:
        replace_file(path, (json.dumps(said | {"sha256": digest_of(said)}, indent=2) + "\n").encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error


def _read(path: Path, key: str) -> Facts:
    """The facts in a file.

    Raises:
        RunError: if it cannot be read, is damaged, or is of something else.
    """
    again = "remove it, and the chip is measured again"
    try:
        said = json.loads(read_file(path))
        if said.pop("sha256") != digest_of(said):
            raise ValueError("its digest is not that of its contents")
        found, facts = said["key"], Facts.model_validate(said["facts"])
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}; {again}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({str(error).splitlines()[0]}): {again}") from error
    if found != key:
        raise RunError(
            f"{path} is of another chip, task, seed or number of measurements: give another --out, or {again}"
        )
    return facts
