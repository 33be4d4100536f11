"""A chip that speaks SCPI over a socket, or over anything that PyVISA reaches. Nothing here imports JAX."""

import math
import re
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NoReturn, TypeVar

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._base import MOST_BELIEVED, AbstractInstrument, Identity, is_believed
from .._harmless import harmless
from .._limits import Limits
from .._pace import Pace
from .._wire import Item, WireError, block, shown, swapped, text
from ._channels import halves, questions, together
from ._dialogue import Dialogue
from ._formats import decoded
from ._identity import identity_of, who
from ._manners import Polite
from ._numbers import Numbers, What
from ._opening import as_before, declared_limits, reported_limits
from ._readback import InStep, ReadBack, Watched
from ._settings import ScpiSettings
from ._transports import Socket, Transport, Visa, ends_by_itself, is_bare_socket, socket_address

# Waited before what failed is asked once more; doubled each time, up to the longest.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 2.0
# Errors that an instrument can have queued, at most; one that never empties its queue is broken.
_MOST_ERRORS = 100
# The number of an error, before its text; and the bits of a status byte that pass: power on, and errors of a query.
_ERROR, _PASSING_BITS = re.compile(r"\s*([-+]?\d+)(?=[\s,\"]|$)"), 0b1000_0100
T = TypeVar("T")


