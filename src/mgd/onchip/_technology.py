"""What the RTL is made of in a technology: the script of its synthesis, and what its cells are called."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._errors import MgdError
from .._input import nearest
from ._top import modules
from ._yosys import counted

# Of the package that the message below names.
_LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
_AREA = re.compile(r"^\s*cell\s*\((\w+)\)\s*\{.*?^\s*area\s*:\s*([\d.]+);", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Technology:
    """A technology.

    Attributes:
        about: what it is called in a report.
        script: commands of Yosys, in which `{top}` and `{flat}` stand for the top module and for the option that says
            whether its modules are made one.
        flat: that option, of one piece and of modules by themselves.
        kinds: what is counted, by what it is called here: how the names of its cells begin; the kind without beginnings
            is of all others.
        liberty: a file with the areas of its cells, if it has one.
    """

    about: str
    script: tuple[str, ...]
    flat: tuple[str, str]
    kinds: Mapping[str, tuple[str, ...]]
    liberty: Path | None = None


_FLIP_FLOPS = ("$_DFF", "$_SDFF", "$_ALDFF", "$_DLATCH")
TECHNOLOGIES = {
    "generic": Technology(
        "generic gates", ("synth {flat} -top {top}",), ("-flatten", ""), {"flip-flops": _FLIP_FLOPS, "gates": ()}
    ),
    "ice40": Technology(
        "iCE40",
        ("synth_ice40 -top {top} {flat}",),
        ("", "-noflatten"),
        {"LUT4": ("SB_LUT4",), "flip-flops": ("SB_DFF",), "carries": ("SB_CARRY",), "4-kbit memories": ("SB_RAM40",)},
    ),
    "ecp5": Technology(
        "ECP5",
        ("synth_ecp5 -top {top} {flat}",),
        ("", "-noflatten"),
        {
            "LUT4": ("LUT4",),
            "flip-flops": ("TRELLIS_FF",),
            "carries": ("CCU2C",),
            "distributed": ("TRELLIS_DPR16",),
            "18-kbit memories": ("DP16KD", "PDPW16KD"),
            "multipliers": ("MULT18",),
        },
    ),
    "osu018": Technology(
        "OSU018, 0.18 µm",
        (
            "synth {flat} -top {top}",
            f"dfflibmap -liberty {_LIBERTY}",
            f"abc -liberty {_LIBERTY}",
            "opt_clean",
        ),
        ("-flatten", ""),
        {"flip-flops": ("DFF",), "gates": ()},
        _LIBERTY,
    ),
}


def technology(name: str) -> Technology:
    """The technology of this name.

    Raises:
        ValueError: if there is none.
        MgdError: if its library of cells is not installed.
    """
    if name not in TECHNOLOGIES:
        raise ValueError(f"unknown technology {name!r}{nearest(name, TECHNOLOGIES)}; choose {', '.join(TECHNOLOGIES)}")
    found = TECHNOLOGIES[name]
    if found.liberty is not None and not found.liberty.exists():
        raise MgdError(f"{name} needs its library, which is not installed: sudo apt-get install qflow-tech-osu018")
    return found


def synthesised(
    name: str, top: str, parameters: Mapping[str, str], *, flat: bool = True, sources: Sequence[Path] = ()
) -> tuple[str, dict[str, dict[str, int]]]:
    """What synthesised a module, with its version, and the cells of each module, by their own names.

    Args:
        name: of the technology.
        top: the module.
        parameters: its parameters, as literals.
        flat: whether the modules in it are made one with it.
        sources: files of other modules than those of the RTL.

    Raises:
        ValueError: if there is no such technology.
        MgdError: if Yosys or the library of cells is not installed, or Yosys refuses the module.
    """
    found = technology(name)
    settings = " ".join(f"-set {one} {value}" for one, value in parameters.items())
    script = [f"read_verilog -sv -defer {' '.join(map(str, (*modules(), *sources)))}", f"chparam {settings} {top}"]
    script += [line.format(top=top, flat=found.flat[not flat]) for line in found.script]
    return counted(script)


def by_kind(name: str, cells: Mapping[str, int]) -> dict[str, int]:
    """Cells by what they are called in a report; with a library, the area in µm² and as so many NAND2."""
    found, kinds = technology(name), dict[str, int]()
    known = tuple(start for of in found.kinds.values() for start in of)
    for kind, of in found.kinds.items():
        kinds[kind] = sum(n for cell, n in cells.items() if cell.startswith(of or known) == bool(of))
    if found.liberty is None:
        return kinds
    areas = {cell: float(area) for cell, area in _AREA.findall(found.liberty.read_text())}
    whole = sum(number * areas[cell] for cell, number in cells.items())
    return kinds | {"µm²": round(whole), "as NAND2": round(whole / areas["NAND2X1"])}
