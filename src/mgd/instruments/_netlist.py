"""A user's netlist, made ready for training: only the circuit, its inputs driven by us. Nothing here imports JAX."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .._input import nearest
from ._cards import Card, Reader

# Analyses and output are ours to ask for; other cards (models, options, parameters, subcircuits) are the circuit's.
_NOT_OURS = re.compile(
    r"\.(op|tran|dc|ac|noise|tf|sens|disto|pz|sp|save|print|plot|probe|four|fourier|meas|measure|width)"
)
_OUTPUT = re.compile(
    r"(?P<kind>[vi])\(\s*(?P<first>[^\s,()]+)\s*(?:,\s*(?P<second>[^\s,()]+)\s*)?\)"
    r"|@(?P<device>[^\s,()\[\]@]+)\[(?P<parameter>\w+)\]|(?P<source>[a-z][^\s,()\[\]@#]*)#branch"
)
_SOURCE = re.compile(r"(\S+?)[\s(,]+([^\s(),]+)[\s,]+([^\s(),]+)[\s),]*(.*)")
_WAVEFORM = re.compile(r"\s(pulse|sin|exp|pwl|sffm|am|trnoise|trrandom)\b", re.IGNORECASE)
# Of a source these hold for whatever it is driven with, and the way that we drive it has no place for them.
_OF_SOURCE = re.compile(r"\b(m\s*=|portnum\b)", re.IGNORECASE)
# Models that read a file while they run, and that run a program.
_DATA = re.compile(r'(\w*file\s*=\s*)"([^"]*)"', re.IGNORECASE)
_RUNS = re.compile(r"\b(d_process|d_cosim)\b", re.IGNORECASE)
_INITIAL = re.compile(r"\bic[\w-]*\s*=", re.IGNORECASE)
_GREEK = re.compile("[\\d.]+\u03bc\\w*")
# What a `.param` gives values to: not what it compares.
_ASSIGNED = re.compile(r"(?<![\w.<>=!])([a-z_]\w*)\s*=(?!=)")
_OPENS, _CLOSES = (".subckt", ".macro"), (".ends", ".eom")
_SUFFIXES = {"": 1.0, "k": 1e3, "meg": 1e6}
SWEEP = "vmgdsweep"


class Netlist:
    """The cards of a netlist and of the files that it includes, as they are now, and the names in it.

    Args:
        path: the file; its first line is a title, as SPICE has it.
        as_pspice: whether a `.lib` without a section is an `.include`.

    Attributes:
        elements: the names of those that are in no subcircuit.
        uic: of its transients: whether they begin with the initial states of the elements.
        has_states: whether it says an initial state.
        waveforms: the sources of any subcircuit or none that follow one in a transient.

    Raises:
        ValueError: if it cannot be read as ngspice would read it.
    """

    def __init__(self, path: Path, *, as_pspice: bool = False):
        self.path = path
        reader = Reader(path, as_pspice=as_pspice)
        kept, left_out = _circuit_of(reader.cards())
        kept = [_with_data(card, reader) for card in kept]
        self._cards = [(card, depth) for card, depth in zip(kept, _depths(kept), strict=True)]
        self._read = b"".join(reader.files.values())
        self.uic = {bool(re.search(r"\suic\b", card.text, re.IGNORECASE)) for card in left_out if _transient(card)}
        self.has_states = any(_INITIAL.search(card.text) or card.word == ".ic" for card in kept)
        self.waveforms = {spelt(card.word) for card in kept if card.text[0] in "vViI" and _WAVEFORM.search(card.text)}
        self.elements = [spelt(card.word) for card in self._top() if card.text[0].isalpha()]

    def digest(self, more: bytes = b"") -> str:
        """Twelve hexadecimal digits of all that the circuit was read from, included files too, and of more."""
        return hashlib.sha256(self._read + more).hexdigest()[:12]

    def check(self, elements: Sequence[str], outputs: Sequence[str], inputs: Sequence[str]) -> None:
        """Whether what the settings name is there, as far as that shows without a simulator.

        Raises:
            ValueError: if something is not.
        """
        for name in inputs:
            if name not in self.elements:
                raise ValueError(f"inputs: {self.path} has no source {name!r}{nearest(name, self._sources())}")
            if name[0] not in "vi":
                raise ValueError(f"inputs: {name!r} of {self.path} is not a voltage or current source")
        for card in self._top():
            found = _SOURCE.fullmatch(card.text)
            if spelt(card.word) in inputs and (found is None or _OF_SOURCE.search(found[4])):
                raise ValueError(
                    f"inputs: {card.text!r} ({card.where}) must be a name, two nodes and a value, which inputs "
                    "replaceand would lose m= and portnum"
                )
        for name in elements:
            if name.startswith("."):
                self._check_card(*name.split())
            elif name not in self.elements and "." not in name:
                raise ValueError(f"parameters: {self.path} has no element {name!r}{nearest(name, self.elements)}")
        nodes = {spelt(word) for card, _ in self._cards for word in re.split(r"[\s(),={}'\"]+", card.text)[1:]} | {"0"}
        for output in outputs:
            for kind, first, second in terms(output):
                known = nodes if kind == "v" else set(self.elements)
                for name in filter(None, (first, second) if kind == "v" else (first,)):
                    if name not in known and "." not in name:
                        what = "node" if kind == "v" else "element"
                        raise ValueError(f"outputs: {self.path} has no {what} {name!r}{nearest(name, known)}")

    def _check_card(self, kind: str, name: str) -> None:
        """Whether a `.param` or `.model` is there; and whether it is used, because otherwise setting it does nothing.

        Raises:
            ValueError: if not.
        """
        if kind == ".model":
            known = [spelt(card.text.split()[1]) for card, _ in self._cards if card.word == ".model"]
            if name not in known and not re.search("[.:]", name):
                raise ValueError(f"parameters: {self.path} has no model {name!r}{nearest(name, known)}")
            return
        texts = [spelt(card.text) for card in self._top() if card.word.startswith(".par")]
        known = [each for text in texts for each in _ASSIGNED.findall(text)]
        if name not in known:
            raise ValueError(f"parameters: {self.path} has no .param {name!r}{nearest(name, known)}")
        if known.count(name) > 1:
            raise ValueError(f"parameters: {self.path} has several .param {name!r}: leave all but one out")
        used = re.compile(rf"(?<![\w.]){name}\b(?!\s*=(?!=))")
        if not any(used.search(spelt(card.text)) for card, _ in self._cards):
            raise ValueError(f"parameters: nothing in {self.path} uses the .param {name!r}, so to set it does nothing")

    def driven(self, inputs: Sequence[str], waveform: str, vectors: Sequence[str]) -> list[str]:
        """The netlist for libngspice: its inputs with this waveform, a source to sweep, and what to keep."""
        lines = ["* circuit"]
        for card, depth in self._cards:
            source = _SOURCE.fullmatch(card.text) if not depth and spelt(card.word) in inputs else None
            lines += card.lines if source is None else [f"{source[1]} {source[2]} {source[3]} {waveform}"]
        return [*lines, f"{SWEEP} {SWEEP} 0 0", ".save " + " ".join(vectors), ".end"]

    def option(self, name: str) -> float | None:
        """What the netlist's `.options` set one to; None if they do not."""
        of_options = " ".join(card.text.lower() for card, _ in self._cards if card.word.startswith(".opt"))
        found = re.findall(rf"\b{name}\s*=\s*([-+]?[\d.]+(?:e[-+]?\d+)?)(meg|k|)", of_options)
        return float(found[-1][0]) * _SUFFIXES[found[-1][1]] if found else None

    def _top(self) -> list[Card]:
        return [card for card, depth in self._cards if not depth]

    def _sources(self) -> list[str]:
        return [name for name in self.elements if name[0] in "vi"]


