"""libngspice by ctypes: circuits in, commands, vectors out. Nothing here imports JAX.

libngspice keeps its circuit, its plots and its callbacks in global variables, so a process has one simulator with one
circuit; who uses it claims it. Circuits side by side need processes side by side.
"""

import _ctypes
import ctypes
import ctypes.util
import functools
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError

VARIABLE = "MGD_NGSPICE"
_NAMES = ("libngspice.so.0", "libngspice.so", "libngspice.dylib", "ngspice.dll")
_FOLDERS = ("/opt/homebrew/lib", "/usr/local/lib")
_SPICEINIT = ".spiceinit"
_TROUBLE = re.compile(
    r"error|fatal|singular|too small|converge|iteration limit|unknown|undefined|illegal|can'?t |could not|"
    r"cannot|aborted|no such|unable|not found",
    re.IGNORECASE,
)
# Said beside the cause, and telling less.
_EMPTY = re.compile(r"awaits to be detached|^ngspice aborted|check your input|^Cannot compute substitute|not parsed")
_AT_LINE = "Error on line"

# The types of sharedspice.h. Addresses are plain integers: an object for each would be most of a callback's time.
_SEND_TEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
_EXIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_bool, ctypes.c_bool, ctypes.c_int, ctypes.c_void_p)
_SEND_DATA = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_SEND_INIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_SOURCE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)


class _Vector(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("flags", ctypes.c_short),
        ("real", ctypes.c_void_p),
        ("complex", ctypes.c_void_p),
        ("length", ctypes.c_int),
    )


class Ngspice:
    """The simulator of this process; `ngspice()` gives it.

    Sources of a circuit that are `external` take their values from here, without a command: at point n of a sweep,
    source s is at `sources[s][n]`.

    Args:
        path: of the shared library.
    """

    def __init__(self, path: str):
        self._path = path
        self._sources: dict[str, list[float]] = {}
        # The same by the address of the name, and n: two objects that callbacks hold on to.
        self._at: dict[int, list[float]] = {}
        self._point = [0]
        self._user = ""
        self._said: list[str] = []
        self._raised: BaseException | None = None
        self._ended = self._started = False
        self._load()
        self.command("version -s")
        self.version = "".join(re.findall(r"ngspice-(\S+)", " ".join(self._said))[:1])

    def claim(self, user: str, start: bytes = b"") -> None:
        """Takes the simulator for one circuit.

        Args:
            user: who takes it.
            start: commands that it carries out first, which hold until it is given up: what would be a .spiceinit.

        Raises:
            HardwareError: if another has it, or ngspice complains of the commands.
        """
        if self._user:
            raise HardwareError(
                f"{user}: ngspice in this process already has {self._user} and can have only one circuit: "
                "close that one first, or open this one in another process"
            )
        self._user = user
        if start:
            self._started = True
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, _SPICEINIT)
                path.write_bytes(start)
                self.command(f"source {path}")
            if trouble := self.trouble():
                self.release()
                raise HardwareError(f"{user}: spiceinit: {trouble}")

    def release(self) -> None:
        """Gives the circuit up."""
        if self._ended or self._started:
            self._renew()
        else:
            self.command("destroy all")
            self.command("remcirc")
        self._sources, self._user = {}, ""

    def circuit(self, lines: Iterable[str], seed: int = 1) -> None:
        """Loads a netlist, title first, `.end` last.

        Args:
            lines: of it.
            seed: of what it draws at random, such as `agauss`, so that it is the same circuit at every load.

        Raises:
            HardwareError: if it is not one; with what ngspice says.
        """
        encoded = [line.encode(errors="surrogateescape") for line in lines]
        array = (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)
        self.command(f"setseed {seed}")
        self._said.clear()
        failed = self._library.ngSpice_Circ(array)
        self._raise()
        if trouble := self.trouble() or ("ngspice rejects it and does not say why" if failed else ""):
            raise HardwareError(trouble)

    def commands(self, texts: Iterable[bytes]) -> None:
        """Carries commands out; what is said about any of them is in `trouble`."""
        self._said.clear()
        carry_out = self._library.ngSpice_Command
        for text in texts:
            carry_out(text)
        self._raise()

    def command(self, text: str) -> None:
        """Carries a command out; what is said about it is in `trouble`."""
        self.commands([text.encode()])

    def analyse(self, text: str, sources: dict[str, list[float]]) -> str:
        """Carries an analysis out, external sources being at these values at its points; what went wrong.

        Earlier plots are gone: kept, they would fill the memory.
        """
        self._library.ngSpice_Command(b"destroy all")
        self._sources, self._point[0] = sources, 0
        self._at.clear()
        self.command(text)
        if self._ended:
            raise HardwareError(f"{text}: ngspice ended itself ({self.trouble()}): it is loaded again", passing=True)
        return "" if not self._aborted() else self.trouble() or "aborted"

    def vector(self, name: str) -> Float[np.ndarray, " n"] | None:
        """A copy of a vector of the last analysis or of a device (`@r1[resistance]`); None if there is none."""
        found = self._library.ngGet_Vec_Info(name.encode())
        self._raise()
        if not found:
            return None
        vector = found.contents
        if vector.length < 1 or not vector.real:
            return None
        return np.frombuffer(ctypes.string_at(vector.real, 8 * vector.length))

    def trouble(self) -> str:
        """What ngspice has complained of since the last command, in one line; empty if of nothing."""
        said = [re.sub(r"\s+", " ", line).strip() for line in self._said]
        # Of a line of the netlist ngspice says its number in what it was given, which is not the user's; then the
        # line itself, and what is wrong with it.
        found = [f"{said[n + 1]!r}: {' '.join(said[n + 2 : n + 3])}" for n in _places(said)]
        found += [line for line in said if _TROUBLE.search(line) and not line.startswith(_AT_LINE)]
        telling: list[str] = []
        for line in [line for line in found if not _EMPTY.search(line)] or found:
            if not any(line in before for before in telling):
                telling.append(line)
        return "; ".join(telling)[:400]

    def _aborted(self) -> bool:
        return any("aborted" in line or line.startswith("Error") for line in self._said)

    def _raise(self) -> None:
        """What was raised in a callback, Ctrl-C too: ctypes would print it and go on."""
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error

    def _load(self) -> None:
        # The interpreter's lock is kept: callbacks come by the hundred at every point.
        self._library = ctypes.PyDLL(self._path)
        self._library.ngGet_Vec_Info.restype = ctypes.POINTER(_Vector)
        self._library.ngGet_Vec_Info.argtypes = self._library.ngSpice_Command.argtypes = [ctypes.c_char_p]
        self._callbacks = self._listen()

    def _renew(self) -> None:
        """Unloads the library and loads it again: after it has "ended", it takes no circuit any more."""
        _ctypes.dlclose(self._library._handle)
        self._ended = self._started = False
        self._load()

    def _listen(self) -> tuple:
        """Gives libngspice its callbacks, which must live as long as it does."""
        double, at, point = ctypes.c_double.from_address, self._at, self._point

        def text(said: bytes, *_: object) -> int:
            try:
                stream, _space, line = said.decode(errors="replace").partition(" ")
                if stream in ("stdout", "stderr") and not line.startswith("Note"):
                    self._said.append(line)
            except BaseException as error:
                self._raised = error
            return 0

        def exit_asked(*_: object) -> int:
            self._said.append("ngspice aborted")
            self._ended = True
            return 0

        def point_done(*_: object) -> int:
            point[0] += 1
            return 0

        def begin(*_: object) -> int:
            return 0

        def source(value: int, time: float, name: int, *_: object) -> int:
            try:
                try:
                    values = at[name]
                except KeyError:
                    values = at[name] = self._sources[ctypes.string_at(name).decode()]
                double(value).value = values[point[0]]
            except BaseException as error:
                self._raised = error
            return 0

        callbacks = _SEND_TEXT(text), _EXIT(exit_asked), _SEND_DATA(point_done), _SEND_INIT(begin), _SOURCE(source)
        send, leave, done, start, ask = callbacks
        with _nothing_to_start_with():
            self._library.ngSpice_Init(send, None, leave, done, start, None, None)
        self._library.ngSpice_Init_Sync(ask, ask, None, None, None)
        return callbacks


