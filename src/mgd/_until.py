"""The conditions that end a run before its last timestep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._judge import Judge

# Evaluations of a run that may end early, by default.
_EVALUATIONS = 200


@dataclass(frozen=True)
class Until:
    """The conditions that end a run before its last timestep, at an evaluation on the test samples.

    Args:
        accuracy: the run ends when the mean accuracy of all chips is at least this, from 0 to 1.
        solved: the run ends when every chip has solved the task.
        patience: the run ends when the mean score of all chips (the cost, if there is no score) has not improved for
            this many timesteps.

    Raises:
        ValueError: if a number is out of range.
    """

    accuracy: float | None = None
    solved: bool = False
    patience: int | None = None

    def __post_init__(self):
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            raise ValueError(
                f"until_accuracy must be above 0 and at most 1, got {self.accuracy!r}: 0.9 stands for 90 %"
            )
        if self.patience is not None and not self.patience >= 1:
            raise ValueError(f"patience must be a number of timesteps of at least 1, got {self.patience!r}")

    def __bool__(self) -> bool:
        return self.solved or self.accuracy is not None or self.patience is not None

    def check(self, judge: Judge) -> None:
        """Raises: ValueError: if a run with this judge can never meet a condition."""
        name = judge.task.name
        if self.accuracy is not None and judge.metric not in ("accuracy", "label_accuracy"):
            why = "its targets are values" if judge.metric == "r2" else "the chip gives no outputs"
            raise ValueError(f"until_accuracy needs an accuracy, and {name} has none ({why}): give patience instead")
        if not self.solved:
            return
        if judge.metric is None or judge.task.threshold is None:
            raise ValueError(f"until_solved needs a score at which {name} is solved, and it has none: give solved_r2")
        if judge.partial:
            raise ValueError(
                f"until_solved needs all {len(judge.task.test):,} test samples of {name}, and {judge.shown:,} are "
                "evaluated: raise test_samples"
            )

    def spacing(self, n_steps: int) -> int | None:
        """The default of timesteps between evaluations; None for a run that cannot end early."""
        return max(1, n_steps // _EVALUATIONS) if self else None

    def reached(
        self,
        judge: Judge,
        steps: Sequence[int],
        marks: Sequence[Float[np.ndarray, " replica"]],
        costs: Sequence[Float[np.ndarray, " replica"]],
    ) -> str:
        """The reason why a run with these evaluations ends now, in words; empty if it does not.

        Args:
            judge: the judge of the run.
            steps: the steps of the evaluations.
            marks: the marks of each replica at each of them.
            costs: the costs of each replica at each of them.
        """
        if not self or not steps:
            return ""
        scores = judge.scores(np.asarray(marks[-1]))
        if self.accuracy is not None and _mean(scores) >= self.accuracy:
            return f"the mean accuracy is {_mean(scores):.1%}"
        if self.solved and bool(judge.solved(scores).all()):
            return "every chip has solved the task" if len(scores) > 1 else "the chip has solved the task"
        if self.patience is None:
            return ""
        worth = [-_mean(np.asarray(cost)) for cost in costs]
        if judge.metric is not None:
            worth = [_mean(judge.scores(np.asarray(each))) for each in marks]
        best = int(np.nanargmax(worth)) if not np.isnan(worth).all() else 0
        if steps[-1] - steps[best] < self.patience:
            return ""
        return f"nothing has improved since step {steps[best]:,}"


def _mean(values: Float[np.ndarray, " replica"]) -> float:
    """Over the replicas that have one; NaN if none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
