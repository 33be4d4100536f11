"""What an imperfection refuses."""

import math

# What float32 holds.
_LARGEST = 3e38


def require(name: str, field: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> None:
    """Refuses a setting that is not a finite number from `low` to `high`.

    Raises:
        ValueError: it names the imperfection, the field, the value and the range.
    """
    if _is_number(value) and low <= value <= high:  # pyright: ignore[reportOperatorIssue]
        return
    if high == math.inf:
        wanted = "a finite number" if low == -math.inf else f"a finite number of {low:g} or more"
    else:
        wanted = f"a number from {low:g} to {high:g}"
    raise ValueError(f"{name}: {field} must be {wanted}, got {value!r}")


def require_positive(name: str, field: str, value: object) -> None:
    """Refuses a setting that is not a finite number above 0.

    Raises:
        ValueError: it names the imperfection, the field and the value.
    """
    if not _is_number(value) or value <= 0:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"{name}: {field} must be a finite number above 0, got {value!r}")


def require_range(name: str, low: object, high: object, fields: tuple[str, str] = ("low", "high")) -> None:
    """Refuses two ends that are not finite numbers, the first below the second.

    Raises:
        ValueError: it names the imperfection, the fields and the values.
    """
    require(name, fields[0], low)
    require(name, fields[1], high)
    if low >= high:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(f"{name}: {fields[0]} must be below {fields[1]}, got {low!r} and {high!r}")


def require_whole(name: str, field: str, value: object, *, low: int, high: int) -> None:
    """Refuses a setting that is not a whole number from `low` to `high`.

    Raises:
        ValueError: it names the imperfection, the field, the value and the range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: {field} must be a whole number from {low} to {high}, got {value!r}")


def require_truth(name: str, field: str, value: object) -> None:
    """Refuses a setting that is neither True nor False.

    Raises:
        ValueError: it names the imperfection, the field and the value.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {field} must be True or False, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
