"""A chip in a TOML file: its network, its imperfections, where it is and how it is served. Nothing here imports JAX."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._errors import MgdWarning
from .._input import read_toml
from ..instruments import ServeSettings, check_one
from ..timing import Profile, load_profile
from ._after import KEEP, SAFE, check_after
from ._chip_table import NETWORK, DeclaredTraits, OwnChip, Text
from ._config import Activation, Cost, Init, Output, Positive, RunConfig, Sizes, Smoothing, one_line
from ._imperfect import Given
from ._table import InstrumentTable, Table

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument

_OWN = {"build", "arguments", "trainable", "traits"}
_NOT_OF_A_RUN = {"inputs", "outputs"} | _OWN


class _Network(BaseModel):
    """Of RunConfig, what says which network a chip computes; and its inputs and outputs, which a task says too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Annotated[Sizes, Field(min_length=1)] | None = None
    outputs: Positive | None = None
    build: Text | None = None
    arguments: dict[str, Any] | None = None
    trainable: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    traits: DeclaredTraits | None = None
    hidden: Sizes | None = None
    channels: Sizes | None = None
    activation: Activation | None = None
    output: Output | None = None
    init: Init | None = None
    cost: Cost | None = None
    label_smoothing: Smoothing | None = None


class _ChipFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    chip: _Network = _Network()
    imperfect: Given | None = None
    instrument: InstrumentTable | None = None
    serve: ServeSettings | None = None
    profile: dict[str, Any] | str | None = None


@dataclass(frozen=True)
class ChipFile:
    """The contents of a chip file.

    Attributes:
        path: the path of the file.
        name: a name for the reader.
        chip: its network and imperfections, by their names in a run's settings.
        instrument: how to reach it: the settings common to all kinds with their defaults, `folder` (to which paths in
            it are relative), and the kind's own settings; None for a chip that is only simulated.
        serve: how to serve it as a virtual chip; None if the file does not say.
        inputs: shape of one input, if given.
        outputs: number of outputs, if given.
        profile: what the chip takes for each thing that is done to it; None if the file does not say.
    """

    path: Path
    name: str
    chip: dict[str, Any]
    instrument: dict[str, Any] | None
    serve: dict[str, Any] | None
    inputs: tuple[int, ...] | None
    outputs: int | None
    profile: Profile | None = None

    @property
    def own(self) -> OwnChip | None:
        """The table of a chip that a function builds; None for our own networks."""
        return OwnChip(**self.chip["chip"]) if "chip" in self.chip else None

    @property
    def shapes(self) -> dict[str, Any]:
        """Its inputs and outputs, in the form of an instrument's table."""
        said = {"chip_inputs": None if self.inputs is None else list(self.inputs), "chip_outputs": self.outputs}
        return {name: value for name, value in said.items() if value is not None}

    def load_instrument(self) -> "AbstractInstrument":
        """The instrument of the file, not yet open.

        Raises:
            ValueError: if the file has none, or a setting is wrong.
        """
        if self.instrument is None and self.own is not None:
            return self._load_torch(self.own)
        if self.instrument is None:
            raise ValueError(
                f'{self.path}: there is no [instrument] table: give its kind and address, such as kind = "scpi", '
                'resource = "TCPIP0::127.0.0.1::5025::SOCKET"'
            )
        try:
            return Table.of(self.instrument).load()
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None

    def _load_torch(self, own: OwnChip) -> "AbstractInstrument":
        from ._chip_facts import torch_table_of  # JAX is imported for it

        try:
            return Table.of(torch_table_of(own, self.inputs, self.outputs, self.chip.get("cost"))).load()
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None


def with_after(config: RunConfig, after: str | None) -> RunConfig:
    """The settings of a run, with this choice of how to leave its chips; None keeps the settings' own.

    Args:
        config: the settings.
        after: "safe", "keep" or the path of a file of parameters.

    Raises:
        ValueError: if there is no real chip, or it is something else.
    """
    if after is None:
        return config
    if not config.instruments:
        raise ValueError(
            f"after = {after!r} is for a real chip, and this run has none: leave --after out, or give "
            "--chip with a file that has an [instrument] table"
        )
    try:
        check_after(after)
    except ValueError as error:
        raise ValueError(f"--after {error}") from None
    given = after if after in (SAFE, KEEP) else str(Path(after).resolve())
    plain = ({name: value for name, value in table.items() if name != "at_end"} for table in config.instruments)
    first, *more = (table | {"after": given} for table in plain)
    return config.model_copy(update={"instrument": (first, *more) if more else first})


