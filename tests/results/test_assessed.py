"""How good answers are: figures that can be worked out by hand."""

import json

import numpy as np
import pytest

from mgd.results._assessed import assess, decided
from mgd.runs import TaskFacts


def test_figures_of_classes_by_hand():
    facts = TaskFacts("mine", "classes", ("a", "b", "c"), (1,), 3)
    found = assess(np.eye(3)[[0, 1, 1, 1]], np.eye(3)[[0, 0, 1, 1]], facts)
    assert found.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert found.score == 0.75
    a, b, c = found.classes
    assert (a.precision, a.recall, a.f1, a.samples, a.predicted) == (1.0, 0.5, pytest.approx(2 / 3), 2, 1)
    assert (b.precision, b.recall, b.samples, b.predicted) == (pytest.approx(2 / 3), 1.0, 2, 3)
    assert (c.precision, c.recall, c.f1, c.samples) == (None, None, None, 0)
    json.dumps(found.as_dict(), allow_nan=False)


def test_figures_of_values_by_hand():
    facts = TaskFacts("mine", "values", (), (1,), 2)
    targets = np.array([[0.0, 5.0], [2.0, 5.0]])
    found = assess(np.array([[0.0, 5.0], [1.0, 8.0]]), targets, facts)
    assert [(one.r2, one.rmse) for one in found.outputs] == [
        (0.5, pytest.approx(0.5**0.5)),
        (None, pytest.approx(4.5**0.5)),
    ]
    assert found.score == pytest.approx(1 - 10 / 2)


def test_figures_of_labels_and_signs():
    labels = TaskFacts("mine", "labels", ("wet", "cold"), (1,), 2)
    found = assess(np.array([[0.9, 0.1], [0.6, 0.2]]), np.array([[1.0, 0.0], [0.0, 0.0]]), labels)
    assert (found.metric, found.score) == ("label_accuracy", 0.75)
    assert [(one.name, one.samples, one.predicted) for one in found.classes] == [("wet", 1, 2), ("cold", 0, 0)]
    signs = TaskFacts("mine", "signs", ("0", "1"), (1,), 1)
    found = assess(np.array([[-0.2], [0.3]]), np.array([[-1.0], [-1.0]]), signs)
    assert found.confusion.tolist() == [[1, 1], [0, 0]]
    assert [one.name for one in found.classes] == ["-1", "1"]


def test_one_output_is_split_where_its_cost_splits_it():
    facts = TaskFacts("mine", "classes", ("no", "yes"), (1,), 1)
    outputs = np.array([[0.2], [0.7]])
    assert decided(outputs, facts).tolist() == [0, 1]
    assert decided(outputs, facts, is_logit=True).tolist() == [1, 1]
