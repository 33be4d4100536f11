"""What every report has around its sections: its head, its contents, and its look."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from .._version import __version__
from ._html import Content, node

_STYLE = Path(__file__).with_name("report.css")


def page(
    title: str, kind: str, said: str, facts: Sequence[tuple[str, str, str]], sections: Sequence[Element]
) -> Element:
    """The whole page.

    Args:
        title: the name of the task.
        kind: what is reported, and where it was.
        said: in a line, what it is.
        facts: what matters most: for each a name, a value, and a remark.
        sections: what follows.
    """
    style = _STYLE.read_text(encoding="utf-8")
    tiles = [node("div", node("dt", name), node("dd", value, node("small", remark))) for name, value, remark in facts]
    links: list[Content] = []
    for one in sections:
        links += [node("a", one[0].text or "", href=f"#{one.get('id')}"), " "]
    return node(
        "html",
        node(
            "head",
            node("meta", charset="utf-8"),
            node("meta", name="viewport", content="width=device-width, initial-scale=1"),
            node("meta", name="generator", content=f"mgd {__version__}"),
            node("meta", name="color-scheme", content="light dark"),
            node("title", f"{title}: {kind}"),
            node("style", style),
        ),
        node(
            "body",
            node("header", node("p", kind, class_="kind"), node("h1", title), node("p", said)),
            node("main", node("dl", *tiles, class_="tiles"), node("nav", *links), *sections),
            node("footer", f"Written by mgd {__version__}. This file is complete in itself: it loads nothing."),
        ),
        lang="en",
    )
