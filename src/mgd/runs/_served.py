"""A chip file's chip, simulated and served on a socket as a bench instrument would be."""

import re
from collections.abc import Callable

import jax
import numpy as np

from ..chips import AbstractChip
from ..instruments import (
    AbstractInstrument,
    Limits,
    ServeSettings,
    Simulated,
    Speaker,
    serve,
    wired,
)
from ._build import build_served_chip
from ._chip_file import ChipFile
from ._table import Table

# A socket in the words of VISA, and the port of SCPI.
_SOCKET, _PORT = re.compile(r"TCPIP\d*::[^:]+::(\d{1,5})::SOCKET", re.IGNORECASE), 5025
# The largest parameter of a chip that has learnt XOR is 10, of 64 chips.
_RANGE = 10.0


def serve_chip(file: ChipFile, host: str, port: int | None, seed: int | None, announce: Callable[[str], None]) -> None:
    """Serves the chip of a file until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        file: a chip file with inputs and outputs.
        host: the address at which to listen.
        port: the port; 0 for any free one; None for that of the file's resource, or 5025 if it names none.
        seed: the seed of the piece, its noise and the faults; by default the file's.
        announce: called with one line once the chip is served, and with one line of statistics at the end.

    Raises:
        ValueError: if the file does not describe the whole network.
        HardwareError: if the address cannot be opened.
    """
    settings = ServeSettings(**(file.serve or {}))
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    speaker = make_speaker(file, settings)

    def say(at: int) -> None:
        serial = speaker.serial
        what = f"{file.name} ({_sizes(file)}, {speaker.piece.n_params} parameters, serial {serial})"
        announce(f"serving {what} at TCPIP0::{host}::{at}::SOCKET")

    messages, faults = serve(speaker, settings, host, _port(file) if port is None else port, say)
    counted = "".join(f", {n} {fault}" for fault, n in sorted(faults.items()))
    announce(f"served {messages} messages, {speaker.refused} commands refused, {sum(faults.values())} faults{counted}")


def _port(file: ChipFile) -> int:
    """The port at which the trainer of this file will look for the chip."""
    resource = (file.instrument or {}).get("resource")
    found = _SOCKET.fullmatch(resource) if isinstance(resource, str) else None
    return int(found[1]) if found else _PORT


def make_speaker(file: ChipFile, settings: ServeSettings) -> Speaker:
    """The piece that is served: that of replica 0 of a run with this seed."""
    piece = _as_wired(file, simulated_piece(file, build_served_chip(file), settings))
    serial = str(settings.seed) if settings.serial is None else settings.serial
    return Speaker(piece, serial=serial, inputs=file.inputs or (), outputs=file.outputs or 0)


def _as_wired(file: ChipFile, piece: Simulated) -> AbstractInstrument:
    """The piece behind lines on which each group of its parameters has its own unit and scale.

    Raises:
        ValueError: if a group is not there.
    """
    try:
        groups = {} if file.instrument is None else Table.of(file.instrument).groups
        return wired(piece, groups) if groups else piece
    except ValueError as error:
        raise ValueError(f"{file.path}: {error}") from None


def simulated_piece(file: ChipFile, chip: AbstractChip, settings: ServeSettings | None = None) -> Simulated:
    """The piece that a file tells of, in this process.

    Args:
        file: with its imperfections, and what says which piece it is.
        chip: its design.
        settings: which piece; by default the file's.
    """
    settings = settings or ServeSettings(**(file.serve or {}))
    imperfect = file.chip.get("imperfect", {})
    ends = [imperfect[name] for name in ("parameter-range", "dac-range") if name in imperfect]
    end = min(ends, default=_RANGE)
    low, high = settings.limits or (-end, end)
    return Simulated(chip, key=jax.random.key(settings.seed), limits=Limits.uniform(chip.n_params, low, high))


def _sizes(file: ChipFile) -> str:
    """A network's sizes, as in 49-4-4."""
    inputs = file.inputs or ()
    if file.own is not None:
        return file.own.build
    if "hidden" in file.chip:
        first, between = str(int(np.prod(inputs))), file.chip["hidden"]
    else:
        first, between = "x".join(map(str, inputs)), file.chip["channels"]
    return "-".join([first, *map(str, between), str(file.outputs)])
