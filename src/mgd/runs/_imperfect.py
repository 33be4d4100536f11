"""Imperfections of a run's chips, as they stand in TOML. Nothing here imports JAX."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Bits = Annotated[int, Field(ge=1, le=24, strict=True)]
# Where numbers end is what float32 holds.
Number = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False, strict=True)]
Above0 = Annotated[float, Field(gt=0, le=3e38, allow_inf_nan=False, strict=True)]
Spread = Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Signed = Annotated[float, Field(ge=-1, le=1, strict=True)]
Truth = Annotated[bool, Field(strict=True)]

# What means nothing without another.
_LEADS = {
    "adc_range": "adc_bits",
    "dac_range": "dac_bits",
    "dac_stochastic": "dac_bits",
    "dac_own_line": "dac_bits",
    "dac_finer_copy": "dac_bits",
    "stuck_range": "stuck",
    "up_down": "dw_min",
    "w_max": "dw_min",
    "w_min": "dw_min",
    "dw_min_dtod": "dw_min",
    "dw_min_ctoc": "dw_min",
    "up_down_dtod": "dw_min",
    "w_max_dtod": "dw_min",
    "w_min_dtod": "dw_min",
}
# The largest parameter of a chip that has learnt XOR is 7 in the median, and 10 at the most, of 64 chips.
_PARAMETERS = 10.0
# An output in 0 … 1 cannot cost more than 1. Guessing among ten classes costs ln 10 = 2.3; here is twice that.
_LARGEST_COST = {"mse": 1.0, "cross-entropy": 5.0}


class Imperfections(BaseModel):
    """What a chip's imperfections are; what is None is not there. In TOML names have dashes; `mgd list` says what
    each is."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))

    activation_variation: Spread | None = None
    stuck: Share | None = None
    stuck_range: Above0 | None = None
    dead: Share | None = None
    cross_talk: Signed | None = None
    parameter_range: Above0 | None = None
    dw_min: Above0 | None = None
    up_down: Signed | None = None
    w_max: Above0 | None = None
    w_min: Annotated[float, Field(lt=0, ge=-3e38, allow_inf_nan=False, strict=True)] | None = None
    dw_min_dtod: Spread | None = None
    dw_min_ctoc: Spread | None = None
    up_down_dtod: Spread | None = None
    w_max_dtod: Spread | None = None
    w_min_dtod: Spread | None = None
    update_noise: Spread | None = None
    leak: Share | None = None
    drift: Spread | None = None
    perturbation_gain: Spread | None = None
    dac_bits: Bits | None = None
    dac_range: Above0 | None = None
    dac_stochastic: Truth | None = None
    dac_own_line: Truth | None = None
    dac_finer_copy: Truth | None = None
    settling: Spread | None = None
    cost_noise: Spread | None = None
    flicker_noise: Spread | None = None
    adc_bits: Bits | None = None
    adc_range: Above0 | None = None
    delay: Annotated[int, Field(ge=0, le=2**16, strict=True)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, lead in _LEADS.items():
            if getattr(self, name) is not None and getattr(self, lead) is None:
                name, lead = name.replace("_", "-"), lead.replace("_", "-")
                raise ValueError(f"{name} goes with {lead}: give {lead} too, or leave {name} out")
        if (self.stuck or 0) + (self.dead or 0) > 1:
            raise ValueError(f"stuck and dead must sum to 1 or less, got {self.stuck} and {self.dead}")
        if self.dw_min is not None and self.dw_min > min(self.w_max or _PARAMETERS, -(self.w_min or -_PARAMETERS)):
            raise ValueError(f"dw-min must not be larger than a bound (w-max, w-min), got {self.dw_min}")
        return self

    def complete(self, cost: str) -> Self:
        """These, with ranges that were not given.

        Args:
            cost: whose range the converter is to have: mse or cross-entropy.
        """
        ranges: dict[str, Any] = {"dac_range": _PARAMETERS, "adc_range": _LARGEST_COST[cost], "stuck_range": 1.0}
        ranges |= {"w_max": _PARAMETERS, "w_min": -(self.w_max or _PARAMETERS)}
        missing = {
            name: value
            for name, value in ranges.items()
            if getattr(self, name) is None and getattr(self, _LEADS[name]) is not None
        }
        return self.model_copy(update=missing)
