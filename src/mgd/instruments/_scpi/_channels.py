"""Commands with the numbers taken out: one for all of them, or one for each channel. Nothing here imports JAX."""

import functools

from .._wire import Item, text


@functools.lru_cache(maxsize=64)
def halves(command: str, shape: str = "", channels: tuple[int | str, ...] = ()) -> tuple[tuple[bytes, bytes], ...]:
    """A command before and after its numbers; if it is of one channel, that of each.

    Args:
        command: with `{data}`, and perhaps a list of `{channels}`; or with `{channel}` and `{value}`.
        shape: of the numbers.
        channels: their names.

    >>> halves("VOLT {data}")
    ((b'VOLT ', b''),)
    >>> halves("SOUR{channel}:VOLT {value}", channels=(1, 2))
    ((b'SOUR1:VOLT ', b''), (b'SOUR2:VOLT ', b''))
    >>> halves("VOLT {data},(@{channels})", channels=(1, 2))
    ((b'VOLT ', b',(@1,2)'),)
    """
    if "{channel}" in command:
        filled = [command.format(channel=channel, value="\0") for channel in channels]
    else:
        filled = [command.format(data="\0", shape=shape, channels=listed(channels))]
    return tuple((before.encode(), after.encode()) for before, _, after in (one.partition("\0") for one in filled))


def filled(parts: tuple[tuple[bytes, bytes], ...], data: bytes) -> list[bytes]:
    """Commands with their numbers: all in one, or one for each channel.

    >>> filled(halves("SOUR{channel}:VOLT {value}", channels=(1, 2)), b"0.5,-1")
    [b'SOUR1:VOLT 0.5', b'SOUR2:VOLT -1']
    """
    if len(parts) == 1:
        return [b"".join((parts[0][0], data, parts[0][1]))]
    return [b"".join((before, one, after)) for (before, after), one in zip(parts, data.split(b","), strict=True)]


def questions(command: str, channels: tuple[int | str, ...]) -> list[bytes]:
    """A query for all numbers, or one for each channel.

    >>> questions("SOUR{channel}:VOLT?", ("A", "B"))
    [b'SOURA:VOLT?', b'SOURB:VOLT?']
    """
    if "{channel}" not in command:
        return [command.format(channels=listed(channels)).encode()]
    return [command.format(channel=channel).encode() for channel in channels]


def listed(channels: tuple[int | str, ...]) -> str:
    """Names of channels as in a list of SCPI.

    >>> listed((101, 102))
    '101,102'
    """
    return ",".join(map(str, channels))


def together(items: list[Item]) -> Item:
    """The answers of all channels as one answer.

    >>> together([b"0.5", b"-1"])
    b'0.5,-1'
    """
    if len(items) == 1:
        return items[0]
    return b",".join([item if isinstance(item, bytes) else text(item) for item in items])
