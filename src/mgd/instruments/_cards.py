"""The logical lines of a netlist, read as `ngspice -b FILE` reads them. Nothing here imports JAX."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

_NAMED = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)')\s*(.*)""")
_MARKS = re.compile(r"[\"';$]|/(?=/)")  # of quotes, and of comments
# To ngspice a micro sign is a u, in UTF-8 and in Latin-1; but not in names of files.
_MICRO = re.compile("[\u00b5\udcb5]")
_TAIL = "\\\\"
# A line that begins so is a comment to ngspice, which says so; but what continues it would be lost with it.
_ODD = "=[]?()&%\"'!:,;\f"
# A first line that begins so is not taken for a title by ngspice, which then ends.
_NO_TITLE = (".subckt", ".ends", ".par", ".meas")


@dataclass(frozen=True)
class Card:
    """A logical line.

    Attributes:
        text: what it says, its continuations joined and comments left out.
        lines: the lines that say so, for ngspice to join.
        where: its file and line, for messages.
    """

    text: str
    lines: tuple[str, ...]
    where: str

    @property
    def word(self) -> str:
        """What it begins with, in lower case."""
        return self.text.split(None, 1)[0].lower()


class _Line(NamedTuple):
    text: str
    path: Path
    number: int
    missing: str = ""  # what an `.include` did not find

    @property
    def where(self) -> str:
        return f"{self.path}, line {self.number}"


class Reader:
    """Reads a netlist and the files that it includes.

    Args:
        path: of the netlist; its first line is a title.
        as_pspice: whether a `.lib` without a section is an `.include`.

    Attributes:
        files: what was read, in this order.
    """

    def __init__(self, path: Path, *, as_pspice: bool = False):
        self.path, self._as_pspice = path, as_pspice
        self.files: dict[Path, bytes] = {}
        self._libraries: dict[Path, list[_Line]] = {}

    def cards(self) -> list[Card]:
        """The netlist's cards after its title, those of included files and library sections in their places.

        Raises:
            ValueError: if a file cannot be read or is not found, or ngspice would end or lose a part of a card.
        """
        return list(_joined(self._with_sections(self._lines(self.path, titled=True), ())))

    def found(self, name: str, file: Path) -> Path | None:
        """The file of this name, as it is written in this file; None if there is none.

        Raises:
            ValueError: if it could be two that differ, or it begins with a variable that is not set.
        """
        written = os.path.expandvars(name) if name.startswith("$") else os.path.expanduser(name)
        if written.startswith("$"):
            raise ValueError(f"{file}: {name!r} begins with a variable that is not set in the environment")
        # ngspice looks in the folder that it is started in first, which of a netlist is mostly its own; and beside a
        # file, or for a library beside what that is a link to.
        folders = dict.fromkeys((file.parent, file.resolve().parent, self.path.parent))
        there = [path for path in (folder / written for folder in folders) if path.is_file()]
        for other in there[1:]:
            if other.resolve() != there[0].resolve() and self._read(other) != self._read(there[0]):
                raise ValueError(f"{file}: {name!r} could be {there[0]} or {other}, which differ: write the whole path")
        return there[0] if there else None

    def data(self, name: str) -> Path | None:
        """The file of data of this name, which counts as read; None if there is none."""
        found = self.found(name, self.path)
        if found is not None:
            found = found.resolve()
            self.files.setdefault(found, self._read(found))
        return found

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read netlist {path}: {error.strerror}") from None

    def _lines(self, path: Path, within: tuple[Path, ...] = (), *, titled: bool = False) -> list[_Line]:
        """A file's lines, with those of files that it includes."""
        if path.resolve() in within:
            raise ValueError(f"{within[-1]} includes {path}, which includes it in turn: leave one out")
        within = (*within, path.resolve())
        content = self.files.setdefault(path.resolve(), self._read(path))
        lines: list[_Line] = []
        for number, text in enumerate(_decoded(content).split("\n"), 1):
            text = text.replace("\r", "")
            line = _Line(text.lstrip(" \t"), path, number)
            if titled and number == 1 and not _taken(text):
                line = _title(line._replace(text=text))
            if line.text.startswith("@"):
                break  # where ngspice ends the file
            library = line.text.lower().startswith(".lib")
            if line.text.lower().startswith(".inc") or (
                library and self._as_pspice and len(_reference(line.text)) == 1
            ):
                file, missing = self._included(line)
                lines += self._lines(file, within) if file else [line._replace(missing=missing)]
            elif library:
                lines.append(line)
            elif line.text:
                lines.append(line._replace(text=_MICRO.sub("u", line.text)))
        return lines

    def _included(self, line: _Line) -> tuple[Path | None, str]:
        """The file that an `.include` names, or what is wrong with it."""
        rest = _after_word(line.text)
        quoted = _NAMED.match(rest)
        # Without quotes it is one word, to ngspice; or all of it, which ngspice would not find.
        names = [quoted[1] or quoted[2] or ""] if quoted else [*rest.split()[:1], rest, *line.text.split()[1:2]]
        for name in filter(None, names):
            if file := self.found(name, line.path):
                return file, ""
        return None, f"{line.where}: Could not find include file {(names or [''])[0]!r} in {line.path.parent}"

    def _with_sections(self, lines: list[_Line], within: tuple) -> Iterator[_Line]:
        """Lines, with those of library sections in place of `.lib FILE SECTION`."""
        for line in lines:
            if line.text.lower().startswith(".lib"):
                yield from self._section(line, within)
            else:
                yield line

    def _section(self, line: _Line, within: tuple) -> Iterator[_Line]:
        words = _reference(line.text)
        if len(words) != 2:
            raise ValueError(f"{line.where}: {line.text!r} must name a file, in quotes if it has spaces, and a section")
        file = self.found(words[0], line.path)
        if file is None:
            raise ValueError(f"{line.where}: Could not find library file {words[0]!r} in {line.path.parent}")
        place = file.resolve(), words[1].lower()
        if place in within:
            raise ValueError(f"{line.where}: section {words[1]!r} of {file} includes itself")
        if file not in self._libraries:
            self._libraries[file] = self._lines(file)
        lines = self._libraries[file]
        names = [_reference(each.text) if each.text.lower().startswith(".lib") else [] for each in lines]
        start = next((n for n, found in enumerate(names) if [name.lower() for name in found] == [place[1]]), None)
        if start is None:
            raise ValueError(f"{line.where}: {file} has no section {words[1]!r}")
        end = next((n for n in range(start, len(lines)) if lines[n].text.lower().startswith(".endl")), None)
        if end is None:
            raise ValueError(f"{line.where}: section {words[1]!r} of {file} has no .endl")
        yield from self._with_sections(lines[start + 1 : end], (*within, place))


