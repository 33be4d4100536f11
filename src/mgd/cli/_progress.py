"""Progress bars, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .._metric import METRICS, written

if TYPE_CHECKING:
    from .._train import Session


@contextmanager
def progress(steps: int) -> Iterator[Callable[["Session"], None]]:
    """Shows steps, cost, accuracy, speed and the time left while the body runs."""
    with _bar() as bar:
        task = bar.add_task("compiling", total=steps, figures="")

        def on_progress(session: "Session") -> None:
            snapshot = session.snapshot
            figures = f"{_short(session.steps_per_second)} steps/s"
            if snapshot.steps:
                if metric := session.judge.metric:
                    figures = f"{METRICS[metric]} {written(metric, float(np.mean(session.scores)))}  {figures}"
                figures = f"cost {np.mean(snapshot.cost[-1]):.3g}  {figures}"
            if diagnostics := figures_of(session.figures()):
                figures = f"{diagnostics}  {figures}"
            bar.update(task, description="training", completed=snapshot.step, figures=figures)

        yield on_progress


def figures_of(diagnostics: dict[str, Any]) -> str:
    """Signal over noise, and the angle between G and the gradient, as far as they are known; empty if they are not."""
    parts = []
    if "snr" in diagnostics:
        least = "≥ " if diagnostics.get("noise_is_bound") else ""
        parts.append(f"SNR {least}{diagnostics['snr']:.2g}")
    for name in ("observed", "predicted"):
        if f"{name}_angle" in diagnostics:
            parts.append(f"{name} angle {diagnostics[f'{name}_angle']:.0f}°")
    return ", ".join(parts)


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """Shows how many of how many measurements are made while the body runs."""
    with _bar() as bar:
        task = bar.add_task("measuring", total=None, figures="")

        def on_progress(done: int, total: int) -> None:
            bar.update(task, total=total, completed=done, figures=f"{done:,} of {total:,} measurements")

        yield on_progress


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    # It goes when the work ends, for the report or the one line of an error; and nothing of it goes into a pipe.
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _short(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return "–" if number != number else f"{number:.3g}"
