"""A user's netlist, made ready for training: only the circuit, its inputs driven by us. Nothing here imports JAX."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from .._input import nearest

# Analyses and output are ours to ask for; other cards (models, options, parameters, subcircuits) are the circuit's.
_NOT_OURS = re.compile(
    r"\.(op|tran|dc|ac|noise|tf|sens|disto|pz|sp|save|print|plot|probe|four|meas|measure|width|end)\b"
)
_INCLUDE = re.compile(r"(\s*\.(?:include|inc|lib)\s+)[\"']?([^\"'\s]+)[\"']?(.*)", re.IGNORECASE)
_OUTPUT = re.compile(r"(v|i)\(\s*([^\s,()]+)\s*(?:,\s*([^\s,()]+)\s*)?\)")
SWEEP = "vmgdsweep"


class Netlist:
    """The lines of a netlist, and the names in it.

    Args:
        path: the file; its first line is a title, as SPICE has it.

    Raises:
        ValueError: if it cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read netlist {path}: {getattr(error, 'strerror', None) or error}") from error
        self.lines = _circuit_of(self.text.splitlines()[1:], path.parent)
        self.elements = _top_level(self.lines)
        self.complete = not any(_INCLUDE.match(line) for line in self.lines)

    def digest(self) -> str:
        """Twelve hexadecimal digits of all that the circuit is read from, included files as they are now."""
        found, files = hashlib.sha256(self.text.encode()), _included(self.lines, self.path.parent)
        seen: set[Path] = set()
        while files:
            path = files.pop(0)
            if path in seen:
                continue
            seen.add(path)
            try:
                content = path.read_bytes()
            except OSError:
                continue  # which ngspice will say
            found.update(content)
            files += _included(content.decode(errors="replace").splitlines(), path.parent)
        return found.hexdigest()[:12]

    def check(self, elements: Sequence[str], outputs: Sequence[str], inputs: Sequence[str]) -> None:
        """Whether what the settings name is there, as far as that shows without a simulator.

        Raises:
            ValueError: if something is not.
        """
        for name in inputs:
            if name not in self.elements:
                raise ValueError(f"inputs: {self.path} has no source {name!r}{nearest(name, self._sources())}")
            if name[0] not in "vi":
                raise ValueError(f"inputs: {name!r} of {self.path} is no voltage or current source")
        for name in elements:
            if name not in self.elements and "." not in name and self.complete:
                raise ValueError(f"parameters: {self.path} has no element {name!r}{nearest(name, self.elements)}")
        nodes = {word for line in self.lines for word in line.lower().split()[1:]} | {"0"}
        for output in outputs:
            for kind, first, second in terms(output):
                known = nodes if kind == "v" else set(self.elements)
                for name in filter(None, (first, second)):
                    if name not in known and "." not in name and self.complete:
                        what = "node" if kind == "v" else "element"
                        raise ValueError(f"outputs: {self.path} has no {what} {name!r}{nearest(name, known)}")

    def driven(self, inputs: Sequence[str], waveform: str, vectors: Sequence[str]) -> list[str]:
        """The netlist for libngspice: its inputs with this waveform, a source to sweep, and what to keep."""
        lines = [f"* {self.path.name}"]
        for line in self.lines:
            words = line.split()
            if words and words[0].lower() in inputs and words[0].lower() in self.elements:
                line = " ".join([*words[:3], waveform])
            lines.append(line)
        return [*lines, f"{SWEEP} {SWEEP} 0 0", ".save " + " ".join(vectors), ".end"]

    def option(self, name: str) -> float | None:
        """What the netlist's `.options` set one to; None if they do not."""
        of_options = " ".join(line.lower() for line in self.lines if line.lower().startswith(".opt"))
        found = re.findall(rf"\b{name}\s*=\s*([-+.\de]+)", of_options)
        return float(found[-1]) if found else None

    def _sources(self) -> list[str]:
        return [name for name in self.elements if name[0] in "vi"]


def terms(output: str) -> list[tuple[str, str, str]]:
    """The voltages or currents that an output is the first less the others of: (v or i, node or element, node).

    Raises:
        ValueError: if it is something else.

    >>> terms("v(a, b) - v(c)")
    [('v', 'a', 'b'), ('v', 'c', '')]
    """
    found = _OUTPUT.findall(output.lower())
    if not found or re.sub(r"\s", "", _OUTPUT.sub("x", output.lower())) != "-".join("x" * len(found)):
        raise ValueError(f'outputs are voltages and currents, such as "v(out)", "v(a,b)", "i(v1)", got {output!r}')
    return found


def _circuit_of(lines: list[str], folder: Path) -> list[str]:
    """What is the circuit's: continued lines joined, included files found, comments, analyses and scripts left out."""
    kept: list[str] = []
    script = False
    for line in lines:
        word = line.strip().lower()
        if word.startswith((".control", ".endc")):
            script = word.startswith(".control")
        elif script or not word or word.startswith("*") or _NOT_OURS.match(word):
            continue
        elif word.startswith("+") and kept:
            kept[-1] += " " + line.strip()[1:].strip()
        elif included := _INCLUDE.match(line):
            before, name, after = included.groups()
            there = folder / name
            kept.append(f'{before.strip()} "{there.resolve()}"{after}' if there.is_file() else line)
        else:
            kept.append(line.strip())
    return kept


def _included(lines: list[str], folder: Path) -> list[Path]:
    """The files that lines include."""
    return [(folder / found[2]).resolve() for found in map(_INCLUDE.match, lines) if found]


def _top_level(lines: list[str]) -> list[str]:
    """The names of the elements that are in no subcircuit."""
    depth, names = 0, []
    for line in lines:
        word = line.split()[0].lower()
        depth += word == ".subckt"
        if not depth and word[0].isalpha():
            names.append(word)
        depth -= word == ".ends"
    return names