def spelt(name: str) -> str:
    """A name as ngspice has it: in lower case, with an underscore for each byte that is not ASCII.

    >>> spelt("Ré")
    'r__'
    """
    return re.sub(r"[^\0-\x7f]", lambda found: "_" * len(found[0].encode(errors="surrogateescape")), name).lower()


def terms(output: str) -> list[tuple[str, str, str]]:
    """What an output is the first less the others of: (v, i or @; node or element; node or parameter).

    Raises:
        ValueError: if it is something else.

    >>> terms("v(a, b) - v(c)")
    [('v', 'a', 'b'), ('v', 'c', '')]
    >>> terms("@m1[gm]"), terms("v1#branch")
    ([('@', 'm1', 'gm')], [('i', 'v1', '')])
    """
    found = list(_OUTPUT.finditer(spelt(output)))
    if not found or re.sub(r"\s", "", _OUTPUT.sub("x", spelt(output))) != "-".join("x" * len(found)):
        raise ValueError(
            f'outputs are voltages and currents, such as "v(out)", "v(a,b)", "i(v1)", or of an element, as "@m1[gm]"; '
            f"got {output!r}"
        )
    return [
        ("i", each["source"], "")
        if each["source"]
        else ("@", each["device"], each["parameter"])
        if each["device"]
        else (each["kind"], each["first"], each["second"] or "")
        for each in found
    ]


