"""Imperfections of a run's chips, as they stand in TOML. Nothing here imports JAX."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator, create_model

from ..rows import IMPERFECTIONS, ImperfectionRow, Real, Setting, Truth, Whole

if TYPE_CHECKING:
    from ..chips.imperfections import AbstractImperfection


class Imperfections(dict[str, Any]):
    """Imperfections by the names of their settings, as an immutable value with a hash."""

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(tuple(self.items()))


def checked(given: Any) -> Imperfections:
    """Imperfections by the names of their settings, in the order of their rows.

    Raises:
        ValueError: if a setting is unknown or wrong, or some do not go together; pydantic's, where it is one.

    >>> checked({"cost-noise": 0.01, "dac-bits": 8})
    {'dac-bits': 8, 'cost-noise': 0.01}
    """
    rows = _rows(given if isinstance(given, Mapping) else {})
    settings = {setting.name: setting for row in rows for setting in row.settings}
    found = _model(tuple(settings.values())).model_validate(given).model_dump(by_alias=True, exclude_unset=True)
    for name in found:
        if (needs := settings[name].needs) and needs not in found:
            raise ValueError(f"{name} needs {needs}: give {needs} too, or leave {name} out")
    for row in rows:
        if row.check is not None:
            row.check(found)
    return Imperfections(found)


# As a field of settings.
Given = Annotated[Imperfections, PlainValidator(checked)]


def complete(given: Mapping[str, Any], cost: str) -> Imperfections:
    """These, with what was not given and has a default.

    Args:
        given: right ones.
        cost: whose range a converter is to have: mse or cross-entropy.
    """
    settings = [setting for row in _rows(given) for setting in row.settings]
    values = {setting.name: setting.completed(given, cost) for setting in settings}
    return Imperfections({name: value for name, value in values.items() if value is not None})


def build_imperfections(given: Mapping[str, Any]) -> list["AbstractImperfection"]:
    """Each at its place along the signal's path, from the network outwards.

    Raises:
        ValueError: if one that another package brings cannot be made.
    """
    made = [IMPERFECTIONS.build(row.settings[0].name, lambda row: row.build(given)) for row in _present(given)]
    return sorted(made, key=lambda one: (one.side == "out", one.place))


def _present(given: Mapping[str, Any]) -> list[ImperfectionRow]:
    """The rows of which something is given."""
    return [row for row in _rows(given) if any(setting.name in given for setting in row.settings)]


def _rows(given: Mapping[str, Any]) -> list[ImperfectionRow]:
    """Ours, and those of others that are given: only these are loaded."""
    rows = [*IMPERFECTIONS.own.values()]
    # A name may be ours and claimed by another package too, which is refused.
    rows += [IMPERFECTIONS.row(name) for name in sorted(map(str, given)) if name in IMPERFECTIONS]
    return list({id(row): row for row in rows}.values())


@cache
def _model(settings: tuple[Setting, ...]) -> Any:
    """The pydantic model of these settings, none of which need be given."""
    fields: Any = {
        setting.name.replace("-", "_"): (_type(setting), Field(default=None, alias=setting.name))
        for setting in settings
    }
    return create_model("Imperfections", __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def _type(setting: Setting) -> Any:
    kinds = {Real: float, Whole: int, Truth: bool}
    more: dict[str, Any] = {"allow_inf_nan": False} if isinstance(setting.type, Real) else {}
    return Annotated[kinds[type(setting.type)], Field(strict=True, **more, **setting.type.bounds())]
