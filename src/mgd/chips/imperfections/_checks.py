"""What an imperfection refuses."""

import math


def require(name: str, field: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuses a setting that is not a finite number from `low` to `high`.

    Raises:
        ValueError: it names the imperfection, the field, the value and the range.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if number and low <= value <= high:  # pyright: ignore[reportOperatorIssue]
        return
    if high == math.inf:
        wanted = "a finite number" if low == -math.inf else f"a finite number of {low:g} or more"
    else:
        wanted = f"a number from {low:g} to {high:g}"
    raise ValueError(f"{name}: {field} must be {wanted}, got {value!r}")


def require_whole(name: str, field: str, value: object, *, low: int, high: int) -> None:
    """Refuses a setting that is not a whole number from `low` to `high`.

    Raises:
        ValueError: it names the imperfection, the field, the value and the range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: {field} must be a whole number from {low} to {high}, got {value!r}")
