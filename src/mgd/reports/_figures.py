"""Figures as SVG within the page: in its colours, light and dark, and with its fonts."""

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ._html import node

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE_INCHES = (4.8, 3.3)
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters, which are small, and can be searched
    "svg.hashsalt": "mgd",  # the same figure has the same names
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.size": 10,
}
# Black becomes the colour of the text, Matplotlib's colours of lines those of the page, its greys those of rules.
_COLOURS = {
    "#000000": "currentColor",
    **dict.fromkeys(("#e5e5e5", "#e6e6e6", "#ebebeb"), "var(--rule)"),
    **dict.fromkeys(("#7f7f7f", "#808080"), "var(--faint)"),
    **{
        colour: f"var(--line{number})"
        for number, colour in enumerate(
            ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf")
        )
    },
}
_NEVER_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_COLOUR = re.compile("|".join(_COLOURS))


def figure(name: str, caption: str, draw: Callable[["Figure"], None]) -> Element:
    """A figure with its caption.

    Args:
        name: one that no other figure of the page has.
        caption: what it shows.
        draw: draws it.
    """
    import matplotlib
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with matplotlib.rc_context(_LOOK), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's own fonts draw it
        drawn = Figure(figsize=_SIZE_INCHES, layout="constrained")
        draw(drawn)
        drawn.savefig(content, format="svg", metadata={"Date": None})
    svg = _in_page(ElementTree.fromstring(_NEVER_IN_XML.sub(b"", content.getvalue())), name)
    svg.attrib |= {"role": "img", "aria-label": caption}
    return node("figure", svg, node("figcaption", caption))


def _in_page(svg: Element, name: str) -> Element:
    """The same within a page of HTML, which writes no names of namespaces, and in which other figures have ids."""
    for parent in list(svg.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for one in svg.iter():
        one.tag = one.tag.rpartition("}")[2]
        one.attrib = {key.rpartition("}")[2]: _of_page(key, value, name) for key, value in one.attrib.items()}
        one.tail = (one.tail or "").strip() or None  # what stands between elements is for people
    for needless in ("width", "height", "version"):
        svg.attrib.pop(needless, None)
    return svg


def _of_page(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return f"#{name}-{value[1:]}" if value.startswith("#") else value
    value = value.replace("url(#", f"url(#{name}-")
    value = re.sub(r"font-family: [^;]*;?", "", value)
    return _COLOUR.sub(lambda found: _COLOURS[found[0]], value)
