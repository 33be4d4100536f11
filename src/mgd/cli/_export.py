"""`mgd export`."""

from pathlib import Path

import click

from ._replica import replica_option


@click.command(epilog="Example: mgd export runs/parity-1 -o xor.npz")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="A .npz, .csv or .safetensors file.")
@replica_option("best", "all", default="all")
def export(run: Path, out: Path, replica: int | str) -> None:
    """Write RUN into one file for other programs: parameters, chips and scaling, with a description.

    If RUN is not finished, the parameters are those of its last checkpoint.
    """
    from ..results import check_export

    check_export(out)
    from ..results import export as write

    found = write(run, out, replica=replica)
    about = found.about
    so_far = "" if about["finished"] else f", not finished: as of step {about['step']:,}"
    chips, n_params = found.arrays["theta"].shape
    whose = "one chip" if chips == 1 else f"{chips} chips"
    click.echo(f"{out}: {n_params:,} parameters of {whose} of {run}{so_far}")
    click.echo(f"  arrays {', '.join(found.arrays)}; about, in the file, describes them")
