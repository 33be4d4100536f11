"""What a run on a chip tells of itself while it goes on, one line of JSON at each checkpoint."""

import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import MgdWarning
from .._log import LOG
from ..algorithm import AbstractAskTell, Algorithm, HighPass, TwoSided
from ..calibration import Diagnostics, Learnt
from ..engines import Told
from ..engines.loop import turn_of
from ..theory import high_pass_noise
from ._diagnostics import DIAGNOSTICS, as_line, read_content, read_diagnostics

# Chunks that wait to be taken in together, and parameters that they have at most: what a processor's cache holds.
_MOST_WAITING, _MOST_NUMBERS = 512, 50_000
# Windows of one sample for which neighbours that are of different ones do not count.
_MANY = 8
# Windows, or constants of a low-pass, over which means forget.
_MEMORY = 256
# What is warned of: timesteps in a row whose C̃ is exactly zero, reopenings, and the part of measurements without a
# reading.
_STILL, _OPENED_ANEW, _UNREAD = 64, 10, 0.05
# Windows without anything learnt, by default; of a low-pass, a window is so many of its constants, after which nothing
# is left of what was before.
_UNLEARNT, _CONSTANTS = 256, 4
# Troubles that come and go, and are warned of each time.
_AGAIN = ("still", "unlearnt")