class Scpi(AbstractInstrument):
    """A chip that speaks SCPI.

    It reaches `TCPIP…::SOCKET` resources by a bare socket, all others by PyVISA. Writes wait for the next query and go
    in the same message: a measurement is one round trip, its perturbation included. A message with writes ends with a
    query for the chip's error, so that no refused write goes unnoticed; it also reads parameters back (`verify`),
    before its answer is used.

    If a reply is late, incomplete, not a number, of the wrong length or followed by something, the line is closed and
    `HardwareError` raised with `passing=True`, because later replies could belong to earlier queries. Parameters and
    inputs must then be given again after `open`, as training does. Only errors that leave the line in step are retried
    at once (`retries`): invalid readings (NaN, SCPI's 9.9E37), parameters that read back wrong, and all queries of
    `open`. If a reading stays invalid, the measurement fails (`skip=True`, or NaN in a batch).

    A reply that is doubled, or late by less than `timeout_seconds`, can be taken for the answer to the next query.
    `make_sure` notices this, and also a chip that was reset, because identity and parameters are known. If the chip
    counts its measurements (`counter`), each of them is checked. No check can find a changed digit: use a line with
    checksums, such as TCP, USB and HiSLIP.

    Parameters and inputs that are held are read once more before they are overwritten. This shows a reset since they
    were set, which one cannot see later; where parameters are set and measured in one message there is hardly time for
    it, so they are not.

    When a chip that can be read is opened, a harmless value (as near to zero as the limits allow) is written and read
    back before anything else is set. This finds a board that misreads numbers.

    Args:
        settings: how to reach it, and its commands.
        connect: makes the line; by default the one that the resource names.
    """

    may_slip = True

    def __init__(self, settings: ScpiSettings, connect: Callable[[], Transport] | None = None):
        self.settings, self.address = settings, settings.resource
        self._dialogue = self._made_dialogue(connect or self._default_line)
        commands = settings.commands
        self.reads = "both" if commands.cost and commands.outputs else "cost" if commands.cost else "outputs"
        self.own_line = bool(commands.perturb) if settings.own_line is None else settings.own_line
        self.most_together = settings.most_together if commands.batch else 0
        self.settle_seconds, self._pace = settings.settle_seconds, Pace(settings.settle_seconds)
        self.n_params = settings.n_params or 0
        self.declared = settings.n_params is not None and settings.limits.low is not None
        self.limits = declared_limits(settings.limits, self.n_params) or Limits.uniform(
            max(self.n_params, 1), -1.0, 1.0
        )
        self._numbers = Numbers(settings)
        self.no_number = self._numbers.no_number
        channels = settings.channels or tuple(range(1, self.n_params + 1))
        self._set, self._perturb = (halves(one, channels=channels) for one in (commands.set, commands.perturb))
        self._no_error = b""
        self._error, self._cost = commands.error.encode(), commands.cost.encode()
        command = commands.readback.encode() if settings.verify else b""
        self._parameters = Watched(
            *("set", ReadBack(self.address, command, settings.verify_within)),
            questions(commands.readback, channels) if command else [],
            held_first=self.own_line,
            what="parameters",
        )
        command = commands.input_readback.encode() if settings.verify else b""
        within = settings.verify_within
        inputs = ReadBack(self.address, command, max(within) if isinstance(within, tuple) else within, "input")
        self._inputs = Watched("input", inputs, [command], held_first=True, what="inputs")
        self._watched = [each for each in (self._parameters, self._inputs) if each.readback]
        self._counter, self._counted = commands.counter.encode(), 0
        # The answers to other questions that do not change, such as whether it is on.
        self._constant: dict[bytes, bytes] = {}
        self._first_said: dict[bytes, bytes] = {}
        self.reads_back = bool(self._parameters.readback)
        # What it was last set to since it was opened, and what it was last perturbed by; None if that is not known.
        self._at: Float[np.ndarray, " p"] | None = None
        self._wiggle: Float[np.ndarray, " p"] | None = None
        self._identity: bytes | None = None
        self._reported: Limits | None = None
        self._pending: dict[str, list[bytes]] = {}
        self._perturbed = self._unchecked = self._touched = False
        self._shown_batch, self._settled_at, self._was_open = 1, 0.0, False
        self._work: Callable[[], None] | None = None
        self._in_one_message = settings.compound and settings.line.longest is None
        if settings.limits.low is not None:
            self._adopt_limits()

    def open(self) -> None:
        self._again(self._open_once, anew=True)

    def open_to_leave(self) -> None:
        self._again(self._open_line, anew=True)

    def close(self) -> None:
        self._work = None
        self._dialogue.close()

    def identify(self) -> Identity:
        if not self.settings.commands.identify:
            return Identity("", "", "")
        reply = self._ask(self.settings.commands.identify)
        identity = identity_of(reply, self.settings.replies.identity)
        if identity is None:
            pattern = self.settings.replies.identity
            due = f"{pattern!r} was expected (replies.identity)" if pattern else "expected maker,model,serial,version"
            self._garbled(self.settings.commands.identify.encode(), reply, due)
        self._identity = reply
        return identity

    def make_sure(self) -> None:
        held = [each for each in self._watched if each.is_held]
        asked = [self.settings.commands.identify.encode()] if self.settings.commands.identify else []
        queries = [*asked, *self._constant, *chain.from_iterable(each.asked for each in held)]
        if not queries:
            return
        items = iter(self._answers(queries))
        if asked:
            self._check_who(next(items))
        for query, due in self._constant.items():
            self._check_constant(query, next(items), due)
        for each in held:
            self._check_held(each, items)

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        if not (ramp is None or np.isinf(ramp).all()) and (self.own_line or self.most_together or not self.declared):
            raise ValueError(
                "ramp_per_second of a group is for parameters with known limits that are set whole, one measurement at "
                'a time: give limits, and commands.perturb = "" and commands.batch = ""'
            )
        self._pace = Pace(self.settle_seconds, settle, ramp)
        self.settle_seconds = self._pace.longest_settling
        self.ramp_seconds = self._pace.longest(self.limits.low, self.limits.high)

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        if self._pace.ramp is None:
            self._write(theta)
            return
        for values in self._pace.way(self.limits.nearest_to_zero if self._at is None else self._at, theta):
            self._write(values)
            self.finish()

    def _where(self) -> Float[np.ndarray, " p"] | None:
        """The parameters that it says it holds; None if it cannot be asked."""
        if not self._parameters.readback:
            return None
        item = self._together(self._parameters, iter(self._answers(self._parameters.asked)))
        values = self._read(self._parameters.readback.command, item, self.n_params)
        return self._numbers.ours(values, "parameters").astype(np.float32)

    def _write(self, theta: Float[np.ndarray, " p"]) -> None:
        pending, self._touched = self._pending, True
        for name in ("perturb", "unperturb", "set"):
            pending.pop(name, None)
        if self._perturbed:  # taken off first: the old perturbation may not fit the new parameters
            pending["unperturb"] = self._written(self._perturb, np.zeros(self.n_params, np.float32), "perturbation")
            self._perturbed = False
        pending["set"] = self._written(self._set, theta, "parameters")
        self._parameters.expect(self._numbers.sent(theta, "parameters"))
        self._read_back_now(self._parameters)
        theta = np.array(theta, np.float32)
        self._changed(self._pace.settling(self._at, theta))
        self._at, self._wiggle = theta, None

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._pending.pop("perturb", None)
        self._pending["perturb"] = self._written(self._perturb, perturbation, "perturbation")
        self._perturbed = True
        self._changed(self._pace.settling(self._wiggle, perturbation))
        self._wiggle = perturbation

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        commands, self._shown_batch = self.settings.commands, len(x)
        for name, command, values in (("input", commands.input, x), ("target", commands.target, target)):
            if command:
                channels = self.settings.input_channels or tuple(range(1, values[0].size + 1))
                if len(channels) != values[0].size and commands.of_channels(name):
                    raise ValueError(
                        f"{self.address} has {len(channels)} input_channels, and a sample has {values[0].size} "
                        "numbers: give as many"
                    )
                parts = halves(command, ",".join(map(str, values.shape)), channels)
                self._pending[name] = self._written(parts, np.asarray(values, np.float32))
                if name == "input" and self._inputs.readback:
                    self._inputs.asked = questions(commands.input_readback, channels)
                    self._inputs.expect(self._numbers.sent(np.ravel(values), "inputs"))
        self._read_back_now(self._inputs)
        if commands.input or commands.target:
            self._changed(self._pace.settle_seconds)

    def measure_cost(self) -> float:
        if not self._cost:
            self._lacks("measure_cost")
        self.settle()
        return self._numbers.scaled(self._believed(self._cost, self._measured(self._cost, 1))).item()

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        if not self.settings.commands.outputs:
            self._lacks("read_outputs")
        self.settle()
        query = self.settings.commands.outputs.encode()
        measured = self._measured(query, None)
        values = measured[0]
        if values.size % self._shown_batch:
            self._garbled(query, block(values), f"{values.size} outputs for a batch of {self._shown_batch}")
        return self._numbers.scaled(self._believed(query, measured)).reshape(self._shown_batch, -1)

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        command = self.settings.commands.batch
        if not command:
            self._lacks("measure_batch")
        parts = halves(command, ",".join(map(str, signals.shape)))
        written = self._written(parts, signals, "perturbation" if self.own_line else "parameters")
        values, believed = self._measured(written[0], len(signals))
        scaled = self._numbers.scaled(values)
        return scaled if believed else np.where(is_believed(values), scaled, np.float32(math.nan))

    def while_waiting(self, work: Callable[[], None]) -> None:
        self._work = work

    def safe_state(self) -> None:
        self._dialogue.take_owed()
        if self._pace.ramp is not None:
            self._at = self._where() if self._at is None else self._at
            if self._at is not None:
                self.set_parameters(self.limits.nearest_to_zero)
        self._pending.clear()
        self._at = None
        self._pending["safe"] = self._apart(self.settings.commands.safe)
        self._perturbed = False
        if self._error:
            self._exchange(b"")
        elif self.settings.commands.identify:  # whose answer comes after a refusal, if it tells one
            self._check_identity()
        else:
            self._flush()
        self._pending.clear()
        self._touched = False

    def is_touched(self) -> bool:
        return self._touched

    # For a chip of several instruments.

    def tell(self, command: str) -> None:
        """Sends a command, and returns when it is done."""
        self._touched = True
        self._pending["tell"] = self._apart(command)
        self.finish()

    def finish(self) -> None:
        """Sends what is held back, and returns when a query after it was answered.

        That is the query for parameters or for an error; for an instrument that has neither, it is the one for its
        identity.
        """
        if not (self._pending or self._unchecked):
            return
        if self._error or any(each.name in self._pending for each in self._watched):
            self._again(lambda: self._exchange(b""))
        elif self.settings.commands.identify:
            self._again(self._check_identity)
        else:
            self._flush()
        self._pending.clear()
        self._unchecked = False

    def read_held(self) -> None:
        """From now on parameters are read once more before they are overwritten, because others are asked between."""
        self._parameters.held_first = True

    def keeps_saying(self, query: str, due: str | None) -> None:
        """Asks something whose answer is not to change; `make_sure` asks it again.

        Args:
            query: the question.
            due: the answer; None for what it was at first.

        Raises:
            HardwareError: if it is answered otherwise.
        """
        asked, found = query.encode(), self._ask(query).strip()
        # What it first said holds when it is opened again, or an interlock that stays open would be taken for right.
        self._constant[asked] = due.encode() if due is not None else self._first_said.setdefault(asked, found)
        self._check_constant(asked, found, self._constant[asked])

    def settle(self) -> None:
        """Waits until what was sent has settled; the host works meanwhile."""
        if self.settle_seconds:
            self._do_work()
            left = self._settled_at - time.monotonic()
            if left > 0:
                time.sleep(left)

    # What the line carries.

    def _made_dialogue(self, connect: Callable[[], Transport]) -> Dialogue:
        """The dialogue over a line with the manners of the settings."""
        settings, line = self.settings, self.settings.line
        framing, seconds = settings.framing, settings.timeout_seconds
        return Dialogue(
            self.address,
            (lambda: Polite(connect, line, framing.end, seconds)) if line.is_polite else connect,
            seconds,
            framing,
            waits_for_more=framing.indefinite and not ends_by_itself(settings.resource),
            end=line.write_end.encode(),
            longest=line.longest,
            error_line=settings.replies.error_line,
        )

    def _default_line(self) -> Transport:
        settings, found = self.settings, socket_address(self.settings.resource)
        if found is not None and is_bare_socket(settings.resource, settings.backend, settings.visa):
            return Socket(*found, settings.timeout_seconds)
        end, ended = settings.framing.end, settings.blocks.ended
        return Visa(
            *(settings.resource, settings.timeout_seconds, settings.backend, settings.visa, end),
            ended=ended,
            clear=self._was_open,
        )

    def _adopt_limits(self) -> None:
        """Raises: ValueError: if numbers cannot be written within the limits, or one in them stands for no reading."""
        commands = {
            name: max((len(before) + len(after) for before, after in parts), default=0)
            for name, parts in (("set", self._set), ("perturb", self._perturb))
            if getattr(self.settings.commands, name)
        }
        if "set" in commands:
            self._numbers.adopt(self.limits, self.n_params, commands)

    def _open_line(self) -> None:
        """A new line to whoever is there, without a word that changes anything."""
        self._begin()
        self._empty_queue(insist=False)
        self.identify()

    def _begin(self) -> None:
        self.close()
        self._pending.clear()
        self._perturbed = self._unchecked = False
        self._parameters.readback.held = self._inputs.readback.held = self._at = self._wiggle = None
        self._constant.clear()
        self._dialogue.open()

    def _open_once(self) -> None:
        commands, settings = self.settings.commands, self.settings
        self._begin()
        for one in self._apart(commands.reset):
            self._dialogue.tell(one)
        if commands.format:
            self._dialogue.tell(commands.format.format(format="REAL" if settings.binary else "ASC").encode())
        self._was_open = True
        self._empty_queue()
        self.identify()
        if self._counter:
            self._counted = self._number_of(self._ask(commands.counter))
        if not commands.set:
            return
        if settings.n_params is None:
            self.n_params = self._count(commands.count)
        self.limits = declared_limits(settings.limits, self.n_params) or self._asked_limits(commands.limits)
        self._adopt_limits()
        if self._parameters.readback and self.limits.low.size == self.n_params:
            self._probe()

    def _apart(self, command: str) -> list[bytes]:
        """A command, or those in it between ; where a message has only one."""
        parts = [command] if self.settings.compound else command.split(";")
        return [part.strip().encode() for part in parts if part.strip()]

    def _check_identity(self) -> None:
        """Asks for the identity after what is held back."""
        self._check_who(self._exchange(self.settings.commands.identify.encode()))

    def _check_who(self, item: Item) -> None:
        """Raises: HardwareError: if another instrument answers than at the opening, or the answer to another query."""
        reply = item if isinstance(item, bytes) else block(item)
        if self._identity is not None and who(reply) != who(self._identity):
            identify = self.settings.commands.identify.encode()
            self._garbled(identify, reply, f"{shown(self._identity)!r} was expected, as before")

    def _probe(self) -> None:
        """Writes the harmless value and reads it back, before any other."""
        self._write(harmless(self.limits))
        if self._read_together:
            self._exchange(b"")
        self._pending.clear()

    def _empty_queue(self, *, insist: bool = True) -> None:
        """Takes out of the queue what was in it before us.

        Args:
            insist: whether an instrument that always has another error is broken.
        """
        if not self._error:
            return
        for _ in range(_MOST_ERRORS):
            if self._code(self._error, self._ask(self.settings.commands.error)) == 0:
                return
        if not insist:
            return
        self._refused(self._error, b"", f"still has errors after {_MOST_ERRORS} were read: switch it off and on")

    def _count(self, command: str) -> int:
        values = self._read(command.encode(), self._exchange(command.encode()), 1)
        if not (values[0] >= 1 and values[0] == int(values[0])):
            self._refused(command.encode(), text(values), "is not a number of parameters: give n_params")
        return int(values[0])

    def _asked_limits(self, command: str) -> Limits:
        """What the chip says."""
        reply = self._exchange(command.encode())
        self._read(command.encode(), reply, None)
        values = self._numbers.limits_of(reply)
        try:
            self._reported = as_before(
                reported_limits(values, self.n_params, self.settings.limits.unit), self._reported
            )
            return self._reported
        except ValueError as error:
            self._refused(command.encode(), text(values), f"{error}: give limits in the chip file")

    def _read_back_now(self, watched: Watched) -> None:
        """Reads back what was just set, where that cannot wait for the next question."""
        if watched.readback and not self._read_together and watched.name in self._pending:
            self._again(lambda: self._exchange(b""))
            self._pending.clear()

    def _check_set(self, watched: Watched, items: Iterator[Item]) -> None:
        """Raises: InStep: if what was read back is not what was set."""
        item, due = self._together(watched, items), watched.due
        if not self._numbers.converts(watched.what) and watched.readback.is_just_set(item):
            return
        found, room = self._read_back(watched, item, due.size), self._numbers.room(item, due, watched.what)
        watched.readback.check_set(item, found, due, self._pending[watched.name], room)

    def _read_back(self, watched: Watched, item: Item, n: int) -> Float[np.ndarray, " p"]:
        """Numbers that were read back."""
        return self._numbers.ours(self._read(watched.readback.command, item, n), watched.what)

    def _check_held(self, watched: Watched, items: Iterator[Item]) -> None:
        """Raises: HardwareError: if what was read back is not what it was before."""
        item, held = self._together(watched, items), watched.readback.held
        assert held is not None
        if not self._numbers.converts(watched.what) and watched.readback.is_just_held(item):
            return
        said = watched.readback.check_held(item, self._read_back(watched, item, held.size))
        if said:
            self.close()
            raise HardwareError(
                f"{self.address}: {shown(watched.readback.command)} does not return what was set: "
                f"{said}; the chip was reset, or a reply belongs to another query: check its supply and its line",
                passing=True,
            )

    def _check_constant(self, query: bytes, item: Item, due: bytes) -> None:
        """Raises: HardwareError: if something is not as it was, such as a laser that is off."""
        found = item.strip() if isinstance(item, bytes) else block(item)
        if found != due:
            self.close()
            raise HardwareError(
                f"{self.address}: {shown(query)!r} was answered {shown(found)!r}, and {shown(due)!r} is due: it was "
                "switched off or reset, or the reply belongs to another query: check its supply and interlock",
                passing=True,
            )

    def _check_counter(self, item: Item) -> None:
        """Raises: HardwareError: if the measurement that was answered is not the next one."""
        found, due = self._number_of(item), self._counted + 1
        if found != due:
            reply = item if isinstance(item, bytes) else block(item)
            self._garbled(
                *(self._counter, reply),
                f"measurement {due} is due: the reply belongs to another query, the chip was reset, or another "
                "program measures with it",
            )
        self._counted = due

    def _number_of(self, item: Item) -> int:
        """The number of a measurement."""
        try:
            if isinstance(item, bytes):
                readings = self._numbers.readings
                return int(item if readings is None else readings.without_header(decoded(item)))
            return int(self._read(self._counter, item, 1)[0])
        except ValueError:
            self._garbled(self._counter, item if isinstance(item, bytes) else block(item), "expected a whole number")

    def _measured(self, query: bytes, n: int | None) -> tuple[Float[np.ndarray, " n"], bool]:
        """The numbers a query gives, after all that is to be written; asked again if one cannot be a reading.

        Returns:
            The numbers, and whether all can be readings.
        """
        left, wait = self.settings.retries, _FIRST_WAIT_SECONDS
        while True:
            values = self._again(lambda: self._read(query, self._exchange(query, measures=True), n))
            self._pending.clear()
            # The common case first: this is asked at every measurement.
            if abs(values[0]) < MOST_BELIEVED if values.size == 1 else is_believed(values).all():
                return values, True
            if not left:
                return values, False
            time.sleep(wait)
            left, wait = left - 1, min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _believed(self, query: bytes, measured: tuple[Float[np.ndarray, " n"], bool]) -> Float[np.ndarray, " n"]:
        """What `_measured` gave, if all can be readings.

        Raises:
            HardwareError: with `skip=True`, if one cannot.
        """
        values, believed = measured
        if not believed:
            raise HardwareError(
                f"{self.address}: {shown(query)!r} was answered with {values[~is_believed(values)][0]:g}: "
                "check the readout and its range",
                skip=True,
            )
        return values

    def _again(self, action: Callable[[], T], *, anew: bool = False) -> T:
        """Does it, and once more after a wait where that may help: on a fresh line if `anew`, else on one in step."""
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(self.settings.retries + 1)):
            try:
                return action()
            except HardwareError as error:
                may_help = error.passing if anew else isinstance(error, InStep)
                if not may_help or not left:
                    if anew:
                        self.close()
                    raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, command: str) -> bytes:
        reply = self._exchange(command.encode())
        if not isinstance(reply, bytes):
            self._garbled(command.encode(), block(reply), "text is due")
        return reply

    def _exchange(self, query: bytes, *, measures: bool = False) -> Item:
        """Sends what is to be written and a query, and returns its reply; all that was refused raises.

        An empty query asks for the chip's error alone, and what was set.
        """
        pending, checked = self._pending, bool(self._error and (self._pending or self._unchecked))
        back = [each for each in self._watched if each.name in pending] if pending else []
        counted = measures and bool(self._counter)
        # The common case, of a perturbation alone, has neither.
        held = [each for each in back if each.held_first and each.is_held] if back else []
        first = [one for each in held for one in each.asked] if held else []
        queries = [one for each in back for one in each.asked] if back else []
        if query:
            queries.append(query)
        if counted:
            queries.append(self._counter)
        if checked:
            queries.append(self._error)
        if self._in_one_message:
            message = _joined([*first, *chain.from_iterable(pending.values()), *queries])
            items = self._items(message, len(first) + len(queries))
        else:
            items = self._answers(first)
            message = query or _joined([*chain.from_iterable(pending.values()), *queries])
            self._flush()
            items += self._answers(queries)
        if counted:
            self._check_counter(items[-2 if checked else -1])
        left = iter(items)
        for each in held:
            self._check_held(each, left)
        if checked:
            self._check_error(message, items[-1])
        for each in back:
            self._check_set(each, left)
        return next(left) if query else items[-1]

    def _answers(self, queries: list[bytes]) -> list[Item]:
        """The answers to several queries, in as few messages as there can be."""
        return list(chain.from_iterable(self._items(_joined(group), len(group)) for group in self._groups(queries)))

    def _groups(self, commands: list[bytes]) -> Iterator[list[bytes]]:
        """Commands for one message each: all, one, or as many as are not longer than the line takes."""
        longest, group = self.settings.line.longest, []
        for command in commands:
            room = longest is None or len(_joined([*group, command])) + len(self.settings.line.write_end) <= longest
            if group and not (self.settings.compound and room):
                yield group
                group = []
            group.append(command)
        if group:
            yield group

    def _together(self, watched: Watched, items: Iterator[Item]) -> Item:
        """The next answers, of all channels, as one answer."""
        mine = [next(items) for _ in watched.asked]
        if len(mine) == 1 or self._numbers.readings is None:
            return together(mine)
        return np.concatenate([self._read(watched.readback.command, item, 1) for item in mine])

    def _items(self, message: bytes, n: int) -> list[Item]:
        """The items of the reply to a message.

        Raises:
            HardwareError: if they are not as many; what the chip has to say is in the message.
        """
        most = max(4096 * self._shown_batch, 2 * self.n_params, self.most_together)
        items = self._dialogue.ask(message, most, self._do_work, n)
        if len(items) != n:
            last = items[-1]
            if self._error and len(items) < n and isinstance(last, bytes) and last.startswith(b"-"):
                self._check_error(message, last)
            reply = b";".join(item if isinstance(item, bytes) else block(item) for item in items)
            self._garbled(message, reply, f"{len(items)} replies, expected {n}")
        return items

    def _flush(self) -> None:
        """Sends what is to be written without asking for anything."""
        if self._pending:
            for group in self._groups(list(chain.from_iterable(self._pending.values()))):
                self._dialogue.tell(_joined(group))
            self._unchecked = True

    @property
    def _read_together(self) -> bool:
        """Whether what is set is read back in the message of the next question: all may go in one, none must wait."""
        return self.settings.compound and not self.settle_seconds

    def _changed(self, seconds: float) -> None:
        """Starts the time that a change takes to settle; for a chip that takes some, writes cannot be held back."""
        if self.settle_seconds:
            self._flush()
            self._pending.clear()
            self._settled_at = max(self._settled_at, time.monotonic() + seconds)

    def _do_work(self) -> None:
        """What the host has to do meanwhile; if that fails, an answer to come must not be taken for another's."""
        work, self._work = self._work, None
        if work is not None:
            try:
                work()
            except BaseException:
                self.close()
                raise

    def _written(
        self, parts: tuple[tuple[bytes, bytes], ...], values: Float[np.ndarray, "..."], what: What = "inputs"
    ) -> list[bytes]:
        """The commands that set numbers: one, or one for each channel."""
        data = self._numbers.written(values, what)
        if len(parts) == 1:
            return [b"".join((parts[0][0], data, parts[0][1]))]
        return [b"".join((before, one, after)) for (before, after), one in zip(parts, data.split(b","), strict=True)]

    def _read(self, query: bytes, reply: Item, n: int | None) -> Float[np.ndarray, " n"]:
        """The numbers of a reply; `n` of them, if that is known."""
        try:
            values = self._numbers.read(reply)
        except WireError as error:
            self._garbled(query, reply if isinstance(reply, bytes) else block(reply), str(error))
        in_floats = self.settings.blocks.read == "float32"
        if in_floats and not isinstance(reply, bytes) and (found := swapped(reply)):
            other = {"little": "big", "big": "little"}[self.settings.byte_order]
            raise HardwareError(
                f"{self.address}: {shown(query)!r} was answered with a block that contains {found[0]:g}, which is "
                f"not a valid reading, and {found[1]:g} in the other byte order: set "
                f'byte_order = "{other}" in the chip file'
            )
        if n is not None and values.size != n:
            what = f"{values.size} numbers, expected {n}"
            self._garbled(query, reply if isinstance(reply, bytes) else block(reply), what)
        return values

    def _check_error(self, message: bytes, reply: Item) -> None:
        """Raises: HardwareError: if this is an error of the chip's."""
        said = reply if isinstance(reply, bytes) else block(reply)
        # The common case first: what it says when there is none is always the same.
        code = 0 if said == self._no_error else self._code(message, said)
        if code == 0:
            self._no_error, self._unchecked = said, False
            return
        self._pending.clear()
        # Errors of the exchange itself (-400 … -499), and a chip that was switched on (-500 …), pass; refusals do not.
        passing = -599 <= code <= -400 if self.settings.replies.error_bits is None else bool(code & _PASSING_BITS)
        raise HardwareError(
            f"{self.address}: {shown(message)!r} was refused: {shown(said)}; "
            "check the command in the chip file, and the value against the chip's own limits",
            passing=passing,
        )

    def _code(self, message: bytes, reply: bytes) -> int:
        """The number of an error, 0 for none."""
        replies, readings = self.settings.replies, self._numbers.readings
        said = decoded(reply) if readings is None else readings.without_header(decoded(reply))
        if replies.no_error:
            return 0 if re.fullmatch(replies.no_error, said.strip()) else 1
        found = _ERROR.match(said)
        if found is None:
            self._garbled(message, reply, "expected the number of an error")
        return int(found[1]) if replies.error_bits is None else int(found[1]) & replies.error_bits

    def _garbled(self, message: bytes, reply: bytes, what: str) -> NoReturn:
        self._dialogue.garbled(message, reply, what)

    def _refused(self, message: bytes, reply: bytes, what: str) -> NoReturn:
        """A whole answer that does not help; it may be that to an earlier question."""
        self.close()
        raise HardwareError(
            f"{self.address}: {shown(message)!r} was answered {shown(reply)!r}, which {what}", passing=True
        )


def _joined(commands: list[bytes]) -> bytes:
    """Commands in one message. Each begins at the root of the tree, but common ones (`*IDN?`), which are in no tree."""
    parts = [commands[0]]
    for one in commands[1:]:
        parts += (b";" if one[:1] == b"*" else b";:", one)
    return b"".join(parts)
