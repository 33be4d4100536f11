"""A circuit in several ngspice at once. Nothing here imports JAX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from ._base import AbstractInstrument, Identity
from ._circuit import Spice
from ._process import Process
from ._spice_settings import SpiceSettings


class Circuits(AbstractInstrument):
    """A circuit that is loaded in processes of their own, among which a batch of perturbations is shared out.

    Each measures its part as a `Spice` does, one after the other. What is not a batch is asked of the first.

    Args:
        settings: what is what in the netlist, and how many processes.
        folder: what the netlist's path is relative to.

    Raises:
        ValueError: as from `Spice`.
    """

    def __init__(self, settings: SpiceSettings, folder: Path):
        self.settings = settings
        # Checked as far as it can be while it is not open; every process gets a copy, with the text as it was read.
        self._circuit = Spice(settings, folder.resolve())
        self.describe_as(self._circuit)
        self.most_together, self.reads_together = 10_000, "outputs"
        self._processes: list[Process] = []
        self._work: Callable[[], None] | None = None

    def open(self) -> None:
        self.close()
        try:
            for _ in range(self.settings.processes or 1):
                self._processes.append(Process(self._circuit))
            self._every("open")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._work = None
        while self._processes:
            self._processes.pop().end()

    def identify(self) -> Identity:
        return self._first("identify")

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._first("set_parameters", theta)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._every("present", x, target)

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return self._first("read_outputs")

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        parts = np.array_split(signals, min(len(signals), len(self._opened())))
        return np.concatenate(self._replies("read_batch", *((part,) for part in parts)))

    def while_waiting(self, work: Callable[[], None]) -> None:
        self._work = work

    def safe_state(self) -> None:
        """Nothing: what is simulated may be left as it is."""

    def _first(self, verb: str, *arguments: Any) -> Any:
        return self._replies(verb, arguments)[0]

    def _every(self, verb: str, *arguments: Any) -> None:
        self._replies(verb, *(arguments for _ in self._opened()))

    def _replies(self, verb: str, *arguments: tuple) -> list[Any]:
        """What the verb gives in each process, the first of them for as many as there are arguments.

        Raises:
            Exception: what it raised in the first that it did, when all have answered.
        """
        asked = self._opened()[: len(arguments)]
        try:
            for process, each in zip(asked, arguments, strict=True):
                process.ask(verb, *each)
            if self._work is not None and verb.startswith("read"):
                work, self._work = self._work, None
                work()
            replies = [process.reply() for process in asked]
        except BaseException:  # whoever has not been heard would answer this when something else is asked
            self.close()
            raise
        for _, error in replies:
            if error is not None:
                raise error
        return [found for found, _ in replies]

    def _opened(self) -> list[Process]:
        if not self._processes:
            raise HardwareError(f"{self.address} is not open: open it, or use it in a `with`")
        return self._processes
