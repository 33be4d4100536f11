"""Elements of a page. Their text is escaped when they are written, so nothing that it says becomes HTML."""

from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element, tostring

from .._input import printable

Content = str | Element | None


def node(tag: str, *content: Content, **attributes: str) -> Element:
    """An element with texts and elements in it; None is left out. An attribute's last underscore is not in its name.

    >>> tostring(node("p", "a < b ", node("b", "c"), class_="d"), encoding="unicode", method="html")
    '<p class="d">a &lt; b <b>c</b></p>'
    """
    made = Element(tag, {name.removesuffix("_"): _text(value) for name, value in attributes.items()})
    for one in content:
        if isinstance(one, Element):
            made.append(one)
        elif one is not None and len(made):
            made[-1].tail = (made[-1].tail or "") + _text(one)
        elif one is not None:
            made.text = (made.text or "") + _text(one)
    return made


def section(name: str, title: str, *content: Content) -> Element:
    """A part of the page, to which its table of contents leads."""
    return node("section", node("h2", title), *content, id=name)


def facts(of: Mapping[str, str]) -> Element:
    """Names with their values, side by side where there is room."""
    return node("dl", *(node("div", node("dt", name), node("dd", value)) for name, value in of.items()), class_="facts")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> Element:
    """A table, which scrolls by itself where it is wider than the page.

    Args:
        heads: the title of each column.
        rows: the cells of each row.
        numbers: the columns that are numbers, which end at the right.
    """
    kinds = [{"class_": "number"} if place in numbers else {} for place in range(len(heads))]
    head = node("tr", *(node("th", title, scope="col", **kind) for title, kind in zip(heads, kinds, strict=True)))
    body = [node("tr", *(node("td", cell, **kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows]
    return node("div", node("table", node("thead", head), node("tbody", *body)), class_="wide", tabindex="0")


def code(text: str) -> Element:
    """Text to be copied."""
    return node("pre", node("code", text), tabindex="0")


def written(page: Element) -> bytes:
    """A page as a file."""
    return ("<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n").encode()


def _text(text: str) -> str:
    """Text without characters that no page may have."""
    return "\n".join(printable(line) for line in text.split("\n"))