def _decoded(content: bytes) -> str:
    """What a file says. Bytes that are no text in UTF-8 are kept as surrogates.

    LTspice writes UTF-16, with a mark of byte order or without.
    """
    of_bytes = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(content[:2])
    if of_bytes is None and content[:2].count(0) == 1:
        of_bytes = "utf-16-be" if content[0] == 0 else "utf-16-le"
    return content.decode(of_bytes or "utf-8", errors="replace" if of_bytes else "surrogateescape")


def _after_word(text: str) -> str:
    """What follows the first word, without comments; "$" is none where it begins a variable."""
    rest = (text.split(None, 1)[1:] or [""])[0]
    return _uncommented("x" + rest)[1:] if re.match(r"\$\w", rest) else _uncommented(" " + rest).strip()


def _reference(text: str) -> list[str]:
    """What a `.lib` names: a file and a section of it, or the section that begins."""
    rest = _after_word(text)
    if quoted := _NAMED.match(rest):
        return [quoted[1] or quoted[2] or "", *(word.strip("\"'") for word in quoted[3].split())]
    words = [word.strip("\"'") for word in rest.split()]
    return [" ".join(words[:-1]), words[-1]] if len(words) > 2 else words


def _taken(title: str) -> bool:
    """Whether ngspice takes the first line for what it says, though it is the title."""
    return title.lower().startswith(".inc") or (title.lower().startswith(".lib") and len(_reference(title)) > 1)


def _title(line: _Line) -> _Line:
    """What is left of the title: nothing, but where the next line continues it."""
    if line.text.lower().startswith(_NO_TITLE):
        raise ValueError(f"{line.path}: the first line must be a title, which {line.text!r} is not to ngspice: add one")
    if line.text.lower().startswith("*ng_script"):
        raise ValueError(f"{line.path}: this is an ngspice script and not a circuit")
    goes_on = line.text.rstrip().endswith(_TAIL) and not line.text.startswith(("*", "$"))
    return line._replace(text="+" + _TAIL if goes_on else "@" if line.text.startswith("@") else "")


def _uncommented(line: str) -> str:
    """A line without what is a comment to ngspice."""
    if line[:1] in ("*", "#", "$") or line.startswith("//"):
        return ""
    quote = ""
    for found in _MARKS.finditer(line):
        n, each = found.start(), found[0]
        if quote:
            quote = "" if each == quote and line[n - 1] != "\\" else quote
        elif each in "\"'":
            quote = each
        elif n and (each in ";/" or line[n - 1] in " ,\t"):
            return line[:n].rstrip()
    return line.rstrip()


def _joined(lines: Iterator[_Line]) -> Iterator[Card]:
    """Cards of lines, each with its continuations: those after "+", and after a line that ends with two backslashes."""
    card: Card | None = None
    goes_on = False
    for line in lines:
        if line.missing:
            raise ValueError(line.missing)
        text = "+" + line.text if goes_on else line.text
        goes_on = text.rstrip().endswith(_TAIL) and text[0] not in "*$"
        text = text.rstrip()[: -len(_TAIL)] if goes_on else text
        says = _uncommented(text)
        if not says or says.lower().split(None, 1)[0] == ".end" or says.lower().startswith(".title"):
            continue  # comments to ngspice, so a "+" after it continues what was before
        if says[0] != "+":
            if card is not None:
                yield card
            card = Card(says, (text,), line.where)
        elif card is not None:  # before the first card ngspice ignores it
            if card.text[0] in _ODD:
                raise ValueError(
                    f"{line.where}: {says!r} continues {card.text!r}, which ngspice takes for a comment, so it "
                    f"ignores both lines: begin that line with *"
                )
            card = replace(card, text=f"{card.text} {says[1:].strip()}", lines=(*card.lines, text))
    if card is not None:
        yield card
