"""What is to be planned: a task, a chip, what it takes, and how well it is to learn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..chips import AbstractChip
from ..datasets import Task
from ..runs import RunConfig, Settings, build_chip, build_task, resolve
from ..theory import Windows, events_of, late_of
from ..timing import Profile, are_presented, presented_seconds
from ._structure import Structure

# What a plan is for, and so cannot be given.
CHOSEN = (
    *("algorithm", "perturbation", "blocks", "baseline", "amplitude", "modulation_limit", "optimizer"),
    *("learning_rate", "schedule", "fall_steps", "fall_to", "tau_p", "tau_x", "tau_theta", "tau_hp", "batch"),
    *("steps", "onchip", "start"),
    *("until_accuracy", "until_solved", "patience", "stop_unlearnt", "replicas", "seed", "log_every", "instrument"),
    *("fleet", "bitwise"),
)
# Imperfections that are noise of a cost, in its unit or in parts of it.
NOISES = ("cost-noise", "cost-noise-relative", "flicker-noise")
_STEPS = 2**62


@dataclass(frozen=True)
class Problem:
    """A task, a chip, and what is asked of it.

    Attributes:
        given: the settings that a plan leaves as they are: task, network and imperfections.
        task: what is learnt.
        profile: what the chip takes, for its whole vector of parameters.
        target: the mean score on the test set that the chips are to reach.
        n_params: P.
    """

    given: Mapping[str, Any]
    task: Task
    profile: Profile
    target: float
    n_params: int

    @staticmethod
    def of(given: Mapping[str, Any], profile: Profile, target: float) -> "Problem":
        """The problem of these settings.

        Raises:
            ValueError: if one is wrong, or is what a plan is to choose; or the numbers contradict each other.
            DataError: if the task's files are not available.
        """
        if not (isinstance(target, int | float) and 0 < target <= 1):
            raise ValueError(f"target must be above 0 and at most 1, got {target!r}: 0.9 stands for 90 %")
        if chosen := [name for name in CHOSEN if name in given]:
            raise ValueError(f"a plan chooses {', '.join(chosen)}: leave it out")
        settings = _resolved(given, {"learning_rate": 1.0})
        task = build_task(settings)
        chip = build_chip(settings, task)
        return Problem(given, task, profile.whole(chip.n_params), float(target), chip.n_params).checked()

    def checked(self) -> "Problem":
        """This.

        Raises:
            ValueError: if the profile has no time at all, a sample does not stay for a perturbation and its baseline,
                or noise of a sample is given for what has none.
        """
        if not any(self.profile.seconds.model_dump().values()):
            raise ValueError(f"the profile {self.profile.name!r} takes no time at all: give the seconds of its events")
        least = Windows(held=1, shown=1, batch=1, tau_p=1, two_sided=False, period=0)
        if not self.fits(least):
            takes = float(presented_seconds(events_of(least), self.profile))
            raise ValueError(
                f"a perturbation and its baseline take {takes:.4g} s by the profile's seconds, and a sample stays for "
                f"{self.profile.presentation_seconds:.4g} s (presentation_seconds): correct one of them"
            )
        if self.profile.noise_of == "sample" and not any(self.imperfect.get(name) for name in NOISES):
            raise ValueError(
                'noise_of = "sample" says whose noise it is, and there is none: give cost-noise in [imperfect], or '
                "leave noise_of out"
            )
        return self

    def fits(self, windows: Windows) -> Any:
        """Whether samples stay long enough for all measurements of their presentation."""
        return are_presented(events_of(windows), self.profile)

    @property
    def most_writes(self) -> float:
        """How often a parameter can be written."""
        return math.inf if self.profile.endurance is None else self.profile.endurance

    @property
    def imperfect(self) -> Mapping[str, Any]:
        """The chip's imperfections by their names."""
        return self.given.get("imperfect") or {}

    def ideal(self) -> AbstractChip:
        """The chip without its imperfections."""
        plain = {name: value for name, value in self.given.items() if name != "imperfect"}
        return build_chip(_resolved(plain, {"learning_rate": 1.0}), self.task)

    def bounded(self) -> AbstractChip:
        """The chip whose only imperfection is that its parameters stay within `bound`."""
        plain = {**self.given, "imperfect": {"parameter-range": self.bound}}
        return build_chip(_resolved(plain, {"learning_rate": 1.0}), self.task)

    @property
    def bound(self) -> float:
        """The largest size that a parameter can have; infinite if there is no limit."""
        if not self.imperfect:
            return math.inf
        found = _resolved(self.given, {"learning_rate": 1.0}).imperfect or {}
        soft = [max(found["w-max"], -found["w-min"])] if "dw-min" in found else []
        return min([math.inf, *soft, *(found[name] for name in ("parameter-range", "dac-range") if name in found)])

    def check_cost(self, cost: float) -> None:
        """Raises: ValueError: if a cost like this is beyond what its converter reads."""
        if "adc-bits" not in self.imperfect:
            return
        highest = (_resolved(self.given, {"learning_rate": 1.0}).imperfect or {})["adc-range"]
        if cost > highest:
            raise ValueError(
                f"the cost is still {cost:.3g} when the score is at the target {self.target:g}, and the ADC reads none "
                f"above {highest:g}: give a larger adc-range"
            )

    def noise(self, batch: Any, cost: float) -> Any:
        """σ of one measurement of a cost of this size, rounding by the converter included."""
        given = self.imperfect
        white = math.hypot(given.get("cost-noise", 0.0), given.get("flicker-noise", 0.0))
        white = math.hypot(white, given.get("cost-noise-relative", 0.0) * cost)
        rounding = self.readout / math.sqrt(12)
        if self.profile.noise_of == "sample":
            return (white**2 / batch + rounding**2) ** 0.5
        return 0 * batch + math.hypot(white, rounding)

    @property
    def readout(self) -> float:
        """The step in which costs are read; 0 if they are not rounded."""
        if "adc-bits" not in self.imperfect:
            return 0.0
        settings = _resolved(self.given, {"learning_rate": 1.0})
        assert settings.imperfect is not None, "it has a converter"
        return settings.imperfect["adc-range"] / (2 ** settings.imperfect["adc-bits"] - 1)

    @property
    def level(self) -> float:
        """The step between levels of perturbed parameters; 0 if there are none."""
        return 0.0 if self.imperfect.get("dac-own-line") or "dac-bits" not in self.imperfect else self._converter_step

    @property
    def _converter_step(self) -> float:
        settings = _resolved(self.given, {"learning_rate": 1.0})
        assert settings.imperfect is not None, "it has converters"
        return 2 * settings.imperfect["dac-range"] / (2 ** settings.imperfect["dac-bits"] - 1)

    @property
    def pulse(self) -> float:
        """The size of the pulses that writes consist of, noise of a pulse included; 0 if writes are not rounded."""
        given = self.imperfect
        if "dac-bits" in given and not given.get("dac-finer-copy"):
            return self._converter_step
        return given.get("dw-min", 0.0) * (1 + given.get("dw-min-ctoc", 0.0) ** 2)

    @property
    def write_noise(self) -> float:
        """Standard deviation of the noise on each parameter at each write."""
        return self.imperfect.get("update-noise", 0.0)

    def identity(self) -> str:
        """What makes it this one, in a line."""
        settings = _resolved(self.given, {"learning_rate": 1.0}).identity()
        return f"{settings} {self.profile.model_dump_json()} {self.target!r}"

    @property
    def delay(self) -> int:
        """By how many measurements the cost comes late."""
        return self.imperfect.get("delay", 0)

    @property
    def is_late(self) -> bool:
        """Whether a cost contains those of earlier measurements."""
        return bool(self.delay or self.settling)

    @property
    def settling(self) -> float:
        """The time constant of the cost, in measurements; 0 if it settles at once."""
        return self.imperfect.get("settling", 0.0)

    def windows(self, structure: Structure) -> Windows:
        """The windows of chips that are trained in this way, for the law."""
        return self.late(structure.windows(self.n_params))

    def late(self, windows: Windows) -> Windows:
        """The same windows of a chip whose cost comes as late as this one's."""
        late = late_of(windows.held, windows.tau_p, windows.two_sided, delay=self.delay, settling=self.settling)
        return windows._replace(late=late)

    def settings(self, structure: Structure, **more: Any) -> Settings:
        """The settings of a run that trains chips in this way."""
        return _resolved(self.described(structure), structure.settings() | more)

    def described(self, structure: Structure) -> dict[str, Any]:
        """The given settings, with the noise that a measurement of a batch has."""
        given = dict(self.given)
        if self.profile.noise_of == "sample":
            each = {
                name: self.imperfect[name] / math.sqrt(structure.batch) for name in NOISES if name in self.imperfect
            }
            given["imperfect"] = {**self.imperfect, **each}
        return given

    def with_profile(self, profile: Profile) -> "Problem":
        """The same on a chip that takes another time."""
        return replace(self, profile=profile)

    def with_imperfect(self, **changes: Any) -> "Problem":
        """The same on a chip with other imperfections."""
        imperfect = {**self.imperfect, **{name.replace("_", "-"): value for name, value in changes.items()}}
        return replace(self, given={**self.given, "imperfect": imperfect})


def _resolved(given: Mapping[str, Any], more: Mapping[str, Any]) -> Settings:
    plain = {"algorithm": "discrete", "optimizer": "sgd", "weight_decay": 0.0, "steps": _STEPS}
    return resolve(RunConfig.of({**plain, **given, **more}))
