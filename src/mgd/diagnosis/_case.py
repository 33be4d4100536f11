"""A run of simulated chips, as it is diagnosed: one of its chips, at its start and now."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .._train import Session
from ..algorithm import Algorithm
from ..chips import AbstractChip
from ..chips.imperfections import AbstractImperfection, Imperfect
from ..datasets import Samples, Task
from ..engines import Data, Progress, n_outputs
from ._probes import Probes, probed
from ._trials import FACTORS, Trials, tried

# Samples that are looked at.
_SOME = 256
# Numbers, times parameters, that measurements for a diagnosis may take in all.
_WORK = 3e8
# Timesteps that are looked at, at most and at least; windows of a trial likewise.
_MOST_STEPS, _FEWEST_STEPS, _MOST_WINDOWS, _FEWEST_WINDOWS = 512, 32, 64, 8
# Chips that a trial trains: of each rate so many.
_EACH = 4


@dataclass(frozen=True, eq=False)
class Case:
    """One chip of a run; of many, that with the middle score.

    Attributes:
        session: the run of simulated chips, as far as it has come.
        chip: their design.
    """

    session: Session
    chip: AbstractChip

    @staticmethod
    def of(session: Session) -> "Case":
        """The case of a session of simulated chips."""
        assert session.chip is not None, "an instrument keeps diagnostics of its own"
        return Case(session, session.chip)

    @property
    def task(self) -> Task:
        """The task."""
        return self.session.task

    @property
    def batch(self) -> int:
        """Samples over which a measurement is averaged."""
        return self.session.batch

    @cached_property
    def start(self) -> Progress:
        """The run of this chip alone at its start."""
        return _alone(self.session.begin(), _middle(self.session))

    @cached_property
    def now(self) -> Progress:
        """The run of this chip alone as far as it has come."""
        return _alone(self.session.snapshot.progress, _middle(self.session))

    @property
    def updates(self) -> int:
        """How often parameters were written."""
        return self._writes(self.session.snapshot.step)

    @property
    def planned(self) -> int:
        """How often they will have been written at the planned end."""
        return self._writes(self.session.snapshot.step if self.session.ended_by else self.session.n_steps)

    @property
    def fell(self) -> bool:
        """Whether the cost on the test samples has become lower by a tenth."""
        costs = self.session.snapshot.cost
        return len(costs) > 1 and bool(np.nanmean(costs[-1]) < 0.9 * np.nanmean(costs[0]))

    def _writes(self, steps: int) -> int:
        return self.session.algorithm.counts(steps, batch=self.batch).parameter_writes

    @property
    def ask_tell(self) -> Algorithm | None:
        """The algorithm, if it trains by measurements."""
        algorithm = self.session.algorithm
        return algorithm if isinstance(algorithm, Algorithm) else None

    def imperfection(self, kind: type[AbstractImperfection]) -> Any:
        """The chip's imperfection of this kind; None if it has none."""
        chip = self.chip
        while isinstance(chip, Imperfect):
            if isinstance(chip.imperfection, kind):
                return chip.imperfection
            chip = chip.chip
        return None

    @cached_property
    def data(self) -> Data:
        """The training samples."""
        return Data.of(self.task.train, self.task.kind, self.task.order)

    @cached_property
    def samples(self) -> Samples:
        """Some training samples, spread over the set."""
        train = self.task.train
        return train.subset(np.unique(np.linspace(0, len(train) - 1, min(len(train), _SOME)).astype(int)))

    @cached_property
    def some(self) -> Data:
        """The same on the device."""
        return Data.of(self.samples, self.task.kind)

    @cached_property
    def gives_outputs(self) -> bool:
        """Whether the chip gives outputs."""
        return n_outputs(self.chip, self.some) > 0

    def outputs(self, thetas: Float[Array, "k p"]) -> Float[np.ndarray, "k n outputs"]:
        """The outputs for these samples, of the chip with each of these parameters."""
        x, _ = self.some.show(jnp.arange(len(self.samples)))
        device = jax.tree.map(lambda leaf: leaf[0], self.start.device)

        def respond(theta: Float[Array, " p"]) -> Float[Array, "n outputs"]:
            return self.chip.respond(theta, x, device=device, key=jax.random.key(0))

        return np.asarray(jax.jit(lambda thetas: lax.map(respond, thetas))(thetas))

    @cached_property
    def at_start(self) -> Probes | None:
        """What a measurement shows at the start; None if the algorithm measures nothing."""
        return self._probed(self.start)

    @cached_property
    def at_end(self) -> Probes | None:
        """The same with the parameters of now."""
        return self._probed(self.now)

    @cached_property
    def trials(self) -> Trials | None:
        """A few updates from the start, at several learning rates; None if they would take too long."""
        if self.ask_tell is None:
            return None
        window = max(self.ask_tell.interval, self.ask_tell.time_constants.tau_theta)
        windows = int(min(_MOST_WINDOWS, self._affordable / window / (_EACH * len(FACTORS))))
        if windows < _FEWEST_WINDOWS:
            return None
        return tried(self.chip, self.ask_tell, self.data, self.some, self.batch, self.start, windows, _EACH)

    @property
    def _affordable(self) -> float:
        """Measurements that do not take long."""
        inputs = int(np.prod(self.task.input_shape))
        return _WORK / (max(self.chip.n_params, inputs) * self.batch)

    def _probed(self, progress: Progress) -> Probes | None:
        if self.ask_tell is None:
            return None
        steps = int(min(_MOST_STEPS, max(_FEWEST_STEPS, self._affordable / 4)))
        return probed(self.chip, self.ask_tell, self.data, self.batch, progress, steps)


def _middle(session: Session) -> int:
    """The chip with the middle score, or the middle cost."""
    if not session.snapshot.steps:
        return 0
    scores = session.scores if session.judge.metric is not None else -session.snapshot.cost[-1]
    return int(np.argsort(np.nan_to_num(scores, nan=-np.inf), kind="stable")[(len(scores) - 1) // 2])


def _alone(progress: Progress, which: int) -> Progress:
    """The run of one replica."""
    state = progress.replica(which)
    alone = Progress.one(state)
    return Progress.of(alone.state, jax.tree.map(lambda leaf: leaf[which][None], progress.device))
