"""How fast and how noisy an instrument is. Nothing here imports JAX."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._base import AbstractInstrument


@dataclass(frozen=True)
class Noise:
    """What repeated measurements at one set of parameters came to.

    Attributes:
        of_cost: whether it was the cost; if not, the mean of all outputs.
        mean: of the measurements.
        white: their standard deviation, by differences of neighbours, so that drift does not add to it.
        seconds: that one took, the median.
        n: how many.
    """

    of_cost: bool
    mean: float
    white: float
    seconds: float
    n: int


def latency(instrument: AbstractInstrument, n: int) -> tuple[float, float]:
    """Seconds of a round trip, with a query of the identity: the median, and the 95 % quantile."""
    median, slow = np.quantile(_times(instrument.identify, n), [0.5, 0.95])
    return float(median), float(slow)


def noise(
    instrument: AbstractInstrument,
    n: int,
    *,
    inputs: tuple[int, ...] | None = None,
    outputs: int | None = None,
    samples: int = 16,
) -> Noise | None:
    """The noise of the cost (or of the outputs) in the middle of the range, for random inputs and targets of zero.

    Args:
        instrument: an open instrument.
        n: number of measurements.
        inputs: shape of one input.
        outputs: number of outputs; with None, nothing can be presented and None is returned.
        samples: number of presented samples.
    """
    if inputs is None or outputs is None:
        return None
    x = np.random.default_rng(0).random((samples, *inputs), np.float32)
    instrument.set_parameters(instrument.limits.middle)
    instrument.present(x, np.zeros((samples, outputs), np.float32))
    of_cost = instrument.reads != "outputs"
    found: list[float] = []

    def once() -> None:
        found.append(instrument.measure_cost() if of_cost else float(instrument.read_outputs().mean()))

    once()  # a first one may take longer: something is loaded or compiled
    found.clear()
    seconds = float(np.median(_times(once, n)))
    white = float(np.sqrt(np.mean(np.diff(found) ** 2) / 2))
    return Noise(of_cost, float(np.mean(found)), white, seconds, n)


def _times(action: Callable[[], object], n: int) -> list[float]:
    found = []
    for _ in range(n):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return found