def read_chip_file(path: Path) -> ChipFile:
    """Reads the TOML file of a chip.

    Args:
        path: the file, with `name`, for the reader; `[chip]`, the network; `[imperfect]`, its imperfections;
            `[instrument]`, how to reach it; `[serve]`, how to serve it as a virtual chip; `[profile]`, what it takes,
            or `profile`, the name of a shipped profile or the path of a file.

    Raises:
        ValueError: if the file cannot be read or a setting is wrong; the message names both. Settings of one kind of
            instrument are checked when it is loaded.
    """
    contents = read_toml(path)
    given = contents.get("instrument")
    others = {name: value for name, value in contents.items() if name not in ("instrument", "serve", "profile")}
    try:
        check_one(others | (_of_one(given) if isinstance(given, dict) else {"instrument": given}))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    try:
        file = _ChipFile(**contents)
    except ValidationError as error:
        where = error.errors()[0]["loc"][:1]
        if where == ("profile",):
            given = contents["profile"]
            raise ValueError(
                f'{path}: profile is a table [profile], or a name or file of one, such as "hw1", got {given!r}'
            ) from None
        models: dict[Any, type[BaseModel]] = {"chip": _Network, "serve": ServeSettings}
        fields = list(models.get(where[0] if where else None, _ChipFile).model_fields)
        raise ValueError(f"{path}: {one_line(error, fields)}") from None
    if file.chip.hidden is not None and file.chip.channels is not None:
        raise ValueError(f"{path}: chip has hidden (perceptron) or channels (convolutional network), not both")
    chip = file.chip.model_dump(exclude_none=True, exclude=_NOT_OF_A_RUN)
    if file.chip.hidden is not None:  # simulated, served or real, it is the same chip, whatever a task's default is
        chip.setdefault("cost", "mse")
    if (own := _own(file.chip, path)) is not None:
        chip["chip"] = own
    if file.imperfect:
        chip["imperfect"] = file.imperfect
    return ChipFile(
        path=path,
        name=file.name or path.stem,
        chip=chip,
        instrument=_instrument(file.instrument, path.parent),
        serve=None if file.serve is None else file.serve.model_dump(exclude_none=True),
        inputs=file.chip.inputs,
        outputs=file.chip.outputs,
        profile=_profile(file.profile, file.name or path.stem, path),
    )


def _profile(given: dict[str, Any] | str | None, name: str, path: Path) -> Profile | None:
    """The profile that a file contains, or names; what it is called and where it is from need not be said there.

    Raises:
        ValueError: if a number is missing or wrong.
    """
    if given is None:
        return None
    try:
        if isinstance(given, str):
            return load_profile(path.parent / given if given.endswith(".toml") else given)
        return Profile.of({"name": name, "description": name, "source": str(path), **given})
    except ValueError as error:
        raise ValueError(f"{path}: profile: {error}") from None


def _own(network: _Network, path: Path) -> dict[str, Any] | None:
    """The table of a chip that a function builds; None if the file names none.

    Raises:
        ValueError: if a setting does not go with it.
    """
    given = network.model_dump(exclude_none=True, include=_OWN)
    if network.build is None:
        if given:
            raise ValueError(f"{path}: chip.{next(iter(given))} is for a chip that a function builds: give build")
        return None
    own = OwnChip(**given, folder=str(path.parent.resolve()))
    try:
        own.check_alone([name for name in NETWORK if getattr(network, name) is not None])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return own.model_dump(exclude_none=True)


def _of_one(table: dict[str, Any]) -> dict[str, Any]:
    """What of an instrument's table must be of one: not what a lab's function is given; SCPI has tables of several."""
    return {} if table.get("kind") == "scpi" else {name: value for name, value in table.items() if name != "arguments"}


def chip_settings(files: Sequence[ChipFile], *, simulate: bool) -> dict[str, Any]:
    """The settings of a run on the chips of some files: real ones if the files say how to reach them.

    Args:
        files: one file, or those of a fleet; the network is that of the first.
        simulate: whether to simulate the chips in any case.

    Raises:
        ValueError: if there are several files and one does not say how to reach its chip.
    """
    first = files[0]
    if len(files) == 1 and (simulate or first.instrument is None):
        return first.chip
    for file in files:
        if simulate or file.instrument is None:
            why = "--simulate" if simulate else f"{file.path} has no [instrument]"
            raise ValueError(
                f"a fleet consists of real chips, and {why}: give one chip file, and --replicas for several"
            )
    # What is imperfect about a real chip is the chip's own affair.
    network = {name: value for name, value in first.chip.items() if name != "imperfect"}
    described = bool({"chip", "hidden", "channels"} & network.keys())
    start = {"chip_network": True} if described else {}
    tables = tuple(start | (file.instrument or {}) | file.shapes for file in files)
    return network | {"instrument": tables[0] if len(files) == 1 else tables}


def simulated_as(file: ChipFile) -> dict[str, Any]:
    """Settings that make a simulated training that of the file's real chip: the amplitude that its groups say.

    A warning says so if groups have learning rates of their own, which are not simulated.

    Raises:
        ValueError: if the file's table of its instrument is wrong.
    """
    if file.instrument is None:
        return {}
    try:
        table = Table.of(file.instrument)
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from None
    for name, group in table.groups.items():
        if np.any(np.asarray(group.learning_rate) != 1):
            warnings.warn(
                f"{file.path}: learning_rate of instrument.groups.{name} is for the real chip: the simulated one is "
                "trained with one learning rate",
                MgdWarning,
                stacklevel=2,
            )
    return {} if table.amplitude is None else {"amplitude": table.amplitude}


def _instrument(given: InstrumentTable | None, folder: Path) -> dict[str, Any] | None:
    return None if given is None else given.model_dump(exclude_none=True) | {"folder": str(folder.resolve())}


def read_chip(path: Path) -> dict[str, Any]:
    """The settings of the chip that a TOML file describes, by the names they have in a run's, for simulation.

    Raises:
        ValueError: if the file cannot be read or a setting is wrong; file and setting are named.
    """
    return read_chip_file(path).chip
