"""A chip in a TOML file: its network and its imperfections. Nothing here imports JAX."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .._input import read_toml
from ._config import Activation, Cost, Init, Sizes, Smoothing, one_line
from ._imperfect import Imperfections


class _Network(BaseModel):
    """Of RunConfig, what says which network a chip computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: Sizes | None = None
    channels: Sizes | None = None
    activation: Activation | None = None
    init: Init | None = None
    cost: Cost | None = None
    label_smoothing: Smoothing | None = None


class _ChipFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    chip: _Network = _Network()
    imperfect: Imperfections | None = None


def read_chip(path: Path) -> dict[str, Any]:
    """The settings of the chip that a TOML file describes, by the names they have in a run's.

    Args:
        path: the file: `name`, which is for the reader; `[chip]`, the network; `[imperfect]`, its imperfections.

    Raises:
        ValueError: if the file cannot be read or a setting is wrong; file and setting are named.
    """
    contents = read_toml(path)
    try:
        file = _ChipFile(**contents)
    except ValidationError as error:
        inside = error.errors()[0]["loc"][:1] == ("chip",)
        fields = list((_Network if inside else _ChipFile).model_fields)
        raise ValueError(f"{path}: {one_line(error, fields)}") from None
    if file.chip.hidden is not None and file.chip.channels is not None:
        raise ValueError(f"{path}: chip has hidden (perceptron) or channels (convolutional network), not both")
    chip = file.chip.model_dump(exclude_none=True)
    if file.imperfect is not None:
        chip["imperfect"] = file.imperfect.model_dump(exclude_none=True, by_alias=True)
    return chip
