"""Which engine runs what."""

from collections.abc import Sequence

import jax

from ..algorithm import AbstractAlgorithm, Algorithm, Backprop
from ..chips import AbstractChip
from .simulated._backpropagated import Backpropagated
from .simulated._fused import Fused
from .simulated._in_place import InPlace, serves
from .simulated._measured import Measured
from .simulated._sampled import Sampled
from .simulated._spread import Spread, spread

ENGINES = ("auto", "measured", "fused", "sampled")
# One small chip alone does not fill a vector unit, and gains up to 3× from being measured a hold at a time; anything
# larger, or many replicas, gains nothing or loses (`make bench`).
_SMALL_CHIP, _MOST_TOGETHER = 512, 128
# Below so many replicas lanes are mostly empty; below so many parameters × samples, the measured engine is done in
# seconds, and Numba has not been waited for.
_FEWEST_IN_LANES, _LEAST_WORK = 8, 1e9
Engine = Measured | Fused | InPlace | Spread | Sampled | Backpropagated


def choose(
    name: str,
    chip: AbstractChip,
    algorithm: AbstractAlgorithm,
    *,
    n_replicas: int,
    batch: int,
    n_steps: int,
    devices: int = 1,
) -> tuple[Engine, int]:
    """The engine of that name, and the number of timesteps at whose multiples it may be stopped.

    Args:
        name: one of `ENGINES`; "auto" is the fused engine where it pays, otherwise the measured one.
        chip: the simulated chip.
        algorithm: how it is trained.
        n_replicas: chips side by side.
        batch: samples a measurement is averaged over.
        n_steps: timesteps of the run.
        devices: JAX devices to spread it over.

    Raises:
        ValueError: if the engine is unknown, or does not run this.
    """
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}: choose one of {', '.join(ENGINES)}")
    if devices > 1 and (name not in ("auto", "measured") or not isinstance(algorithm, Algorithm)):
        raise ValueError(
            f"only the measured engine is spread over devices: leave devices out, got {devices}, with engine {name!r} "
            f"and {type(algorithm).__name__}"
        )
    if isinstance(algorithm, Backprop):
        if name != "auto":
            raise ValueError(f"backprop measures nothing and has an engine of its own: leave engine out, got {name!r}")
        return Backpropagated(chip, algorithm, batch), 1
    if not isinstance(algorithm, Algorithm):
        raise ValueError(f"no engine runs a {type(algorithm).__name__}: give an Algorithm or Backprop")
    if algorithm.bitwise:
        if name not in ("auto", "measured") or devices > 1:
            raise ValueError(
                f"bitwise is of the measured engine on one device, got {name!r} and {devices}: leave both out"
            )
        return Measured(chip, algorithm, batch), 1
    if devices > 1:
        over = spread(chip, algorithm, n_replicas, batch, devices, _MOST_TOGETHER)
        return over, over.engine.together
    if name == "sampled":
        return Sampled(chip, algorithm, batch), algorithm.interval
    work = n_steps * n_replicas * batch * chip.n_params
    pays = n_replicas >= _FEWEST_IN_LANES and work >= _LEAST_WORK and jax.default_backend() == "cpu"
    if name == "fused" or (name == "auto" and pays and Fused.applies(chip, algorithm)):
        return Fused(chip, algorithm, batch), 1
    if n_replicas == 1 and serves(chip, algorithm):
        return InPlace(chip, algorithm, batch), 1
    together = _measured_together(chip, algorithm, n_replicas, batch)
    return Measured(chip, algorithm, batch, together), together


def choose_for_each(
    name: str, members: Sequence[tuple[AbstractChip, AbstractAlgorithm]], **settings: int
) -> tuple[list[Engine], int]:
    """An engine of one kind for each chip and its algorithm, as `choose` has them."""
    chosen = [choose(name, *members[0], **settings)]
    for member in members[1:]:
        if name == "auto" and isinstance(chosen[0][0], Fused) and not Fused.applies(*member):
            return choose_for_each("measured", members, **settings)
        like = "fused" if isinstance(chosen[0][0], Fused) else name
        chosen.append(choose(like, *member, **settings))
    return [engine for engine, _ in chosen], chosen[0][1]


def _measured_together(chip: AbstractChip, algorithm: Algorithm, n_replicas: int, batch: int) -> int:
    """How many timesteps of a hold to measure as one batch."""
    if n_replicas > 1 or batch > 1 or chip.n_params > _SMALL_CHIP or chip.traits.remembers:
        return 1
    return max(k for k in range(1, _MOST_TOGETHER + 1) if algorithm.hold % k == 0)
