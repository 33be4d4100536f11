"""`mgd onchip generate`, `mgd onchip report`, `mgd onchip check` and `mgd onchip analog`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..onchip import Area

# Named here too, because help loads no JAX.
_TECHNOLOGIES = ("generic", "ice40", "ecp5", "osu018")


@click.group(epilog="Example: mgd onchip report examples/onchip.toml")
def onchip() -> None:
    """Make a training circuit from its description, say what it takes, or check it."""


@onchip.command(epilog="Example: mgd onchip generate examples/onchip.toml --out xor-core")
@click.argument("spec", metavar="SPEC.toml", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder, which is made.")
@click.option("--tiny-tapeout", is_flag=True, help="Add a project of Tiny Tapeout, which learns a truth table.")
def generate(spec: Path, out: Path, tiny_tapeout: bool) -> None:
    """Write the circuit of SPEC.toml: a top module with its RTL, its registers, test benches and build files.

    With layers, the network is in the top module; without, its ports are for your own array.
    """
    from ..onchip import Spec
    from ..onchip import generate as write

    files = write(Spec.read(spec), out, tiny_tapeout=tiny_tapeout)
    click.echo(f"{out}: {len(files)} files; to check them: mgd onchip check {out}")


@onchip.command(epilog="Example: mgd onchip check xor-core")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--proofs", is_flag=True, help="Also prove what its modules promise, by Yosys: a minute or so.")
def check(folder: Path, proofs: bool) -> None:
    """Lint the circuit in FOLDER, and compare what it learns with its twin, to the bit."""
    from ..onchip import check as checked

    for line in checked(folder, proofs=proofs):
        click.echo(line)


@onchip.command(epilog="Example: mgd onchip report examples/onchip.toml --technology ice40")
@click.argument("spec", metavar="SPEC.toml", type=click.Path(path_type=Path))
@click.option(
    "--technology",
    "technologies",
    multiple=True,
    type=click.Choice(_TECHNOLOGIES),
    help="Only this one; can be given more than once.",
)
def report(spec: Path, technologies: tuple[str, ...]) -> None:
    """Count the cells of the circuit of SPEC.toml, find its clock, and say what backpropagation would need beside it.

    What is not installed is named, with how to install it. Memories are flip-flops where the technology is generic or
    osu018.
    """
    from .._errors import MgdError
    from ..onchip import Spec, area, clock, traffic

    read = Spec.read(spec)
    failed: list[str] = []
    for name in technologies or _TECHNOLOGIES:
        try:
            _cells(read.parameters, area(read, name))
            if name in ("ice40", "ecp5"):
                found = clock(read, name)
                click.echo(f"  clock on {found.device}: {found.megahertz:.0f} MHz ({found.tool})")
        except MgdError as error:
            if str(error) not in failed:
                click.echo(f"{name}: {error}")
            failed.append(str(error))
    if read.layers:
        click.echo("for one sample")
        engines = traffic(read)
        counts = [(one.engine, f"{one.stored_bits:,}", f"{one.moved_bits:,}", f"{one.products:,}") for one in engines]
        _table(("engine", "bits stored", "bits moved", "products"), counts)


@onchip.command(epilog="Example: mgd onchip analog examples/analog.toml --out xor-analog")
@click.argument("spec", metavar="SPEC.toml", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder, which is made.")
def analog(spec: Path, out: Path) -> None:
    """Write the circuit of SPEC.toml in continuous time, as subcircuits for SPICE.

    With layers, there are a network and a deck for ngspice too; without, the learner is for a deck of your own.
    """
    from ..onchip import AnalogSpec, generate_analog

    read = AnalogSpec.read(spec)
    files = generate_analog(read, out)
    runs = f"; to let it learn: cd {out} && ngspice -b learn.cir" if read.layers else ""
    click.echo(f"{out}: {len(files)} files{runs}")


def _cells(parameters: int, found: "Area") -> None:
    kinds = list(found.total)
    click.echo(f"core for {parameters} parameters in {found.technology} ({found.tool})")
    rows = [(part.module, str(part.instances), *(f"{part.cells[kind]:,}" for kind in kinds)) for part in found.parts]
    rows.append(("core as one piece", "1", *(f"{found.total[kind]:,}" for kind in kinds)))
    rows.append(("  per parameter", "", *(f"{found.total[kind] / parameters:,.1f}" for kind in kinds)))
    _table(("module", "instances", *kinds), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for first, *others in (head, *rows):
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        click.echo(f"  {first.ljust(widths[0])}  {'  '.join(cells)}")
