"""A run on a real chip: the instrument it opens, the costs and diagnostics it keeps, and a watch on silence."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .._errors import RunError
from .._train import Session
from ..algorithm import Algorithm
from ..chips import AbstractChip
from ..datasets import Task
from ..engines import Instrumented, Options
from ..instruments import Guarded, load_instrument, opened
from ._build import build_algorithm, build_chip, build_cost
from ._calibrated import calibration_file, check_calibration, noise_of_cost
from ._config import RunConfig
from ._journal import Journal
from ._monitor import Monitor, all_warnings
from ._replace import replace_file
from ._watchdog import watchdog

INSTRUMENT = "instrument.json"
# Where nothing is said, parameters start within this part of their range, about its middle.
_START = 0.1


class Hardware:
    """A session on an open chip, and what it leaves in the run directory beside all that other runs leave.

    Args:
        config: resolved settings, with an instrument.
        task: what is learnt.
        instrument: open.
    """

    def __init__(self, config: RunConfig, task: Task, instrument: Guarded):
        common = _common(config)
        algorithm = build_algorithm(config)
        if not isinstance(algorithm, Algorithm):
            raise ValueError("backprop needs a model of the chip, which an instrument is not: train it with --simulate")
        self.identity = instrument.identify()
        self.calibration = check_calibration(config.instrument or {}, self.identity, instrument.n_params)
        noise = None if self.calibration is None else noise_of_cost(self.calibration)
        self.monitor = Monitor(instrument.n_params, algorithm, noise)
        self._config, self._folder, self._journal = config, Path(), Journal(config.identity())
        options = Options(
            saturate=common["at_limit"] == "saturate",
            test_samples=common["test_samples"],
            give_up_seconds=common["give_up_seconds"],
            keep=self._journal.keep,
            replay=self._journal,
            watch=self.monitor.watch,
        )
        model = build_chip(config, task) if common["start"] == "network" else None
        start = parameters_at_start(common["start"], config, model, instrument)
        self.engine = Instrumented(
            instrument, algorithm, start, cost=build_cost(config), batch=config.batch or 1, options=options
        )
        self.session = Session(
            model,
            task,
            algorithm,
            n_steps=config.steps or 1,
            n_replicas=config.replicas or 1,
            batch=config.batch or 1,
            key=jax.random.key(config.seed or 0),
            engine=self.engine,
            log_every=config.log_every,
        )
        self.session.figures = self.monitor.figures

    @contextmanager
    def recorded(self, folder: Path) -> Iterator[Callable[[], None]]:
        """Keeps every cost in the run directory while the body runs; call what it gives after each checkpoint.

        Raises:
            RunError: if the run was made on another chip.
        """
        self._check_same(folder)
        self._journal.open(folder)
        self.monitor.begin(folder, self.session.snapshot.step)
        self._folder = folder

        def checkpointed() -> None:
            self._journal.begin(self.session.snapshot.step)
            self.monitor.write(folder, self.session.snapshot.step, self._tally())

        try:
            with watchdog(self.engine.bench):
                yield checkpointed
        finally:
            self._journal.close()

    def finished(self, folder: Path) -> None:
        """Takes away what only an unfinished run needs."""
        self._journal.remove()

    def summary(self) -> dict[str, Any]:
        """What a summary says of the chip."""
        told = {"calibration": self._calibration(), "warnings": all_warnings(self._folder)}
        return {"instrument": str(self.identity), **told, **self._tally()}

    def _calibration(self) -> dict[str, str] | None:
        """Which calibration is used, as it is written down."""
        path = calibration_file(self._config.instrument or {})
        return None if self.calibration is None else {"id": self.calibration.id, "file": str(path)}

    def _tally(self) -> dict[str, int]:
        return {"recoveries": self.engine.bench.recoveries, "skipped": self.engine.skipped}

    def _check_same(self, folder: Path) -> None:
        path = folder / INSTRUMENT
        mine = {"identity": str(self.identity), "serial": self.identity.serial, "calibration": self._calibration()}
        if not path.exists():
            replace_file(path, (json.dumps(mine, indent=2) + "\n").encode())
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["serial"] != mine["serial"]:
            raise RunError(
                f"{folder} was begun on the chip with serial {before['serial']!r}, and {mine['serial']!r} answers: "
                "connect that chip, or start a run of its own"
            )
        used, found = ((one["calibration"] or {}).get("id") for one in (before, mine))
        if used != found:
            raise RunError(
                f"{folder} was begun with the calibration {used}, and {mine['calibration']} is there now: put that one "
                "back, or start a run of its own"
            )


@contextmanager
def opened_hardware(config: RunConfig, task: Task) -> Iterator[Hardware]:
    """Opens the instrument of resolved settings; however the body is left, the chip is put in its safe state.

    Raises:
        HardwareError: if it cannot be opened, is another chip, or is in use.
        ValueError: if its settings are wrong.
    """
    common = _common(config)
    own = {name: value for name, value in (config.instrument or {}).items() if name not in common}
    instrument = load_instrument(common["kind"], own, Path(common["folder"]))
    with opened(instrument, serial=common["serial"]) as guarded:
        yield Hardware(config, task, guarded)


def _common(config: RunConfig) -> dict[str, Any]:
    """What is common to instruments of every kind, with defaults."""
    given = config.instrument or {}
    defaults = {
        "kind": None,
        "folder": ".",
        "serial": None,
        "start": None,
        "at_limit": "stop",
        "give_up_seconds": 30.0,
        "test_samples": 500,
        "calibration": None,
    }
    return {name: given.get(name, default) for name, default in defaults.items()}


def parameters_at_start(
    given: str | float | None, config: RunConfig, model: AbstractChip | None, instrument: Guarded
) -> Float[np.ndarray, " p"]:
    """The parameters at the start: the network's own, the instrument's own, or uniform about the middle."""
    chip_key, _ = jax.random.split(jax.random.fold_in(jax.random.key(config.seed or 0), 0))
    if model is not None:
        if model.n_params != instrument.n_params:
            raise ValueError(
                f"the network of the chip file has {model.n_params} parameters and the chip {instrument.n_params}: "
                "mend [chip], or give start a number"
            )
        return np.asarray(model.init(key=chip_key))
    own = getattr(instrument.inner, "start", None)
    if given is None and own is not None:
        return np.asarray(own, np.float32)
    limits = instrument.limits
    middle, half = (limits.low + limits.high) / 2, (limits.high - limits.low) / 2
    spread = half * _START if given is None else np.full_like(half, given)
    return middle + spread * np.asarray(jax.random.uniform(chip_key, middle.shape, minval=-1.0, maxval=1.0))
