"""A chip that speaks SCPI over a socket, or over anything that PyVISA reaches. Nothing here imports JAX."""

import math
import time
from collections.abc import Callable
from itertools import chain

import numpy as np
from jaxtyping import Float

from ..._errors import HardwareError
from .._base import AbstractInstrument, Identity, is_believed
from .._harmless import harmless
from .._limits import Limits
from .._pace import Pace
from ._again import again
from ._channels import filled, halves, questions
from ._constant import Constant
from ._counted import Counted
from ._exchange import Exchange
from ._identity import Known
from ._lines import dialogue_of, line_to
from ._measuring import Measuring
from ._messages import apart
from ._numbers import Numbers, What
from ._opening import Reported, declared_limits
from ._readback import Watched, watched_of
from ._refusals import Refusals
from ._replies import Replies
from ._settings import ScpiSettings
from ._transports import Transport


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
        self._dialogue = dialogue = dialogue_of(settings, connect or self._default_line)
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
        replies = Replies(settings, self._numbers, dialogue)
        channels = settings.channels or tuple(range(1, self.n_params + 1))
        self._set, self._perturb = (halves(one, channels=channels) for one in (commands.set, commands.perturb))
        self._cost = commands.cost.encode()
        self._parameters, self._inputs = watched_of(settings, replies, channels, held_first=self.own_line)
        self._watched = [each for each in (self._parameters, self._inputs) if each.readback]
        self._counted = Counted(commands.counter.encode(), replies)
        self._known = Known(commands.identify, settings.replies.identity, dialogue)
        self._constant = Constant(self.address, dialogue)
        self._reported = Reported(settings.limits.unit, replies)
        refusals = Refusals(settings, self._numbers.readings, dialogue)
        self._exchange = Exchange(
            settings, dialogue, refusals, self._watched, self._counted, self._known, self._do_work
        )
        self._pending = self._exchange.pending
        self._measuring = Measuring(self.address, settings.retries, self._exchange, replies)
        self.reads_back = bool(self._parameters.readback)
        # What it was last set to since it was opened, and what it was last perturbed by; None if that is not known.
        self._at: Float[np.ndarray, " p"] | None = None
        self._wiggle: Float[np.ndarray, " p"] | None = None
        self._perturbed = self._touched = False
        self._settled_at, self._was_open = 0.0, False
        self._work: Callable[[], None] | None = None
        self._show(1)
        if settings.limits.low is not None:
            self._adopt_limits()

    def open(self) -> None:
        self._anew(self._open_once)

    def open_to_leave(self) -> None:
        self._anew(self._open_line)

    def close(self) -> None:
        self._work = None
        self._dialogue.close()

    def identify(self) -> Identity:
        if not self._known.query:
            return Identity("", "", "")
        return self._known.take(self._exchange.ask_text(self.settings.commands.identify))

    def make_sure(self) -> None:
        held = [each for each in self._watched if each.is_held]
        asked = [self._known.query] if self._known.query else []
        queries = [*asked, *self._constant.due, *chain.from_iterable(each.asked for each in held)]
        if not queries:
            return
        items = iter(self._exchange.answers(queries))
        if asked:
            self._known.check(next(items))
        for query in self._constant.due:
            self._constant.check(query, next(items))
        for each in held:
            each.check_held(items)

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
        items = iter(self._exchange.answers(self._parameters.asked))
        return self._parameters.read(items, self.n_params).astype(np.float32)

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
        commands = self.settings.commands
        self._show(len(x))
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
        measured = self._measuring.readings(self._cost, 1)
        return self._numbers.scaled(self._measuring.believed(self._cost, measured)).item()

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        if not self.settings.commands.outputs:
            self._lacks("read_outputs")
        self.settle()
        query = self.settings.commands.outputs.encode()
        measured = self._measuring.readings(query, None)
        values = measured[0]
        if values.size % self._shown_batch:
            self._dialogue.garbled(query, values, f"{values.size} outputs for a batch of {self._shown_batch}")
        return self._numbers.scaled(self._measuring.believed(query, measured)).reshape(self._shown_batch, -1)

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        command = self.settings.commands.batch
        if not command:
            self._lacks("measure_batch")
        parts = halves(command, ",".join(map(str, signals.shape)))
        written = self._written(parts, signals, "perturbation" if self.own_line else "parameters")
        values, believed = self._measuring.readings(written[0], len(signals))
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
        self._pending["safe"] = apart(self.settings.commands.safe, compound=self.settings.compound)
        self._perturbed = False
        self._exchange.conclude()
        self._pending.clear()
        self._touched = False

    def is_touched(self) -> bool:
        return self._touched

    # For a chip of several instruments.

    def tell(self, command: str) -> None:
        """Sends a command, and returns when it is done."""
        self._touched = True
        self._pending["tell"] = apart(command, compound=self.settings.compound)
        self.finish()

    def finish(self) -> None:
        """Sends what is held back, and returns when a query after it was answered, as `Exchange.conclude` does."""
        exchange = self._exchange
        if exchange.pending or exchange.is_unchecked:
            exchange.again(exchange.conclude)
            exchange.pending.clear()
            exchange.is_unchecked = False

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
        found = self._exchange.ask_text(query).strip()
        self._constant.keep(query.encode(), found, None if due is None else due.encode())

    def settle(self) -> None:
        """Waits until what was sent has settled; the host works meanwhile."""
        if self.settle_seconds:
            self._do_work()
            left = self._settled_at - time.monotonic()
            if left > 0:
                time.sleep(left)

    # What the line carries.

    def _default_line(self) -> Transport:
        return line_to(self.settings, clear=self._was_open)

    def _anew(self, action: Callable[[], None]) -> None:
        """Does it on a fresh line, and once more after a wait if it fails in passing."""
        try:
            again(action, self.settings.retries, lambda error: error.passing)
        except HardwareError:
            self.close()
            raise

    def _show(self, n: int) -> None:
        """Says how many samples the chip sees; the answers may be as long as that takes."""
        self._shown_batch = n
        self._exchange.most_numbers = max(4096 * n, 2 * self.n_params, self.most_together)

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
        self._exchange.empty_queue(insist=False)
        self.identify()

    def _begin(self) -> None:
        self.close()
        self._pending.clear()
        self._perturbed = self._exchange.is_unchecked = False
        self._parameters.readback.held = self._inputs.readback.held = self._at = self._wiggle = None
        self._constant.due.clear()
        self._dialogue.open()

    def _open_once(self) -> None:
        commands, settings = self.settings.commands, self.settings
        self._begin()
        for one in apart(commands.reset, compound=settings.compound):
            self._dialogue.tell(one)
        if commands.format:
            self._dialogue.tell(commands.format.format(format="REAL" if settings.binary else "ASC").encode())
        self._was_open = True
        self._exchange.empty_queue()
        self.identify()
        if self._counted.query:
            self._counted.begin(self._exchange.ask_text(commands.counter))
        if not commands.set:
            return
        if settings.n_params is None:
            query = commands.count.encode()
            self.n_params = self._reported.count(query, self._exchange.ask(query))
            self._show(self._shown_batch)
        declared = declared_limits(settings.limits, self.n_params)
        if declared is None:
            query = commands.limits.encode()
            declared = self._reported.limits(query, self._exchange.ask(query), self.n_params)
        self.limits = declared
        self._adopt_limits()
        if self._parameters.readback and self.limits.low.size == self.n_params:
            self._probe()

    def _probe(self) -> None:
        """Writes the harmless value and reads it back, before any other."""
        self._write(harmless(self.limits))
        if self._read_together:
            self._exchange.ask(b"")
        self._pending.clear()

    def _read_back_now(self, watched: Watched) -> None:
        """Reads back what was just set, where that cannot wait for the next question."""
        if watched.readback and not self._read_together and watched.name in self._pending:
            self._exchange.again(lambda: self._exchange.ask(b""))
            self._pending.clear()

    @property
    def _read_together(self) -> bool:
        """Whether what is set is read back in the message of the next question: all may go in one, none must wait."""
        return self.settings.compound and not self.settle_seconds

    def _changed(self, seconds: float) -> None:
        """Starts the time that a change takes to settle; for a chip that takes some, writes cannot be held back."""
        if self.settle_seconds:
            self._exchange.flush()
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
        return filled(parts, self._numbers.written(values, what))
