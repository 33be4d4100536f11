"""Columns of a table, by name, number or range."""

from collections.abc import Sequence

from .._input import nearest

Columns = int | str | Sequence[int | str]
# Columns that an error lists.
_LISTED = 12


def columns_of(chosen: Columns, names: Sequence[str] | None, n_columns: int) -> list[int]:
    """The indices of the chosen columns.

    Args:
        chosen: one or several names, numbers counted from 1, or ranges of these, such as "2-5"; or a text of these,
            separated by commas.
        names: the names of the columns, if they have some. A name takes precedence over an equal number.
        n_columns: number of columns.

    Returns:
        Their indices, counted from 0, each once, in the chosen order.

    Raises:
        ValueError: if there is no such column, or several columns have the same name.

    >>> columns_of("2-3, class", ("a", "b", "c", "class"), 4)
    [1, 2, 3]
    """
    parts: Sequence[int | str] = [chosen] if isinstance(chosen, int | str) else chosen
    found = [place for part in parts for place in _of_one(part, names or (), n_columns)]
    return list(dict.fromkeys(found))


def _of_one(part: int | str, names: Sequence[str], n_columns: int) -> list[int]:
    if isinstance(part, str) and part.strip() not in names and "," in part:
        return [place for one in part.split(",") for place in _of_one(one, names, n_columns)]
    text = str(part).strip()
    place = _place(text, names, n_columns)
    if place is not None:
        return [place]
    for cut in (at for at, letter in enumerate(text) if letter == "-"):  # a name may have hyphens of its own
        ends = [_place(end.strip(), names, n_columns) for end in (text[:cut], text[cut + 1 :])]
        first, last = ends
        if first is not None and last is not None and first <= last:
            return list(range(first, last + 1))
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    known = f"the columns are {listed}" if names else f"there are {n_columns}, counted from 1, and none has a name"
    raise ValueError(f"there is no column {text!r}{nearest(text, names) or ';'} {known}")


def _place(text: str, names: Sequence[str], n_columns: int) -> int | None:
    if names.count(text) > 1:
        raise ValueError(f"several columns are called {text!r}: give the number of one, counted from 1")
    if text in names:
        return names.index(text)
    if text.isdecimal() and 1 <= int(text) <= n_columns:
        return int(text) - 1
    return None


def inputs_and_targets(
    inputs: Columns | None, targets: Columns | None, names: Sequence[str] | None, n_columns: int
) -> tuple[list[int], list[int]]:
    """The columns of the inputs and of the targets of a table; by default the last column is the target.

    Raises:
        ValueError: if a column is both, there is no such column, or no column is left.
    """
    if n_columns < 2:
        raise ValueError("a table needs at least two columns, inputs and a target, and this one has 1")
    wanted = columns_of(n_columns if targets is None else targets, None if targets is None else names, n_columns)
    rest = [place for place in range(n_columns) if place not in wanted]
    given = rest if inputs is None else columns_of(inputs, names, n_columns)
    if both := [place for place in given if place in wanted]:
        what = repr(names[both[0]]) if names else str(both[0] + 1)
        hint = " (the last column is, if targets is not given)" if targets is None else ""
        raise ValueError(f"column {what} is an input and a target{hint}: give inputs or targets without it")
    if not given or not wanted:
        raise ValueError("no column is left for the inputs: give fewer targets")
    return given, wanted
