"""Rows by name: this package's own, and those that other packages add by entry points."""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from .._errors import MgdError
from .._input import nearest
from ._row import ImperfectionRow, Row, TaskRow, found

R = TypeVar("R", Row, ImperfectionRow, TaskRow)


class Table(Generic[R]):
    """All choices of one kind. Rows of other packages are loaded when they are needed; names are known without loading.

    Args:
        kind: its name in messages.
        group: the group of entry points, each of which names a row.
        row: the class of rows.
        makes: the class that a row builds, as "package.module:name".
        own: the rows of this package, by name.
        several: whether a row has several names: its own, and those that begin with it and a dash.
    """

    def __init__(self, kind: str, group: str, row: type[R], makes: str, own: Mapping[str, R], *, several: bool = False):
        self.kind, self.group, self.own = kind, group, own
        self._row, self._makes, self._several = row, makes, several

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.own or any(self._covers(point.name, str(name)) for point in points(self.group))

    def names(self) -> tuple[str, ...]:
        """The names of this package in their order, then those of others."""
        return (*self.own, *sorted({point.name for point in points(self.group)} - {*self.own}))

    def row(self, name: str) -> R:
        """The row of a name.

        Raises:
            ValueError: if there is none, two packages claim the name, or it cannot be loaded.
        """
        claims = [point for point in points(self.group) if self._covers(point.name, name)]
        if len(claims) + (name in self.own) > 1:
            raise ValueError(f"{self.kind} {name!r} {claimed(claims, ours=name in self.own)}")
        if claims:
            return self._loaded(claims[0])
        if name not in self.own:
            raise ValueError(f"unknown {self.kind} {name!r}{nearest(name, self)}; choose {', '.join(self)}")
        return self.own[name]

    def usable(self) -> tuple[dict[str, R], list[str]]:
        """All rows that can be loaded, by name; and one line for each entry point that is left out."""
        rows, troubles = dict(self.own), []
        for name in sorted({point.name for point in points(self.group)}):
            try:
                taken = [mine for mine in self.own if self._covers(name, mine)]
                rows[name] = self.row(taken[0] if taken else name)
            except ValueError as error:
                troubles.append(str(error))
        return rows, troubles

    def lines(self) -> tuple[dict[str, str], list[str]]:
        """For each name its one-line description and its package; and the lines of `usable` about those left out."""
        rows, troubles = self.usable()
        sources = {point.name: f" [{source(point)}]" for point in points(self.group) if point.name not in self.own}
        lines = {}
        for name, row in rows.items():
            lines |= {each: line + sources.get(name, "") for each, line in row.lines(name).items()}
        return lines, troubles

    def build(self, name: str, build: Callable[[R], Any]) -> Any:
        """The object that a row makes, with errors of other packages in one line.

        Args:
            name: the name of the row.
            build: makes the object from the row.

        Raises:
            ValueError: as `row`; from the row; or if an object from another package is not of this kind.
            MgdError: from the row.
        """
        row = self.row(name)
        if name in self.own:
            return build(row)
        try:
            made = build(row)
        except (MgdError, ValueError):
            raise
        except Exception as error:
            raise ValueError(f"{self.kind} {name!r}: making it raised {said(error)}") from error
        if not isinstance(made, found(self._makes)):
            wanted = self._makes.replace(":", ".")
            raise ValueError(f"{self.kind} {name!r} must be a {wanted}, got a {type(made).__name__}")
        return made

    def _covers(self, entry: str, name: str) -> bool:
        return name == entry or (self._several and name.startswith(f"{entry}-"))

    def _loaded(self, point: Any) -> R:
        row = loaded(self.kind, point)
        if not isinstance(row, self._row):
            raise ValueError(
                f"{self.kind} {point.name!r} of {source(point)} cannot be used: {point.value} must be a "
                f"mgd.rows.{self._row.__name__}, and it is a {type(row).__name__}"
            )
        wrong = [one.name for one in getattr(row, "settings", ()) if not self._covers(point.name, one.name)]
        if wrong:
            raise ValueError(
                f"{self.kind} {point.name!r} of {source(point)} cannot be used: its setting {wrong[0]!r} must be "
                f"called {point.name!r}, or {point.name + '-…'!r}"
            )
        return row


def points(group: str) -> list[Any]:
    """The entry points of a group, in order.

    They are of `importlib.metadata`, or of the package `importlib_metadata`, which replaces them if anything imports
    it.
    """
    return list(_points(group, tuple(sys.path)))


@lru_cache(maxsize=64)
def _points(group: str, path: tuple[str, ...]) -> tuple[Any, ...]:
    """Those that are found where Python looks now. To look takes milliseconds, and names are checked by the dozen."""
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, source(point))))


def source(point: Any) -> str:
    """The package that an entry point is of, and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def claimed(claims: list[Any], *, ours: bool = False) -> str:
    """A message that a name has more than one owner: these entry points, and perhaps this package."""
    by = " and ".join([*(["mgd"] if ours else []), *map(source, claims)])
    return f"is claimed by {by}: uninstall one, or give its entry point another name"


def loaded(kind: str, point: Any) -> Any:
    """The object that an entry point names.

    Raises:
        ValueError: if it cannot be loaded, for any reason, because it is code of others.
    """
    try:
        return point.load()
    except Exception as error:
        raise ValueError(f"{kind} {point.name!r} of {source(point)} cannot be loaded: {said(error)}") from error


def said(error: Exception) -> str:
    """An error of other packages, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
