"""What a run does to a chip, counted exactly."""

import math
from dataclasses import asdict, dataclass

from ._baselines import AbstractBaseline
from ._time_constants import TimeConstants


@dataclass(frozen=True)
class Counts:
    """How often one chip was measured and written, as exact integers.

    Attributes:
        cost_measurements: how often the scalar cost was measured, baselines included.
        inferences: forward passes of single samples: `cost_measurements` × batch.
        parameter_writes: how often the parameter vector was written.
        sample_loads: single samples presented: a mini-batch of B counts B, however often it is then measured.
        perturbations: how often the perturbation on the chip changed; its removal for a baseline counts too.
    """

    cost_measurements: int
    inferences: int
    parameter_writes: int
    sample_loads: int
    perturbations: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def count(
    n_steps: int, *, baseline: AbstractBaseline, time_constants: TimeConstants, interval: int, batch: int = 1
) -> Counts:
    """The counts after `n_steps` timesteps, in closed form.

    Args:
        n_steps: timesteps from the start of the run.
        baseline: which measurements a timestep has.
        time_constants: how long things are held.
        interval: timesteps between parameter updates.
        batch: samples over which a measurement is averaged.

    >>> from mgd.algorithm import Remeasured
    >>> run = count(10**10, baseline=Remeasured(), time_constants=TimeConstants(tau_theta=4, tau_x=4), interval=4)
    >>> run.cost_measurements, run.parameter_writes
    (12500000000, 2500000000)
    """
    tau_p, tau_x = time_constants.tau_p, time_constants.tau_x

    def starts(*periods: int) -> int:
        """Timesteps below n_steps that are multiples of every one of these."""
        return -(-n_steps // math.lcm(*periods))

    holds = starts(tau_x) + starts(interval) - starts(tau_x, interval)
    if baseline.once_a_hold:
        measurements = n_steps + holds
        shared = starts(tau_p, tau_x) + starts(tau_p, interval) - starts(tau_p, tau_x, interval)
        # θ̃ off and on again at each baseline (it is off before the first), or changed without one.
        perturbations = 2 * holds - (n_steps > 0) + starts(tau_p) - shared
    else:
        measurements = n_steps * len(baseline.multiples)
        perturbations = measurements if len(baseline.multiples) > 1 else starts(tau_p)
    return Counts(
        cost_measurements=measurements,
        inferences=measurements * batch,
        parameter_writes=n_steps // interval,
        sample_loads=starts(tau_x) * batch,
        perturbations=perturbations,
    )
