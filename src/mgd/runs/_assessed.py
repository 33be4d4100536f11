"""What outputs say, and how good they are: classes, confusion matrix, and figures of each class. No JAX is imported."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from ..datasets import metric_of
from ._task_facts import TaskFacts


@dataclass(frozen=True)
class ClassFigures:
    """How well one class, or one label, is told from the others.

    Attributes:
        name: of the class.
        precision: of the samples that were taken for it, the share that are of it; None if none were.
        recall: of the samples that are of it, the share that were taken for it; None if none are.
        f1: the harmonic mean of both; None if there are neither.
        samples: how many are of it.
        predicted: how many were taken for it.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    samples: int
    predicted: int


@dataclass(frozen=True)
class OutputFigures:
    """How well one output of a regression is met.

    Attributes:
        name: of the output.
        r2: 1 − Σ(y − ŷ)² / Σ(ŷ − mean ŷ)²; None if all targets are the same.
        rmse: root of the mean squared error, in the target's unit.
    """

    name: str
    r2: float | None
    rmse: float


@dataclass(frozen=True, eq=False)
class Assessment:
    """How good predictions are.

    Attributes:
        metric: what `score` is: "accuracy", "label_accuracy" or "r2".
        score: over all samples; None if it has no value, as R² of targets that are all the same.
        samples: how many there were.
        confusion: of classes, how many samples of each class (row) were taken for each class (column).
        classes: figures of each class or label.
        outputs: of values, figures of each output.
    """

    metric: str
    score: float | None
    samples: int
    confusion: Int[np.ndarray, "classes classes"] | None = None
    classes: tuple[ClassFigures, ...] = ()
    outputs: tuple[OutputFigures, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        found = {"metric": self.metric, "score": self.score, "samples": self.samples}
        if self.confusion is not None:
            found["confusion"] = self.confusion.tolist()
        if self.classes:
            found["classes"] = [asdict(one) for one in self.classes]
        if self.outputs:
            found["outputs"] = [asdict(one) for one in self.outputs]
        return found


def class_names(facts: TaskFacts) -> tuple[str, ...]:
    """What the answers of a task are called: its classes; of signs without names, −1 and 1; of labels, each label."""
    if facts.kind == "signs" and facts.n_outputs == 1 and facts.classes in ((), ("0", "1")):
        return "-1", "1"
    return facts.classes


def output_names(facts: TaskFacts) -> tuple[str, ...]:
    """What each output is called, by the classes where there is one for each."""
    if facts.n_outputs > 1 and len(facts.classes) == facts.n_outputs:
        return facts.classes
    return tuple(map(str, range(facts.n_outputs)))


def one_of(facts: TaskFacts) -> bool:
    """Whether a sample is of one of several classes."""
    return facts.kind == "classes" or (facts.kind == "signs" and facts.n_outputs == 1)


def decided(
    outputs: Float[np.ndarray, "n outputs"], facts: TaskFacts, *, is_logit: bool = False
) -> Shaped[np.ndarray, "n *labels"]:
    """What outputs say: numbers of classes, of shape (n,); whether each label is there; or the values themselves.

    Args:
        outputs: of a chip; or targets, which are read in the same way.
        facts: of the task.
        is_logit: whether one output is a logit, split at 0.

    >>> facts = TaskFacts("mine", "classes", ("a", "b", "c"), (4,), 3)
    >>> decided(np.array([[0.1, 0.7, 0.3]]), facts).tolist()
    [1]
    """
    if facts.kind == "values":
        return outputs
    if facts.kind == "classes" and facts.n_outputs > 1:
        return outputs.argmax(1)
    middle = 0.0 if is_logit or facts.kind == "signs" else 0.5
    above = outputs > middle
    return above[:, 0].astype(np.int64) if one_of(facts) else above


def assess(
    outputs: Float[np.ndarray, "n outputs"],
    targets: Float[np.ndarray, "n outputs"],
    facts: TaskFacts,
    *,
    is_logit: bool = False,
) -> Assessment:
    """How good outputs are.

    Args:
        outputs: of a chip.
        targets: what they should have been.
        facts: of the task.
        is_logit: whether one output is a logit, split at 0.

    >>> facts = TaskFacts("mine", "classes", ("a", "b"), (4,), 2)
    >>> assessed = assess(np.eye(2)[[0, 1, 1]], np.eye(2)[[0, 0, 1]], facts)
    >>> assessed.confusion.tolist(), [one.recall for one in assessed.classes]
    ([[1, 1], [0, 1]], [0.5, 1.0])
    """
    metric, n = metric_of(facts.kind, facts.n_outputs), len(outputs)
    if metric == "r2":
        score, each = _regression(outputs, targets, output_names(facts))
        return Assessment(metric, score, n, outputs=each)
    found, due = decided(outputs, facts, is_logit=is_logit), decided(targets, facts)
    if not one_of(facts):
        return Assessment(metric, float(np.mean(found == due)), n, classes=_figures(found, due, output_names(facts)))
    from sklearn.metrics import confusion_matrix

    names = class_names(facts)
    confusion = confusion_matrix(due, found, labels=range(len(names)))
    return Assessment(metric, float(np.mean(found == due)), n, confusion, _figures(found, due, names))


def _figures(found: np.ndarray, due: np.ndarray, names: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    labels = range(len(names))
    none: Any = np.nan  # which sklearn's annotations do not know
    columns: Any = precision_recall_fscore_support(due, found, labels=labels, average=None, zero_division=none)
    taken = [int(np.sum(found == k if found.ndim == 1 else found[:, k])) for k in labels]
    return tuple(
        ClassFigures(name, _number(precision), _number(recall), _number(f1), int(samples), predicted)
        for name, precision, recall, f1, samples, predicted in zip(names, *columns, taken, strict=True)
    )


def _regression(
    outputs: np.ndarray, targets: np.ndarray, names: tuple[str, ...]
) -> tuple[float | None, tuple[OutputFigures, ...]]:
    y, due = outputs.astype(np.float64), targets.astype(np.float64)
    wrong, spread = (y - due) ** 2, (due - due.mean(0)) ** 2
    each = tuple(
        OutputFigures(name, _r2(wrong[:, k], spread[:, k]), float(np.sqrt(wrong[:, k].mean())))
        for k, name in enumerate(names)
    )
    return _r2(wrong, spread), each


def _r2(wrong: np.ndarray, spread: np.ndarray) -> float | None:
    variance = spread.mean()
    return float(1 - wrong.mean() / variance) if variance else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
