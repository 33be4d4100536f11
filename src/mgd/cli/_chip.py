"""`mgd chip serve` and `mgd chip check`."""

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._at_once import answer_at_once

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument, Guarded

_ROUND_TRIPS, _COSTS, _SAMPLES = 100, 100, 16


@click.group(epilog="Example: mgd chip check examples/virtual-chip.toml")
def chip() -> None:
    """Serve a virtual chip, or check a real one."""


@chip.command(epilog="Example: mgd chip serve examples/virtual-chip.toml --port 5025")
@click.argument("file", metavar="CHIP.toml", type=click.Path(path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen at; 0 for any free one. By default that of the file's resource, or 5025.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the piece, its noise and the faults.")
def serve(file: Path, port: int | None, host: str, seed: int | None) -> None:
    """Serve the simulated chip of CHIP.toml on a socket, like a bench instrument that speaks SCPI, until Ctrl-C."""
    from ..runs import read_chip_file

    read = read_chip_file(file)
    answer_at_once()
    from ..runs import serve_chip

    serve_chip(read, host, port, seed, announce=click.echo)


@chip.command(epilog="Example: mgd chip check examples/virtual-chip.toml")
@click.argument("file", metavar="CHIP.toml", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Open the chip of CHIP.toml, and show its identity, its limits, its speed and the noise of its cost.

    The command leaves the chip in its safe state.
    """
    from ..instruments import opened
    from ..runs import read_chip_file

    read = read_chip_file(file)
    answer_at_once()
    instrument = read.load_instrument()
    table = read.instrument or {}
    with opened(instrument, serial=table.get("serial"), guardian=table.get("guardian", False)) as guarded:
        from ..instruments import latency, noise

        click.echo(f"{read.name}: {guarded.identify()} at {guarded.address}")
        for name, part in guarded.parts.items():
            sets = f", sets {part.n_params:,} parameters, {_limits(part)}" if part.n_params else ""
            click.echo(f"  {name}: {part.identify()} at {part.address}{sets}")
        for name, part in guarded.parts.items() or [("chip", guarded)]:
            if not any(astuple(part.identify())):
                told = "only its parameters show" if part.reads_back else "nothing shows"
                click.echo(f"  {name} has no identity: {told} that a reply belongs to another query or another piece")
        click.echo(f"  {guarded.n_params:,} parameters, {_limits(guarded)}")
        for line in _groups(guarded):
            click.echo(f"  {line}")
        click.echo(f"  measures {_measures(guarded)}")
        median, slow = latency(guarded, _ROUND_TRIPS)
        click.echo(f"  round trip {1e3 * median:.3g} ms (median), {1e3 * slow:.3g} ms (95 %)")
        found = noise(guarded, _COSTS, inputs=read.inputs, outputs=read.outputs, samples=_SAMPLES)
        if found is None:
            click.echo("  noise not measured: the file does not say chip.inputs and chip.outputs")
            return
        what = "cost" if found.of_cost else "outputs"
        click.echo(f"  {what} {found.mean:.4g}, noise {found.white:.2g} (standard deviation, {found.n} measurements)")
        click.echo(f"  measurement {1e3 * found.seconds:.3g} ms (median)")


def _limits(instrument: "AbstractInstrument") -> str:
    limits = instrument.limits
    if limits.units is not None and (limits.units.is_scaled or len(set(limits.units.unit)) > 1):
        return "of different kinds:"
    low, high = limits.low.min(), limits.high.max()
    each = (limits.low == low).all() and (limits.high == high).all()
    return f"limits {low:g} … {high:g} {limits.unit}".rstrip() + ("" if each else " (the widest; each has its own)")


def _groups(instrument: "AbstractInstrument") -> list[str]:
    """A line for each group of parameters that is of a kind of its own."""
    units = instrument.limits.units
    if units is None or (units.is_plain and len(set(units.unit)) == 1):
        return []
    lines = []
    for group in units.as_dict()["groups"]:
        first, last = group["first"], group["last"]
        ends = {instrument.limits.ends(k) for k in range(first, last + 1)}
        limits = ends.pop() if len(ends) == 1 else "each with its own limits"
        scale, centre = (
            f"{value:g} {group['unit']}".rstrip() if isinstance(value, float) else "each its own"
            for value in (group["scale"], group["centre"])
        )
        kinds = [f"parameters {first} to {last}" if last > first else f"parameter {first}", limits]
        kinds += [f"one unit of θ is {scale}"] if group["scale"] != 1 else []
        kinds += [f"θ = 0 is {centre}"] if group["centre"] != 0 else []
        kinds += ["a learning rate of its own"] if group["learning_rate"] != 1 else []
        lines.append(f"{group['name'] or 'in no group'}: {', '.join(kinds)}")
    return lines


def _measures(instrument: "Guarded") -> str:
    what = {"cost": "its cost", "outputs": "its outputs", "both": "its cost and its outputs"}[instrument.reads]
    lines = "perturbation on lines of its own" if instrument.own_line else "perturbation added to the parameters"
    most = instrument.most_together
    return f"{what}, {lines}, " + (f"up to {most:,} measurements in one batch" if most else "one at a time")
