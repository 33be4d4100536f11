"""How long noisy descent takes to a target. The law is derived in docs/plan.md."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ._late import ON_TIME, Late

# Of updates that remember nine tenths of what was before, half the ordinary step is already taken.
_MOMENTUM_GAIN = 2.0


@dataclass(frozen=True)
class Landscape:
    """What a cost is like where training is to end.

    Attributes:
        n_params: P.
        spread: S, the mean square of a sample's gradient about the mean gradient.
        gradient: the square of the mean gradient.
        trace: tr H, the sum of the curvatures.
        largest: λ_max, the largest curvature.
        quadratic: q, the root mean square of sᵀHs over sign codes s.
        cubic: the root mean square of the third order along a code: C(θ + as) − C(θ − as) = 2a(s·∇C) + 2a³·cubic.
        cost: L*, the cost at the target.
        exponent: q of L ~ s^(−1/q), by which descent approaches the target.
        flow: s*, the learning rate times updates that descent without noise takes.
        scatter: V, the variance of the costs of single samples.
    """

    n_params: int
    spread: float
    gradient: float
    trace: float
    largest: float
    quadratic: float
    cubic: float
    cost: float
    exponent: float
    flow: float
    scatter: float


class Windows(NamedTuple):
    """How windows are made; each number may be an array.

    Attributes:
        held: n, the perturbations of a presentation.
        shown: K, the presentations of a window.
        batch: B, the samples of a presentation.
        tau_p: the measurements of a perturbation.
        two_sided: whether each perturbation is measured with both signs, or compared with one baseline a presentation.
        period: N, after which codes are orthogonal; 0 for independent codes.
        late: what C̃ consists of, if costs come late.
    """

    held: Any
    shown: Any
    batch: Any
    tau_p: Any
    two_sided: Any
    period: Any
    late: Late = ON_TIME

    @property
    def perturbations(self) -> Any:
        """T, those of a window."""
        return self.held * self.shown


def events_of(windows: Windows) -> dict[str, Any]:
    """How often each event of a `mgd.timing.Profile` happens in a window, in a long run.

    >>> events = events_of(Windows(held=4, shown=2, batch=3, tau_p=1, two_sided=False, period=0))
    >>> {name: int(number) for name, number in events.items()}
    {'inference': 30, 'perturbation': 10, 'write': 1, 'load': 6, 'latency': 10}
    """
    measured = windows.perturbations * windows.tau_p
    measured = np.where(windows.two_sided, 2 * measured, measured + windows.shown)
    changes = np.where(windows.two_sided, measured, windows.perturbations + windows.shown)
    return {
        "inference": measured * windows.batch,
        "perturbation": changes,
        "write": np.ones_like(measured),
        "load": windows.shown * windows.batch,
        "latency": measured,
    }


def error_of_signal(land: Landscape, windows: Windows, *, noise: Any, amplitude: Any) -> tuple[Any, Any]:
    r"""What noise, higher orders and late costs add to the square of each component of G/γ, by one perturbation.

    $$\gamma^2 (\nu_o^2 + e) = \frac{\sigma^2}{\tau_p \Delta^2} + \frac{\Delta^2}{4} \mu\,\mathrm{tr}^2 H
      + (\gamma^2 + \chi_o) c + \chi_o \Big(\lVert\bar g\rVert^2 + \frac SB\Big) + \psi_o \frac{V}{B\Delta^2}$$

    $$\gamma^2 \nu_s^2 = \frac{\sigma^2}{\Delta^2} + \chi_s \Big(\lVert\bar g\rVert^2 + \frac SB + c\Big)
      + \psi_s \frac{V}{B\Delta^2}, \qquad c = \frac{\Delta^2}{4} (q^2 - \mathrm{tr}^2 H) + \Delta^4 w^2$$

    with w `cubic`, and what `Late` says: costs that come at once have γ = μ = 1, and all others 0. From
    both sides, noise is $\sigma^2/(2\tau_p\Delta^2)$, and neither the second order nor a shared baseline is left.

    Args:
        land: what the cost is like.
        windows: how windows are made.
        noise: σ of one measurement.
        amplitude: Δ.

    Returns:
        What each perturbation has for itself, and what it shares with the others of its presentation.
    """
    late, two_sided = windows.late, windows.two_sided
    white, power = (noise / amplitude) ** 2, late.seen**2
    steady = np.minimum(land.trace, land.quadratic) ** 2
    third = amplitude**4 * land.cubic**2
    curved = np.where(two_sided, 0.0, amplitude**2 / 4 * (land.quadratic**2 - steady)) + third
    signals = land.gradient + land.spread / windows.batch
    costs = land.scatter / (windows.batch * amplitude**2)
    own = np.where(two_sided, white / 2, white) / windows.tau_p + (power + late.others) * curved
    own = own + np.where(two_sided, 0.0, amplitude**2 / 4 * late.steady * steady)
    own = own + late.others * signals + late.samples * costs
    shared = np.where(two_sided, 0.0, white) + late.others_shared * (signals + curved) + late.samples_shared * costs
    return own / power, shared / power


def variance_of(land: Landscape, windows: Windows, *, noise: Any, amplitude: Any) -> Any:
    r"""A, the variance of G/γ about the mean gradient: the trace of its covariance.

    $$A = \frac{S}{KB} + \frac{P-1}{T}\Big[\frac{S}{B}\Big(1 - \frac1K\Big) + \kappa\Big(\lVert\bar g\rVert^2
      + \frac{S}{KB}\Big)\Big] + \frac{P}{T}\Big[\nu_o^2 + e + \kappa_n\nu_s^2\Big]$$

    since a parameter's own sign squared is 1, so that it does not cross-talk with itself; with $\kappa = 1$ for
    independent codes, and $(1 - T/N)_+$ for codes that are orthogonal over N perturbations; in $\kappa_n$ the n
    perturbations that share a baseline stand for T. Costs that come late leave only the share γ of the gradient in G.

    Args:
        land: what the cost is like.
        windows: how windows are made.
        noise: σ of one measurement.
        amplitude: Δ.

    >>> land = Landscape(100, 2.0, 1.0, 3.0, 1.0, 4.0, 0.0, 0.1, 1.5, 10.0, 0.0)
    >>> windows = Windows(held=50, shown=2, batch=1, tau_p=1, two_sided=False, period=0)
    >>> round(float(variance_of(land, windows, noise=0.0, amplitude=1e-6)), 2)  # S/2 + 0.99 (S + ‖∇C‖²)
    3.97
    """
    samples = land.spread / windows.batch
    total = windows.perturbations
    own, shared = error_of_signal(land, windows, noise=noise, amplitude=amplitude)
    others = left_of_code(total, windows.period) * (land.gradient + samples / windows.shown)
    others = others + samples * (1 - 1 / windows.shown)
    noisy = own + left_of_code(windows.held, windows.period) * shared
    return samples / windows.shown + ((land.n_params - 1) * others + land.n_params * noisy) / total


def left_of_code(perturbations: Any, period: Any) -> Any:
    """The share of the cross-talk of independent codes that so many perturbations of a code leave."""
    return np.where(period, np.maximum(0.0, 1 - perturbations / np.maximum(period, 1)), 1.0)


class WriteNoise(NamedTuple):
    r"""What imperfect writes make of A: $\max(A, W_1/\eta) + W_2/\eta^2$.

    Attributes:
        rounding: W₁, of writes that are whole pulses.
        white: W₂, of noise on each write.
    """

    rounding: Any
    white: Any


def noise_of_writes(land: Landscape, variance: Any, *, pulse: float, noise: float) -> WriteNoise:
    r"""What writes add, for pulses of this size in place of the wanted change, and noise on each parameter.

    A change Δ that is smaller than a pulse δ is made by a pulse at random, whose mean square is |Δ|δ in place of Δ²; so

    $$W_1 = \delta \sqrt{\tfrac2\pi P (A + \lVert\bar g\rVert^2)}, \qquad W_2 = P\sigma_w^2$$

    Args:
        land: what the cost is like.
        variance: A.
        pulse: δ, in the parameter's unit; 0 for exact writes.
        noise: σ_w, likewise.
    """
    length = np.sqrt(2 / np.pi * land.n_params * (variance + land.gradient))
    return WriteNoise(pulse * length, land.n_params * noise**2 * np.ones_like(length))


def rate_of(land: Landscape, windows: Windows, variance: Any, writes: WriteNoise, *, momentum: bool = False) -> Any:
    r"""The learning rate on G/γ with which descent is soonest at the target: the smaller of two.

    $$\eta_\text{noise} = \max\Big(\frac{c + \sqrt{c^2 - 4(1 - q^2) A W_2}}{2 (1 + q) A}, \frac{W_1}{A}\Big), \quad
      c = 4 L^*, \qquad \eta_\text{stable} = \frac{1}{\lambda_\text{max} + \kappa_l\,\mathrm{tr} H / T}$$

    with $\kappa_l = \kappa + (\chi_o + \kappa_n\chi_s)/\gamma^2$. With exact writes the first is $4L^*/(A(1 + q))$.
    Below $W_1/A$ a smaller rate makes the floor no lower.

    Args:
        land: what the cost is like.
        windows: how windows are made.
        variance: A.
        writes: what writes add to it.
        momentum: whether updates remember nine tenths of those before, so that the stable rate is about twice that of
            plain descent; the rate is that of the sum of all parts of an update.
    """
    q, most, variance = land.exponent, 4 * land.cost, np.maximum(variance, 1e-300)
    under = np.maximum(most**2 - 4 * (1 - q**2) * variance * writes.white, 0.0)
    noisy = np.maximum((most + np.sqrt(under)) / (2 * (1 + q)), writes.rounding) / variance
    late, code = windows.late, left_of_code(windows.perturbations, windows.period)
    shared = left_of_code(windows.held, windows.period) * late.others_shared
    code = code + (late.others + shared) / late.seen**2
    stable = 1 / (land.largest + code * land.trace / windows.perturbations)
    return np.minimum(noisy, stable * (_MOMENTUM_GAIN if momentum else 1.0))


def windows_to(land: Landscape, variance: Any, rate: Any, writes: WriteNoise) -> Any:
    r"""The updates until the cost is L*, with a constant learning rate.

    $$\frac{s^*}{\eta} \Big(1 - \frac{\max(\eta A, W_1) + W_2/\eta}{4 L^*}\Big)^{-q}$$

    It is infinite where the floor that noise keeps the cost above is higher than L*.
    """
    left = 1 - (np.maximum(rate * variance, writes.rounding) + writes.white / rate) / (4 * land.cost)
    with np.errstate(divide="ignore"):
        return land.flow / rate * np.where(left > 0, np.maximum(left, 1e-12) ** -land.exponent, np.inf)
