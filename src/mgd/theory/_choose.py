"""Settings from what was measured, and why, in numbers. Nothing here imports JAX."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ._hold import best_hold, share_seen

# G may be this far from the gradient: cos² = ¼.
TARGET_ANGLE = 60.0
# Of the largest learning rate that lowers the cost on average.
_SAFETY = 0.5
# Of the amplitude up to which the cost is linear along codes, what Adam moves every parameter by at an update.
_SHARE_OF_LINEAR = 1 / 3
# Of a whole number of levels, a little more is taken, for their width is known to about that.
_MARGIN = 1.02
# Steps of the cost's readout that a perturbation is to move it by.
_READOUT_STEPS = 2.0
# Perturbations of a window at the most: of a chip of 1,210 parameters, 64 gave 91 % where 403, for 60°, gave 77 %.
_LONGEST_WINDOW = 64
# Squared relative error of G that is let go for a larger amplitude.
_SLACK = 0.01


@dataclass(frozen=True)
class Facts:
    """The measured properties of a chip, from which the settings are chosen.

    Attributes:
        n_params: P.
        cost: the cost where training starts.
        noise: σ of one cost: white noise, and rounding by the readout.
        gradient: ‖∇C‖.
        quadratic: root mean square of sᵀHs.
        cubic: β: relative error of the slope along a code, over the amplitude's square.
        curvature: curvature along the gradient.
        curvature_error: its standard error.
        lowest: least amplitude that may be chosen.
        linear: largest amplitude within the linear range.
        allowed: largest amplitude for which the limits leave room.
        delay: delay of the cost, in measurements.
        settling: settling time of the cost, in measurements.
        spread: standard deviation of the cost from batch to batch.
        load: time of a presentation, in measurements.
        batch: samples of a presentation.
        unit: the unit of parameters.
        level: the widest step between levels of the parameters; 0 if they have none.
        even: whether all levels are the same.
        readout_step: step of the cost's readout, if it exceeds the noise; 0 if there is none.
    """

    n_params: int
    cost: float
    noise: float
    gradient: float
    quadratic: float
    cubic: float
    curvature: float
    curvature_error: float
    lowest: float
    linear: float
    allowed: float
    delay: int
    settling: float
    spread: float
    load: float
    unit: str
    level: float = 0.0
    even: bool = False
    readout_step: float = 0.0
    batch: int = 1


@dataclass(frozen=True)
class Choice:
    """The chosen settings, the expected results, and the reasons; the learning rate is Adam's."""

    amplitude: float
    tau_p: int
    tau_x: int
    tau_theta: int
    learning_rate: float
    descent_rate: float
    angle: float
    snr: float
    why: tuple[str, ...]


