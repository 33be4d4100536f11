"""How a memory takes a change."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray


@runtime_checkable
class Write(Protocol):
    """How a chip's memory takes a change: new parameters from (theta, delta)."""

    def __call__(
        self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> Float[Array, " p"]: ...


def write_exactly(theta: Float[Array, " p"], delta: Float[Array, " p"], *, key: PRNGKeyArray) -> Float[Array, " p"]:
    """The write of a perfect memory."""
    return theta + delta
