"""The line to an instrument, and the dialogue over it, as its settings say. Nothing here imports JAX."""

from collections.abc import Callable

from ._dialogue import Dialogue
from ._manners import Polite
from ._settings import ScpiSettings
from ._transports import Socket, Transport, Visa, ends_by_itself, is_bare_socket, socket_address


def line_to(settings: ScpiSettings, *, clear: bool) -> Transport:
    """The line that the resource names.

    Args:
        settings: of the instrument.
        clear: whether the instrument is to forget what it was asked before, where PyVISA reaches it.

    Raises:
        OSError: if it cannot be made.
    """
    found = socket_address(settings.resource)
    if found is not None and is_bare_socket(settings.resource, settings.backend, settings.visa):
        return Socket(*found, settings.timeout_seconds)
    end, ended = settings.framing.end, settings.blocks.ended
    return Visa(
        *(settings.resource, settings.timeout_seconds, settings.backend, settings.visa, end), ended=ended, clear=clear
    )


def dialogue_of(settings: ScpiSettings, connect: Callable[[], Transport]) -> Dialogue:
    """The dialogue over a line with the manners of the settings."""
    line, framing, seconds = settings.line, settings.framing, settings.timeout_seconds
    return Dialogue(
        settings.resource,
        (lambda: Polite(connect, line, framing.end, seconds)) if line.is_polite else connect,
        seconds,
        framing,
        waits_for_more=framing.indefinite and not ends_by_itself(settings.resource),
        end=line.write_end.encode(),
        longest=line.longest,
        error_line=settings.replies.error_line,
    )
