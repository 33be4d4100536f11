"""Facts that a chip's own measurements gave, beside those of its model, and the law's facts by them. No JAX here."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from ..calibration import Quantity, Ratio
from ..theory import Landscape

# A ratio stands out from 1 if it differs by more standard errors: those that do so by fewer are mostly luck.
_STANDS_OUT = 3.0


class Fact(BaseModel):
    """A fact of a chip and of its model, at the same parameters.

    Attributes:
        chip: measured on the chip.
        model: by the same steps on the model.
        ratio: the first over the second.
    """

    model_config = ConfigDict(frozen=True)

    chip: Quantity
    model: float
    ratio: Quantity

    @staticmethod
    def of(chip: Float[np.ndarray, " n"], model: Float[np.ndarray, " n"], error: float = 0.0) -> "Fact":
        """The means of what each code said of both.

        Chip and model were asked along the same codes, with the same samples, so most of the scatter is not in the
        ratio.

        Args:
            chip: of the chip.
            model: of the model.
            error: of the chip's mean, by what all codes share.
        """
        ratio, mean = Ratio(), float(np.mean(model))
        ratio.extend(chip, model, np.ones(len(chip)))
        value, scatter = ratio.value_and_error()
        return Fact(
            chip=Quantity.of(np.mean(chip), math.hypot(float(np.std(chip, ddof=1)) / math.sqrt(len(chip)), error)),
            model=mean,
            ratio=Quantity.of(value, math.hypot(scatter, error / mean if mean > 0 else 0.0)),
        )

    @property
    def root(self) -> "Fact":
        """The same of the square root."""

        def root(quantity: Quantity) -> Quantity:
            if quantity.value <= quantity.error:
                return Quantity.of(math.sqrt(max(0.0, quantity.value)), math.sqrt(quantity.error))
            value = math.sqrt(quantity.value)
            return Quantity.of(value, quantity.error / (2 * value))

        return Fact(chip=root(self.chip), model=math.sqrt(max(0.0, self.model)), ratio=root(self.ratio))

    @property
    def is_lost(self) -> bool:
        """Whether its error is larger than itself."""
        return self.ratio.value <= self.ratio.error

    @property
    def factor(self) -> float:
        """The ratio if it stands out from 1 and from its own error, and 1 otherwise."""
        seen = abs(self.ratio.value - 1) > _STANDS_OUT * self.ratio.error
        return self.ratio.value if seen and not self.is_lost else 1.0

    def line(self, name: str) -> str:
        """What becomes of it, for people, who know it by this name."""
        kept = "the model's is kept"
        if self.model <= 0:
            return f"its {name} is {self.chip}, and the model's {self.model:.3g} there, so there is no ratio: {kept}"
        said = f"its {name} is {self.ratio} times the model's"
        if self.is_lost:
            return f"{said}, which is lost in its error: {kept}"
        return (
            f"{said}, which does not stand out from 1: {kept}" if self.factor == 1 else f"{said}: the plan goes by it"
        )


class Facts(BaseModel):
    """Facts that a chip's own measurements gave.

    Attributes:
        identity: who answered.
        date: when, ISO 8601, UTC.
        batch: samples of a measurement, where not one alone was shown.
        measurements: how many there were.
        amplitude: of the perturbations.
        likeness: the correlation of the chip's slopes with the model's, freed of the noise's share.
        cost: C of a batch.
        noise: σ of a batch's cost.
        noise_of_one: σ of a single sample's.
        spread: S.
        gradient: ‖ḡ‖².
        trace: tr H.
        mixed: the root of the sum of squares of H off its diagonal, which stands for λ_max.
    """

    model_config = ConfigDict(frozen=True)

    identity: str
    date: str
    batch: int
    measurements: int
    amplitude: float
    likeness: Quantity
    cost: Fact
    noise: Quantity
    noise_of_one: Quantity
    spread: Fact
    gradient: Fact
    trace: Fact
    mixed: Fact

    def scaled(self, land: Landscape) -> Landscape:
        """The facts of the model's descent, times the ratios that stand out.

        A step has as much more effect as λ_max is larger, so the flow to the target is as much shorter: this is so of a
        chip whose parameters do more, and of one that reads a multiple of the cost.
        """
        trace, largest = land.trace * self.trace.factor, land.largest * self.mixed.factor
        both = (trace**2 + 2 * largest**2) / (land.trace**2 + 2 * land.largest**2)
        return replace(
            land,
            spread=land.spread * self.spread.factor,
            gradient=land.gradient * self.gradient.factor,
            trace=trace,
            largest=largest,
            quadratic=land.quadratic * math.sqrt(both),
            flow=land.flow / self.mixed.factor,
        )

    def lines(self) -> list[str]:
        """What becomes of each fact, for people."""
        named = {"S": self.spread, "‖∇C‖²": self.gradient, "tr H": self.trace, "λ_max": self.mixed}
        return [fact.line(name) for name, fact in named.items()]
