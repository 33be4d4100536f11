"""A simulated chip behind the verbs of an instrument."""

import itertools
import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._alone import alone
from .._numbers import as_data
from ..chips import AbstractChip
from ..chips._pieces import first_piece
from ._base import AbstractInstrument, Identity
from ._limits import Limits

_NUMBERS = itertools.count(1)
_ALWAYS = np.bool_(True)
# Sizes of batches whose programs are kept.
_MOST_SHAPES = 64


class Simulated(AbstractInstrument):
    """One piece of a simulated chip, in this process: for virtual chips, and for tests of drivers.

    It has its own noise. Without noise, training gives the result of the measured engine: to rounding, and to the bit
    if the algorithm is `bitwise`.

    Args:
        chip: the design.
        key: the seed of this piece and of its noise; `train` with the same key trains the same piece as replica 0.
        limits: the range of its parameters; by default −10 … 10.
        own_line: whether θ̃ has its own line; if not, the chip only gets the sum θ + θ̃.

    >>> import jax, mgd, numpy as np
    >>> piece = Simulated(mgd.chips.mlp((2, 2, 1)), key=jax.random.key(0))
    >>> with piece:
    ...     piece.set_parameters(np.zeros(9, np.float32))
    ...     piece.present(np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32))
    ...     piece.measure_cost()
    0.25
    """

    reads = "both"
    most_together = 100_000

    def __init__(self, chip: AbstractChip, *, key: PRNGKeyArray, limits: Limits | None = None, own_line: bool = True):
        start, self._device, chip_key = first_piece(as_data(chip), key)
        self.chip, self.n_params, self.own_line = chip, chip.n_params, own_line
        self.limits = limits or Limits.uniform(chip.n_params, -10.0, 10.0)
        self._serial = "-".join(map(str, jax.random.key_data(key).tolist()))
        # It is in this process: another with the same key is another chip.
        self.address = f"simulated {self._serial}, {next(_NUMBERS)} of process {os.getpid()}"
        self.start, self.groups = np.asarray(start), chip.groups
        self._keys, self._asked = jax.random.fold_in(chip_key, 2), 0
        self._theta = self._zero = jnp.zeros(chip.n_params)
        self._perturbation = self._zero
        self._x = self._target = jnp.zeros((1, 0))
        self._shapes: set[tuple[int, ...]] = set()

    def open(self) -> None:
        """Nothing: it is here."""

    def close(self) -> None:
        """Nothing: it stays."""

    def identify(self) -> Identity:
        return Identity("mgd", "simulated", self._serial)

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._theta = _write(self.chip, self._theta, theta, self._device, *self._key())
        self._perturbation = self._zero

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._perturbation = perturbation

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._shapes.add(x.shape)
        if len(self._shapes) > _MOST_SHAPES:  # each has programs of its own, which whoever asks must not pile up
            jax.clear_caches()
            self._shapes = {x.shape}
        self._x, self._target = jnp.asarray(x), jnp.asarray(target)

    def measure_cost(self) -> float:
        cost, self._device = _measure(
            self.chip, self._theta, self._perturbation, self._x, self._target, self._device, *self._key(), _ALWAYS
        )
        return float(cost)

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return np.asarray(_respond(self.chip, self._theta, self._perturbation, self._x, self._device, *self._key()))

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        # What is added to a row is one array of zeros, which a compiled program does not know of.
        theta = self._theta if self.own_line else self._zero
        n = len(signals)
        # One program for all sizes up to a power of two; rows beyond the last are not measured.
        rows = np.zeros((1 << (n - 1).bit_length(), self.n_params), np.float32)
        rows[:n] = signals
        costs, self._device = _measure_rows(
            self.chip,
            theta,
            rows,
            np.int32(n),
            self._x,
            self._target,
            self._device,
            *self._key(),
            _ALWAYS,
            self.own_line,
        )
        return np.asarray(costs)[:n]

    def safe_state(self) -> None:
        self.set_parameters(np.clip(np.zeros(self.n_params, np.float32), self.limits.low, self.limits.high))

    def parameters(self) -> Float[np.ndarray, " p"]:
        """The stored parameters, which after an imperfect write differ from the requested ones."""
        return np.asarray(self._theta)

    def _key(self) -> tuple[PRNGKeyArray, np.uint32]:
        """What the key of the next operation is made of, within a compiled function: by itself that is slow."""
        self._asked += 1
        return self._keys, np.uint32(self._asked % 2**32)


@eqx.filter_jit
def _write(chip: AbstractChip, theta, asked, device: Any, keys: PRNGKeyArray, number) -> Array:
    """A perfect memory holds what was asked for, without the rounding of a difference."""
    delta = asked - theta
    written = chip.write(theta, delta, device=device, key=jax.random.fold_in(keys, number))
    return jnp.where(written == theta + delta, asked, written)


@eqx.filter_jit
def _measure(
    chip: AbstractChip, theta, perturbation, x, target, device: Any, keys: PRNGKeyArray, number, always
) -> tuple:
    return _cost(always, chip, jax.random.fold_in(keys, number), device, theta, perturbation, x, target)


def _cost(always, chip: AbstractChip, key: PRNGKeyArray, device: Any, *on_chip: Array) -> tuple:
    """Compiled by itself, so that it has the same bits in every program."""
    return alone(always, lambda device, *on: chip.measure(*on, device=device, key=key), device, *on_chip)


@eqx.filter_jit
def _respond(chip: AbstractChip, theta, perturbation, x, device: Any, keys: PRNGKeyArray, number) -> Array:
    return chip.respond(theta + perturbation, x, device=device, key=jax.random.fold_in(keys, number))


@eqx.filter_jit
def _measure_rows(
    chip: AbstractChip, other, rows, n, x, target, device: Any, keys: PRNGKeyArray, number, always, own_line: bool
) -> tuple:
    """The first n, one after the other, as a chip with a memory has to; `other` is θ, or zero where rows are θ + θ̃."""
    key = jax.random.fold_in(keys, number)

    def one(place: Array, so_far: tuple[Any, Array]) -> tuple[Any, Array]:
        device, costs = so_far
        row = rows[place]
        pair = (other, row) if own_line else (row, other)
        cost, device = _cost(always, chip, jax.random.fold_in(key, place), device, *pair, x, target)
        return device, costs.at[place].set(cost)

    device, costs = lax.fori_loop(0, n, one, (device, jnp.zeros(len(rows), jnp.float32)))
    return costs, device
