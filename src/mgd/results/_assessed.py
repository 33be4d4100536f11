"""Predictions from outputs, and their scores: confusion matrix and figures of each class. No JAX is imported."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from ..datasets import metric_of
from ..runs import TaskFacts


@dataclass(frozen=True)
class ClassFigures:
    """How well one class, or one label, is predicted.

    Attributes:
        name: the name of the class.
        precision: the share of the samples predicted as this class that belong to it; None if there are none.
        recall: the share of the samples of this class that are predicted as it; None if there are none.
        f1: the harmonic mean of both; None if neither is known.
        samples: number of samples of this class.
        predicted: number of samples predicted as this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    samples: int
    predicted: int


@dataclass(frozen=True)
class OutputFigures:
    """How well one output of a regression is predicted.

    Attributes:
        name: the name of the output.
        r2: 1 − Σ(y − ŷ)² / Σ(ŷ − mean ŷ)²; None if all targets are the same.
        rmse: root of the mean squared error, in the target's unit.
    """

    name: str
    r2: float | None
    rmse: float


@dataclass(frozen=True, eq=False)
class Assessment:
    """The scores of predictions.

    Attributes:
        metric: the measure of `score`: "accuracy", "label_accuracy" or "r2".
        score: the score over all samples; None if it has no value, such as R² of targets that are all the same.
        samples: number of samples.
        confusion: for classes, how many samples of each class (row) were predicted as each class (column).
        classes: figures of each class or label.
        outputs: for values, figures of each output.
    """

    metric: str
    score: float | None
    samples: int
    confusion: Int[np.ndarray, "classes classes"] | None = None
    classes: tuple[ClassFigures, ...] = ()
    outputs: tuple[OutputFigures, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """These scores in types of JSON."""
        found = {"metric": self.metric, "score": self.score, "samples": self.samples}
        if self.confusion is not None:
            found["confusion"] = self.confusion.tolist()
        if self.classes:
            found["classes"] = [asdict(one) for one in self.classes]
        if self.outputs:
            found["outputs"] = [asdict(one) for one in self.outputs]
        return found


def class_names(facts: TaskFacts) -> tuple[str, ...]:
    """Names of the predictions of a task: its classes or labels; −1 and 1 for signs without names."""
    if facts.kind == "signs" and facts.n_outputs == 1 and facts.classes in ((), ("0", "1")):
        return "-1", "1"
    return facts.classes


def output_names(facts: TaskFacts) -> tuple[str, ...]:
    """A name for each output: that of its class, if there is one for each output, or its number."""
    if facts.n_outputs > 1 and len(facts.classes) == facts.n_outputs:
        return facts.classes
    return tuple(map(str, range(facts.n_outputs)))


def one_of(facts: TaskFacts) -> bool:
    """Whether a sample belongs to one of several classes."""
    return facts.kind == "classes" or (facts.kind == "signs" and facts.n_outputs == 1)


def decided(
    outputs: Float[np.ndarray, "n outputs"], facts: TaskFacts, *, is_logit: bool = False
) -> Shaped[np.ndarray, "n *labels"]:
    """Predictions from outputs: numbers of classes, of shape (n,), truth values of labels, or the values themselves.

    Args:
        outputs: outputs of a chip, or targets.
        facts: the facts of the task.
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
    """The scores of outputs.

    Args:
        outputs: outputs of a chip.
        targets: their targets.
        facts: the facts of the task.
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
