"""By what a run is judged, and what is to be doubted about it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from .chips import AbstractCost, CrossEntropy
from .datasets import Samples, Task, metric_of

# If a cost is the same at this many logged points, that is no accident.
_FEWEST_POINTS = 4


@dataclass(frozen=True)
class Judge:
    """Turns the marks of an engine's `evaluate` into what is reported.

    Args:
        task: what is learnt.
        metric: the name of the measure, of `METRICS`; None for chips that only tell their cost.
        shown: how many of the task's test samples are evaluated, from the first on.
    """

    task: Task
    metric: str | None
    shown: int

    @staticmethod
    def of(task: Task, *, outputs: bool, shown: int, cost: AbstractCost | None) -> "Judge":
        """The judge of a chip that gives outputs or does not.

        Args:
            task: what is learnt.
            outputs: whether it gives them.
            shown: how many test samples are evaluated.
            cost: of its outputs, as far as it is known.

        Raises:
            ValueError: if outputs cannot be trained on these targets.
        """
        if not outputs:
            return Judge(task, None, shown)
        y = task.train.y
        if len(y) > 1 and (y == y[0]).all():
            raise ValueError(
                f"all {len(y)} training targets of {task.name} are the same, {y[0].tolist()}: "
                "nothing can be learnt from them"
            )
        if isinstance(cost, CrossEntropy) and (task.kind != "classes" or y.min() < 0 or y.max() > 1):
            raise ValueError(
                f"cross-entropy needs classes with targets from 0 to 1, and those of {task.name} are "
                f'{task.kind} from {y.min():g} to {y.max():g}: take the cost "mse"'
            )
        return Judge(task, metric_of(task.kind, task.n_outputs), shown)

    @property
    def partial(self) -> bool:
        """Whether a part of the test set is left out."""
        return self.shown < len(self.task.test)

    def scores(self, marks: Float[np.ndarray, "*many"], samples: Samples | None = None) -> Float[np.ndarray, "*many"]:
        """Values of the measure; of the test samples shown, or of these."""
        if self.metric != "r2":
            return marks
        y = (self.task.test.y[: self.shown] if samples is None else samples.y).astype(np.float64)
        variance = np.mean((y - y.mean(0)) ** 2)
        return np.asarray(1 - marks / variance if variance else np.full_like(marks, np.nan), np.float32)

    def solved(self, scores: Float[np.ndarray, " replica"]) -> Bool[np.ndarray, " replica"]:
        """Which chips have solved the task: none if a part of the test set was shown, or there is no threshold."""
        threshold = self.task.threshold
        if self.metric is None or self.partial or threshold is None:
            return np.zeros(len(scores), bool)
        return scores >= np.float32(threshold)

    def variables(self, marks: Float[np.ndarray, "replica step"]) -> dict[str, Float[np.ndarray, "replica step"]]:
        """What of a history follows from the marks, by name."""
        if self.metric is None:
            return {}
        found = {self.metric: self.scores(marks)}
        return found | {"rmse": np.sqrt(marks)} if self.metric == "r2" else found

    def doubts(
        self, costs: Float[np.ndarray, "replica step"], solved: Bool[np.ndarray, " replica"], writes: int
    ) -> list[str]:
        """What is to be doubted about a finished run: costs of all chips that never changed.

        Args:
            costs: at each logged step.
            solved: which chips have solved the task.
            writes: how often each chip's parameters were written.
        """
        known = costs[~np.isnan(costs).any(1)]
        if not len(known) or costs.shape[1] < _FEWEST_POINTS or not writes or solved.all():
            return []
        if not (known == known[:, :1]).all():
            return []
        value = f"{known[0, 0]:g}" if (known == known[0, 0]).all() else "constant for each chip,"
        return [
            f"the cost on the test set was exactly {value} at all {costs.shape[1]} evaluations, after "
            f"{writes:,} writes: either it does not depend on the parameters, or no write changed any; "
            "look at the cost, the network and the learning rate"
        ]
