"""A run on a real chip: the instrument it opens, the costs and diagnostics it keeps, and a watch on silence."""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import astuple, dataclass, replace
from itertools import count, takewhile, zip_longest
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .._errors import MgdWarning, RunError
from .._train import Session
from ..algorithm import AbstractAskTell
from ..bench import watchdog
from ..chips import AbstractChip
from ..datasets import Task
from ..engines import Fleet, Instrumented, Options, parameters_at_start
from ..instruments import Absent, AbstractInstrument, Guarded, Identity, Limits, Recorder, Units, opened
from ._after import KEEP, Left, check_fits
from ._build import build_algorithm, build_chip, build_cost, build_until
from ._calibrated import check_calibration, noise_of_cost
from ._checkpoint import Owner
from ._code import check_said, said_to_run
from ._config import Settings
from ._contents import DROPPED, INSTRUMENT, put, read_json
from ._diagnostics import mark_of
from ._generations import oldest_needed
from ._journal import Journal
from ._keeping import AbstractKeeping
from ._monitor import Monitor, all_warnings
from ._onchip import check_reach

# Bytes of costs between two checkpoints, about.
_LONGEST_JOURNAL = 16_000_000


@dataclass(frozen=True)
class Member:
    """One chip of a run, and what is kept of it.

    Attributes:
        engine: measures it.
        identity: who answered when it was opened.
        journal: its costs since the last checkpoint.
        monitor: its diagnostics.
        calibration: the id and the file of the one that is used; None if none is.
        keeps: whether the chip is left with what it learnt.
        after: the parameters with which it is left otherwise; None for its safe state.
    """

    engine: Instrumented
    identity: Identity
    journal: Journal
    monitor: Monitor
    calibration: dict[str, str] | None
    keeps: bool
    after: Float[np.ndarray, " p"] | None = None

    def as_dict(self) -> dict[str, Any]:
        """What instrument.json says of it."""
        instrument = self.engine.bench.instrument
        return {
            "identity": astuple(self.identity),
            "serial": self.identity.serial,
            "address": instrument.address,
            "calibration": self.calibration,
            **instrument.limits.as_dict(),
            "own_line": instrument.own_line,
            "start": None if instrument.start is None else np.asarray(instrument.start, np.float32).tolist(),
            "groups": {name: [piece.start, piece.stop] for name, piece in instrument.groups.items()},
            "at_limit": "saturate" if self.engine.options.saturate else "stop",
        }


