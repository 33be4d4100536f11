"""A chip with an imperfection around it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ...networks._pieces import Perceptron
from .._base import AbstractChip, Reading, Traits
from .._costs import AbstractCost
from ._kinds import AbstractDrive, AbstractImperfection


class Imperfect(AbstractChip):
    """A chip with one imperfection around it; the next imperfection goes around this chip.

    Its device consists of the imperfection's part and the device of the chip inside.

    Args:
        chip: the chip inside.
        imperfection: the imperfection around it.

    Raises:
        ValueError: if the chip already has this imperfection, has one that must be farther out, or cannot have it.

    >>> import mgd
    >>> from mgd.chips.imperfections import ADC, CostNoise
    >>> chip = Imperfect(Imperfect(mgd.chips.mlp((2, 2, 1)), CostNoise(0.01)), ADC(8, 0.0, 1.0))
    >>> chip.traits.cost_noise
    0.01
    """

    chip: AbstractChip
    imperfection: AbstractImperfection

    def __check_init__(self):
        inside, new = self.chip, self.imperfection
        while isinstance(inside, Imperfect):
            old = inside.imperfection
            if old.name == new.name:
                raise ValueError(f"this chip already has {new.name}: give it once")
            if old.side == new.side and new.place < old.place:
                raise ValueError(
                    f"{new.name} cannot be put around {old.name}: on the way "
                    f"{'to the parameters' if new.side == 'in' else 'of the cost'} it comes nearer to the network; "
                    f"put {old.name} around {new.name}"
                )
            inside = inside.chip
        if isinstance(new, AbstractDrive) and self.chip.n_sites != self.n_params:
            raise ValueError(
                f"{new.name} acts on the lines of {self.n_params} parameters, but this chip perturbs "
                f"{self.chip.n_sites} other sites: leave it out"
            )
        try:  # it may refuse the chip
            eqx.filter_eval_shape(lambda: new.make(self.chip, key=jax.random.key(0)))
        except ValueError as error:
            raise ValueError(str(error).splitlines()[0]) from None  # JAX adds lines about its traceback

    @property
    def n_params(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.chip.n_params

    @property
    def n_sites(self) -> int:
        return self.chip.n_sites

    @property
    def groups(self) -> Mapping[str, slice]:
        return self.chip.groups

    @property
    def traits(self) -> Traits:
        return self.imperfection.traits(self.chip.traits)

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        return self.chip.init(key=key)

    def fabricate(self, *, key: PRNGKeyArray):
        return self.imperfection.make(self.chip, key=key)

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return self.read(theta, perturbation, x, target, device=device, key=key)[:2]

    def read(self, theta, perturbation, x, target, *, device=None, key):
        own, inner = _parts(device)
        enter_key, inner_key, leave_key = jax.random.split(key, 3)
        applied, wiggle = self.imperfection.enter(own, theta, perturbation, key=enter_key)
        cost, inner, credit = self.chip.read(applied, wiggle, x, target, device=inner, key=inner_key)
        cost, own = self.imperfection.leave(own, theta, cost, key=leave_key)
        return Reading(cost, (own, inner), credit)

    def respond(self, theta, x, *, device=None, key):
        chip, applied, device = inside(self, theta, device, key=key)
        return chip.respond(applied, x, device=device, key=key)

    def cost(self, outputs, target):
        return self.chip.cost(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        own, inner = _parts(device)
        return self.imperfection.write(own, theta, delta, store=partial(self.chip.write, device=inner), key=key)


def _parts(device: tuple | None) -> tuple:
    if device is None:
        raise ValueError(
            "an imperfect chip needs a device to respond: for a trained chip give that of its run (result.device; "
            "result.piece(0) has the first chip's); chip.fabricate(key=...) makes another piece"
        )
    return device


def imperfect(chip: AbstractChip, *imperfections: AbstractImperfection) -> AbstractChip:
    """A chip with imperfections around it, the first nearest to the network.

    Raises:
        ValueError: if two are the same, or one is on the wrong side of another.

    >>> import mgd
    >>> from mgd.chips.imperfections import CostNoise, UpdateNoise
    >>> chip = imperfect(mgd.chips.mlp((2, 2, 1)), UpdateNoise(0.01), CostNoise(0.1))
    >>> chip.n_params
    9
    """
    for imperfection in imperfections:
        chip = Imperfect(chip, imperfection)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return chip


def inside(
    chip: AbstractChip, theta: Float[Array, " p"], device: Any, *, key: PRNGKeyArray
) -> tuple[AbstractChip, Float[Array, " p"], Any]:
    """The chip within all imperfections, the parameters as they arrive there, and its own device."""
    while isinstance(chip, Imperfect):
        own, inner = _parts(device)
        enter_key, key = jax.random.split(key)
        theta, _ = chip.imperfection.enter(own, theta, jax.numpy.zeros_like(theta), key=enter_key)
        chip, device = chip.chip, inner
    return chip, theta, device


def loss_of(chip: AbstractChip) -> AbstractCost | None:
    """The cost of a chip's outputs; None if that is not known."""
    return getattr(_innermost(chip), "loss", None)


def inputs_of(chip: AbstractChip) -> int | None:
    """How many inputs a perceptron has; None of other chips."""
    make = getattr(_innermost(chip), "make", None)
    return make.sizes[0] if isinstance(make, Perceptron) else None


def _innermost(chip: AbstractChip) -> AbstractChip:
    while isinstance(chip, Imperfect):
        chip = chip.chip
    return chip
