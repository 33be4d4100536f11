"""The points of a sweep: a run's settings each, with a seed of its own. Nothing here imports JAX."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..runs import RunConfig, Settings, merged, resolve, with_facts
from ._axes import Axis, axes_of
from ._design import Design
from ._names import REFUSED, changes_of

# Settings that say how chips are simulated and looked at, and not which chips these are.
_NOT_OF_A_CHIP = {"replicas": 1, "engine": "auto", "log_every": None}


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    A point is the run that `mgd train` makes of its settings; of its seed, which is drawn from all other settings, so
    that it depends on nothing else than the point.

    Attributes:
        values: what is varied, by name.
        settings: of the run.
    """

    values: Mapping[str, Any]
    settings: Settings

    @cached_property
    def digest(self) -> str:
        """Of all that its outcome depends on."""
        return self.settings.identity()

    @cached_property
    def structure(self) -> str:
        """The same for points that differ in no more than real numbers, of which one program can be made."""
        plain = self.settings.model_dump(mode="json", exclude={"seed"}, exclude_none=True, by_alias=True)
        return json.dumps(_shape(plain), sort_keys=True)

    @property
    def chip_steps(self) -> int:
        """Timesteps of all its chips together."""
        return self.settings.replicas * self.settings.steps

    @property
    def named(self) -> str:
        """Its values, for people."""
        return ", ".join(f"{name}={written(value)}" for name, value in self.values.items())

    def plain(self) -> dict[str, Any]:
        """Its settings as a dictionary, for another process."""
        return self.settings.model_dump(exclude_none=True, by_alias=True)


@dataclass(frozen=True)
class Plan:
    """All that a sweep is to compute.

    Attributes:
        base: the settings that all points share, as they were given, without imperfections.
        imperfect: the imperfections that all share. They may need one that is varied.
        axes: what is varied.
        design: which combinations are points.
    """

    base: RunConfig
    imperfect: Mapping[str, Any]
    axes: Sequence[Axis]
    design: Design

    @staticmethod
    def of(settings: Mapping[str, Any], vary: Mapping[str, Any], design: str | None = None) -> "Plan":
        """The plan of these settings.

        Args:
            settings: of a run, as in a configuration file.
            vary: what is varied, as `axes_of` takes it.
            design: as `Design.of` takes it.

        Raises:
            ValueError: if a setting is wrong, is none of a sweep, or is both given and varied.
            DataError: if your own data cannot be read.
        """
        axes, chosen = axes_of(vary), Design.of(design)
        given = dict(settings)
        tasks = next((axis for axis in axes if axis.name == "task"), None)
        if tasks is not None and "task" not in given:
            if not tasks.values:
                raise ValueError(f"vary: task needs a list of tasks, got {vary['task']!r}")
            given["task"] = tasks.values[0]
        elif twice := [axis.name for axis in axes if _is_given(given, axis.name)]:
            raise ValueError(f"{twice[0]} is given and varied: leave one of them out")
        imperfect = dict(given.pop("imperfect", None) or {})
        base = RunConfig.of(given)
        for name, why in REFUSED.items():
            if getattr(base, name) is not None and not (name == "devices" and base.devices == 1):
                raise ValueError(f"leave {name.replace('_', '-')} out: {why}")
        return Plan(base, imperfect, axes, chosen)

    @property
    def seed(self) -> int:
        """Of everything random in the sweep."""
        return self.base.seed or 0

    def identity(self) -> str:
        """A digest of what all points of the sweep share. Sweeps of more or other values have the same."""
        names = sorted(axis.name for axis in self.axes)
        kind = json.dumps([self.base.identity(), sorted(self.imperfect.items()), names, self.design.kind])
        return hashlib.sha256(kind.encode()).hexdigest()

    def points(self) -> Iterator[Point]:
        """All points, in order. A design may draw one twice, where it draws from few values.

        Raises:
            ValueError: if the settings of a point contradict each other; the point is named.
        """
        facts: dict[str, RunConfig] = {}
        for values in self.design.points_of(self.axes, self.seed):
            yield Point(values, self._settings(values, facts))

    def _settings(self, values: dict[str, Any], facts: dict[str, RunConfig]) -> Settings:
        try:
            given = self.base.model_dump(exclude_none=True, by_alias=True)
            given |= {"imperfect": dict(self.imperfect)} if self.imperfect else {}
            given |= {"task": self.base.task} if not isinstance(self.base.task, str) else {}
            changes = changes_of(values)
            if arguments := changes.pop("chip", None):
                if self.base.chip is None:
                    raise ValueError(f"chip.{next(iter(arguments))} is of a function of yours: give [chip] with build")
                table = given["chip"]
                changes["chip"] = table | {"arguments": (table.get("arguments") or {}) | arguments}
            config = RunConfig.of(merged(given, changes))
            if not isinstance(config.task, str) or config.chip is not None:
                config = _with_facts(config, changes, facts)
            settings = resolve(config)
            if settings.instruments:
                raise ValueError(f"the chip is a real one: {REFUSED['instrument']}")
        except ValueError as error:
            named = ", ".join(f"{name}={written(value)}" for name, value in values.items())
            raise ValueError(f"the point {named}: {error}") from None
        drawn = hashlib.sha256(settings.model_copy(update=_NOT_OF_A_CHIP).identity().encode()).hexdigest()
        return settings.model_copy(update={"seed": int(drawn[:8], 16)})


def written(value: Any) -> str:
    """A value as it is given on the command line.

    >>> written((16, 8)), written(0.01), written("adam"), written(True)
    ('16x8', '0.01', 'adam', 'true')
    """
    if isinstance(value, tuple | list):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _with_facts(config: RunConfig, changes: Mapping[str, Any], facts: dict[str, RunConfig]) -> RunConfig:
    """The settings with the facts of data and chips of one's own, which are read once for settings that share them."""
    key = json.dumps(
        {name: value for name, value in changes.items() if not _is_number(value) and name != "imperfect"}
        | {"holdout": config.holdout, "bits": config.bits},
        sort_keys=True,
        default=str,
    )
    if key not in facts:
        facts[key] = with_facts(config)
    known = facts[key]
    return config.model_copy(update={"task": known.task, "chip": known.chip, "instrument": known.instrument})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_given(settings: Mapping[str, Any], name: str) -> bool:
    if name.startswith("chip."):
        return name[5:] in ((settings.get("chip") or {}).get("arguments") or {})
    task = settings.get("task")
    return name in settings or name in (settings.get("imperfect") or {}) or (isinstance(task, dict) and name in task)


def _shape(value: Any) -> Any:
    """Settings without their real numbers; zero is structure."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shape(each) for each in value]
    return ("0" if value == 0 else "a number") if isinstance(value, float) else value
