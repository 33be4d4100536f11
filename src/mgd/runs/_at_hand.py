"""A real chip that a command measures: opened as its table says, with the parameters at which a run would start."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from ..datasets import Task
from ..engines import parameters_at_start
from ..instruments import GIVE_UP_SECONDS, AbstractInstrument, Guarded, opened
from ._config import Settings
from ._hardware import model_of


@dataclass(frozen=True)
class AtHand:
    """A chip that is open.

    Attributes:
        instrument: the chip behind its guard.
        start: the parameters at which a run with these settings starts.
        give_up_seconds: how long the chip may fail to answer.
    """

    instrument: Guarded
    start: Float[np.ndarray, " p"]
    give_up_seconds: float


@contextmanager
def at_hand(instrument: AbstractInstrument, config: Settings, task: Task) -> Iterator[AtHand]:
    """Opens a chip; however the body ends, the chip is left in its safe state.

    Args:
        instrument: the chip, not yet open.
        config: settings of a run; the table of their first chip, if there is one, says which piece it must be.
        task: the task of these settings.

    Raises:
        HardwareError: if it cannot be opened, is in use, or is another piece.
        ValueError: if the network that it is to start from has another number of parameters.
    """
    common = config.tables[0].common if config.tables else None
    serial, guardian = (None, False) if common is None else (common.serial, common.guardian)
    with opened(instrument, serial=serial, guardian=guardian) as guarded:
        start = parameters_at_start(
            guarded,
            key=jax.random.key(config.seed),
            given=None if common is None else common.start,
            network=model_of(config, task),
        )
        yield AtHand(guarded, start, GIVE_UP_SECONDS if common is None else common.give_up_seconds)
