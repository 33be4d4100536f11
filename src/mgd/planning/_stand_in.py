"""Chips whose cost is at once there, in place of chips whose cost comes late, which no quick engine simulates."""

import math
from dataclasses import dataclass, replace
from typing import Any

from ..runs import Settings
from ..theory import Landscape, Windows, error_of_signal, left_of_code
from ._problem import NOISES, Problem
from ._structure import Structure

_LEFT_OUT = ("delay", "settling", "adc-bits", "adc-range", *NOISES)


@dataclass(frozen=True)
class StandIn:
    """A chip whose G has the variance that G/γ of a late one has by the law: the rest of it is white noise of costs.

    It measures each perturbation once, so a timestep of its stands for τ_p of the other's.

    Attributes:
        seen: γ, by which the learning rate is multiplied.
        noise: σ, of a measurement or a sample, as the profile counts it.
    """

    seen: float
    noise: float

    @staticmethod
    def of(problem: Problem, land: Landscape, structure: Structure) -> "StandIn | None":
        r"""The one for chips that are trained in this way; None if their cost is not late, or an engine was asked for.

        $$\sigma'^2 = \frac{\nu^2(\sigma) - \nu_1^2(0)}{\nu_1^2(1) - \nu_1^2(0)}, \qquad
          \nu^2 = \nu_o^2 + e + \kappa_n\nu_s^2$$

        where ν₁ is that of a chip whose cost is not late, with a τ_p of 1.
        """
        if not problem.is_late or "engine" in problem.given:
            return None
        late, prompt = problem.windows(structure), replace(structure, tau_p=1).windows(problem.n_params)

        def error(windows: Windows, noise: Any) -> float:
            own, shared = error_of_signal(land, windows, noise=noise, amplitude=structure.amplitude)
            return float(own + left_of_code(windows.held, windows.period) * shared)

        more = max(0.0, error(late, problem.noise(structure.batch, land.cost)) - error(prompt, 0.0))
        of_one = error(prompt, 1.0) - error(prompt, 0.0)
        samples = structure.batch if problem.profile.noise_of == "sample" else 1
        return StandIn(float(late.late.seen), math.sqrt(samples * more / of_one))

    def settings(self, problem: Problem, structure: Structure, **more: Any) -> Settings:
        """The settings of a run of such chips."""
        imperfect = {name: value for name, value in problem.imperfect.items() if name not in _LEFT_OUT}
        imperfect |= {"cost-noise": self.noise} if self.noise else {}
        chip = replace(problem, given={**problem.given, "imperfect": imperfect})
        return chip.settings(replace(structure, tau_p=1, rate=self.seen * structure.rate), **more)
