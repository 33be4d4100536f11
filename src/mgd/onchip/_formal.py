"""Bounded proofs by Yosys: for any inputs that keep the rules, no assertion about a module is false from reset on."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from .._errors import MgdError
from ._top import rtl
from ._yosys import run

DEPTH = 25
# Steps of time in which each of two clocks may rise or fall: twenty rises of each at most.
STEPS_OF_TWO_CLOCKS = 40
# By what is proved, its module and those in it.
MODULES = {
    "front_end": ("front_end", "saturate"),
    "sequencer": ("sequencer",),
    "axil": ("axil",),
    "crossing": ("crossing", "synchroniser"),
}
# Their forms, in widths that are small enough.
FORMS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("front_end", {}),
    ("front_end", {"TwoSided": 1, "WCost": 6}),
    ("sequencer", {}),
    ("sequencer", {"TwoSided": 1, "Depth": 1, "WRow": 1, "Delay": 0}),
    ("axil", {}),
    ("crossing", {}),
)


def holds(checker: str, settings: Mapping[str, int], folder: Path) -> bool:
    """Whether no assertion can be made false.

    Args:
        checker: of `MODULES`.
        settings: its parameters.
        folder: of the RTL.

    Raises:
        MgdError: if Yosys is not installed, or refuses a module, such as for a syntax error.
    """
    sources = [rtl().parent / "formal" / f"check_{checker}.sv"]
    sources += [folder / f"mgd_{module}.sv" for module in MODULES[checker]]
    top, two_clocks = f"check_{checker}", checker == "crossing"
    steps = STEPS_OF_TWO_CLOCKS if two_clocks else DEPTH
    said = run(
        [
            f"read_verilog -formal -sv -defer {' '.join(map(str, sources))}",
            *(f"chparam -set {name} {value} {top}" for name, value in settings.items()),
            f"prep -top {top} -flatten",
            "clk2fflogic" if two_clocks else "async2sync",
            "opt -fast",
            "dffunmap",
            "opt_clean",
            f"sat -prove-asserts -set-assumes -tempinduct -tempinduct-baseonly -maxsteps {steps} {top}",
        ]
    )
    proved = f"proved base case for {steps} steps: SUCCESS!" in said
    if proved == ("SAT temporal induction proof finished - model found for base case: FAIL!" in said):
        raise MgdError(f"Yosys gives no answer about {top}")
    return proved


def proofs(folder: Path) -> Iterator[str]:
    """Proves every form of what is in a folder, and says so, one after the other.

    Raises:
        MgdError: if Yosys is not installed, or a module does not keep what it promises.
    """
    for checker, settings in FORMS:
        form = "".join(f", {name} = {value}" for name, value in settings.items())
        if not holds(checker, settings, folder):
            raise MgdError(f"mgd_{checker}{form} does not keep what it promises: an assertion of check_{checker} fails")
        yield f"proved: mgd_{checker}{form}"