def best_amplitude(
    *,
    noise: float,
    gradient: float,
    quadratic: float,
    cubic: float,
    lowest: float,
    highest: float,
    level: float = 0.0,
    even: bool = False,
) -> float:
    r"""The amplitude of least error of G's components, relative to the gradient's, at P perturbations a window.

    $$J(a) = (\beta a^2)^2 + \frac{1}{\lVert\nabla C\rVert^2} \Big(\frac{\sigma^2}{a^2} + \frac{a^2 q^2}{4}\Big)
      + \frac{\ell^2}{6 a^2}$$

    with β `cubic`, σ the noise of C̃, q `quadratic`. The terms are the squared bias of the third order, the noise, the
    second order, which a one-sided difference takes for signal, and rounding. Without bias the minimum is at
    a = √(2σ/q). Of all amplitudes whose error is within 0.01 of the least, the largest is taken, because gradients
    become smaller during training, and noise does not.

    If parameters have levels ℓ apart, the amplitude is at least one level, and at least two if four are within the
    range. A whole number of levels is applied exactly, wherever between two levels a parameter is. If levels are
    uneven, no number is whole, and the last term is the variance of the rounded amplitude.

    >>> round(best_amplitude(noise=0.02, gradient=1.0, quadratic=4.0, cubic=0.0, lowest=1e-3, highest=1.0), 1)
    0.1
    >>> best_amplitude(
    ...     noise=0.02, gradient=1.0, quadratic=4.0, cubic=0.0, lowest=1e-3, highest=1.0, level=0.25, even=True
    ... )
    0.51
    """
    highest = max(highest, level)
    if even and level:
        most = int(highest / level * (1 + 1e-6))
        grid = _MARGIN * level * np.arange(min(2, max(1, most // 2)), most + 1)
    else:
        least = max(lowest, min(2 * level, highest))
        grid = np.geomspace(least, max(least, highest), 2000)
    bias = (cubic * grid**2) ** 2
    error = (noise**2 / grid**2 + (grid * quadratic) ** 2 / 4) / gradient**2
    total = bias + error + (0.0 if even else level**2 / (6 * grid**2))
    return float(grid[np.flatnonzero(total <= total.min() + _SLACK)[-1]])


def choose(facts: Facts) -> Choice:
    r"""Δθ, then τ_p, T, τ_x and the learning rates of Adam and of plain descent.

    With T perturbations a window, each held for τ_p timesteps and with a share γ of its signal in the costs, G has the
    relative error

    $$v = \frac{1}{T\gamma^2} \Big[(P - 1) + \frac{P}{\lVert\nabla C\rVert^2}
      \Big(\frac{\sigma_n^2}{\Delta\theta^2} + \frac{\Delta\theta^2 q^2}{4}\Big)\Big], \qquad
      \cos^2\angle(G, \nabla C) = \frac{1}{1 + v}, \qquad \eta_\text{descent} = \frac{1}{2\,c\,(1 + v)}$$

    where σ_n² = σ²(1 + 1/τ_p) is the noise of C̃ (that of C₀, and of the mean over a hold), plus the effect of late
    readings on C₀, and c is the curvature along the gradient.

    Adam divides by the size of G, so its rate is a distance: each update moves every parameter by about that much, like
    a code of that amplitude. The rate is a third of the amplitude up to which the cost is linear along codes, divided
    by √(1 + extra), by which noise makes G longer: the noise's share of a step is random.

    Raises:
        ValueError: if no perturbation changes the cost by a step of its readout.
    """
    p, g = facts.n_params, facts.gradient
    tau_p = best_hold(facts.delay, facts.settling)
    seen = share_seen(tau_p, facts.delay, facts.settling)
    late = 1.0 if facts.delay else math.exp(-1 / facts.settling) if facts.settling else 0.0
    noise = math.sqrt(facts.noise**2 * (1 + 1 / tau_p) + (late * facts.spread) ** 2)
    highest = max(min(facts.linear, facts.allowed), facts.level)
    seen_at = _READOUT_STEPS * facts.readout_step / g
    if facts.readout_step and seen_at > highest:
        seen_at = highest
        if facts.readout_step > g * highest:
            raise ValueError(
                f"the cost is read in steps of {facts.readout_step:.3g}, and perturbations of {highest:.3g} "
                f"{facts.unit}".rstrip()
                + f" move it by {g * highest:.2g}: take a narrower range or more bits"
            )
    amplitude = best_amplitude(
        noise=noise,
        gradient=g,
        quadratic=facts.quadratic,
        cubic=facts.cubic,
        lowest=max(min(facts.lowest, highest), seen_at),
        highest=highest,
        level=facts.level,
        even=facts.even,
    )
    if facts.even and amplitude < seen_at:
        amplitude = _MARGIN * facts.level * math.ceil(seen_at / facts.level - 1e-9)
    measured = noise**2 + (late * amplitude * g) ** 2
    extra = (measured / amplitude**2 + (amplitude * facts.quadratic) ** 2 / 4) / g**2
    one = ((p - 1) + p * extra) / seen**2
    # To rounding.
    window = max(1, math.ceil(one / math.tan(math.radians(TARGET_ANGLE)) ** 2 - 1e-9))
    window = min(window, _LONGEST_WINDOW)
    v = one / window
    held = window if late else min(window, math.ceil(math.sqrt(p * facts.batch * (1 + facts.load)) / tau_p))
    curvature, how = _curvature(facts)
    descent = _SAFETY / (curvature * (1 + v))
    # Noise makes G longer, which Adam does not see: what noise alone moves parameters by is kept as it was.
    rate = _SHARE_OF_LINEAR * facts.linear / math.sqrt(1 + extra)
    # A constant share of windows for each sample.
    shown = math.ceil(window / held)
    held = math.ceil(window / shown)
    window = held * shown
    angle = math.degrees(math.acos(1 / math.sqrt(1 + one / window)))
    signal, lost = (seen * amplitude * g) ** 2, measured
    bare = Choice(
        _short(amplitude),
        tau_p,
        held * tau_p,
        window * tau_p,
        _short(rate),
        _short(descent),
        angle,
        signal / lost if lost else 0.0,
        (),
    )
    return replace(bare, why=_reasons(facts, bare, highest, seen, late, noise, extra, v, how))


def _curvature(facts: Facts) -> tuple[float, str]:
    """The curvature that the learning rate is to bear, and how it was found."""
    steepest = facts.gradient**2 / (2 * max(facts.cost, 1e-30))
    if facts.curvature > 2 * facts.curvature_error:
        return facts.curvature + facts.curvature_error, "a secant along G, one standard error added"
    most = max(facts.curvature_error, steepest)
    return most, "no curvature along G stands out; its error and the size of the cost set the rate"


def _reasons(
    facts: Facts,
    choice: Choice,
    highest: float,
    seen: float,
    late: float,
    noise: float,
    extra: float,
    v: float,
    how: str,
) -> tuple[str, ...]:
    a, p, g = choice.amplitude, facts.n_params, facts.gradient
    unit = f" {facts.unit}" if facts.unit else ""
    window = choice.tau_theta // choice.tau_p
    at_end = "; the end of the range" if a >= 0.98 * highest else ""
    lines = [
        f"amplitude {a:g}{unit}: relative error of G per perturbation, noise {(noise / (a * g)) ** 2:.2g}, "
        f"second order {(a * facts.quadratic / g) ** 2 / 4:.2g}, bias² {(facts.cubic * a**2) ** 2:.2g}, "
        f"their sum nearly the least"
        f"{at_end}; linear to {facts.linear:.3g}{unit}, room in the limits for {facts.allowed:.3g}{unit}",
        f"noise of C̃ {noise:.2g} for a signal of {seen * a * g:.2g}: SNR {choice.snr:.2g}",
        f"tau_p {choice.tau_p}: delay {facts.delay} and settling {facts.settling:.2g} measurements leave "
        f"{seen:.0%} of the signal; this tau_p gives the most signal per measurement",
        f"tau_theta {choice.tau_theta}: {window} perturbations of {p} parameters, noise {extra:.2g} relative to "
        f"the other parameters: an angle of {choice.angle:.0f}° is expected, "
        + (
            f"at most {TARGET_ANGLE:.0f}° wanted"
            if window < _LONGEST_WINDOW
            else f"because more updates help more than the {TARGET_ANGLE:.0f}° of a longer window"
        ),
        f"tau_x {choice.tau_x}: "
        + (
            "late readings belong to the previous sample, so samples are held for a window"
            if late
            else f"at most √(parameters × batch × (1 + {facts.load:.2g})) perturbations, because a presentation takes "
            f"{facts.load:.2g} measurements and its baseline one more; and at most a window"
        ),
        f"learning_rate {choice.learning_rate:g}{unit} of Adam, falling to zero as a cosine: each update moves every "
        f"parameter by about that, a third of the {facts.linear:.3g}{unit} up to which the cost is linear along codes, "
        f"over √(1 + {extra:.2g}) for noise",
        f"plain descent would have {choice.descent_rate:g}: half of 1/(curvature {_curvature(facts)[0]:.3g} × "
        f"(1 + {v:.2g})), {how}",
    ]
    if facts.level:
        how_many = f"{choice.amplitude / facts.level:.3g} levels of {facts.level:.3g}{unit}"
        which = (
            "all alike, so a whole number is applied exactly; 2 % more, for the error of their width"
            if facts.even
            else "uneven; this is the widest seen"
        )
        lines.insert(1, f"the amplitude is {how_many}, {which}")
    if facts.readout_step:
        lines.insert(
            1,
            f"the cost is read in steps of {facts.readout_step:.3g}: the amplitude changes it by "
            f"{a * g / facts.readout_step:.2g} steps",
        )
    if late and facts.spread > facts.noise:
        lines.append(
            f"a late baseline contains the cost of the previous sample (spread {facts.spread:.2g}): larger batches, or "
            "walsh codes with tau_theta of a whole period, avoid that"
        )
    return tuple(lines)


def _short(value: float) -> float:
    """Three digits are enough, and are read by people."""
    return float(f"{value:.3g}")
