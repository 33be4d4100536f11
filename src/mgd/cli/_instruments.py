"""`mgd instruments`."""

import click


@click.command("instruments", epilog="Example: mgd instruments")
def instruments() -> None:
    """List the kinds of instruments, of mgd and of other packages, and what each still needs."""
    from ..instruments import available

    found = available()
    name_width = max((len(kind.name) for kind in found), default=0)
    sources = [f"{kind.distribution} {kind.version}" for kind in found]
    source_width = max(map(len, sources), default=0)
    for kind, source in zip(found, sources, strict=True):
        state = kind.missing or "ready"
        click.echo(f"{kind.name:<{name_width}}  {source:<{source_width}}  {state}")
