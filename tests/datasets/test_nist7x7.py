import hashlib
import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from mgd.datasets import nist7x7

SHA256 = "f90ba6285c929a111928da2f4aa639e036a76a79630a918421f5ab823e43e5b7"


@pytest.fixture(scope="module")
def task():
    return nist7x7()


@pytest.fixture(scope="module")
def images(task):
    return np.concatenate([task.train.x, task.test.x])


def test_counts(task):
    of_letter = np.concatenate([task.train.y, task.test.y]).sum(0).tolist()
    assert of_letter == [11_034, 10_980, 11_034, 10_980]
    assert (len(task.train), len(task.test)) == (40_000, 4_028)


def test_images_are_black_and_white_and_distinct(images):
    assert set(np.unique(images)) == {0.0, 1.0}
    assert len(np.unique(np.packbits(images.astype(np.uint8), axis=1), axis=0)) == len(images)


def test_every_image_is_within_two_pixels_of_its_own_letter_and_of_no_other(task):
    drawings = {
        "N": ("#..#.", "##.#.", "#.##.", "#..#.", "#..#."),
        "I": ("#####", "..#..", "..#..", "..#..", "#####"),
        "S": (".####", "#....", ".###.", "....#", "####."),
        "T": ("#####", "..#..", "..#..", "..#..", "..#.."),
    }
    flipped = []
    for letter in task.classes:
        ink = np.array([[pixel == "#" for pixel in row] for row in drawings[letter]], int)
        places = [np.pad(ink, ((r, 2 - r), (c, 2 - c))).ravel() for r in range(3) for c in range(3)]
        flipped.append(np.min([np.abs(task.test.x - place).sum(1) for place in places], axis=0))
    near = np.stack(flipped, axis=1) <= 2
    np.testing.assert_array_equal(near, task.test.y.astype(bool))


def test_the_images_and_the_split_never_change(images):
    assert hashlib.sha256(np.packbits(images.astype(np.uint8)).tobytes()).hexdigest() == SHA256


def test_linear_classifiers_stay_below_93_percent(task):
    labels = task.test.y.argmax(1)
    with threadpool_limits(1):  # else its threads wait for each other when tests run in parallel
        model = LogisticRegression(C=100, max_iter=2000)
        model.fit(task.train.x.astype(float), task.train.y.argmax(1))
    assert 0.90 < model.score(task.test.x, labels) < 0.93
    train, test = (np.c_[part.x, np.ones(len(part))] for part in (task.train, task.test))
    weights = np.linalg.lstsq(train, task.train.y, rcond=None)[0]
    assert 0.85 < np.mean((test @ weights).argmax(1) == labels) < 0.93


def test_a_49_4_4_network_can_solve_it(task):
    network = MLPClassifier((4,), activation="logistic", learning_rate_init=0.03, max_iter=12, random_state=0)
    with pytest.warns(UserWarning, match="hasn't converged"):
        network.fit(task.train.x, task.train.y.argmax(1))
    assert network.score(task.test.x, task.test.y.argmax(1)) > task.solved_accuracy


def test_generation_is_fast():
    start = time.process_time()  # which other programs have no part in
    nist7x7()
    assert time.process_time() - start < 2  # it takes 0.05 s
