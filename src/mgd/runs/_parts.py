"""The parts of a run of a Python program, and the session made from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._errors import RunError
from .._train import Session
from .._vary import Vary
from ..algorithm import AbstractAlgorithm, AbstractAskTell, Algorithm, defaults, discrete, fitted
from ..chips import AbstractChip, AbstractCost, cost_named
from ..datasets import Task
from ..engines import Instrumented, Options, parameters_at_start
from ..instruments import Guarded
from ..perturbations import Rademacher
from ._begun import digest_of
from ._build import build_until
from ._config import PythonRun, RunConfig
from ._hardware import Hardware, Member, kept
from ._keeping import AbstractKeeping, Nothing
from ._known import Pickled, answers_of, check_answers, digest_of_samples, unpickled

# The fields of `Options` that a run directory sets itself.
_OF_DIRECTORY = ("keep", "replay", "settle", "watch")


@dataclass(frozen=True)
class Given:
    """The arguments of `mgd.train` that settings cannot describe; None for those that were not given."""

    algorithm: AbstractAlgorithm | None = None
    cost: str | AbstractCost | None = None
    options: Options | None = None
    vary: Vary | None = None

    def named(self) -> dict[str, Any]:
        """The given arguments, by name."""
        parts = {"algorithm": self.algorithm, "cost": self.cost, "options": self.options, "vary": self.vary}
        return {name: part for name, part in parts.items() if part is not None}

    def pickled(self) -> Pickled | None:
        """The given arguments for a run directory; None if there are none, or one cannot be pickled.

        Raises:
            ValueError: if options handle costs, which the directory keeps.
        """
        parts = self.named()
        if self.options is not None:
            fields = Options.__dataclass_fields__
            own = [name for name in _OF_DIRECTORY if getattr(self.options, name) is not fields[name].default]
            if own := [name for name in own if name != "replay"]:
                raise ValueError(f"with out, the run directory keeps the costs: leave {own[0]} out of options")
            parts["options"] = {name: getattr(self.options, name) for name in fields if name not in _OF_DIRECTORY}
        return Pickled.of(parts) if parts else None

    def completed(self, folder: Path, known: PythonRun) -> "Given":
        """These arguments, completed by those that were given when the run was begun.

        Raises:
            ValueError: if one is missing that this user may not unpickle, or one is new.
        """
        now = self.named()
        if more := [name for name in now if name not in known.given]:
            raise ValueError(f"{folder} was begun without {more[0]}: leave it out")
        missing = [name for name in known.given if name not in now]
        if not missing:
            return self
        parts = unpickled(folder, known.pickled)
        if parts is None:
            raise ValueError(
                f"{folder} was begun with {' and '.join(known.given)} ({known.algorithm}), and was not begun here by "
                f"this user: give {', '.join(f'{name}=…' for name in missing)} again"
            )
        if "options" in parts:
            parts["options"] = Options(**parts["options"])
        return Given(**(parts | now))


@dataclass(frozen=True)
class Parts:
    """The parts of a run.

    Attributes:
        chip: the chip.
        task: the task to learn.
        given: the arguments that settings cannot describe.
        config: all other settings.
        key: the seed of all random numbers.
        start: the parameters at the start, if they were given.
    """

    chip: AbstractChip | Guarded
    task: Task
    given: Given
    config: RunConfig
    key: PRNGKeyArray
    start: Float[np.ndarray, "replica p"] | None = None

    def session(self) -> Session:
        """The run at its start, in memory."""
        algorithm, batch = self._chosen()
        if isinstance(self.chip, Guarded):
            return self._session(algorithm, batch, self._engine(self.chip, algorithm, batch, self.given.options))
        return self._session(algorithm, batch)

    def keeping(self) -> AbstractKeeping:
        """The run at its start, for a run directory."""
        if not isinstance(self.chip, Guarded):
            return Nothing(self.session())
        algorithm, batch = self._chosen()
        if not isinstance(algorithm, AbstractAskTell):
            raise ValueError(f"an instrument is trained by its costs, and {type(algorithm).__name__} needs a model")
        journal, monitor, options = kept(self.chip, algorithm, self.given.options or Options())
        engine = self._engine(self.chip, algorithm, batch, options)
        member = Member(engine, self.chip.known(), journal, monitor, None, keeps=False)
        return Hardware([member], self._session(algorithm, batch, engine))

    def described(self, session: Session, pickled: str | None) -> RunConfig:
        """The settings of the run for its directory, with what identifies its parts.

        Args:
            session: the run at its start.
            pickled: the digest of the pickled arguments; None if there are none.
        """
        algorithm = session.algorithm
        known = PythonRun(
            chip=self._name_of_chip(),
            algorithm=_name_of(algorithm),
            given=tuple(self.given.named()),
            samples=digest_of_samples(self.task),
            key=tuple(map(int, np.asarray(jax.random.key_data(self.key)).ravel())),
            answers=self._answers(),
            behind_io=isinstance(self.chip, Guarded),
            pickled=pickled,
        )
        begun = {} if self.start is None else {"start": "given in Python", "start_digest": digest_of(self.start)}
        return self.config.model_copy(update={"python": known, "batch": session.batch, **begun})

    def check_same(self, folder: Path) -> None:
        """Raises: RunError: if a part is not that of the run in this directory."""
        due = self.config.python
        assert due is not None, "the run was made by a program in Python"
        if isinstance(self.chip, Guarded) != due.behind_io:
            kinds = ("simulated", "an instrument")
            raise RunError(
                f"{folder} was begun on a chip that is {kinds[due.behind_io]}, and this one is "
                f"{kinds[not due.behind_io]}: give the chip that it was begun with"
            )
        if digest_of_samples(self.task) != due.samples:
            raise RunError(
                f"{folder} was begun on other samples than those of {self.task.name}: give the task that it was begun "
                "with, or start a run of its own"
            )
        if not due.behind_io:
            check_answers(self._answers(), due.answers, folder)

    def _session(self, algorithm: AbstractAlgorithm, batch: int, engine: Instrumented | None = None) -> Session:
        config = self.config
        return Session(
            None if isinstance(self.chip, Guarded) else self.chip,
            self.task,
            algorithm,
            n_steps=_set(config.steps),
            key=self.key,
            n_replicas=_set(config.replicas),
            batch=batch,
            engine=engine or config.engine or "auto",
            log_every=config.log_every,
            devices=config.devices or 1,
            vary=self.given.vary,
            start=self.start if engine is None else None,
            until=build_until(config),
        )

    def _chosen(self) -> tuple[AbstractAlgorithm, int]:
        """The algorithm with its defaults, and the batch.

        A run that is lengthened keeps its defaults, except for the length of the schedule.
        """
        algorithm, batch, steps = self.given.algorithm or self._default(), self.config.batch, _set(self.config.steps)
        if not (isinstance(algorithm, Algorithm) and algorithm.open):
            return algorithm, batch or 1
        chosen = defaults(self.chip.n_params, self.config.begun_for or steps, len(self.task.train))
        together = chosen.batch if "time_constants" in algorithm.open else 1
        return fitted(algorithm, chosen, steps), batch or together

    def _default(self) -> Algorithm:
        """The algorithm where none is given; a chip's groups may say its amplitude."""
        units = self.chip.limits.units if isinstance(self.chip, Guarded) else None
        if units is None or units.amplitude is None:
            return discrete()
        return discrete(perturbation=Rademacher(units.amplitude))

    def _engine(self, chip: Guarded, algorithm: AbstractAlgorithm, batch: int, options: Options | None) -> Instrumented:
        if not isinstance(algorithm, AbstractAskTell):
            raise ValueError(f"an instrument is trained by its costs, and {type(algorithm).__name__} needs a model")
        start = parameters_at_start(chip, key=self.key, given=None if self.start is None else self.start[0])
        cost = cost_named("mse" if self.given.cost is None else self.given.cost)
        return Instrumented(chip, algorithm, start, cost=cost, batch=batch, options=options)

    def _answers(self) -> tuple[float, ...]:
        if isinstance(self.chip, Guarded):
            return ()
        return answers_of(self.chip, self.task, self.key, self.start)

    def _name_of_chip(self) -> str:
        whose = self.chip.known() if isinstance(self.chip, Guarded) else type(self.chip).__name__
        return f"{whose} of {self.chip.n_params:,} parameters"


def _name_of(algorithm: AbstractAlgorithm) -> str:
    """A name of an algorithm for users."""
    if not isinstance(algorithm, Algorithm):
        return type(algorithm).__name__.lower()
    kind = "discrete" if algorithm.integrator.resets else "analog"
    return f"{kind}, {type(algorithm.perturbation).__name__.lower()}"


def _set(number: int | None) -> int:
    """A setting that every run has."""
    assert number is not None, "settings of a run in Python are resolved"
    return number