class Hardware(AbstractKeeping):
    """The real chips of a run: a session on open instruments, with the files that such a run adds to its directory.

    Args:
        members: the chips.
        session: the run at its start.
        fleet: the fleet of these chips, if there are several.
    """

    def __init__(self, members: Sequence[Member], session: Session, fleet: Fleet | None = None):
        self.members, self.session, self.fleet = members, session, fleet
        self._folder: Path | None = None
        self.session.figures = self.members[0].monitor.figures

    @contextmanager
    def recorded(self, folder: Path, owner: Owner) -> Iterator[Callable[[], None]]:
        self._folder = folder
        self._check_same(folder)
        for member in self.members:
            member.engine.bench.instrument.note_in(folder)
            member.journal.open(folder, owner.digest())
            member.monitor.begin(folder, self.session.snapshot.step, mark_of(owner))

        def checkpointed() -> None:
            step = self.session.snapshot.step
            for member in self.members:
                member.journal.begin(step, oldest_needed(folder))
            if self.fleet is not None and self.fleet.trained == "shared":
                self._keep_together()
            for member in self.members:
                member.monitor.write(folder, step, _tally([member]))

        try:
            with self._watched():
                yield checkpointed
        finally:
            for member in self.members:
                member.journal.close()

    def _keep_together(self) -> None:
        """Where costs of one chip are lost, those of the others belong to parameters that will not come again."""
        journals = [member.journal for member in self.members]
        if any(journal.damaged for journal in journals):
            for journal in journals:
                journal.forget()

    def _watched(self) -> AbstractContextManager[None]:
        if self.fleet is not None:
            return nullcontext()  # it watches its chips itself
        bench = self.members[0].engine.bench
        kept = "; all measurements are kept"
        return watchdog(bench.instrument.address, bench.give_up_seconds, bench.silence, kept)

    @property
    def behind(self) -> bool:
        return any(member.journal.behind for member in self.members)

    @property
    def full(self) -> bool:
        return max(member.journal.size for member in self.members) > _LONGEST_JOURNAL

    @property
    def unlearnt(self) -> str:
        living = range(len(self.members)) if self.fleet is None else self.fleet.living(self.session.snapshot.step)
        found = [self.members[chip].monitor.unlearnt for chip in living]
        return found[0] if found and all(found) else ""

    def halt(self) -> None:
        """Has the threads of a fleet leave their chips alone."""
        if self.fleet is not None:
            self.fleet.halt(2 * max(member.engine.options.give_up_seconds for member in self.members))

    def finished(self) -> None:
        """Takes away what only an unfinished run needs; chips are given the parameters that they are left with."""
        for member in self.members:
            member.journal.remove()
        snapshot = self.session.snapshot
        for chip in range(len(self.members)) if self.fleet is None else self.fleet.living(snapshot.step):
            member = self.members[chip]
            theta = np.asarray(snapshot.progress.state.theta[chip]) if member.keeps else member.after
            if theta is not None:
                member.engine.bench.leave_with(theta)

    def summary(self) -> dict[str, Any]:
        """What a summary says of the chips."""
        found: dict[str, Any] = {"instrument": ", ".join(str(member.identity) for member in self.members)}
        if self.fleet is not None:
            found["fleet"] = self.fleet.trained
            found["dropped"] = {str(chip): step for chip, step in self.fleet.dropped.items()}
        used = [member.calibration for member in self.members]
        found["calibration"] = used[0] if self.fleet is None else used
        found["warnings"] = [] if self._folder is None else all_warnings(self._folder)
        return found | _tally(self.members)

    def _check_same(self, folder: Path) -> None:
        mine, recorded = [member.as_dict() for member in self.members], read_json(folder, INSTRUMENT)
        if recorded is None:
            put(folder, {INSTRUMENT: (json.dumps(mine, indent=2) + "\n").encode()})
            return
        if len(recorded) != len(mine):
            raise RunError(
                f"{folder} was begun on {len(recorded)} chips, and there are now {len(mine)}: start a new run"
            )
        for before, now in zip(recorded, mine, strict=True):
            if before["serial"] != now["serial"]:
                raise RunError(
                    f"{folder} was begun on the chip with serial {before['serial']!r}, and {now['serial']!r} answers "
                    f"at {now['address']}: connect that chip, or start a new run"
                )
            used, found = ((one["calibration"] or {}).get("id") for one in (before, now))
            if used != found:
                raise RunError(
                    f"{folder} was begun with the calibration {used}, and it is now {now['calibration']}: use that "
                    "one again, or start a new run"
                )
            if why := _other_limits(before, now):
                # Costs that were kept belong to parameters that would not come again.
                raise RunError(f"{folder} was begun with {why}: restore that, or start a new run")

    def dropped(self, chip: int, step: int, why: str) -> None:
        """Says so, and writes it down before anything is made of it."""
        member = self.members[chip]
        warnings.warn(
            f"chip {chip} ({member.identity}) is dropped at step {step}: {why}; the others continue",
            MgdWarning,
            stacklevel=2,
        )
        if self._folder is None:  # a replay, which writes nothing
            return
        found = read_json(self._folder, DROPPED) or {}
        put(self._folder, {DROPPED: (json.dumps(found | {str(chip): [step, why]}, indent=2) + "\n").encode()})


def hardware_of(
    config: Settings,
    task: Task,
    instruments: Sequence[Guarded],
    *,
    dropped: Mapping[int, int] | None = None,
    start: Float[np.ndarray, "replica p"] | None = None,
    after: Sequence[Float[np.ndarray, " p"] | None] = (),
) -> Hardware:
    """What resolved settings with an instrument or several say.

    Args:
        config: the settings.
        task: what is learnt.
        instruments: open.
        dropped: chips of a fleet that were dropped before, and at which step.
        start: parameters at the start, in place of what the settings of each chip say.
        after: for each chip, the parameters of a file with which it is left; empty if there are none.
    """
    model, algorithm = model_of(config, task), build_algorithm(config)
    if not isinstance(algorithm, AbstractAskTell):
        raise ValueError("backprop needs a model of the chip, and an instrument has none: train it with --simulate")
    members = [_member(config, algorithm, model, each, chip) for chip, each in enumerate(instruments)]
    members = [replace(member, after=theta) for member, theta in zip_longest(members, after)]
    engines = [member.engine for member in members]
    fleet = None
    if len(engines) > 1:
        fleet = Fleet(engines, trained=config.fleet or "shared", on_drop=lambda *reason: hardware.dropped(*reason))
        fleet.dropped.update(dropped or {})
    session = Session(
        model,
        task,
        algorithm,
        n_steps=config.steps,
        n_replicas=config.replicas,
        batch=config.batch,
        key=jax.random.key(config.seed),
        engine=fleet or engines[0],
        log_every=config.log_every,
        start=start,
        until=build_until(config),
    )
    hardware = Hardware(members, session, fleet)
    return hardware


