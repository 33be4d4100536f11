"""The progress of a run, on stderr: a bar on a terminal and in a notebook, elsewhere lines at intervals."""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .._metric import METRICS, written

if TYPE_CHECKING:
    from .._train import Session

# Seconds between two lines without a bar, and seconds over which the speed is averaged.
_LINE_SECONDS, _SPEED_SECONDS = 10.0, 30.0
# The largest standard error of an angle that is shown, in degrees.
_WIDEST = 15.0


@contextmanager
def progress(steps: int, *, lines: bool = True) -> Iterator[Callable[["Session"], None]]:
    """Shows steps, cost, score, speed and the time left while the body runs.

    Args:
        steps: timesteps of the whole run.
        lines: whether to write a line every ten seconds if there is neither a terminal nor a notebook. The environment
            variable MGD_PROGRESS_SECONDS gives other seconds, and 0 stops the lines.
    """
    speed, apart = _Speed(), seconds_apart()
    with _bar(TextColumn("{task.fields[left]}")) as bar:
        task = bar.add_task("compiling", total=steps, figures="", left="")
        said = time.monotonic()

        def on_progress(session: "Session") -> None:
            nonlocal said
            step, figures, left = session.snapshot.step, _figures(session), ""
            if rate := speed.after(step):
                figures = "  ".join(part for part in (figures, f"{_short(rate)} steps/s") if part)
                left = f"{duration((steps - step) / rate)} left"
            bar.update(task, description="training", completed=step, figures=figures, left=left)
            if bar.disable and lines and time.monotonic() - said >= apart:
                said = time.monotonic()
                line = f"step {step:,} of {steps:,} ({step / steps:.0%})", figures, left
                bar.console.print(
                    "  ".join(part for part in line if part), markup=False, highlight=False, soft_wrap=True
                )

        yield on_progress


def _figures(session: "Session") -> str:
    """The present figures of a run."""
    snapshot, figures = session.snapshot, [figures_of(session.figures())]
    if snapshot.steps:
        metric, scores, costs = session.judge.metric, session.scores, snapshot.cost[-1]
        if not np.isnan(costs).all():
            figures.append(f"cost {np.nanmean(costs):.3g}")
        if metric and not np.isnan(scores).all():  # a chip that was dropped has none
            figures.append(f"{METRICS[metric]} {written(metric, float(np.nanmean(scores)))}")
    return "  ".join(figure for figure in figures if figure)


def seconds_apart() -> float:
    """Seconds between two lines; infinity for no lines.

    Raises:
        ValueError: if the environment variable is not a number.
    """
    given = os.environ.get("MGD_PROGRESS_SECONDS", "")
    try:
        seconds = float(given) if given else _LINE_SECONDS
    except ValueError:
        raise ValueError(
            f"MGD_PROGRESS_SECONDS must be a number of seconds between two lines, 0 for none, got {given!r}"
        ) from None
    return seconds if seconds > 0 else math.inf


class _Speed:
    """Timesteps a second of late, without the first piece, which was compiled, and without steps before a resume."""

    def __init__(self):
        self._seen: deque[tuple[float, int]] = deque()
        self._compiled = False

    def after(self, step: int) -> float | None:
        """The speed after this many steps; None if it is not known yet."""
        now = time.monotonic()
        if self._seen and not self._compiled:
            self._seen.clear()
            self._compiled = True
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[1][0] > _SPEED_SECONDS:
            self._seen.popleft()
        since, made = now - self._seen[0][0], step - self._seen[0][1]
        return made / since if made > 0 else None


def duration(seconds: float) -> str:
    """A length of time with the units that matter.

    >>> duration(8.4), duration(605), duration(839.7), duration(9000), duration(200_000)
    ('8 s', '10:05 min', '14:00 min', '2:30 h', '2.3 days')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02} h"
    return f"{seconds / 86400:.1f} days"


def figures_of(diagnostics: dict[str, Any]) -> str:
    """Signal over noise, and the angle between G and the gradient, as far as they say something; empty if neither does.

    A lower bound of less than 1 leaves open whether there is a signal, and so does an angle of 90°. An angle
    that is not known to 15° says nothing.
    """
    parts, bound = [], bool(diagnostics.get("noise_is_bound"))
    if "snr" in diagnostics and not (bound and diagnostics["snr"] < 1):
        parts.append(f"SNR {'≥ ' if bound else ''}{diagnostics['snr']:.2g}")
    for name in ("observed", "predicted"):
        angle, error = (diagnostics.get(f"{name}_angle{what}") for what in ("", "_error"))
        says_nothing = angle is None or (error or 0.0) > _WIDEST or angle >= 90
        if not says_nothing:
            parts.append(f"{name} angle {angle:.0f}°")
    return ", ".join(parts)


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """Shows the number of measurements made, of all, while the body runs."""
    with _bar(TextColumn("left"), TimeRemainingColumn(compact=True, elapsed_when_finished=True)) as bar:
        task = bar.add_task("measuring", total=None, figures="")

        def on_progress(done: int, total: int) -> None:
            bar.update(task, total=total, completed=done, figures=f"{done:,} of {total:,} measurements")

        yield on_progress


def _bar(*left: Any) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        *left,
    )
    console = Console(stderr=True)
    shown = console.is_terminal or console.is_jupyter
    # The bar disappears when the work ends, to leave room for the report or an error; a pipe gets nothing of it.
    return Progress(*columns, console=console, transient=True, disable=not shown)


def _short(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
