"""One chip of several instruments: one sets parameters, one presents, one reads. Nothing here imports JAX."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

import numpy as np
from jaxtyping import Float

from ..._alarm import alarm, until_alarm
from ..._errors import HardwareError, MgdError
from .._base import AbstractInstrument, Identity
from .._failures import TimeIsUp
from .._limits import Limits
from .._units import Units
from ._driver import Scpi
from ._parts import PartTables

# An instrument whose share of the time is up is taken out of its waits that often.
_AGAIN = 1.0


class Several(AbstractInstrument):
    """A chip of several instruments that speak SCPI, each with its own line.

    The parameters are those of all instruments that set some, in the order of their tables. Before a measurement, each
    instrument that was given something answers a query, so that its commands are done when another is read; then the
    longest of their settling times is waited for.

    When all are open and hold harmless values, they are switched on in order; they are made safe in the reverse order,
    and if one cannot be, the others still are. A failure names the instrument.

    Args:
        tables: the settings of each.
        drivers: the driver of each, by its name.
    """

    may_slip = True

    def __init__(self, tables: PartTables, drivers: Mapping[str, Scpi]):
        self._tables = tables
        self.parts = self.drivers = drivers
        self.address = ", ".join(f"{name} ({driver.address})" for name, driver in self.drivers.items())
        self._setters = tables.with_role("set")
        for name in self._setters:  # which are set in one message, and measured with another
            drivers[name].read_held()
        self._cost, self._outputs = (next(iter(tables.with_role(role)), "") for role in ("cost", "outputs"))
        self.reads = "both" if self._cost and self._outputs else "cost" if self._cost else "outputs"
        self.no_number = drivers[self._cost or self._outputs].no_number
        self._each = any(part.present == "each" for part in tables.parts.values())
        self.own_line = all(self.drivers[name].own_line for name in self._setters)
        self.reads_back = all(self.drivers[name].reads_back for name in self._setters)
        self.declared = all(self.drivers[name].declared for name in self._setters)
        self._x, self._target = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
        self._unsafe: list[str] = []
        self._opens_each = False
        self._work: Callable[[], None] | None = None
        self._describe()

    def open(self) -> None:
        self.close()
        self._opens_each = False
        begun: list[str] = []
        try:
            for name, driver in self.drivers.items():
                with _named(name):
                    begun.append(name)
                    driver.open()
                    self._identified(name)
            self._describe()
            for name in self._tables.order:
                part = self._tables.parts[name]
                with _named(name):
                    if part.commands.on:
                        self.drivers[name].tell(part.commands.on)
                    if part.commands.on_readback:
                        self.drivers[name].keeps_saying(part.commands.on_readback, part.on_answer)
        except BaseException:  # what is open, and perhaps on, is not left so; lines may be lost or out of step
            with suppress(MgdError, OSError):
                self._make_safe(begun, anew=True)
            self.close()
            raise

    def open_to_leave(self) -> None:
        """Each is opened only when it is made safe, so that none waits for another."""
        self.close()
        self._opens_each = True

    def close(self) -> None:
        self._work = None
        for driver in self.drivers.values():
            driver.close()

    def identify(self) -> Identity:
        self._finish("")
        found = [self._identified(name) for name in self.drivers]
        makers = dict.fromkeys(each.maker for each in found)
        models, serials = [each.model for each in found], [each.serial for each in found]
        return Identity("+".join(makers), "+".join(models), "+".join(serials))

    def make_sure(self) -> None:
        for name, driver in self.drivers.items():
            with _named(name):
                driver.make_sure()

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        for name, place in self._places.items():
            with _named(name):
                self.drivers[name].set_parameters(theta[place])

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        for name, place in self._places.items():
            with _named(name):
                self.drivers[name].pace(*(None if each is None else each[place] for each in (settle, ramp)))
        self._describe()

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        for name, place in self._places.items():
            with _named(name):
                self.drivers[name].perturb(perturbation[place])

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._x, self._target = x, target
        if not self._one_by_one():
            self._show(x, target)

    def measure_cost(self) -> float:
        if not self._cost:
            self._lacks("measure_cost")
        return float(np.mean(self._read(self._cost, Scpi.measure_cost)))

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        if not self._outputs:
            self._lacks("read_outputs")
        return np.concatenate(self._read(self._outputs, Scpi.read_outputs))

    def while_waiting(self, work: Callable[[], None]) -> None:
        self._work = work

    def safe_state(self) -> None:
        again = self._unsafe if self._opens_each else []  # only those that could not be made safe before
        self._make_safe(again or list(self.drivers))

    def is_touched(self) -> bool:
        return any(driver.is_touched() for driver in self.drivers.values())

    def not_safe(self) -> list[str]:
        return [f"{name} ({self.drivers[name].address})" for name in self._unsafe]

    def _describe(self) -> None:
        """The parameters of all together, as far as they are known."""
        setters = [self.drivers[name] for name in self._setters]
        ends = np.cumsum([driver.n_params for driver in setters]).tolist()
        self._places = {name: slice(*of) for name, *of in zip(self._setters, [0, *ends[:-1]], ends, strict=True)}
        self.n_params = ends[-1] if all(driver.n_params for driver in setters) else 0
        self.groups = self._places if len(setters) > 1 else {}
        self.settle_seconds = max(driver.settle_seconds for driver in self.drivers.values())
        self.ramp_seconds = sum(driver.ramp_seconds for driver in setters)
        low, high = (np.concatenate([getattr(one.limits, side) for one in setters]) for side in ("low", "high"))
        named = [
            (driver.limits.unit, name)
            for name, driver in zip(self._setters, setters, strict=True)
            for _ in range(driver.limits.low.size)
        ]
        units = Units.plain(*(tuple(each) for each in zip(*named, strict=True)))
        self.limits = Limits(low, high, units.common, units if self.groups else None)

    def _identified(self, name: str) -> Identity:
        """Raises: HardwareError: if it is another piece than its table names."""
        driver, serial = self.drivers[name], self._tables.parts[name].serial
        with _named(name):
            identity = driver.identify()
            if serial is not None and identity.serial != serial:
                raise HardwareError(
                    f"{driver.address}: serial {identity.serial!r} answers ({identity}), instead of {serial!r}: "
                    "connect that instrument, or change its serial in the chip file"
                )
        return identity

    def _read(self, reader: str, verb: Callable[[Scpi], object]) -> list:
        """What is read of each sample where they are shown one by one; otherwise of the batch."""
        found, one_by_one = [], self._one_by_one()
        work, self._work = self._work, None
        if work is not None:
            self.drivers[reader].while_waiting(work)
        for k in range(len(self._x) if one_by_one else 1):
            if one_by_one:
                self._show(self._x[k : k + 1], self._target[k : k + 1])
            self._finish(reader)
            with _named(reader):
                found.append(verb(self.drivers[reader]))
        return found

    def _one_by_one(self) -> bool:
        return self._each and len(self._x) > 1

    def _show(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        for name, driver in self.drivers.items():  # the reader too, which is to know how many samples there are
            with _named(name):
                driver.present(x, target)

    def _finish(self, reader: str) -> None:
        """Returns when all that was sent is done, and has settled; what the reader was sent goes with its question."""
        others = {name: driver for name, driver in self.drivers.items() if name != reader}
        for verb in (Scpi.finish, Scpi.settle):
            for name, driver in others.items():
                with _named(name):
                    verb(driver)

    def _make_safe(self, names: list[str], *, anew: bool = False) -> None:
        """Makes these safe, and the others though one cannot be.

        Args:
            names: of the instruments.
            anew: whether one that cannot be made safe over its line has another try over a new one at once.
        """
        order = [name for name in reversed(self._tables.order) if name in names]
        self._unsafe = [name for name in order if self._tables.parts[name].commands.safe]
        first: HardwareError | None = None
        for done, name in enumerate(list(self._unsafe)):
            try:
                with _named(name), self._share_of_time(len(order) - done):
                    self._make_one_safe(name, anew=anew)
                self._unsafe.remove(name)
            except HardwareError as error:  # also if its time is up: the others are made safe all the same
                first = first or error
        if first is not None:
            raise first

    def _make_one_safe(self, name: str, *, anew: bool) -> None:
        driver = self.drivers[name]
        if not self._opens_each:
            try:
                driver.safe_state()
                return
            except TimeIsUp:
                raise
            except HardwareError:
                if not anew:
                    raise
        driver.open_to_leave()
        self._identified(name)
        driver.safe_state()

    def _share_of_time(self, n: int) -> AbstractContextManager[None]:
        """The part that one of so many instruments has: one that hangs does not take the time of all."""
        share = until_alarm(self.leave_seconds) / n

        def ring() -> None:
            raise TimeIsUp(f"it did not end within {share:.2g} s, its share of leave_seconds")

        return alarm(share, _AGAIN, ring)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """A failure in the body says which instrument it is of."""
    try:
        yield
    except TimeIsUp as error:
        raise TimeIsUp(f"{name}: {error}") from error
    except HardwareError as error:
        raise HardwareError(f"{name}: {error}", passing=error.passing, skip=error.skip) from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