def _member(
    config: Settings, algorithm: AbstractAskTell, model: AbstractChip | None, instrument: Guarded, chip: int
) -> Member:
    """One chip of a run, as its table says."""
    table, several = config.tables[chip], len(config.tables) > 1
    common = table.common
    if config.onchip is not None:
        check_reach(config.onchip, instrument.limits, saturates=common.at_limit == "saturate")
    calibration = check_calibration(table.calibration, instrument.known(), instrument.limits)
    used = None if calibration is None else {"id": calibration.id, "file": str(table.calibration)}
    options = Options(
        saturate=common.at_limit == "saturate",
        test_samples=common.test_samples,
        give_up_seconds=common.give_up_seconds,
    )
    start = parameters_at_start(
        instrument, key=jax.random.key(config.seed), chip=chip, given=common.start, network=model
    )
    noise = None if calibration is None else noise_of_cost(calibration)
    watch: dict[str, Any] = {"noise": noise, "chip": chip if several else None, "stop_unlearnt": config.stop_unlearnt}
    journal, monitor, options = kept(instrument, algorithm, options, **watch)
    engine = Instrumented(instrument, algorithm, start, cost=build_cost(config), batch=config.batch, options=options)
    return Member(engine, instrument.known(), journal, monitor, used, common.after == KEEP)


def kept(
    instrument: Guarded,
    algorithm: AbstractAskTell,
    options: Options,
    *,
    noise: float | None = None,
    chip: int | None = None,
    stop_unlearnt: int | None = None,
) -> tuple[Journal, Monitor, Options]:
    """What keeps a chip's costs and gathers its diagnostics, and options of an engine that hands them over.

    Args:
        instrument: the chip.
        algorithm: of the run.
        options: the other options.
        noise: σ of one measured cost, if it was calibrated.
        chip: the chip's number in a fleet; None for a single chip.
        stop_unlearnt: windows without anything learnt after which the run is to stop; None for never.
    """
    journal = Journal(
        lambda step: algorithm.counts(step).cost_measurements, name="costs" if chip is None else f"costs.{chip}"
    )
    monitor = Monitor(instrument.n_params, algorithm, noise, chip=chip, stop_unlearnt=stop_unlearnt)
    handing = replace(options, keep=journal.keep, replay=journal, settle=journal.flush, watch=monitor.watch)
    return journal, monitor, handing


