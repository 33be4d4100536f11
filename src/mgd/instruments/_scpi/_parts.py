"""Settings of a chip of several instruments, a table for each; its commands are its roles. Nothing here imports JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from ..._input import nearest
from ._settings import Commands, ScpiSettings, Text, Truth

# What each of them is for one instrument alone, and how the others are told of it.
_ONE = {"input": "presents inputs", "target": "presents targets", "cost": "reads the cost", "outputs": "reads outputs"}
_OF_ONE_INSTRUMENT = ("own_line", "most_together")
_OF_A_SETTER = ("n_params", "channels", "limits", "verify_within")


class PartCommands(Commands):
    """An instrument's own words; there are no defaults but `*IDN?` and `SYST:ERR?`, and "" is for what it lacks.

    `on` is sent when all instruments are open and hold harmless values. `on_readback` asks whether it is on.
    """

    needed: ClassVar[tuple[str, ...]] = ()

    reset: Text = ""
    format: Text = ""
    count: Text = ""
    limits: Text = ""
    set: Text = ""
    readback: Text = ""
    perturb: Text = ""
    input: Text = ""
    input_readback: Text = ""
    target: Text = ""
    cost: Text = ""
    outputs: Text = ""
    batch: Text = ""
    counter: Text = ""
    on: Text = ""
    on_readback: Text = ""
    safe: Text = ""


class PartSettings(ScpiSettings):
    """How to reach one of a chip's instruments, and how it speaks.

    Attributes:
        kind: of the instrument.
        serial: the serial number that it must have.
        present: whether it takes a whole batch of inputs, or one sample at a time.
        on_answer: the answer to `on_readback` when it is on; by default what it answers after `on`.
        commands: its own words.
    """

    kind: Literal["scpi"] = "scpi"
    serial: Text | None = None
    binary: Truth = False
    present: Literal["batch", "each"] = "batch"
    on_answer: Text | None = None
    commands: PartCommands = PartCommands()  # pyright: ignore[reportIncompatibleVariableOverride] (it is frozen)

    @model_validator(mode="after")
    def _check(self) -> "PartSettings":
        commands, given = self.commands, self.model_fields_set
        if of_one := [name for name in _OF_ONE_INSTRUMENT if name in given] or ["commands.batch"] * bool(
            commands.batch
        ):
            raise ValueError(f"{of_one[0]} is for a chip of one instrument: leave it out")
        if commands.set:
            self.check_setting()
        else:
            of_a_setter = _OF_A_SETTER[:-1] if commands.input_readback else _OF_A_SETTER
            beside = [name for name in of_a_setter if name in given]
            beside += [
                f"commands.{name}" for name in ("readback", "perturb", "count", "limits") if getattr(commands, name)
            ]
            if beside:
                raise ValueError(f"{beside[0]} is for an instrument that sets parameters: give commands.set too")
        if not any(getattr(commands, name) for name in ("set", "on", *_ONE)):
            raise ValueError("nothing is to be done with it: give commands.set, input, target, cost, outputs or on")
        if self.serial is not None and not commands.identify:
            raise ValueError('serial is in the answer to commands.identify, which is "": leave it out')
        if commands.counter and not (commands.cost or commands.outputs):
            raise ValueError("commands.counter counts measurements: give it to the instrument that is read")
        if (commands.set or commands.on) and not commands.safe:
            raise ValueError("commands.safe is needed, because it sets parameters or is switched on")
        if commands.on_readback and not commands.on:
            raise ValueError("commands.on_readback asks for what commands.on does: give that too")
        if self.on_answer is not None and not commands.on_readback:
            raise ValueError("on_answer is the answer to commands.on_readback: give that too")
        self._check_presenting()
        self.check_readback_of_inputs()
        return self

    def _check_presenting(self) -> None:
        by_channel = bool(self.commands.of_channels("input"))
        if self.present == "each" and not self.commands.input:
            raise ValueError('present = "each" is for the instrument that presents inputs: give commands.input')
        if by_channel and self.present != "each":
            raise ValueError('commands.input is sent for each {channel}, of one sample: give present = "each"')
        if self.commands.by_channel("input") and self.binary:
            raise ValueError("commands.input has a {value}, which is text, and binary = true: set binary = false")
        if self.input_channels is not None and not by_channel:
            raise ValueError('input_channels is for an input with {channel}, such as "SOUR{channel}:VOLT {value}"')


@dataclass(frozen=True)
class PartTables:
    """The tables of a chip's instruments, checked.

    Attributes:
        parts: the settings of each, by its name, in the order of the file.
        order: their names, in the order in which they are switched on.
    """

    parts: Mapping[str, PartSettings]
    order: tuple[str, ...]

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "PartTables | None":
        """The tables in the settings of an instrument; None if there are none, and it is one instrument.

        Raises:
            ValueError: if one is wrong, or a role has none or two of them; the table and the setting are named.
        """
        tables = {
            name: table
            for name, table in settings.items()
            if isinstance(table, Mapping) and name not in ScpiSettings.model_fields
        }
        if not any("resource" in table for table in tables.values()):
            return None
        others = [name for name in settings if name not in tables and name != "order"]
        if unknown := [name for name in others if name not in ScpiSettings.model_fields]:
            raise ValueError(f"unknown setting instrument.{unknown[0]}{nearest(unknown[0], ['order', *tables])}")
        if of_one := others:
            raise ValueError(
                f"instrument.{of_one[0]} belongs to one instrument, and instrument.{next(iter(tables))} is the table "
                "of another: give each a table of its own, [instrument.NAME]"
            )
        parts = {name: PartSettings.of(dict(table), f"instrument.{name}") for name, table in tables.items()}
        _check_roles(parts)
        return PartTables(parts, _order(settings.get("order"), list(parts)))

    def with_role(self, *commands: str) -> list[str]:
        """The names of those that have one of these commands."""
        return [name for name, part in self.parts.items() if any(getattr(part.commands, each) for each in commands)]


def _check_roles(parts: Mapping[str, PartSettings]) -> None:
    """Raises: ValueError: if something is done by none of the instruments, or by two where there can be one."""
    seen: dict[str, str] = {}
    for name, part in parts.items():
        if (other := seen.setdefault(part.resource, name)) != name:
            raise ValueError(
                f"instrument.{name}.resource is that of instrument.{other}, {part.resource}: give one table the "
                "commands of both"
            )
    has = {role: [name for name, part in parts.items() if getattr(part.commands, role)] for role in ("set", *_ONE)}
    for role, does in _ONE.items():
        if len(has[role]) > 1:
            first, second, *_ = has[role]
            raise ValueError(f"instrument.{second}.commands.{role}: instrument.{first} {does} already: let one do it")
    if not has["set"]:
        raise ValueError(f"none of {_tables(parts)} sets parameters: give commands.set to one or more")
    if not has["cost"] and not has["outputs"]:
        raise ValueError(f"none of {_tables(parts)} is read: give commands.outputs or commands.cost to one")
    if not any("input" in part.commands.model_fields_set for part in parts.values()):
        raise ValueError(
            f'none of {_tables(parts)} presents inputs: give commands.input to one, as "" if the chip has no inputs'
        )
    perturbs = [name for name in has["set"] if parts[name].commands.perturb]
    if perturbs and perturbs != has["set"]:
        lacks = next(name for name in has["set"] if name not in perturbs)
        raise ValueError(f"instrument.{lacks}.commands.perturb: instrument.{perturbs[0]} has one, so give it here too")


def _tables(parts: Mapping[str, PartSettings]) -> str:
    return ", ".join(f"instrument.{name}" for name in parts)


def _order(given: Any, names: list[str]) -> tuple[str, ...]:
    """Raises: ValueError: if it does not name each instrument once."""
    if given is None:
        return tuple(names)
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"instrument.order must be a list of the instruments' names, got {given!r}")
    for name in given:
        if name not in names:
            raise ValueError(f"instrument.order names {name!r}, which has no table{nearest(name, names)}")
    for name in names:
        if given.count(name) != 1:
            raise ValueError(
                f"instrument.order must name each instrument once, and has {name!r} {given.count(name)} times"
            )
    return tuple(given)