def _circuit_of(cards: list[Card]) -> tuple[list[Card], list[Card]]:
    """Cards that are the circuit's, and those of analyses, output and scripts, which are left out.

    Raises:
        ValueError: if one of the circuit's is no UTF-8, which ngspice does not take, or has a value that it misreads.
    """
    kept: list[Card] = []
    left_out: list[Card] = []
    script = False
    for card in cards:
        if card.word.startswith((".control", ".endc")):
            script = card.word.startswith(".control")
        elif script or _NOT_OURS.fullmatch(card.word):
            left_out.append(card)
        elif not card.text.isascii() and any("\ud800" <= each <= "\udfff" for each in card.text):
            shown = card.text.encode(errors="surrogateescape").decode(errors="replace")
            raise ValueError(f"cannot read netlist {card.where}: {shown!r} is not UTF-8: save the file as UTF-8")
        elif found := _GREEK.search(card.text):
            raise ValueError(
                f"cannot read netlist {card.where}: {found[0]!r} has a Greek mu, which ngspice ignores: write u"
            )
        else:
            kept.append(card)
    return kept, left_out


def _with_data(card: Card, reader: Reader) -> Card:
    """A card with the whole paths of files that its model reads, which count as read.

    Raises:
        ValueError: if one is not there, ngspice would look for it under another name, or the model runs a program.
    """

    def whole(found: re.Match[str]) -> str:
        path = reader.data(found[2])
        if path is None or str(path) != str(path).lower():
            raise ValueError(
                f"{card.where}: the model reads {found[2]!r}, which must be a file with a path all in lower case, "
                f"because ngspice reads it so; it is {path or 'not there'}"
            )
        return f'{found[1]}"{path}"'

    if card.word != ".model":
        return card
    if runs := _RUNS.search(card.text):
        raise ValueError(f"{card.where}: a model of the kind {runs[0]} runs a program: leave it out")
    text = _DATA.sub(whole, card.text)
    return card if text == card.text else replace(card, text=text, lines=(text,))


def _depths(cards: list[Card]) -> list[int]:
    """In how many subcircuits each card is; one that begins or ends one is in it."""
    depth, depths = 0, []
    for card in cards:
        depth += card.word in _OPENS
        depths.append(depth)
        depth -= card.word in _CLOSES
    return depths


def _transient(card: Card) -> bool:
    """Whether it is one: a card, or a line of a script."""
    return card.word in (".tran", "tran")
