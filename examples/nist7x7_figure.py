"""Print how well linear classifiers do on NIST7x7, and draw a few of its images to docs/nist7x7.png.

Run it from anywhere: `python examples/nist7x7_figure.py`. It takes a few seconds.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from mgd.datasets import Task, nist7x7

FIGURE = Path(__file__).parents[1] / "docs" / "nist7x7.png"
IMAGES_PER_CLASS = 10


def logistic_accuracy(task: Task) -> float:
    """Test accuracy of multinomial logistic regression, hardly regularised and trained to convergence."""
    model = LogisticRegression(C=100, max_iter=2000).fit(task.train.x, task.train.y.argmax(1))
    return float(model.score(task.test.x, task.test.y.argmax(1)))


def least_squares_accuracy(task: Task) -> float:
    """Test accuracy of the linear map, with a bias, nearest to the one-hot targets."""
    train, test = (np.c_[part.x, np.ones(len(part))] for part in (task.train, task.test))
    weights = np.linalg.lstsq(train, task.train.y, rcond=None)[0]
    return float(np.mean((test @ weights).argmax(1) == task.test.y.argmax(1)))


def draw(task: Task) -> None:
    """Save one row of test images a class."""
    figure, axes = plt.subplots(len(task.classes), IMAGES_PER_CLASS, figsize=(8, 3.4))
    labels = task.test.y.argmax(1)
    for row, name in enumerate(task.classes):
        of_class = task.test.x[labels == row]
        chosen = of_class[:IMAGES_PER_CLASS]
        for column, image in enumerate(chosen):
            ax = axes[row, column]
            ax.imshow(image.reshape(7, 7), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(name, rotation=0, labelpad=14, va="center", fontsize=14)
    figure.suptitle("NIST7x7: letters at 9 positions, up to 2 pixels flipped")
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=120)


def main() -> None:
    plt.switch_backend("Agg")  # only a file is written, so no display is needed
    task = nist7x7()
    images = np.concatenate([task.train.x, task.test.x])
    counts = np.concatenate([task.train.y, task.test.y]).sum(0).astype(int)
    print(f"images: {len(images)}, distinct: {len(np.unique(images, axis=0))}")
    print("of each letter: " + ", ".join(f"{name} {n}" for name, n in zip(task.classes, counts, strict=True)))
    print(f"logistic regression: {logistic_accuracy(task):.2%} of the test set")
    print(f"linear least squares: {least_squares_accuracy(task):.2%}")
    draw(task)
    print(f"drawn to {FIGURE}")


if __name__ == "__main__":
    main()
