"""A row: what the command line, settings and `mgd list` know of one addition, and how it is made."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

# The largest number that settings take: what float32 holds.
_LARGEST = 3e38


@dataclass(frozen=True)
class Row:
    """A family of perturbations or an optimizer.

    Attributes:
        line: a one-line description.
        make: the function that makes it, or the function's "package.module:name", so that a row needs no JAX. A family
            is called with `amplitude`, an optimizer with `learning_rate`, a number or an optax schedule.
        arguments: further arguments of that function.

    >>> Row("plain gradient descent", "optax:sgd").build(learning_rate=0.1).init([])
    (EmptyState(), EmptyState())
    """

    line: str
    make: str | Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def lines(self, name: str) -> dict[str, str]:
        """What to list: what it is, in one line, by its name."""
        return {name: self.line}

    def build(self, **settings: Any) -> Any:
        """The family or optimizer, made with these settings."""
        return found(self.make)(**settings, **self.arguments)


@dataclass(frozen=True)
class Real:
    """A setting that is a number; it must be at least `ge` or above `gt`, and at most `le` or below `lt`."""

    _: KW_ONLY
    ge: int | float | None = None
    gt: int | float | None = None
    le: int | float | None = None
    lt: int | float | None = None

    def bounds(self) -> dict[str, Any]:
        """The ends, by these names. A missing end is that of float32."""
        low = {} if self.gt is None else {"gt": self.gt}
        high = {} if self.lt is None else {"lt": self.lt}
        low |= {"ge": self.ge} if self.ge is not None else ({} if low else {"ge": -_LARGEST})
        high |= {"le": self.le} if self.le is not None else ({} if high else {"le": _LARGEST})
        return low | high


@dataclass(frozen=True)
class Whole:
    """A setting that is a whole number from `ge` to `le`."""

    _: KW_ONLY
    ge: int
    le: int

    def bounds(self) -> dict[str, Any]:
        """The ends, by these names."""
        return {"ge": self.ge, "le": self.le}


@dataclass(frozen=True)
class Truth:
    """A setting that is true or false."""

    def bounds(self) -> dict[str, Any]:
        """None."""
        return {}


@dataclass(frozen=True)
class Setting:
    """One setting of an imperfection.

    Attributes:
        name: its name in settings and on the command line.
        type: its type.
        line: a one-line description.
        argument: the argument of the function that makes the imperfection; by default the name, with _ for -.
        needs: the name of another setting of the row that must be given too.
        default: its value if only `needs` is given: a value, or a function of the given settings (by name) and of the
            kind of cost ("mse" or "cross-entropy"). With None, the function that makes the imperfection decides.
    """

    name: str
    type: Real | Whole | Truth
    line: str
    argument: str = ""
    needs: str = ""
    default: Any = None

    def completed(self, given: Mapping[str, Any], cost: str) -> Any:
        """The value given, or the default."""
        if self.name in given or self.needs not in given:
            return given.get(self.name)
        return self.default(given, cost) if callable(self.default) else self.default


@dataclass(frozen=True)
class ImperfectionRow:
    """An imperfection of simulated chips; a chip has it if one of the settings that need no other is given.

    Attributes:
        settings: its settings.
        make: the function that makes the imperfection from its settings, by their arguments; or its "module:name".
        check: raises `ValueError` for settings that contradict each other; it gets them by name.
    """

    settings: tuple[Setting, ...]
    make: str | Callable[..., Any]
    check: Callable[[Mapping[str, Any]], None] | None = None

    def lines(self, name: str) -> dict[str, str]:
        """What to list: what each setting is, in one line, by its own name."""
        return {setting.name: setting.line for setting in self.settings}

    def build(self, given: Mapping[str, Any]) -> Any:
        """The imperfection with the given settings, by name; None if none of them belongs to it."""
        if not any(one.name in given for one in self.settings if not one.needs):
            return None
        own = [one for one in self.settings if one.name in given]
        return found(self.make)(**{one.argument or one.name.replace("-", "_"): given[one.name] for one in own})


@dataclass(frozen=True)
class TaskRow:
    """A task, and settings with which chips learn it.

    Attributes:
        line: a one-line description.
        make: the function that returns the `mgd.datasets.Task`; or its "module:name".
        takes: which of the settings `bits` and `data` that function takes.
        inputs: shape of one input; () if a setting decides.
        outputs: number of outputs.
        samples: number of training samples.
        chip: settings of its chips; `hidden` or `channels` at least.
        training: settings of its training, by the algorithm (discrete, analog, backprop).
        rule_steps: timesteps of a perceptron's training by the rule of `mgd.train`, which chooses optimizer, windows,
            batch and rate from the sizes above; 0 if the rule is not used and `training` has all settings.
        rule_rate: a learning rate in place of the rule's.
        adjust: settings that depend on the given ones (by name) and on the algorithm.
        files: the "module:name" of its `FileSet`, if `mgd data` should know it.
    """

    line: str
    make: str | Callable[..., Any]
    _: KW_ONLY
    takes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: int = 1
    samples: int = 1
    chip: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rule_steps: int = 100_000
    rule_rate: float | None = None
    adjust: Callable[[Mapping[str, Any], str], Mapping[str, Any]] | None = None
    files: str = ""

    def lines(self, name: str) -> dict[str, str]:
        """What to list: what it is, in one line, by its name."""
        return {name: self.line}

    def build(self, **given: Any) -> Any:
        """The task."""
        return found(self.make)(**given)

    def file_set(self) -> Any:
        """Its `FileSet`; None if it has none."""
        return found(self.files) if self.files else None


def found(reference: Any) -> Any:
    """The object that a reference names; an object that is not a reference is returned as it is.

    >>> found("math:hypot")(3, 4)
    5.0
    """
    if not isinstance(reference, str):
        return reference
    module, _, path = reference.partition(":")
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value
