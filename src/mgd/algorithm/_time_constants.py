"""How long things are held."""

from dataclasses import dataclass

_LONGEST = 2**31


@dataclass(frozen=True)
class TimeConstants:
    """The time constants of a run, in timesteps. They need not divide one another.

    Args:
        tau_p: how long one perturbation is held.
        tau_x: how long one sample (or mini-batch) is held.
        tau_theta: between two parameter updates with an accumulating integrator; the constant of a low-pass.
        tau_hp: the constant of the high-pass baseline, if there is one.

    Raises:
        ValueError: if one of the first three is not a whole number from 1 to 2³¹, or tau_hp is not above 0 and at most
            2³¹.

    >>> TimeConstants(tau_theta=4).tau_theta
    4
    """

    tau_p: int = 1
    tau_x: int = 1
    tau_theta: int = 1
    tau_hp: float = 100.0

    def __post_init__(self):
        for name in ("tau_p", "tau_x", "tau_theta"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LONGEST:
                raise ValueError(f"{name} must be a whole number of timesteps from 1 to 2**31, got {value!r}")
        if (
            isinstance(self.tau_hp, bool)
            or not isinstance(self.tau_hp, int | float)
            or not 0 < self.tau_hp < float("inf")
        ):
            raise ValueError(f"tau_hp must be a finite number of timesteps above 0, got {self.tau_hp!r}")
        if self.tau_hp > _LONGEST:  # to float64 the filter would take nothing
            raise ValueError(f"tau_hp must be at most 2**31, got {self.tau_hp!r}")
