"""What a high-pass of the cost lets through."""

# Timesteps of a sample after which the blanking of a high-pass no longer counts.
_LONGEST_FILTER = 100_000


def white_gain(pole: float, tau_p: int) -> float:
    """The share of the signal that a high-pass passes, for a code with uncorrelated successive values.

    Within a hold the filter sees one step, at the hold's start, which then decays: k timesteps later pole^k of
    it is left. The mean over a hold is (pole + pole² + … + pole^τ_p) / τ_p.
    """
    return pole * (1 - pole**tau_p) / ((1 - pole) * tau_p)


def high_pass_noise(pole: float, tau_x: int) -> float:
    r"""Power of white noise of power 1 after C̃_n = a (C̃_{n−1} + C_n − C_{n−1}), blanked every τ_x timesteps.

    Without blanking it is 2a²/(1 + a). When C_{n−1} is set to C_n, the noise of both stays in C̃.

    >>> round(high_pass_noise(0.5, 10**9), 3), round(high_pass_noise(0.99, 10), 2)
    (0.333, 10.64)
    """
    steps = min(tau_x, _LONGEST_FILTER)
    # E[C̃²] over a period that begins at v is kept·v + added; E[C̃ C] is a after a step, and 0 after a blank one.
    kept, added, sums, both = pole**2, 0.0, [(pole**2, 0.0)], 0.0
    for _ in range(steps - 1):
        kept, added, both = pole**2 * kept, pole**2 * (added + 2 - 2 * both), pole
        sums.append((kept, added))
    start = added / (1 - kept)
    return sum(k * start + a for k, a in sums) / steps