@contextmanager
def _nothing_to_start_with() -> Iterator[None]:
    """Keeps ngspice from the commands of a .spiceinit, which may be anyone's, in this folder or at home.

    It takes the first that it finds, beginning with the folder that it is loaded in. Where there is one, that is for
    this long a folder with an empty one.
    """
    folders = [".", os.path.expanduser("~")]
    with suppress(ImportError, KeyError):
        import pwd  # not on Windows

        folders.append(pwd.getpwuid(os.getuid()).pw_dir)
    if not any(Path(folder, name).exists() for folder in folders for name in (_SPICEINIT, "spice.rc")):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, _SPICEINIT).touch()
        with chdir(folder):
            yield


def _places(said: list[str]) -> list[int]:
    return [n for n, line in enumerate(said[:-1]) if line.startswith(_AT_LINE)]


@functools.cache
def ngspice() -> Ngspice:
    """The simulator of this process, loaded on first use.

    Raises:
        HardwareError: if there is none.
    """
    given = os.environ.get(VARIABLE)
    found = ctypes.util.find_library("ngspice")
    tried = [given] if given else [*_NAMES, *([found] if found else []), *(f"{f}/{_NAMES[2]}" for f in _FOLDERS)]
    for path in tried:
        try:
            return Ngspice(path)
        except (OSError, AttributeError):  # no library; or one without these functions
            continue
    raise HardwareError(
        f"libngspice is not there (tried {', '.join(tried)}): `apt-get install libngspice0` or "
        f"`brew install libngspice`, or put its path into {VARIABLE}"
    )