def _other_limits(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of limits was otherwise when a run was begun; empty if nothing."""
    if why := _other_units(before.get("units"), now.get("units")):
        return f"other groups of parameters: {why}"
    for end in ("low", "high"):
        then, new = (np.asarray(one[end], np.float32) for one in (before, now))
        if then.shape != new.shape:
            return f"{then.size} parameters, and there are now {new.size}"
        if different := np.flatnonzero(then != new).tolist():
            at = different[0]
            old, current = (Limits.of(one) for one in (before, now))
            return (
                f"other limits: {end} of parameter {current.name(at)} was {old.said(at, float(then[at]))}, and is now "
                f"{current.said(at, float(new[at]))}"
            )
    for name in ("unit", "own_line", "at_limit"):
        if name in before and before[name] != now[name]:  # a run of an old version has no at_limit
            return f"{name} = {before[name]!r}, and it is now {now[name]!r}"
    return ""


def _other_units(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """What of groups was otherwise; empty if nothing."""
    if before is None:  # a run of an old version wrote no units
        return "" if now is None or Units.of(now).is_plain else "there were none with a scale or a rate of their own"
    now = now or {"amplitude": None, "groups": []}
    if before == now:
        return ""
    if before["amplitude"] != now["amplitude"]:
        return f"the amplitude of θ was {before['amplitude']}, and is now {now['amplitude']}"
    there = {group["name"]: group for group in now["groups"]}
    for group in before["groups"]:
        other = there.get(group["name"])
        if other is None:
            return f"there is no group {group['name']!r} any more"
        for key, value in group.items():
            if other.get(key) != value:
                return f"{key} of {group['name'] or 'those in none'} was {value}, and is now {other.get(key)}"
    return f"there were {len(before['groups'])}, and there are now {len(now['groups'])}"


def _tally(members: Sequence[Member]) -> dict[str, int]:
    return {
        "recoveries": sum(member.engine.bench.recoveries for member in members),
        "skipped": sum(member.engine.skipped for member in members),
        "measured_again": sum(member.engine.bench.voided for member in members),
        "unbelievable": sum(member.engine.bench.instrument.unbelievable for member in members),
        "far_beyond": sum(member.engine.bench.far_beyond for member in members),
    }


@contextmanager
def opened_hardware(
    config: Settings,
    task: Task,
    folder: Path | None = None,
    start: Float[np.ndarray, "replica p"] | None = None,
) -> Iterator[Hardware]:
    """Opens the instruments of resolved settings; however the body is left, each chip is put in its safe state.

    Args:
        config: the settings.
        task: what is learnt.
        folder: of a run that goes on: chips that were dropped from it are not opened again.
        start: parameters at the start, in place of what the settings say.

    Raises:
        HardwareError: if one cannot be opened, is another chip, or is in use.
        ValueError: if settings are wrong, or those of a run that goes on name code that was never run here.
    """
    if folder is None:
        said_to_run(config.instruments)
    else:
        check_said(config.instruments, folder)
    dropped = {} if folder is None else _read_dropped(folder)
    loaded: dict[int, AbstractInstrument] = {}
    after: list[Left | None] = [None] * len(config.tables)
    for chip, table in enumerate(config.tables):  # all of them before any is opened
        if folder is None or chip not in dropped:
            table.check_fits(config.task_name, task.input_shape, task.n_outputs)
            loaded[chip] = table.load()
            after[chip] = table.after(loaded[chip])
    with ExitStack() as stack:
        instruments = []
        for chip, table in enumerate(config.tables):
            if folder is not None and chip in dropped:
                instruments.append(Guarded(_absent(folder, chip)))
                continue
            instrument = loaded[chip]
            if config.record is not None:
                _check_fresh(config, chip, folder)
                instrument = Recorder(
                    instrument, next(path for path in _names(config, chip) if not os.path.lexists(path))
                )
            # A run that goes on may do so by itself, before the chip is back.
            patience = 0.0 if folder is None else table.common.give_up_seconds
            instruments.append(
                stack.enter_context(
                    opened(
                        instrument,
                        serial=table.common.serial,
                        patience_seconds=patience,
                        guardian=table.common.guardian,
                    )
                )
            )
            if (left := after[chip]) is not None:
                check_fits(left, instruments[chip])
        thetas = [None if left is None else left.theta for left in after]
        hardware = hardware_of(config, task, instruments, dropped=dropped, start=start, after=thetas)
        try:
            yield hardware
        finally:
            hardware.halt()


def _check_fresh(config: Settings, chip: int, folder: Path | None) -> None:
    """Raises: ValueError: if a run that begins would add to the recording of another."""
    first = recordings(config, chip)[0]
    if folder is None and os.path.lexists(first):
        raise ValueError(f"{first} is there already: record to another file")
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot record to {first}: {error.strerror}: give another --record") from error


def _read_dropped(folder: Path) -> dict[int, int]:
    """The chips that were dropped from a run, and at which step."""
    return {int(chip): step for chip, (step, _) in (read_json(folder, DROPPED) or {}).items()}


def _absent(folder: Path, chip: int) -> Absent:
    every = read_json(folder, INSTRUMENT) or []
    if chip >= len(every):
        raise RunError(f"{folder / INSTRUMENT} lacks chip {chip}, which was dropped: restore the file")
    recorded = every[chip]
    limits = Limits.of(recorded)
    start, groups = recorded.get("start"), recorded.get("groups") or {}  # missing in runs of old versions
    return Absent(
        Identity(*recorded["identity"]),
        recorded["address"],
        limits,
        own_line=recorded["own_line"],
        start=None if start is None else np.asarray(start, np.float32),
        groups={name: slice(*ends) for name, ends in groups.items()},
    )


def recordings(config: Settings, chip: int) -> list[Path]:
    """The files that a chip's exchanges were recorded in: one for each time that the run was begun or gone on with.

    If there is none yet, that of the first.
    """
    every = _names(config, chip)
    return [next(every), *takewhile(os.path.lexists, every)]


def _names(config: Settings, chip: int) -> Iterator[Path]:
    assert config.record is not None
    of_chip = config.record + (f".{chip}" if len(config.instruments) > 1 else "")
    return (Path(of_chip + (f".again-{again}" if again else "")) for again in count())


def model_of(config: Settings, task: Task) -> AbstractChip | None:
    """The network that a chip file describes, if there is one; or that a chip is to start as."""
    if any(table.needs_network for table in config.tables):
        return build_chip(config, task)
    return None
