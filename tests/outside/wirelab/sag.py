"""A supply that sags under load."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from mgd.chips.imperfections import NUMBER, AbstractDrive
from mgd.rows import ImperfectionRow, Real, Setting


class Sag(AbstractDrive):
    r"""All parameters shrink together as their mean size grows, because they share one supply.

    $$\theta \leftarrow \theta\, (1 - s \min(1, \langle|\theta|\rangle / \theta_\text{full}))$$

    Args:
        sag: s, the share that is lost at full load.
        full: θ_full, the mean |θ| of full load.
    """

    name: ClassVar[str] = "sag"
    place: ClassVar[float] = 2.5  # outside of cross-talk (2), inside of the range (3)
    sag: float = eqx.field(metadata=NUMBER)
    full: float = eqx.field(metadata=NUMBER, default=10.0)

    def spread(self, n_params, *, key):
        return None  # all pieces are alike

    def drive(self, own, theta, perturbation, *, key):
        kept = 1 - self.sag * jnp.minimum(1.0, jnp.abs(theta).mean() / self.full)
        return kept * theta, kept * perturbation

    def traits(self, inside):
        return inside  # it neither remembers nor rounds anything


ROW = ImperfectionRow(
    settings=(
        Setting("sag", Real(ge=0, le=1), "share of every parameter that the supply loses at full load"),
        Setting(
            "sag-full",
            Real(gt=0),
            "mean size of parameters at full load (10)",
            argument="full",
            needs="sag",
            default=10.0,
        ),
    ),
    make=Sag,
)
