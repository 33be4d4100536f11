"""What network makers refuse."""

import jax
import pytest

from mgd.networks import cnn, mlp

KEY = jax.random.key(0)


@pytest.mark.parametrize("sizes", [(3,), (), (3, 0, 1), (2, -1)])
def test_sizes_that_are_not_are_refused(sizes):
    with pytest.raises(ValueError, match=r"^a perceptron needs at least two layer sizes, each 1 or more, got \("):
        mlp(sizes, key=KEY)


@pytest.mark.parametrize("place", ["activation", "output"])
def test_unknown_activations_are_refused(place):
    with pytest.raises(ValueError, match=r"^unknown activation 'sine': choose one of logistic, tanh, relu, linear$"):
        mlp((2, 2, 1), **{place: "sine"}, key=KEY)


@pytest.mark.parametrize(
    ("shape", "channels", "outputs", "message"),
    [
        ((28, 28), (4,), 10, r"^images must be \(height, width, channels\), got shape \(28, 28\)$"),
        ((28, 28, 1), (), 10, r"^every size must be 1 or more, got channels \(\) and 10 outputs$"),
        ((28, 28, 1), (4, 0), 10, r"^every size must be 1 or more, got channels \(4, 0\)"),
        ((28, 28, 1), (4,), 0, r"^every size must be 1 or more, got channels \(4,\) and 0 outputs$"),
        ((8, 8, 1), (4, 4, 4), 10, r"^images of \(8, 8, 1\) are too small for 3 convolutions with pooling$"),
    ],
)
def test_images_that_cannot_be_convolved_are_refused(shape, channels, outputs, message):
    with pytest.raises(ValueError, match=message):
        cnn(shape, channels, outputs, key=KEY)