class Monitor:
    """Gathers diagnostics from what is measured anyway, warns once of each kind of trouble, and keeps no more of a long
    run than of a short one.

    It begins again where a run is taken up: what it says then is of what was measured since.

    Args:
        n_params: P.
        algorithm: of the run.
        noise: σ of one measured cost, where it was calibrated.
        chip: which of a fleet it watches; None for a chip alone.
        stop_unlearnt: windows without anything learnt after which the run is to stop; None for never.
    """

    def __init__(
        self,
        n_params: int,
        algorithm: AbstractAskTell,
        noise: float | None = None,
        *,
        chip: int | None = None,
        stop_unlearnt: int | None = None,
    ):
        algorithm = algorithm.reference
        self._chip = {} if chip is None else {"chip": chip}
        times, interval = algorithm.time_constants, algorithm.interval
        self._interval, self._tau_x, self._turn = interval, times.tau_x, turn_of(algorithm, n_params)
        self._halves, self.why_no_angle = _halves(algorithm, n_params)
        high_pass = isinstance(algorithm.baseline, HighPass)
        self.diagnostics = Diagnostics(
            n_params,
            noise,
            tau_p=times.tau_p,
            two_sided=isinstance(algorithm.baseline, TwoSided),
            noise_gain=high_pass_noise(times.tau_hp / (times.tau_hp + 1), times.tau_x) if high_pass else None,
            crosstalk=_crosstalk(algorithm, n_params),
            balanced=_balanced(algorithm, n_params),
            alike=times.tau_x % interval == 0 and (self._halves == "within" or times.tau_x >= _MANY * interval),
            # Without windows nothing is predicted of their G.
            window=interval if algorithm.integrator.resets else None,
            memory=_MEMORY * (1 if algorithm.integrator.resets else times.tau_theta),
        )
        self._most = max(1, min(_MOST_WAITING, _MOST_NUMBERS // n_params))
        self._waiting: list[tuple[Told, int, np.ndarray]] = []
        self._at, self._whole, self._shown = 0, True, -1
        self._restarted, self._run = False, ""
        # Timesteps, up to the last, in which the cost did not change at all; and the most in a row since the last line.
        self._still = self._stillest = 0
        self._n_params, self._stop_unlearnt = n_params, stop_unlearnt
        self._learnt = Learnt(n_params, stop_unlearnt or _UNLEARNT)
        self._lapse = 0 if algorithm.integrator.resets else _CONSTANTS * times.tau_theta
        self._warned: set[str] = set()

    def begin(self, folder: Path, step: int, run: str = "") -> None:
        """Says where the run begins or is taken up, before its first chunk.

        Args:
            folder: its directory.
            step: timesteps made.
            run: what tells it from all others; lines are marked with it.
        """
        self._at, self._restarted, self._run = step, step > 0, run
        # Of a window that was begun before, the parts are not known.
        self._whole = step % self._interval == 0
        content = read_content(folder)
        if content and not content.endswith(b"\n"):  # a line that a kill cut short
            os.truncate(folder / DIAGNOSTICS, content.rfind(b"\n") + 1)

    def watch(self, told: Told, n: int, baseline: Float[np.ndarray, " m"]) -> None:
        """Takes the results of a chunk; most of the work waits, and is done for many chunks at once."""
        self._waiting.append((told, n, baseline))
        if len(self._waiting) >= self._most:
            self._take_in()

    def figures(self) -> dict[str, float]:
        """What is known so far, by name; see `Diagnostics`."""
        self._take_in()
        return self.diagnostics.summary()

    @property
    def unlearnt(self) -> str:
        """Why the run is to stop, because it learns nothing; empty if it is not."""
        if self._stop_unlearnt is None:
            return ""
        self._take_in()
        if self._learnt.nothing < self._stop_unlearnt:
            return ""
        return self._nothing_learnt()

    def write(self, folder: Path, step: int, tally: dict[str, int]) -> None:
        """Appends a line, and warns of what is new in it."""
        line: dict[str, Any] = {"step": step, "time": round(time.time(), 3), **self._chip, **tally}
        if self._run:
            line["run"] = self._run
        line |= self.figures()
        if self.why_no_angle:
            line["no_observed_angle"] = self.why_no_angle
        if self._restarted:
            line["restarted"], self._restarted = True, False
        found = self._troubles(tally) | self.diagnostics.findings()
        if {"noise", "angle"} & found.keys():  # which say it already
            found.pop("unlearnt", None)
        new = {kind: text for kind, text in found.items() if kind not in self._warned}
        self._warned = (self._warned - set(_AGAIN)) | set(found)
        self._stillest = self._still
        if new:
            line |= {"warnings": list(new.values()), "kinds": list(new)}
        with (folder / DIAGNOSTICS).open("a", encoding="utf-8") as file:
            file.write(as_line(line))
        for text in new.values():
            LOG.warning("%s: step %d: %s", folder, step, text)
            warnings.warn(text if not self._chip else f"chip {self._chip['chip']}: {text}", MgdWarning, stacklevel=2)

    def _troubles(self, tally: dict[str, int]) -> dict[str, str]:
        """What is wrong with the chip rather than with the settings, each by its kind."""
        found: dict[str, str] = {}
        if self._still >= _STILL:
            found["still"] = (
                f"the cost did not change at all in the last {self._still:,} timesteps (C̃ is exactly 0): check whether "
                "the detector is connected and its range shows so small a change; the chip learns nothing meanwhile"
            )
        elif self._stillest >= _STILL:
            found["still"] = (
                f"the cost did not change at all in {self._stillest:,} timesteps in a row (C̃ was exactly 0), and then "
                "it did again: check the detector's cable"
            )
        elif self._learnt.nothing >= _UNLEARNT:
            found["unlearnt"] = self._nothing_learnt()
        if tally.get("recoveries", 0) >= _OPENED_ANEW:
            found["line"] = (
                f"the chip was opened again {tally['recoveries']:,} times so far: check its line and power, and "
                "whether timeout_seconds is long enough"
            )
        measured = self.diagnostics.summary()["measurements"]
        if tally.get("skipped", 0) > max(_STILL, _UNREAD * measured):
            found["unread"] = (
                f"{tally['skipped']:,} measurements gave no reading (of about {measured:,.0f}): check the readout's "
                "range"
            )
        return found

    def _nothing_learnt(self) -> str:
        return (
            f"nothing was learnt in the last {self._learnt.nothing:,} windows, which have no more in common than noise "
            "alone gives: unless the run is at its end, check the detector, or raise the amplitude or tau_theta"
        )

    def _take_in(self) -> None:
        """Hands on what waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        counts = np.array([n for _, n, _ in waiting])
        starts = self._at + np.cumsum(counts) - counts
        self._at += int(counts.sum())
        modulations = np.stack([np.asarray(told.modulations) for told, _, _ in waiting]).astype(np.float64)
        inside = np.arange(modulations.shape[1]) < counts[:, None]
        powers = np.einsum("kn,kn->k", modulations, modulations * inside)
        moved = np.flatnonzero(powers)
        if moved.size:
            until = np.cumsum(counts)
            between = (until[moved] - counts[moved])[1:] - until[moved][:-1]
            self._stillest = max(self._stillest, self._still + int((until - counts)[moved[0]]), *between.tolist())
            self._still = int(until[-1] - until[moved[-1]])
        else:
            self._still += int(counts.sum())
        self._stillest = max(self._stillest, self._still)
        baselines = np.array([one[-1] if len(one) else math.nan for _, _, one in waiting], np.float64)
        shown = starts // self._tau_x
        same = np.diff(shown, prepend=self._shown) == 0
        self._shown = int(shown[-1])
        self.diagnostics.observe_holds(powers, counts, baselines, same)
        ended = [k for k, one in enumerate(waiting) if (starts[k] + counts[k]) % self._interval == 0]
        if not self._whole and ended:
            ended, self._whole = ended[1:], True
        if self._lapse:
            ended = np.flatnonzero((starts + counts) // self._lapse > starts // self._lapse).tolist()
        if not ended:
            return
        whole = np.stack([np.asarray(waiting[k][0].gradient) for k in ended])
        if not self._halves:
            self._learnt.take(whole.astype(np.float64), np.zeros(len(ended)))
            return
        even = np.stack([np.asarray(waiting[k][0].even) for k in ended])
        products = np.einsum("kp,kp->k", even, whole - even) if self._halves == "within" else np.zeros(len(ended))
        self._learnt.take(whole.astype(np.float64), products.astype(np.float64))
        if self._halves == "between":
            shares = np.ones(len(ended))
        else:
            last = starts[ended] + counts[ended]
            shares = (_evens(last, self._turn) - _evens(last - self._interval, self._turn)) / self._interval
        self.diagnostics.windows(even, whole, shares)


def all_warnings(folder: Path) -> list[str]:
    """All that a run warned of, in order."""
    return list(dict.fromkeys(text for line in read_diagnostics(folder) for text in line.get("warnings", ())))


def _evens(steps: np.ndarray, turn: int) -> np.ndarray:
    """How many of the first so many timesteps are in even turns."""
    pairs, rest = np.divmod(steps, 2 * turn)
    return pairs * turn + np.minimum(rest, turn)


def _periods(algorithm: Algorithm, n_params: int) -> bool:
    """Whether windows are whole periods of a code."""
    period = algorithm.perturbation.period(n_params)
    return period is not None and algorithm.interval % (period * algorithm.time_constants.tau_p) == 0


def _halves(algorithm: Algorithm, n_params: int) -> tuple[str, str]:
    """What the halves of G are: turns "within" a window, or windows "between" each other; or why there are none."""
    turn, interval = turn_of(algorithm, n_params), algorithm.interval
    if not algorithm.integrator.resets:
        return "", "a low-pass has no windows"
    traits = algorithm.perturbation.traits(n_params)
    if traits.independent:
        if interval < turn or (traits.turn > 1 and interval % turn):
            return "", "a window is not a whole number of perturbations of all parameters"
        return "within", ""
    if _periods(algorithm, n_params):
        return "between", ""
    return (
        "",
        "parts of a code's period are not independent: make tau_theta a whole number of periods, or use random signs",
    )


def _crosstalk(algorithm: Algorithm, n_params: int) -> float:
    """What other parameters add to G's squared error, in units of its square, a perturbation."""
    traits = algorithm.perturbation.traits(n_params)
    return 0.0 if not traits.independent and _periods(algorithm, n_params) else float(n_params - traits.turn)


def _balanced(algorithm: Algorithm, n_params: int) -> bool:
    """Whether all perturbations that share a baseline sum to zero."""
    one_baseline = algorithm.time_constants.tau_x % algorithm.interval == 0
    return one_baseline and _periods(algorithm, n_params) and algorithm.perturbation.traits(n_params).zero_sum
