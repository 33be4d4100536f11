"""`mgd data`."""

import click


@click.group(epilog="Example: mgd data fetch fashion-mnist")
def data() -> None:
    """Download the image sets, or list their places."""


@data.command("fetch", epilog="Example: mgd data fetch cifar10")
@click.argument("name")
def fetch_data(name: str) -> None:
    """Download the files of a task, and check them against their checksums."""
    from ..datasets import fetch

    click.echo(f"{name}: {fetch(name)}")


@data.command("list", epilog="Example: mgd data list")
def list_data() -> None:
    """List the tasks, with the places of their files."""
    from ..datasets import available

    for task in available():
        if not task.download_megabytes:
            place = "needs no files"
        elif task.found:
            place = str(task.found)
        else:
            place = f"not here: mgd data fetch {task.name} downloads {task.download_megabytes:.0f} MB"
        click.echo(f"{task.name:<14} {place}")
