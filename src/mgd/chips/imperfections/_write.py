"""The write of the chip inside an imperfection."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray


@runtime_checkable
class Store(Protocol):
    """New parameters from (theta, delta)."""

    def __call__(
        self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> Float[Array, " p"]: ...
