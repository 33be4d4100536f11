"""Products of matrices in float32, on accelerators too."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

Given = ParamSpec("Given")
T = TypeVar("T")


def in_float32(function: Callable[Given, T]) -> Callable[Given, T]:
    """The function, whose products of matrices and convolutions have float32 factors, unless they name a precision.

    By default JAX lets a GPU round the factors of such products to 11 bits (TF32), and a TPU to 8. A perturbation
    smaller than the rounding of θ would then change no cost.
    """

    @functools.wraps(function)
    def exact(*args: Given.args, **kwargs: Given.kwargs) -> T:
        with jax.default_matmul_precision("float32"):
            return function(*args, **kwargs)

    return exact
