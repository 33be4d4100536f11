"""Commands in as few messages as an instrument takes. Nothing here imports JAX."""

from collections.abc import Iterator


def joined(commands: list[bytes]) -> bytes:
    """Commands in one message. Each begins at the root of the tree, but common ones (`*IDN?`), which are in no tree.

    >>> joined([b"VOLT 1", b"*IDN?", b"SYST:ERR?"])
    b'VOLT 1;*IDN?;:SYST:ERR?'
    """
    parts = [commands[0]]
    for one in commands[1:]:
        parts += (b";" if one[:1] == b"*" else b";:", one)
    return b"".join(parts)


def grouped(commands: list[bytes], *, compound: bool, longest: int | None = None) -> Iterator[list[bytes]]:
    """Commands for one message each: all, one, or as many as are not longer than the line takes.

    Args:
        commands: in their order.
        compound: whether a message can have several.
        longest: bytes of a message without its end, at most; None for any.

    >>> list(grouped([b"A 1", b"B 2", b"C 3"], compound=True, longest=8))
    [[b'A 1', b'B 2'], [b'C 3']]
    """
    group: list[bytes] = []
    for command in commands:
        if group and not (compound and (longest is None or len(joined([*group, command])) <= longest)):
            yield group
            group = []
        group.append(command)
    if group:
        yield group


def apart(command: str, *, compound: bool) -> list[bytes]:
    """A command, or those in it between ; where a message has only one.

    >>> apart("OUTP1 OFF; OUTP2 OFF", compound=False)
    [b'OUTP1 OFF', b'OUTP2 OFF']
    """
    parts = [command] if compound else command.split(";")
    return [part.strip().encode() for part in parts if part.strip()]
