"""A subset of the parameters at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._numbers import NUMBER
from ._base import AbstractPerturbation, SignalTraits


class Block(AbstractPerturbation):
    r"""Perturbs one block of parameters after the other (a layer, a bank of DACs) with any other family.

    $$\tilde\theta_i(m) = \tilde\theta^\text{inner}_{i - \text{start}}(\lfloor m/B \rfloor)
      \;\text{ if } i \text{ is in block } m \bmod B,\; 0 \text{ otherwise}$$

    Blocks are contiguous slices of θ. The inner family is made for the largest block, so its period is
    that of the block and not of the chip. ⟨θ̃²⟩ is the inner family's, divided by the number of blocks B.

    Args:
        inner: the family that perturbs the parameters of a block.
        n_blocks: number of blocks of equal size (within one); or
        sizes: the size of each block, in order (a chip's `groups` gives those of its layers).

    Raises:
        ValueError: if not exactly one of `n_blocks` and `sizes` is given, or one is not positive.

    >>> from mgd.perturbations import Rademacher
    >>> from mgd._counter import Counter
    >>> code = Block(Rademacher(amplitude=1.0), n_blocks=2)
    >>> theta = code(Counter.of(1), seed=jnp.array([1, 2], jnp.uint32), n_params=4)
    >>> jnp.abs(theta).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    inner: AbstractPerturbation
    amplitude: float = eqx.field(metadata=NUMBER)
    n_blocks: int | None = eqx.field(static=True)
    sizes: tuple[int, ...] | None = eqx.field(static=True)

    def __init__(self, inner: AbstractPerturbation, *, n_blocks: int | None = None, sizes: Sequence[int] | None = None):
        if (n_blocks is None) == (sizes is None):
            raise ValueError(f"Block takes n_blocks or sizes, got n_blocks={n_blocks} and sizes={sizes}")
        if not all(isinstance(size, int) for size in ([n_blocks] if n_blocks is not None else sizes or [])):
            raise ValueError(f"blocks must be whole numbers, got n_blocks={n_blocks}, sizes={sizes}")
        if min([n_blocks] if n_blocks is not None else sizes or [], default=0) < 1:
            raise ValueError(f"blocks must not be empty, got n_blocks={n_blocks}, sizes={sizes}")
        self.inner = inner
        self.amplitude = inner.amplitude
        self.n_blocks = n_blocks
        self.sizes = None if sizes is None else tuple(sizes)

    def block_sizes(self, n_params: int) -> tuple[int, ...]:
        """The size of each block of a chip with that many parameters."""
        if self.n_blocks is None:
            return self.sizes or ()
        if self.n_blocks > n_params:
            raise ValueError(
                f"{n_params} parameters cannot be split into {self.n_blocks} blocks: give fewer, at most {n_params}"
            )
        return tuple(b - a for a, b in pairwise(n_params * k // self.n_blocks for k in range(self.n_blocks + 1)))

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        sizes = self.block_sizes(n_params)
        turn, block = index.divmod(len(sizes))
        largest = max(sizes)
        # One seed a block: parameters at the same place in two blocks must not share a stream.
        values = self.inner(turn, seed=seed + jnp.stack([block, block]), n_params=largest)
        inside = jnp.arange(largest, dtype=jnp.int32) < jnp.array(sizes, jnp.int32)[block]
        start = jnp.array([0, *accumulate(sizes)], jnp.int32)[block]
        padded = jnp.zeros(n_params + largest, jnp.float32)
        return lax.dynamic_update_slice(padded, jnp.where(inside, values, 0.0), (start,))[:n_params]

    def mean_square(self, n_params: int) -> float:
        sizes = self.block_sizes(n_params)
        return self.inner.mean_square(max(sizes)) / len(sizes)

    def period(self, n_params: int) -> int | None:
        sizes = self.block_sizes(n_params)
        inner = self.inner.period(max(sizes))
        return None if inner is None else inner * len(sizes)

    def traits(self, n_params: int) -> SignalTraits:
        sizes = self.block_sizes(n_params)
        inner = self.inner.traits(max(sizes))
        return replace(inner, turn=inner.turn * len(sizes))

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        raise ValueError(
            "Block perturbation cannot be used with the high-pass baseline: the step from one block to the next "
            "would change the G of the wrong parameters; use the re-measured or the two-sided baseline"
        )

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        sizes = self.block_sizes(n_params)
        if min(sizes) < 1:
            raise ValueError(f"{n_params} parameters cannot be split into {len(sizes)} blocks: give fewer")
        if sum(sizes) != n_params:
            raise ValueError(f"blocks of {sum(sizes)} parameters in all do not match a chip with {n_params}")
        self.inner.check(max(sizes), tau_p * len(sizes), window)


def within_blocks(
    family: AbstractPerturbation, change: Callable[[AbstractPerturbation], AbstractPerturbation]
) -> AbstractPerturbation:
    """A family with a change made to it, or to the one inside where it is in blocks."""
    if isinstance(family, Block):
        return Block(within_blocks(family.inner, change), n_blocks=family.n_blocks, sizes=family.sizes)
    return change(family)
