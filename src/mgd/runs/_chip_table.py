"""Your own chip, as it stands in settings: the table `[chip]`. Nothing here imports JAX."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, strict=True)]
# Settings of our own networks.
NETWORK = ("hidden", "channels", "activation", "output", "init")


class ChipFacts(BaseModel, extra="forbid", frozen=True):
    """What is known of a chip that was built once: enough to choose settings, and to recognise it.

    Attributes:
        sha256: of the file in which its function is.
        n_params: the number of its parameters.
        samples: the number of training samples of the task that it was built for.
        costs: two costs of it, at the start of a run and near it; none if they are not finite.
    """

    sha256: str
    n_params: int
    samples: int
    costs: tuple[float, ...] = ()


class DeclaredTraits(BaseModel):
    """What the file says of a chip, of what engines must know; see `mgd.chips.Traits`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cost_noise: Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)] = 0.0
    remembers: tuple[Text, ...] = ()
    coarse: tuple[Text, ...] = ()


class OwnChip(BaseModel):
    """A chip that a function builds.

    Attributes:
        build: the function, as "module:function". It is the user's code, and is run.
        arguments: of the function, by name.
        trainable: names of the arrays to train, or patterns of names; by default all.
        traits: what engines must know of the chip.
        folder: where the function's module is looked for first.
        facts: what is known of the chip; filled in when a run begins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    build: Text
    arguments: dict[str, Any] | None = None
    trainable: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    traits: DeclaredTraits | None = None
    folder: Text | None = None
    facts: ChipFacts | None = None

    @property
    def said(self) -> str:
        """The setting, for messages."""
        return f"build = {self.build!r}"

    @property
    def where(self) -> Path:
        """Where the function's module is looked for first."""
        return Path(self.folder or ".")

    @property
    def anywhere(self) -> Self:
        """This table without the place of its code; its facts say which code it is."""
        return self.model_copy(update={"folder": None})

    @property
    def code(self) -> dict[str, Any]:
        """What code it names, as `_code` takes it."""
        return {"kind": "chip", "build": self.build, "folder": str(self.where)}

    def check_alone(self, given: Sequence[str]) -> None:
        """Raises: ValueError: if settings of our own networks are given too."""
        if given:
            raise ValueError(
                f"{self.said} makes a whole chip, and {given[0]} is of our own networks: leave {given[0]} out, or "
                "give it to your function, in arguments"
            )


def placed(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The table of a file in this folder, to which its own folder is relative."""
    own = table.get("folder", ".")
    return dict(table) | ({"folder": os.path.abspath(folder / own)} if isinstance(own, str) else {})
