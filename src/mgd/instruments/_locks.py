"""Keeps other programs from a chip that is in use, however they write its address. Nothing here imports JAX."""

import hashlib
import ipaddress
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from .._errors import HardwareError
from .._locks import lock_file

# Of a VISA resource: the kind of interface, the number of its board, all else.
_VISA = re.compile(r"(TCPIP|GPIB|USB|VXI|PXI)(\d*)::(.+)", re.IGNORECASE)
_SERIAL = re.compile(r"ASRL(?:::)?(.+?)(?:::INSTR)?", re.IGNORECASE)
# Between two parts, which an address in brackets may hold too.
_BETWEEN = re.compile(r"::(?![^\[]*\])")
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)
_HERE = "127.0.0.1"
# An instrument with its standard name, by VXI-11 or HiSLIP.
_WHOLE = ([], ["INST"], ["INST0"], ["HISLIP0"], ["HISLIP0,4880"])


# How the lock of a guardian is marked, and how often it is seen whether it has ended.
_GUARDIAN, _LOOK_SECONDS = "guardian", 0.05


@contextmanager
def alone(address: str, *, guards: bool = False) -> Iterator[None]:
    """Keeps other programs of this user and machine from the same chip.

    A guardian that puts a chip in its safe state is waited for, since that ends by itself.

    Args:
        address: of the instrument. What it is of counts, not how it is written: see `places`.
        guards: whether this is such a guardian, which waits for nobody.

    Raises:
        HardwareError: if one has it, or nothing can be locked.
    """
    import platformdirs

    folder = Path(platformdirs.user_state_dir("mgd")) / "locks"
    with ExitStack() as stack:
        for place in sorted(places(address)):
            path = folder / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("a+"))
                taken = lock_file(file.fileno())
                if not (taken or guards) and _holder(file).endswith(_GUARDIAN):
                    taken = _taken_after_guardian(address, file)
            except OSError as error:
                raise HardwareError(
                    f"{address}: a file in {folder} cannot be locked ({error.strerror or error}), so two programs "
                    "could use one chip unnoticed: set XDG_STATE_HOME to a folder on a local disk"
                ) from error
            if not taken:
                raise HardwareError(_in_use(address, file)) from None
            file.truncate(0)
            file.write(f"{os.getpid()} {_GUARDIAN}" if guards else str(os.getpid()))
            file.flush()
        yield


def _taken_after_guardian(address: str, file: IO[str]) -> bool:
    """Waits while a guardian has a lock; whether it is ours then."""
    with suppress(OSError, ValueError, AttributeError):  # where nobody reads it
        line = f"mgd: {address} is being put in its safe state by process {_holder(file)}, which is waited for"
        print(line, file=sys.stderr, flush=True)
    while _holder(file).endswith(_GUARDIAN):
        if lock_file(file.fileno()):
            return True
        time.sleep(_LOOK_SECONDS)
    return lock_file(file.fileno())


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _in_use(address: str, file: IO[str]) -> str:
    holder = _holder(file) or "unknown"
    if holder == str(os.getpid()):
        return f"{address} is open already: give each instrument its own address"
    return (
        f"{address} is in use by process {holder}: two trainers on one chip would undo each other's writes; "
        "stop that one first"
    )


def places(address: str) -> set[str]:
    """What an address is of: two addresses of one chip have one in common.

    A VISA resource is read as VISA reads it: capitals do not count, nor what may be left out. A host is all its
    numbers, and this machine is one by whatever name. A serial port is the file at the end of its links. Any other
    address is what it says.

    >>> sorted(places("TCPIP::127.0.0.1::5025::SOCKET")) == sorted(places("tcpip0::127.0.0.1::5025::socket"))
    True
    """
    if serial := _SERIAL.fullmatch(address.strip()):
        return {f"ASRL::{_port(serial[1])}"}
    found = _VISA.fullmatch(address.strip())
    if found is None:
        return {address}
    kind, board, parts = found[1].upper(), found[2] or "0", [part.upper() for part in _BETWEEN.split(found[3])]
    sort = parts.pop() if parts[-1] in ("INSTR", "SOCKET", "RAW") else "INSTR"
    if kind == "TCPIP" and parts:
        host, *more = parts
        more = [] if more in _WHOLE and sort == "INSTR" else [_plain(part) for part in more]
        return {"::".join((kind, one, *more, sort)) for one in _hosts(host.strip("[]"))}
    plain = [_plain(part) for part in parts]
    if kind == "USB":  # which the maker, the model and the serial number tell, whatever the board
        board, plain = "0", plain if len(plain) > 3 else [*plain, "0"]
    return {"::".join((kind, _plain(board), *plain, sort))}


def _plain(part: str) -> str:
    """A number as it is written without 0x and leading zeros; all else as it is."""
    return str(int(part, 16 if part.lower().startswith("0x") else 10)) if _NUMBER.fullmatch(part) else part


def _port(name: str) -> str:
    """A serial port: the file at the end of its links. A number is that of a port of the machine, from 1."""
    path = f"/dev/ttyS{int(name) - 1}" if name.isdigit() else name
    return os.path.realpath(path) if "/" in path else path.upper()


def _hosts(host: str) -> set[str]:
    """All numbers of a host, this machine's as one; its name if it has none."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host.lower(), None)}
    except (OSError, UnicodeError):
        return {host.rstrip(".")}
    return {_HERE if _is_this_machine(number) else number for number in found}


def _is_this_machine(number: str) -> bool:
    """Whether a server of this machine that listens at all its addresses is reached there; 127.0.0.2 is one apart."""
    plain = ipaddress.ip_address(number.partition("%")[0])
    plain = getattr(plain, "ipv4_mapped", None) or plain
    if plain.is_unspecified or plain.is_loopback:
        return str(plain) in (_HERE, "::1", "0.0.0.0", "::")
    family = socket.AF_INET if plain.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((number.partition("%")[0], 0))
        return True
    except OSError:
        return False
