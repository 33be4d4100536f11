"""How far a sweep is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Course:
    """How far a sweep is.

    Attributes:
        points: of the whole sweep.
        missing: of these, how many were not there when it began.
        chip_steps: timesteps of all chips of the points that were missing.
        programs: how many structures these have.
        workers: how many batches are computed at a time.
        computed: points that were computed since.
        made: timesteps of chips that were made since.
        seconds: since it began.
        left: seconds that the rest will take about; None before the first point is there.
        dashboard: the address of the page that shows what workers do; None if there is none.
    """

    points: int
    missing: int
    chip_steps: int
    programs: int
    workers: int = 1
    computed: int = 0
    made: int = 0
    seconds: float = 0.0
    left: float | None = None
    dashboard: str | None = None


OnCourse = Callable[[Course], object]
