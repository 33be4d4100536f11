"""What a run tells of itself without a true gradient. Nothing here imports JAX."""

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from ._tally import Tally

# Least windows for a statement about angles, and about silent parameters; least baselines for one about noise.
_FEWEST, _FEWEST_SILENT = 16, 64
# A parameter is silent if its mean squared gradient is, by so many standard errors, below this part of that of the
# parameter in the middle: a sixth in the gradient itself. A mean of all would be that of the last layer.
_SILENT, _SURELY = 0.03, 4.0


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
    baseline is re-measured (C and C₀ each have σ²), σ²/2 two-sided, and `noise_gain` σ² otherwise.
    σ is `noise` if it was calibrated. If not, σ² is ½⟨(C₀' − C₀)²⟩ of neighbouring baselines, of the same sample
    if there are enough. Learning and other samples add to it, so it is an upper bound, and the SNR a lower one.

    *Angle, predicted.* $v = [x + P \sigma_m^2/(\langle\tilde C^2\rangle - \sigma_n^2)] / T$, for T perturbations a
    window, σ_m² = σ²(1 + 1/τ_p) the noise of a perturbation's mean, or σ²/(2τ_p), or σ²/τ_p if codes that sum to
    zero cancel the baseline's noise. x is `crosstalk`: P − 1 for random signs, 0 for orthogonal codes over whole
    periods.

    *Silent parameters* have a ⟨P_{a,i} P_{b,i}⟩, which is zero without response, of less than four standard errors, and
    by four standard errors below 0.03 of the median parameter's; values that noise made negative count as zero. A
    decision needs about (v/0.0075)² windows.

    *Drift* is a least-squares slope of the last 512 baselines, per measurement; it includes learning. Its error assumes
    independent residuals.

    Means decay with a constant of `memory` windows, or of the modulations in these; those of silent parameters do not
    decay.

    Args:
        n_params: P.
        noise: σ of one measured cost; None if it is not known.
        tau_p: timesteps for which a perturbation is held.
        two_sided: whether C̃ is half the difference of two sides.
        noise_gain: σ_n²/σ² behind a high-pass.
        crosstalk: x; by default P − 1.
        balanced: whether codes sum to zero over the perturbations that share a baseline.
        alike: whether both halves of G have the same samples, so that the observed angle should equal the predicted
            one.
        window: timesteps of a window; by default those between two calls of `window`.
        memory: windows after which means decay.

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
        noise_gain: float | None = None,
        crosstalk: float | None = None,
        balanced: bool = False,
        alike: bool = True,
        window: int | None = None,
        memory: int = 256,
    ):
        if n_params < 1 or tau_p < 1 or memory < 1 or (noise is not None and not 0 <= noise < math.inf):
            raise ValueError(
                "n_params, tau_p and memory must be 1 or more and noise not negative, got "
                f"{n_params}, {tau_p}, {memory} and {noise}"
            )
        self.n_params, self.noise, self.tau_p, self.two_sided, self.alike = n_params, noise, tau_p, two_sided, alike
        self._crosstalk = n_params - 1 if crosstalk is None else crosstalk
        # σ_m²/σ² and σ_n²/σ².
        self._of_mean = 0.5 / tau_p if two_sided else 1 / tau_p + (0 if balanced else 1)
        self._times = noise_gain if noise_gain is not None else 0.5 if two_sided else 2.0
        self._tally = Tally(n_params, memory, 2 if two_sided else 1, window)
        self._given, self._in_window = window is not None, 0

    def observe(self, modulations: Float[np.ndarray, " n"], baselines: Float[np.ndarray, " m"]) -> None:
        """Takes the C̃ of a hold's timesteps, and the C₀ that was measured before them, if one was."""
        power = float(np.sum(np.asarray(modulations, np.float64) ** 2))
        cost = float(baselines[-1]) if len(baselines) else math.nan
        self.observe_holds(np.array([power]), np.array([len(modulations)]), np.array([cost]), np.zeros(1, bool))

    def observe_holds(
        self,
        powers: Float[np.ndarray, " k"],
        counts: Int[np.ndarray, " k"],
        baselines: Float[np.ndarray, " k"],
        same: Bool[np.ndarray, " k"],
    ) -> None:
        """Takes many holds at once.

        Args:
            powers: the sum of C̃² of each hold.
            counts: its timesteps.
            baselines: its C₀; NaN if none was measured.
            same: whether it has the same sample as the previous hold.
        """
        self._in_window += int(counts.sum())
        self._tally.holds(powers, counts, baselines, same)

    def window(self, even: Float[np.ndarray, " p"], odd: Float[np.ndarray, " p"], share: float | None = None) -> None:
        """Takes the parts of a window's G from its even and its odd perturbations: G is their sum.

        Args:
            even: the part of perturbations 0, 2, …
            odd: the part of the others; zero if there are none.
            share: the share of even perturbations; by default from the timesteps observed since the last window.
        """
        if not self._given:
            self._tally.window = self._in_window or self._tally.window
        self._in_window = 0
        w = (self._perturbations + 1) // 2 / self._perturbations if share is None else share
        even, odd = np.asarray(even, np.float64), np.asarray(odd, np.float64)
        self.windows(even[None], (even + odd)[None], np.array([w]))

    def windows(
        self, even: Float[np.ndarray, "k p"], whole: Float[np.ndarray, "k p"], shares: Float[np.ndarray, " k"]
    ) -> None:
        """Takes many windows at once: for each, the part from even perturbations, G, and the share of even ones."""
        self._tally.ends(even.astype(np.float64), whole.astype(np.float64), shares)

    @property
    def _perturbations(self) -> int:
        """T."""
        return max(1, -(-(self._tally.window or 0) // self.tau_p))

    def summary(self) -> dict[str, float]:
        """The results so far, by name; angles in degrees, costs in the chip's unit."""
        found: dict[str, float] = {"measurements": float(self._tally.measured), "windows": float(self._tally.windows)}
        found |= self._signal() | self._angles() | self._drift()
        if self._tally.cos2.count >= _FEWEST_SILENT:
            found["silent_parameters"] = float(len(self.silent_parameters()))
        return found

    def silent_parameters(self) -> list[int]:
        """The parameters that have not responded, once there are enough windows."""
        n, products = self._tally.cos2.count, self._tally.products
        middle = float(np.median(products))
        if n < _FEWEST_SILENT or middle <= 0:
            return []
        error = _SURELY * np.sqrt(np.maximum(0.0, self._tally.squares - products**2 / n))
        unseen = products < error  # one that responds a little is not silent
        return np.flatnonzero(unseen & (np.maximum(products, 0) + error < _SILENT * middle)).tolist()

    def warnings(self) -> list[str]:
        """The problems found, one line each."""
        return list(self.findings().values())

    def findings(self) -> dict[str, str]:
        """The problems found, by their fixed kind: "noise", "angle" or "silent"."""
        found, lines = self.summary(), {}
        # A bound from the costs of different samples would accuse every run that shows one sample at a time.
        near = self.noise is not None or self._tally.same.count >= _FEWEST
        if near and found.get("snr", math.inf) < 1 and found["modulations"] >= _FEWEST:
            most = "" if self.noise is not None else "at most "
            lines["noise"] = (
                f"the signal is under the noise: C̃ has a root mean square of {found['modulation_rms']:.3g}, "
                f"its noise is {most}{found['noise_of_modulation']:.3g}, SNR {found['snr']:.2g}: "
                "raise the amplitude, or lengthen tau_theta"
            )
        predicted = found.get("predicted_angle", 90.0)
        if (
            self.alike
            and "observed_angle" in found
            and _angle(sum(c * x for c, x in zip((1, 3), self._tally.cos2.value_and_error(), strict=True)))
            > predicted + 3 * found.get("predicted_angle_error", 0.0) + 5
        ):
            lines["angle"] = (
                f"G is farther from the gradient than noise and the length of the window explain, {predicted:.0f}° "
                f"predicted and {found['observed_angle']:.0f}° observed: look for a delay (tau_p), for drift, and for "
                "samples that disagree"
            )
        silent = self.silent_parameters()
        if silent:
            named = ", ".join(map(str, silent[:8])) + (", …" if len(silent) > 8 else "")
            lines["silent"] = (
                f"{len(silent)} of {self.n_params} parameters have not responded ({named}): run mgd calibrate to see "
                "whether they are dead"
            )
        return lines

    def _signal(self) -> dict[str, float]:
        """Power of C̃ against that of its noise."""
        if not self._tally.modulations:
            return {}
        power, error = self._tally.power.value_and_error()
        found = {"modulations": float(self._tally.modulations), "modulation_rms": math.sqrt(power)}
        sigma2 = self._noise_power()
        if sigma2 is None:
            return found
        noise = self._times * sigma2
        found |= {"noise_of_modulation": math.sqrt(noise), "noise_is_bound": float(self.noise is None)}
        if noise:
            found |= {"snr": max(0.0, power - noise) / noise, "snr_error": error / noise}
        return found

    def _noise_power(self) -> float | None:
        """σ²: calibrated, or an upper bound from neighbouring baselines, of the same sample where there are such."""
        if self.noise is not None:
            return self.noise**2
        if self._tally.same.count >= _FEWEST:
            return self._tally.same.value_and_error()[0]
        if len(self._tally.baselines) < _FEWEST:
            return None
        costs = np.array([cost for _, cost in self._tally.baselines])
        return float(np.mean(np.diff(costs) ** 2)) / 2

    def _angles(self) -> dict[str, float]:
        """Observed and predicted, in degrees."""
        found, (cos2, error) = {}, self._tally.cos2.value_and_error()
        if self._tally.cos2.count >= _FEWEST:
            low, high = _angle(cos2 + error), _angle(cos2 - error)
            found = {"observed_angle": _angle(cos2), "observed_angle_error": (high - low) / 2}
        sigma2, perturbations = self._noise_power(), self._perturbations
        if self._tally.modulations and self._tally.window and sigma2 is not None:
            power, error = self._tally.power.value_and_error()
            mean = self._of_mean * sigma2

            def predicted(power: float) -> float:
                signal = power - self._times * sigma2
                if signal <= 0:
                    return 90.0
                return _angle(1 / (1 + (self._crosstalk + self.n_params * mean / signal) / perturbations))

            found["predicted_angle"] = predicted(power)
            found["predicted_angle_error"] = (predicted(power - error) - predicted(power + error)) / 2
        return found

    def _drift(self) -> dict[str, float]:
        """Slope of the baselines."""
        found = self._tally.slope()
        return {} if found is None else {"drift": found[0], "drift_error": found[1]}


def _angle(cos2: float) -> float:
    """In degrees, of cos²."""
    return math.degrees(math.acos(math.sqrt(min(1.0, max(0.0, cos2)))))
