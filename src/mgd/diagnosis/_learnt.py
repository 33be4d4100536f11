"""Whether a run has learnt, by what it is judged by."""

import numpy as np

from .._train import Session
from ..datasets import Samples

# Of the way from a guess to a perfect score, what is enough to call nothing wrong.
_ENOUGH = 0.5
# Of the cost at the start, what may be left where there is no score.
_LEFT = 0.5


def has_learnt(session: Session) -> bool:
    """Whether half of the chips have solved the task, or the mean score is half way from a guess to a perfect one.

    The cost counts if there is no score.
    """
    if not session.snapshot.steps:
        return False
    costs = np.array(session.snapshot.cost)
    if session.judge.metric is None:
        return bool(np.nanmean(costs[-1]) < _LEFT * np.nanmean(costs[0]))
    scores = session.scores
    if np.mean(session.judge.solved(scores)) >= 0.5:
        return True
    guess = guessed(session.task.kind, session.task.test)
    known = scores[~np.isnan(scores)]
    return bool(known.size and (known.mean() - guess) >= _ENOUGH * (1 - guess))


def guessed(kind: str, samples: Samples) -> float:
    """The score of the best answer that does not look at the inputs."""
    y = samples.y
    if kind == "values":
        return 0.0  # of the mean of the targets, R² is 0
    if kind == "classes" and y.shape[1] > 1:
        return float(np.bincount(y.argmax(1)).max() / len(y))
    yes = (y > (0.0 if kind == "signs" else 0.5)).mean(0)
    return float(np.maximum(yes, 1 - yes).mean())
