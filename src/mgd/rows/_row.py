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
        line: what it is, in one line.
        make: what makes it, or where that is found, as "package.module:name", so that a row needs no JAX. A family is
            called with `amplitude`, an optimizer with `learning_rate`, a number or an optax schedule.
        arguments: what it is called with beside.

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
        """What the row is of, made with these settings."""
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
        """The ends, by these names. Where none is given, it is that of float32."""
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
        name: in settings and on the command line.
        type: what it must be.
        line: what it is, in one line.
        argument: of what makes the imperfection; by default the name, with _ for -.
        needs: the name of another setting of the row without which it means nothing.
        default: where it is not given and `needs` is; a value, or a function of what was given (by name) and of the
            kind of cost ("mse" or "cross-entropy"). None leaves it to what makes the imperfection.
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
    """An imperfection of simulated chips, which is there where one of its settings that needs no other is given.

    Attributes:
        settings: those it has.
        make: what makes the imperfection of its settings, by their arguments; or where that is found.
        check: raises `ValueError` for settings that do not go together; it is given them by name.
    """

    settings: tuple[Setting, ...]
    make: str | Callable[..., Any]
    check: Callable[[Mapping[str, Any]], None] | None = None

    def lines(self, name: str) -> dict[str, str]:
        """What to list: what each setting is, in one line, by its own name."""
        return {setting.name: setting.line for setting in self.settings}

    def build(self, given: Mapping[str, Any]) -> Any:
        """The imperfection of the settings that are given, by name; None if none of them is its own."""
        if not any(one.name in given for one in self.settings if not one.needs):
            return None
        own = [one for one in self.settings if one.name in given]
        return found(self.make)(**{one.argument or one.name.replace("-", "_"): given[one.name] for one in own})


@dataclass(frozen=True)
class TaskRow:
    """A task, and settings that learn it.

    Attributes:
        line: what it is, in one line.
        make: the function that returns the `mgd.datasets.Task`; or where that is found.
        takes: which of the settings `bits` and `data` it is called with, where they are given.
        inputs: shape of one input; () where a setting decides.
        outputs: how many.
        samples: to train on.
        chip: settings of its chips; `hidden` or `channels` at least.
        training: settings of its training, by the algorithm (discrete, analog, backprop).
        rule_steps: timesteps of a perceptron's training by the rule that `mgd.train` has too, which chooses optimizer,
            windows, batch and rate from the sizes above; 0 for none: all is in `training` then.
        rule_rate: the learning rate of that, in place of the rule's.
        adjust: settings that depend on what is given (by name) and on the algorithm.
        files: where its `FileSet` is found, if `mgd data` is to know of it.
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
    """What a reference names, or what is given in place of one.

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
