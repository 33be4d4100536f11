"""What is chosen where nobody chose: one rule, for tasks of one's own and for those of the command line.

Nothing here imports JAX.
"""

from typing import NamedTuple

# With more perturbations in a window than this, Adam makes too few updates in the measurements that a chip is given
# (NIST7x7, 49-4-4, 20,000 of them: 91 % with 16 or 32, 87 % with 64).
_LONGEST_WINDOW = 16
# A run has at least so many updates, however short it is.
_FEWEST_UPDATES = 100
_BATCH = 64
# The noise of an update moves θ by about η √P, so η falls with √P; it is 0.1 for 225 parameters.
_RATE, _LARGEST_RATE = 1.5, 0.2
# As much as lets saturated neurons of small networks back, where no perturbation shows in the cost.
_WEIGHT_DECAY = 3e-4


class Defaults(NamedTuple):
    """Settings of Adam that learn.

    Attributes:
        tau_theta: timesteps between two updates; a mini-batch is held as long (τ_x).
        learning_rate: at the start; it falls to zero over the run, as half a cosine.
        weight_decay: added to G, times θ.
        batch: samples over which a measurement is averaged.
    """

    tau_theta: int
    learning_rate: float
    weight_decay: float
    batch: int


def defaults(n_params: int, n_steps: int, n_samples: int) -> Defaults:
    """The settings for a chip, a run and a training set of these sizes.

    Windows have P/3 perturbations, up to 16, and fewer in short runs. A batch has 64 samples, but at most half of the
    training set: batches that differ help out of local minima.

    Args:
        n_params: P of the chip.
        n_steps: timesteps of the run.
        n_samples: in the training set.

    >>> defaults(220, 20_000, 30_000)
    Defaults(tau_theta=16, learning_rate=0.1011, weight_decay=0.0003, batch=64)
    >>> defaults(9, 20_000, 4)
    Defaults(tau_theta=3, learning_rate=0.2, weight_decay=0.0003, batch=2)
    """
    window = max(1, min(n_params // 3, _LONGEST_WINDOW, n_steps // _FEWEST_UPDATES))
    rate = min(_LARGEST_RATE, _RATE / n_params**0.5)
    return Defaults(window, round(rate, 4), _WEIGHT_DECAY, max(1, min(_BATCH, n_samples // 2)))
