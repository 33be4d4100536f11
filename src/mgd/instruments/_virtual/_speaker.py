"""What a virtual chip answers: SCPI commands on one side, a simulated piece on the other."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from ..._version import __version__
from .._base import AbstractInstrument
from .._simulated import Simulated
from .._wire import block, text
from ._messages import Refused, header_and_data, spellings, values

_ERRORS = {
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -161: "Invalid block data",
    -200: "Execution error",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
}
_QUEUE = 20
Vector = Float[np.ndarray, " n"]
Verb = TypeVar("Verb", bound=Callable)


def _spelt(verbs: dict[str, Verb]) -> dict[str, Verb]:
    """Verbs by all that their headers may be written as."""
    return {spelling: verb for header, verb in verbs.items() for spelling in spellings(header)}


class Speaker:
    """A piece of a simulated chip that speaks SCPI.

    All connections share the chip's parameters, inputs and errors; FORMat, the format of replies, belongs to each
    connection. A refused command goes into the error queue, gives no reply, and does not change the chip; later
    commands in the same message are still executed.

    Args:
        piece: the chip.
        serial: its serial number.
        inputs: shape of one input.
        outputs: how many.

    Attributes:
        refused: number of refused commands.
    """

    def __init__(self, piece: AbstractInstrument, *, serial: str, inputs: tuple[int, ...], outputs: int):
        self.piece, self.serial, self.inputs, self.outputs = piece, serial, inputs, outputs
        self._errors: deque[tuple[int, str]] = deque()
        self.refused = 0
        self._start()
        if isinstance(piece, Simulated):
            self._theta = np.asarray(piece.parameters())
        else:
            self._safe()
        self._asked = _spelt(
            {
                "*IDN?": lambda: f"mgd,virtual chip,{self.serial},{__version__}".encode(),
                "*RST": self.reset,
                "*CLS": self._errors.clear,
                "*OPC?": lambda: b"1",
                "SYSTem:ERRor?": self._next_error,
                "SYSTem:SAFE": self._safe,
                "PARameter:COUNt?": lambda: str(self.piece.n_params).encode(),
                "PARameter:LIMits?": self._limits,
                "PARameter:DATA?": lambda: self._numbers(self._theta),
                "PERTurbation:DATA?": lambda: self._numbers(self._perturbation),
                "MEASure:COST?": self._cost,
                "MEASure:OUTPuts?": self._outputs,
                "MEASure:COUNt?": lambda: str(self._measurements).encode(),
                "INPut:DATA?": self._inputs,
                "FORMat?": lambda: b"REAL" if self._binary else b"ASC",
            }
        )
        self._given = _spelt(
            {
                "PARameter:DATA": self._set,
                "PERTurbation:DATA": self._perturb,
                "INPut:SHAPe": self._shape,
                "INPut:DATA": self._input,
                "TARGet:DATA": self._target,
                "MEASure:BATCh?": self._batch,
                "FORMat": self._format,
            }
        )
        self._binary = False

    def answer(self, units: list[bytes], *, binary: bool) -> tuple[bytes, bool]:
        """Executes the commands of a message.

        Args:
            units: its commands.
            binary: whether this connection's numbers are blocks.

        Returns:
            The reply, empty if there was no query; and whether numbers are blocks from now on.
        """
        self._binary, path, replies = binary, "", []
        for unit in units:
            header, data, path = header_and_data(unit, path)
            try:
                reply = self._carry_out(header, data)
            except Refused as error:
                self.refuse(error, header)
            else:
                if reply is not None:
                    replies.append(reply)
        return (b";".join(replies) + b"\n" if replies else b""), self._binary

    def _carry_out(self, header: str, data: bytes) -> bytes | None:
        if header in self._given:
            return self._given[header](data)
        if header not in self._asked:
            raise Refused(-113, header[:40])
        if data:
            raise Refused(-108)
        return self._asked[header]()

    def refuse(self, error: Refused, header: str = "") -> None:
        """Puts a refused command into the error queue."""
        self.refused += 1
        if len(self._errors) == _QUEUE:
            self._errors[-1] = (-350, _ERRORS[-350])
            return
        detail = error.detail if error.code == -113 else f"{header} {error.detail}".strip()
        self._errors.append((error.code, f"{_ERRORS[error.code]};{detail}".replace('"', "'")))

    def _next_error(self) -> bytes:
        code, said = self._errors.popleft() if self._errors else (0, "No error")
        return f'{code},"{said}"'.encode("ascii", "replace")

    def _start(self) -> None:
        """What is known before anything is set: nothing is in front of the chip."""
        self._perturbation = np.zeros(self.piece.n_params, np.float32)
        self._announced: tuple[int, ...] | None = None
        self._x: np.ndarray | None = None
        self._y: np.ndarray | None = None
        self._current = False
        self._measurements = 0

    def reset(self) -> None:
        """The effect of *RST, and of a short failure of the supply."""
        self._start()
        self._safe()
        self._binary = False

    def _safe(self) -> None:
        self._theta = self.piece.limits.nearest_to_zero
        self.piece.set_parameters(self._theta)
        self._perturbation = np.zeros(self.piece.n_params, np.float32)

    def _numbers(self, numbers: np.ndarray) -> bytes:
        return block(numbers) if self._binary else text(numbers)

    def _limits(self) -> bytes:
        """Low and high of all if they are alike, else of each in turn."""
        pairs = np.stack([self.piece.limits.low, self.piece.limits.high], 1)
        pairs = pairs[:1] if (pairs == pairs[0]).all() else pairs
        # All their digits: who rounds them inwards must come to the same numbers from text and from a block.
        return block(pairs) if self._binary else ",".join(f"{end:.17g}" for end in pairs.ravel().tolist()).encode()

    def _set(self, data: bytes) -> None:
        theta = self._vector(data)
        self._inside(theta)
        self.piece.set_parameters(theta)
        # What was asked for, as a register holds it: what the analog side made of it is the chip's secret.
        self._theta, self._perturbation = theta, np.zeros_like(theta)

    def _perturb(self, data: bytes) -> None:
        perturbation = self._vector(data)
        self._inside(self._theta + perturbation)
        self.piece.perturb(perturbation)
        self._perturbation = perturbation

    def _vector(self, data: bytes) -> Vector:
        found = values(data)
        if found.size != self.piece.n_params:
            raise Refused(-224, f"{found.size} values for {self.piece.n_params} parameters")
        return found

    def _inside(self, theta: np.ndarray) -> None:
        limits = self.piece.limits
        outside = ~((theta >= limits.low) & (theta <= limits.high))
        if outside.any():
            k = int(np.argwhere(outside)[0][-1])
            raise Refused(-222, f"parameter {k}, {theta[outside][0]:.6g}")

    def _shape(self, data: bytes) -> None:
        sizes = values(data)
        shape = tuple(int(size) for size in sizes)
        if (sizes != np.array(shape)).any() or shape[1:] != self.inputs or shape[0] < 1:
            due = ",".join(map(str, self.inputs))
            raise Refused(-224, f"a batch of inputs is N,{due}")
        self._announced = shape

    def _input(self, data: bytes) -> None:
        x = values(data)
        shape = self._announced or (1, *self.inputs)
        if x.size != int(np.prod(shape)):
            raise Refused(-224, f"{x.size} values for a shape of {','.join(map(str, shape))}")
        self._x, self._current = x.reshape(shape), False

    def _inputs(self) -> bytes:
        """What is in front of the chip; nothing after a reset."""
        if self._x is None:
            raise Refused(-221, "no inputs were given")
        return self._numbers(self._x.ravel())

    def _target(self, data: bytes) -> None:
        y = values(data)
        if y.size % self.outputs:
            raise Refused(-224, f"{y.size} values for {self.outputs} outputs")
        self._y, self._current = y.reshape(-1, self.outputs), False

    def _present(self, *, targets: bool) -> None:
        """Puts what was sent in front of the piece, once."""
        if self._x is None:
            raise Refused(-221, "no inputs were given")
        if self._current:
            return
        y = self._y
        if y is None or len(y) != len(self._x):
            if targets:
                raise Refused(-221, "there must be as many targets as inputs")
            y = np.zeros((len(self._x), self.outputs), np.float32)
        self.piece.present(self._x, y)
        self._current = y is self._y

    def _cost(self) -> bytes:
        self._present(targets=True)
        self._measurements += 1
        return b"%.9g" % self.piece.measure_cost()

    def _outputs(self) -> bytes:
        self._present(targets=False)
        self._measurements += 1
        return self._numbers(self.piece.read_outputs())

    def _batch(self, data: bytes) -> bytes:
        """Costs at perturbations, row by row."""
        self._present(targets=True)
        rows = values(data)
        if rows.size % self.piece.n_params:
            raise Refused(-224, f"{rows.size} values for rows of {self.piece.n_params}")
        rows = rows.reshape(-1, self.piece.n_params)
        if len(rows) > self.piece.most_together:
            raise Refused(-224, f"{len(rows)} rows, at most {self.piece.most_together}")
        self._inside(self._theta + rows)
        self._measurements += 1
        return self._numbers(self.piece.measure_batch(rows))

    def _format(self, data: bytes) -> None:
        kind = data.strip().upper().split(b",")[0]
        if kind not in (b"ASC", b"ASCII", b"REAL"):
            raise Refused(-224, "ASC or REAL")
        self._binary = kind == b"REAL"
