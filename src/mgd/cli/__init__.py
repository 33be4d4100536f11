"""The command line: one command, one library call."""

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Runs one command, and exits.

    Args:
        arguments: what comes after `mgd`; by default those of this process, which then is the command's own: from here
            on, Ctrl-C, SIGTERM and SIGHUP end it with one line and exit code 130, before anything large is imported.
    """
    handler = None
    if arguments is None:
        from .._stops import end_at_once

        handler = end_at_once()
    from ._main import run

    run(arguments, handler)
