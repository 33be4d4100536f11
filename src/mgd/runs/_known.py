"""How a run of a Python program recognises its parts: the chip, the samples and the other arguments."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._errors import RunError
from .._input import read_file
from ..chips import AbstractChip
from ..chips._pieces import first_piece
from ..datasets import Samples, Task
from ..engines import Data
from ._code import is_remembered, remember
from ._replace import replace_file

PICKLE = "training.pickle"
# Samples by which a chip is recognised, and the tolerance of its costs, since other programs round differently.
_SHOWN, _RELATIVE, _ABSOLUTE = 8, 1e-3, 1e-6


def digest_of_samples(task: Task) -> str:
    """A digest of the samples and of what judges them."""
    digest = hashlib.sha256(f"{task.kind} {task.threshold}".encode())
    for samples in (task.train, task.test):
        _add(digest, samples)
    return digest.hexdigest()


def _add(digest: Any, samples: Samples) -> None:
    digest.update(f"{samples.offset} {samples.scale}".encode())
    for array in (samples.x, samples.y):
        digest.update(f"{array.dtype} {array.shape}".encode())
        for row in range(0, len(array), 4096):  # a memory-mapped file is not read whole
            digest.update(np.ascontiguousarray(array[row : row + 4096]).data)


def answers_of(
    chip: AbstractChip, task: Task, key: PRNGKeyArray, start: Float[np.ndarray, "chip p"] | None
) -> tuple[float, ...]:
    """Two costs of the first chip of a run, at its start and near it; empty if one is not finite."""
    data = Data.of(task.train.subset(slice(0, _SHOWN)), task.kind)
    theta, device, chip_key = first_piece(chip, key)
    theta = theta if start is None else jnp.asarray(start[0])
    costs = np.asarray(_costs(chip, theta, device, chip_key, data))
    return tuple(map(float, costs)) if np.isfinite(costs).all() else ()


@eqx.filter_jit
def _costs(
    chip: AbstractChip, theta: Float[Array, " p"], device: Any, key: PRNGKeyArray, data: Data
) -> Float[Array, " 2"]:
    x, y = data.show(jnp.arange(len(data.y)))
    none = jnp.zeros(chip.n_sites)
    return jnp.stack([chip.measure(at, none, x, y, device=device, key=key)[0] for at in (theta, 1.25 * theta + 0.0625)])


def check_answers(found: tuple[float, ...], due: tuple[float, ...], folder: Path) -> None:
    """Raises: RunError: if a chip does not give the costs that the chip of the run gave at its start."""
    if len(found) == len(due) and np.allclose(found, due, rtol=_RELATIVE, atol=_ABSOLUTE):
        return
    raise RunError(
        f"{folder} was begun on another chip: at its start that had the costs {_written(due)}, and this one has "
        f"{_written(found)}: give the chip that it was begun with, or start a run of its own"
    )


def _written(costs: tuple[float, ...]) -> str:
    return " and ".join(f"{cost:.6g}" for cost in costs) or "that are not finite"


@dataclass(frozen=True)
class Pickled:
    """Arguments of a run that settings cannot describe, pickled.

    Attributes:
        content: the content of the file.
    """

    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @staticmethod
    def of(parts: Any) -> "Pickled | None":
        """These arguments; None if one of them cannot be pickled."""
        try:
            return Pickled(cloudpickle.dumps(parts))
        except Exception:  # whatever a user's object raises: then it must be given again
            return None

    def keep(self, folder: Path) -> None:
        """Writes the file to a run directory, and remembers that this user did."""
        replace_file(folder / PICKLE, self.content)
        remember(self.digest)


def unpickled(folder: Path, digest: str | None) -> Any:
    """The pickled arguments; None if there are none, or this user did not write them on this machine.

    Reading them runs code, so they are read only if this user wrote exactly these bytes.

    Raises:
        RunError: if they cannot be read.
    """
    try:
        content = read_file(folder / PICKLE)
    except OSError:
        return None
    pickled = Pickled(content)
    if pickled.digest != digest or not is_remembered(pickled.digest):
        return None
    try:
        return cloudpickle.loads(content)
    except Exception as error:  # another version of Python or of a library
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{folder / PICKLE} cannot be read ({why}): give algorithm=… again") from None
