"""The measured engine over several devices: replicas, or the perturbations of one chip."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...algorithm import AbstractAlgorithm, AbstractAskTell, Algorithm
from ...chips import AbstractChip
from .._base import Progress
from .._choice import Wanted
from .._data import Data
from .._numbers import for_program
from ._base import AbstractSimulated
from ._measured import MOST_TOGETHER, Measured

_AXIS = "devices"
_ALL, _SHARE = PartitionSpec(), PartitionSpec(_AXIS)


class Spread(eqx.Module, AbstractSimulated[Algorithm, AbstractChip]):
    """Trains on several devices: many replicas, divided among them, or one chip, whose perturbations they share.

    Replicas exchange nothing. For one chip, within a hold (θ and the sample unchanged), each device measures its share
    of the perturbations, the devices exchange the costs, and each computes the same G: it makes the perturbations of
    the others again from the counter. The result is that of one device, to rounding.

    Args:
        engine: the engine for one device; for one chip, with `together` a multiple of the number of devices and `axis`
            set.
        n_devices: number of devices.
    """

    name: ClassVar[str] = "measured"
    engine: Measured
    n_devices: int = eqx.field(static=True)

    @property
    def chip(self) -> AbstractChip:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.engine.chip

    @property
    def algorithm(self) -> AbstractAskTell:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.engine.algorithm

    @property
    def batch(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.engine.batch

    @property
    def stride(self) -> int:
        return self.engine.stride

    def check_start(self, progress: Progress, data: Data) -> None:
        self.engine.check_start(progress, data)

    def for_each(self, engines: Sequence[Any], which: Int[np.ndarray, " replica"]) -> "Spread":
        raise ValueError("varied numbers need one device: leave devices out")

    def check(self, n_replicas: int, data: Data, *, key: PRNGKeyArray) -> None:
        self.engine.check(n_replicas, data, key=key)

    def init(
        self, n_replicas: int, *, key: PRNGKeyArray, start: Float[np.ndarray, "replica p"] | None = None
    ) -> Progress:
        """Fresh replicas, the same as on one device, each on the device that will train it."""
        progress = self.engine.init(n_replicas, key=key, start=start)
        mesh = _mesh(self.n_devices)

        def placed(leaf: Array, spec: PartitionSpec) -> Array:
            return jax.device_put(leaf, NamedSharding(mesh, spec))

        return jax.tree.map(placed, progress, self._specs(progress))

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""
        return _advance((self._for_program(), data), progress, jnp.int32(n_steps))

    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " replica"], Float[Array, " replica"]]:
        """Mark and mean cost of each replica on these samples, as in `mgd.engines.evaluate`."""
        return _evaluate((self._for_program(), data), progress)

    def _for_program(self) -> "Spread":
        return Spread(for_program(self.engine), self.n_devices)

    def _specs(self, progress: Progress) -> Any:
        """Of each array of a run, whether every device has all of it or its share."""
        specs = jax.tree.map(lambda _: self._share, progress)
        return eqx.tree_at(lambda p: p.state.clock, specs, jax.tree.map(lambda _: _ALL, progress.state.clock))

    @property
    def _share(self) -> PartitionSpec:
        return _SHARE if self.engine.axis is None else _ALL


@eqx.filter_jit(donate="all-except-first")
def _advance(kept: tuple[Spread, Data], progress: Progress, n_steps: Int[Array, ""]) -> Progress:
    arrays, rest = eqx.partition(kept, eqx.is_array)
    specs = kept[0]._specs(progress)

    def on_one(arrays: Any, progress: Progress, n_steps: Array) -> Progress:
        spread, data = eqx.combine(arrays, rest)
        return spread.engine.advance(data, progress, n_steps)

    return _mapped(on_one, kept[0].n_devices, (_ALL, specs, _ALL), specs)(arrays, progress, n_steps)


@eqx.filter_jit
def _evaluate(kept: tuple[Spread, Data], progress: Progress) -> tuple[Array, Array]:
    arrays, rest = eqx.partition(kept, eqx.is_array)
    specs, share = kept[0]._specs(progress), kept[0]._share

    def on_one(arrays: Any, progress: Progress) -> tuple[Array, Array]:
        spread, data = eqx.combine(arrays, rest)
        return spread.engine.evaluate(progress, data)

    return _mapped(on_one, kept[0].n_devices, (_ALL, specs), (share, share))(arrays, progress)


def _mapped(function: Any, n_devices: int, in_specs: Any, out_specs: Any) -> Any:
    # JAX cannot know that all devices make the same of the same costs, so it is not asked to check.
    return jax.shard_map(function, mesh=_mesh(n_devices), in_specs=in_specs, out_specs=out_specs, check_vma=False)


def _mesh(n_devices: int) -> Mesh:
    return Mesh(np.array(jax.devices()[:n_devices]), (_AXIS,))


def spread(chip: AbstractChip, algorithm: Algorithm, n_replicas: int, batch: int, n_devices: int) -> Spread:
    """The engine for that many devices.

    Args:
        chip: the simulated chip.
        algorithm: what turns costs into changes of θ.
        n_replicas: if 1, the perturbations of the one chip are shared out.
        batch: samples over which a measurement is averaged.
        n_devices: how many devices.

    Raises:
        ValueError: if there are not as many devices, or they cannot share the work evenly.
    """
    there = len(jax.devices())
    if n_devices > there:
        raise ValueError(
            f"devices = {n_devices}, and JAX has {there}: use up to {there}; on a CPU, JAX_NUM_CPU_DEVICES={n_devices} "
            "in the environment makes that many of its cores"
        )
    if n_replicas > 1:
        if n_replicas % n_devices:
            more = -(-n_replicas // n_devices) * n_devices
            raise ValueError(
                f"{n_replicas} replicas cannot be shared evenly by {n_devices} devices: use {more} replicas, or a "
                "number of devices that divides them"
            )
        return Spread(Measured(chip, algorithm, batch), n_devices)
    if chip.traits.remembers:
        raise ValueError(
            f"a chip that remembers must be measured in order: use devices = 1, got {n_devices}, or "
            f"{n_devices} replicas"
        )
    hold = algorithm.hold
    sizes = [k for k in range(n_devices, n_devices * MOST_TOGETHER + 1, n_devices) if hold % k == 0]
    if not sizes:
        raise ValueError(
            f"{n_devices} devices cannot share a hold of {hold} timesteps evenly: use tau_x and tau_theta whose "
            f"greatest common divisor is a multiple of {n_devices} (and no high-pass), or {n_devices} replicas"
        )
    return Spread(Measured(chip, algorithm, batch, max(sizes), _AXIS), n_devices)


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> Spread | None:
    """The engine for what is wanted; None if that is one device.

    Raises:
        ValueError: if so many devices cannot share it.
    """
    if wanted.devices == 1 or not isinstance(algorithm, Algorithm):
        return None
    if algorithm.bitwise:
        raise ValueError(f"bitwise needs the measured engine on one device, got {wanted.devices}: leave devices out")
    return spread(chip, algorithm, wanted.n_replicas, wanted.batch, wanted.devices)
