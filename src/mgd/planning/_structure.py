"""The settings that a plan chooses."""

from dataclasses import dataclass, replace
from typing import Any

from ..theory import Windows

# optax's momentum of 0.9 adds up ten times an update.
_SUM_OF_MOMENTUM = 10.0
FAMILIES = ("rademacher", "walsh", "walsh-shared-bit")
BASELINES = ("remeasured", "two-sided")
OPTIMIZERS = ("sgd", "momentum")
# The share of a rate that falls that is left in the end, so that chips which are late go on learning.
LEFT = 0.1


@dataclass(frozen=True)
class Structure:
    """How a chip is trained.

    Attributes:
        perturbation: the family.
        baseline: what a perturbed cost is compared with.
        optimizer: the update rule.
        held: perturbations of a presentation.
        shown: presentations of a window.
        batch: samples of a presentation.
        tau_p: timesteps of a perturbation.
        amplitude: Δθ.
        rate: the first learning rate on the ordinary gradient, with momentum that of all that an update comes to.
        falls: windows in which the rate falls to a tenth, as half a cosine; 0 if it stays.
    """

    perturbation: str
    baseline: str
    optimizer: str
    held: int
    shown: int
    batch: int
    tau_p: int
    amplitude: float
    rate: float
    falls: int = 0

    @property
    def window(self) -> int:
        """T, the perturbations of a window."""
        return self.held * self.shown

    def with_rate(self, rate: float) -> "Structure":
        """The same, with another learning rate."""
        return replace(self, rate=rate)

    def windows(self, n_params: int) -> Windows:
        """Its windows, for the law."""
        period = period_of(self.perturbation, n_params)
        return Windows(self.held, self.shown, self.batch, self.tau_p, self.baseline == "two-sided", period)

    def settings(self) -> dict[str, Any]:
        """The settings of a run, by their names there."""
        rate = self.rate / (_SUM_OF_MOMENTUM if self.optimizer == "momentum" else 1.0)
        return {
            "algorithm": "discrete",
            "perturbation": self.perturbation,
            "baseline": self.baseline,
            "optimizer": self.optimizer,
            **self._schedule(),
            "learning_rate": short(rate),
            "amplitude": short(self.amplitude),
            "tau_p": self.tau_p,
            "tau_x": self.held * self.tau_p,
            "tau_theta": self.window * self.tau_p,
            "batch": self.batch,
        }

    def _schedule(self) -> dict[str, Any]:
        if not self.falls:
            return {"schedule": "constant"}
        return {"schedule": "cosine", "fall_steps": self.falls * self.window * self.tau_p, "fall_to": LEFT}


def period_of(perturbation: str, n_params: int) -> int:
    """Perturbations after which a family's codes are orthogonal; 0 if they never are.

    >>> period_of("walsh", 220), period_of("walsh-shared-bit", 220), period_of("rademacher", 220)
    (256, 512, 0)
    """
    if perturbation == "walsh":
        return 1 << n_params.bit_length()
    return 2 << (n_params - 1).bit_length() if perturbation == "walsh-shared-bit" else 0


def short(value: float) -> float:
    """Three digits, which people can read."""
    return float(f"{value:.3g}")
