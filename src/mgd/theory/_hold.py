"""What a late cost leaves of a perturbation that is held."""

import math


def hold_for(delay: int, settling: float, *, left: float = 0.01) -> int:
    """Measurements after which only this share of a step is missing, without the delay."""
    return 1 + (math.ceil(settling * math.log(1 / left)) if settling else 0)


def share_seen(tau_p: int, delay: int, settling: float) -> float:
    r"""The share of its signal that a perturbation, held for τ_p timesteps, has in the costs of these timesteps.

    $$\gamma = \frac1{\tau_p} \sum_{j=1}^{\tau_p - k} (1 - r^j), \qquad r = e^{-1/\tau}$$

    >>> share_seen(3, delay=1, settling=0.0).__round__(3)
    0.667
    """
    r = math.exp(-1 / settling) if settling else 0.0
    return sum(1 - r**j for j in range(1, tau_p - delay + 1)) / tau_p


def best_hold(delay: int, settling: float) -> int:
    """The τ_p with the largest γ²/τ_p: the most signal for the number of measurements.

    For a pure delay k it is 3k.

    >>> best_hold(0, 0.0), best_hold(2, 0.0)
    (1, 6)
    """
    longest = 1 + 3 * delay + math.ceil(4 * settling)
    return max(range(1, longest + 1), key=lambda tau: (share_seen(tau, delay, settling) ** 2 / tau, -tau))
