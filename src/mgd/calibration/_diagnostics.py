"""What a run tells of itself without a true gradient. Nothing here imports JAX."""

import math
from collections import deque

import numpy as np
from jaxtyping import Float

from ._moments import Ratio

# Windows before anything is said of angles, and baselines before anything of drift.
_FEWEST, _FEWEST_SILENT = 16, 64
_BASELINES = 512
# A parameter is silent if its mean squared gradient is, by three standard errors, below this part of the mean of all.
_SILENT = 0.01


class Diagnostics:
    r"""Live diagnostics of a run, from its modulations, its baselines, and the two halves of each window's G.

    *Angle, observed.* A window's G is the sum of a part from even and one from odd perturbations, $P_a + P_b$, whose
    errors are independent. With w the even share of perturbations and v the relative error of G,

    $$E[P_a \cdot P_b] = w (1 - w) \lVert g\rVert^2, \qquad E\lVert P_a + P_b\rVert^2 = (1 + v) \lVert g\rVert^2,
      \qquad \cos^2\angle(G, g) = \frac1{1 + v}
      = \frac{\langle P_a \cdot P_b\rangle / w(1 - w)}{\langle\lVert G\rVert^2\rangle}$$

    For w = ½ and ρ = 1/(1 + 2v), the cosine of the two halves, this is 2ρ/(1 + ρ). With one perturbation a window,
    two windows in turn are the halves: cos² = ⟨G_n · G_{n+1}⟩/⟨‖G‖²⟩. g is the gradient that both halves share:
    with other samples in each, that of the task.

    *Signal to noise.* $\text{SNR} = (\langle\tilde C^2\rangle - \sigma_n^2) / \sigma_n^2$, with σ_n² = 2σ² where the
    baseline is re-measured (C and C₀ each have σ²) and σ²/2 two-sided. σ is `noise` where it was calibrated. Where not,
    σ² is ½⟨(C₀' − C₀)²⟩ of neighbouring baselines, which has what samples and learning change in it: an upper bound.

    *Angle, predicted.* $v = [(P - 1) + P \sigma_m^2/(\langle\tilde C^2\rangle - \sigma_n^2)] / T$, for T random signs
    a window, σ_m² = σ²(1 + 1/τ_p) the noise of a perturbation's mean, or σ²/(2τ_p). For orthogonal codes over a whole
    period the first term is not there, and the angle is better than predicted.

    *Silent parameters*: those whose ⟨P_{a,i} P_{b,i}⟩, mean zero without response, is by three standard errors below
    a hundredth of the mean of all.

    *Drift*: least squares on the last 512 baselines, per measurement; learning is in it. Its error takes their
    residuals for independent.

    Means forget with a constant of `memory` windows, or as many modulations as these have; those of silent parameters
    do not.

    Args:
        n_params: P.
        noise: σ of one measured cost; None if it is not known.
        tau_p: timesteps a perturbation is held.
        two_sided: whether C̃ is half a difference of two sides.
        memory: windows over which means forget.

    Raises:
        ValueError: if one is out of range.

    >>> diagnostics = Diagnostics(3, noise=0.1)
    >>> diagnostics.observe(np.array([0.3, -0.3]), np.array([1.0]))
    >>> round(diagnostics.summary()["snr"], 2)  # 0.09 of 0.02
    3.5

    References:
        Spearman, Brit. J. Psychol. 3, 271 (1910), and Brown, ibid. 296: a whole from its halves.
    """

    def __init__(
        self,
        n_params: int,
        noise: float | None = None,
        *,
        tau_p: int = 1,
        two_sided: bool = False,
        memory: int = 256,
    ):
        if n_params < 1 or tau_p < 1 or memory < 1 or (noise is not None and not 0 <= noise < math.inf):
            raise ValueError(
                "n_params, tau_p and memory must be 1 or more and noise not negative, got "
                f"{n_params}, {tau_p}, {memory} and {noise}"
            )
        self.n_params, self.noise, self.tau_p, self.two_sided, self.memory = n_params, noise, tau_p, two_sided, memory
        self._cos2 = Ratio()
        self._power, self._modulations = Ratio(), 0
        self._measured = self._in_window = self._steps = self._windows = 0
        self._baselines: deque[tuple[float, float]] = deque(maxlen=_BASELINES)
        self._last: np.ndarray | None = None
        self._products, self._squares = np.zeros(n_params), np.zeros(n_params)

    def observe(self, modulations: Float[np.ndarray, " n"], baselines: Float[np.ndarray, " m"]) -> None:
        """Takes the C̃ of some timesteps, and the C₀ that were measured before them."""
        n, m = len(modulations), len(baselines)
        for k, cost in enumerate(baselines):
            self._baselines.append((self._measured + k * (n + m) / max(m, 1), float(cost)))
        self._measured += m + n * (2 if self.two_sided else 1)
        self._in_window += n
        if n:
            keep = (1 - 1 / self.memory) ** (n / max(self._steps, n))
            # Modulations with one baseline have its noise in common: they are one draw, not n.
            self._power.add(float(np.sum(np.asarray(modulations, np.float64) ** 2)), float(n), keep)
            self._modulations += n

    def window(self, even: Float[np.ndarray, " p"], odd: Float[np.ndarray, " p"], share: float | None = None) -> None:
        """Takes the parts of a window's G from its even and its odd perturbations: G is their sum.

        Args:
            even: the part of perturbations 0, 2, …
            odd: the part of the others; zero if there are none.
            share: even ones of all perturbations; by default as the timesteps observed since the last window say.
        """
        self._steps, self._in_window = self._in_window or self._steps, 0
        perturbations = max(1, -(-self._steps // self.tau_p))
        w = (perturbations + 1) // 2 / perturbations if share is None else share
        even, odd = np.asarray(even, np.float64), np.asarray(odd, np.float64)
        whole, keep = even + odd, 1 - 1 / self.memory
        square, before, self._last = float(whole @ whole), self._last, whole
        self._windows += 1
        if 0 < w < 1:
            product = even * odd / (w * (1 - w))
        elif before is not None:
            product, square = whole * before, (square + float(before @ before)) / 2
        else:
            return
        self._cos2.add(float(product.sum()), square, keep)
        self._products += product
        self._squares += product**2

    def summary(self) -> dict[str, float]:
        """What is known so far, by name; angles in degrees, costs in the chip's unit."""
        found: dict[str, float] = {"measurements": float(self._measured), "windows": float(self._windows)}
        found |= self._signal() | self._angles() | self._drift()
        if self._cos2.count >= _FEWEST_SILENT:
            found["silent_parameters"] = float(len(self.silent_parameters()))
        return found

    def silent_parameters(self) -> list[int]:
        """The parameters that have not responded, where enough windows tell."""
        n, total = self._cos2.count, float(self._products.mean())
        if n < _FEWEST_SILENT or total <= 0:
            return []
        error = np.sqrt(np.maximum(0.0, self._squares - self._products**2 / n))
        return np.flatnonzero(self._products + 3 * error < _SILENT * total).tolist()

    def warnings(self) -> list[str]:
        """What is wrong, one line each."""
        found, lines = self.summary(), []
        if found.get("snr", math.inf) < 1 and found["modulations"] >= _FEWEST:
            most = "" if self.noise is not None else "at most "
            lines.append(
                f"the signal is under the noise: C̃ has a root mean square of {found['modulation_rms']:.3g}, "
                f"its noise is {most}{found['noise_of_modulation']:.3g}, SNR {found['snr']:.2g}: "
                "raise the amplitude, or lengthen tau_theta"
            )
        predicted = found.get("predicted_angle", 90.0)
        if (
            _angle(sum(c * x for c, x in zip((1, 3), self._cos2.value_and_error(), strict=True)))
            > predicted + 3 * found.get("predicted_angle_error", 0.0) + 5
        ):
            lines.append(
                f"G is farther from the gradient than noise and the length of the window explain, {predicted:.0f}° "
                f"predicted and {found['observed_angle']:.0f}° observed: look for a delay (tau_p), for drift, and for "
                "samples that disagree"
            )
        silent = self.silent_parameters()
        if silent:
            named = ", ".join(map(str, silent[:8])) + (", …" if len(silent) > 8 else "")
            lines.append(
                f"{len(silent)} of {self.n_params} parameters have not responded ({named}): calibrate to see whether "
                "they are dead"
            )
        return lines

    def _signal(self) -> dict[str, float]:
        """Power of C̃ against that of its noise."""
        if not self._modulations:
            return {}
        power, error = self._power.value_and_error()
        found = {"modulations": float(self._modulations), "modulation_rms": math.sqrt(power)}
        sigma2 = self._noise_power()
        if sigma2 is None:
            return found
        noise = sigma2 * (0.5 if self.two_sided else 2.0)
        found |= {"noise_of_modulation": math.sqrt(noise), "noise_is_bound": float(self.noise is None)}
        if noise:
            found |= {"snr": max(0.0, power - noise) / noise, "snr_error": error / noise}
        return found

    def _noise_power(self) -> float | None:
        """σ²: calibrated, or an upper bound from neighbouring baselines."""
        if self.noise is not None:
            return self.noise**2
        if len(self._baselines) < _FEWEST:
            return None
        costs = np.array([cost for _, cost in self._baselines])
        return float(np.mean(np.diff(costs) ** 2)) / 2

    def _angles(self) -> dict[str, float]:
        """Observed and predicted, in degrees."""
        found, (cos2, error) = {}, self._cos2.value_and_error()
        if self._cos2.count >= _FEWEST:
            low, high = _angle(cos2 + error), _angle(cos2 - error)
            found = {"observed_angle": _angle(cos2), "observed_angle_error": (high - low) / 2}
        sigma2, perturbations = self._noise_power(), max(1, -(-self._steps // self.tau_p))
        if self._modulations and self._steps and sigma2 is not None:
            power, error = self._power.value_and_error()
            mean = sigma2 * (0.5 / self.tau_p if self.two_sided else 1 + 1 / self.tau_p)

            def predicted(power: float) -> float:
                signal = power - sigma2 * (0.5 if self.two_sided else 2.0)
                if signal <= 0:
                    return 90.0
                return _angle(1 / (1 + (self.n_params - 1 + self.n_params * mean / signal) / perturbations))

            found["predicted_angle"] = predicted(power)
            found["predicted_angle_error"] = (predicted(power - error) - predicted(power + error)) / 2
        return found

    def _drift(self) -> dict[str, float]:
        """Slope of the baselines."""
        n = len(self._baselines)
        if n < _FEWEST:
            return {}
        at, costs = np.array(self._baselines).T
        at = at - at.mean()
        square = float(at @ at)
        slope = float(at @ costs) / square
        rest = costs - costs.mean() - slope * at
        return {"drift": slope, "drift_error": math.sqrt(float(rest @ rest) / (n - 2) / square)}


def _angle(cos2: float) -> float:
    """In degrees, of cos²."""
    return math.degrees(math.acos(math.sqrt(min(1.0, max(0.0, cos2)))))
