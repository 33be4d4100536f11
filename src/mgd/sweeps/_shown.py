"""How far a sweep is, on stderr: first what it costs, then a bar on a terminal, elsewhere lines at intervals."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from ..runs import duration, seconds_apart
from ._course import Course, OnCourse


@contextmanager
def shown(wanted: bool | None = None, *, lines: bool = False) -> Iterator[OnCourse]:
    """Shows how far a sweep is while the body runs.

    Args:
        wanted: whether to show it; None for only on a terminal and in a notebook.
        lines: whether to write lines where there is neither.
    """
    console = Console(stderr=True)
    has_bar = console.is_terminal or console.is_jupyter
    if not (has_bar if wanted is None else wanted) and not lines:
        yield lambda course: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not has_bar) as bar:
        yield _Teller(bar, seconds_apart())


class _Teller:
    """Says what a sweep costs, once before it begins and once when the first point is there; then how far it is."""

    def __init__(self, bar: Progress, apart: float):
        self._bar, self._apart = bar, apart
        self._task = bar.add_task("compiling", total=1.0, left="")
        self._said, self._begun, self._known = 0.0, False, False
        self._dashboard: str | None = None

    def __call__(self, course: Course) -> None:
        if not self._begun:
            self._begun = True
            self._print(cost_of(course))
        if course.left is not None and not self._known:
            self._known, self._said = True, course.seconds
            rest = course.missing - course.computed
            if rest:
                self._print(f"the first point took {duration(course.seconds)}; the rest: about {duration(course.left)}")
        if course.dashboard != self._dashboard:
            self._dashboard = course.dashboard
            self._print(f"dashboard of the workers: {course.dashboard}")
        share = course.made / max(1, course.chip_steps)
        left = "" if course.left is None else f"{duration(course.left)} left"
        done = f"{course.computed:,} of {course.missing:,} points"
        self._bar.update(self._task, description=done, completed=share, left=left)
        if self._bar.disable and course.seconds - self._said >= self._apart:
            self._said = course.seconds
            self._print("  ".join(part for part in (f"{done} ({share:.0%})", left) if part))

    def _print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def cost_of(course: Course) -> str:
    """What a sweep costs, in a line.

    >>> cost_of(Course(points=40, missing=30, chip_steps=30_000_000, programs=8))
    '30 of 40 points are missing: 3e+07 chip-steps, in 8 programs'
    """
    there = "one point" if course.points == 1 else f"{course.points:,} points"
    if course.missing < course.points:
        there = f"{course.missing:,} of {there} {'is' if course.missing == 1 else 'are'} missing"
    programs = "one program" if course.programs == 1 else f"{course.programs:,} programs"
    return f"{there}: {course.chip_steps:.3g} chip-steps, in {programs}"
