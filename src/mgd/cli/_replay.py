"""`mgd replay`."""

from pathlib import Path

import click

from ._at_once import answer_at_once


@click.command(epilog="Example: mgd replay runs/parity-1")
@click.argument("run", type=click.Path(path_type=Path))
def replay(run: Path) -> None:
    """Repeat RUN from the recording of its chip (mgd train --record), without the chip, and compare.

    The exit code is 1 if the parameters differ.
    """
    answer_at_once()
    from ..runs import progress, read_config
    from ..runs import replay as make_again

    with progress(read_config(run).steps or 1) as on_progress:
        found = make_again(run, on_progress=on_progress)
    end = "the same parameters, to the bit" if found.same else f"parameters that differ by up to {found.largest:.3g}"
    click.echo(f"{run}: {found.measurements:,} measurements a chip, replayed to {end}")
    if not found.same:
        raise SystemExit(1)
