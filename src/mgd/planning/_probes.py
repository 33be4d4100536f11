"""Questions to a chip, and what their costs say of S, ‖ḡ‖², tr H and λ_max where they were asked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from ..calibration import Prober
from ..chips import AbstractChip
from ..datasets import Task

# Steps along a code, in amplitudes: of a slope, of a curvature, and of a look at whether the slope bends.
_OF_SLOPE, _OF_CURVE, _OF_BEND = (1.0, -1.0), (1.0, 0.0, -1.0), (1.0, -1.0, 0.5, -0.5)
BENDS, _BENDS_OF_MODEL = 8, 64
# The slope may differ by this share from that at half the amplitude, so that it is wrong by a twentieth.
_BENT = 0.0375
# Amplitudes of the model are tried in steps of this factor, down to so small a share of the largest.
_FINER, _SMALLEST = 0.8, 1e-6


class Questions(NamedTuple):
    """Batches, each with a code, and the steps that are made along every code while its batch is shown.

    Attributes:
        x: inputs.
        y: targets.
        codes: a code of ±1 for each batch.
        steps: sizes of steps along a code, in the parameters' unit.
    """

    x: Float[np.ndarray, "n batch *features"]
    y: Float[np.ndarray, "n batch outputs"]
    codes: Int8[np.ndarray, "n p"]
    steps: Float[np.ndarray, " k"]


Answers = Float[np.ndarray, "n k"]
Ask = Callable[[Questions], Answers]


@dataclass
class Questioner:
    """Draws questions.

    Args:
        task: whose samples are shown.
        n_params: P.
        batch: samples of a batch.
        rng: what codes and samples are drawn from.
    """

    task: Task
    n_params: int
    batch: int
    rng: np.random.Generator

    def of_noise(self, n: int, batch: int) -> Questions:
        """The same cost n times."""
        return self._drawn(1, batch, np.zeros(n))

    def of_bend(self, n: int, amplitude: float) -> Questions:
        """Steps of one amplitude and of half of it, along n codes with a sample each."""
        return self._drawn(n, 1, amplitude * np.array(_OF_BEND))

    def of_slopes(self, n: int, amplitude: float) -> Questions:
        """Each of n codes with two samples, each by itself, one after the other."""
        drawn = self._drawn(2 * n, 1, amplitude * np.array(_OF_SLOPE))
        return drawn._replace(codes=np.repeat(drawn.codes[::2], 2, axis=0))

    def of_curves(self, n: int, amplitude: float) -> Questions:
        """Each of n codes with a batch of its own."""
        return self._drawn(n, self.batch, amplitude * np.array(_OF_CURVE))

    def _drawn(self, n: int, batch: int, steps: Float[np.ndarray, " k"]) -> Questions:
        samples = self.task.train
        rows = self.rng.integers(len(samples), size=(n, batch))
        x = np.asarray(samples.features(jnp.asarray(samples.x[rows])))
        codes = self.rng.choice(np.array([-1, 1], np.int8), (n, self.n_params))
        return Questions(x, samples.y[rows], codes, steps.astype(np.float32))


def asked_of_chip(prober: Prober) -> Ask:
    """Asks a chip, whose parameters stay as they are."""

    def ask(questions: Questions) -> Answers:
        costs = []
        for x, y, code in zip(questions.x, questions.y, questions.codes, strict=True):
            prober.show((x, y))
            costs.append(prober.settled(np.outer(questions.steps, code)))
        return np.array(costs)

    return ask


def asked_of_model(chip: AbstractChip, theta: Float[np.ndarray, " p"]) -> Ask:
    """Asks a simulated chip with these parameters."""

    def ask(questions: Questions) -> Answers:
        return np.asarray(_costs(chip, jnp.asarray(theta), *map(jnp.asarray, questions)), np.float64)

    return ask


@eqx.filter_jit
def _costs(chip: AbstractChip, theta: Array, x: Array, y: Array, codes: Array, steps: Array) -> Float[Array, "n k"]:
    key = jax.random.key(0)
    device = chip.fabricate(key=key)

    def of_batch(one: tuple[Array, Array, Array]) -> Float[Array, " k"]:
        x, y, code = one

        def cost(step: Float[Array, ""]) -> Float[Array, ""]:
            return chip.measure(theta, step * code.astype(jnp.float32), x, y, device=device, key=key)[0]

        return jax.vmap(cost)(steps)

    return jax.lax.map(of_batch, (x, y, codes))


def is_straight(answers: Answers, amplitude: float, noise: float) -> bool:
    """Whether slopes are the same from both amplitudes of `Questioner.of_bend`, as far as noise lets it be seen.

    Args:
        answers: to its questions.
        amplitude: the larger one.
        noise: σ of a cost.
    """
    plus, minus, near_plus, near_minus = answers.T
    wide, near = (plus - minus) / (2 * amplitude), (near_plus - near_minus) / amplitude
    white = (noise / amplitude) ** 2  # the difference of both slopes has 2.5 times its variance, and the near one 2
    allowed = 2.5 * white * (1 + 2 * math.sqrt(2 / len(answers)))
    slope = max(0.0, float(np.mean(near**2)) - 2 * white)
    return float(np.mean((wide - near) ** 2)) <= _BENT**2 * slope + allowed


def straight_amplitude(ask: Ask, questioner: Questioner, highest: float) -> float:
    """The largest amplitude at which the slopes of a model are straight."""
    amplitude = highest
    while amplitude > _SMALLEST * highest:
        if is_straight(ask(questioner.of_bend(_BENDS_OF_MODEL, amplitude)), amplitude, 0.0):
            break
        amplitude *= _FINER
    return amplitude


class PerCode(NamedTuple):
    r"""What each code says, in the mean over codes without bias.

    With u and v the slopes of the costs of two samples along a code, h the curvature of a batch's cost along it, and a
    the amplitude,

    $$S = \tfrac12 \langle (u - v)^2 \rangle - \frac{\sigma_1^2}{2 a^2}, \qquad
      \lVert\bar g\rVert^2 = \langle u v \rangle, \qquad \mathrm{tr} H = \langle h \rangle, \qquad
      \sum_{i \neq j} H_{ij}^2 = \tfrac12 \Big(\mathrm{Var}\,h - \frac{6 \sigma_B^2}{a^4}\Big)$$

    Attributes:
        spread: of S.
        gradient: of ‖ḡ‖².
        trace: of tr H.
        mixed: of the sum of squares of H off its diagonal.
    """

    spread: Float[np.ndarray, " n"]
    gradient: Float[np.ndarray, " n"]
    trace: Float[np.ndarray, " m"]
    mixed: Float[np.ndarray, " m"]

    @staticmethod
    def of(slopes: Answers, curves: Answers, amplitude: float, *, one: float, batch: float) -> "PerCode":
        """From the answers to `of_slopes` and `of_curves`.

        Args:
            slopes: the first answers.
            curves: the second.
            amplitude: a.
            one: σ₁, the noise of a single sample's cost.
            batch: σ_B, that of a batch's.
        """
        u, v = ((slopes[:, 0] - slopes[:, 1]) / (2 * amplitude)).reshape(-1, 2).T
        h = (curves[:, 0] - 2 * curves[:, 1] + curves[:, 2]) / amplitude**2
        scatter = (h - h.mean()) ** 2 * len(h) / (len(h) - 1)
        return PerCode(
            (u - v) ** 2 / 2 - (one / amplitude) ** 2 / 2, u * v, h, scatter / 2 - 3 * batch**2 / amplitude**4
        )
