"""What backprop would take on a GPU that is not here, by figures that are quoted. Nothing here imports JAX."""

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .._input import check_path, first_error, nearest, read_toml
from ..timing import format_seconds

_Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
_Text = Annotated[str, Field(min_length=1, strict=True)]


class Gpu(BaseModel):
    """A GPU, by its figures.

    Attributes:
        name: what it is called.
        flops: floating-point operations a second, at its peak.
        launch_seconds: from the call to the start of a kernel; None if that is not known.
        source: of the figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Text
    flops: _Above0
    launch_seconds: _Above0 | None = None
    source: _Text


class OnGpu(BaseModel):
    """Backprop on a GPU.

    Attributes:
        gpu: the figures that it is reckoned from.
        least_seconds: all operations at the peak, and no others: no GPU of this kind is quicker.
        launched_seconds: a launch for each update besides; None if what that takes is not known.
    """

    model_config = ConfigDict(frozen=True)

    gpu: Gpu
    least_seconds: float
    launched_seconds: float | None

    def said(self, seconds: float) -> str:
        """A sentence without its stop.

        Args:
            seconds: what the chip takes.
        """
        said = f"backprop on {self.gpu.name} takes at least {_beside(self.least_seconds, seconds)}, at its quoted peak"
        if self.launched_seconds is None:
            return f"{said}; what launching kernels adds is not known"
        took = format_seconds(self.gpu.launch_seconds or 0.0)
        return f"{said}, and {_beside(self.launched_seconds, seconds)} if each update is one launch of {took}"


def gpu_of(given: str) -> Gpu:
    """The GPU of a name or a file.

    Args:
        given: a name in `gpu_names()`, or the path of a TOML file with the fields of `Gpu`.

    Raises:
        ValueError: if there is none, or its file is wrong.

    >>> gpu_of("a100").flops
    19500000000000.0
    """
    check_path(gpu=given)
    given, shipped = os.fspath(given), _shipped()
    if given in shipped:
        return Gpu(**shipped[given])
    if not given.endswith(".toml") and not os.path.lexists(given):
        raise ValueError(
            f"unknown GPU {given!r}{nearest(given, shipped)}; choose {', '.join(shipped)}, or give the path of a TOML "
            "file with name, flops and source"
        )
    try:
        return Gpu(**read_toml(Path(given)))
    except ValidationError as error:
        raise ValueError(f"{given}: {first_error(error, Gpu.model_fields)}") from None


def gpu_names() -> tuple[str, ...]:
    """The GPUs that come with the package.

    >>> gpu_names()
    ('v100', 'a100', 'h100')
    """
    return tuple(_shipped())


def on_gpu(gpu: Gpu, *, updates: int, operations: float) -> OnGpu:
    """Backprop on a GPU.

    Args:
        gpu: its figures.
        updates: how many there are.
        operations: floating-point operations of each.
    """
    least = updates * operations / gpu.flops
    launched = None if gpu.launch_seconds is None else least + updates * gpu.launch_seconds
    return OnGpu(gpu=gpu, least_seconds=least, launched_seconds=launched)


def _shipped() -> dict[str, dict[str, Any]]:
    return read_toml(Path(str(resources.files("mgd.planning"))) / "gpus.toml")


def _beside(took: float, seconds: float) -> str:
    return f"{format_seconds(took)}, {took / seconds:.2g} times the chip's time"
