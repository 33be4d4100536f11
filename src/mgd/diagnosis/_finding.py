"""A cause for which a run does not learn. Nothing here imports JAX."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One cause, with its number.

    Attributes:
        name: the name of the cause; docs/doctor.md lists all.
        problem: what is wrong, with the number.
        remedy: what to try, with the number; it goes on from "try".

    >>> print(Finding("rate-high", "the learning rate is too high", "a rate of 0.1"))
    the learning rate is too high: try a rate of 0.1
    """

    name: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}: try {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """This finding in types of JSON."""
        return asdict(self)
