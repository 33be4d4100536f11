"""Numbers that differ from replica to replica: what they are called, and who has which."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Int

from ._numbers import DifferentError, with_fields
from .algorithm import AbstractAlgorithm, Algorithm, retuned
from .chips import AbstractChip
from .chips.imperfections import Imperfect
from .engines import AbstractEngine, choose_for_each
from .perturbations import AbstractPerturbation
from .perturbations._block import within_blocks

Vary = Mapping[str, Sequence[Any] | np.ndarray]


class Chosen(NamedTuple):
    """The engine of a run.

    Attributes:
        engine: of all replicas.
        first: of the first replica's numbers.
        values: what varies, by its name.
    """

    engine: AbstractEngine[Any]
    first: AbstractEngine[Any]
    values: dict[str, np.ndarray]


def choose_varied(
    name: str, chip: AbstractChip, algorithm: AbstractAlgorithm, vary: Vary, *, n_replicas: int, **settings: int
) -> Chosen:
    """The engine of that name for replicas that differ in numbers.

    Args:
        name: as for `choose`.
        chip: the simulated chip.
        algorithm: how it is trained.
        vary: for each name, a number for each replica.
        n_replicas: replicas.
        settings: as for `choose`.

    Raises:
        ValueError: as `choose` and `varied`, or if what varies is more than a number.
    """
    replicas = varied(chip, algorithm, vary, n_replicas)
    engines = choose_for_each(name, replicas.members, n_replicas=n_replicas, **settings)
    first = engines[0]
    try:
        engine = first if len(engines) == 1 else first.for_each(engines, replicas.which)
        return Chosen(engine, first, replicas.values)
    except DifferentError:
        if len(vary) > 1:  # which of them is it?
            for one, values in vary.items():
                choose_varied(name, chip, algorithm, {one: values}, n_replicas=n_replicas, **settings)
        raise ValueError(
            f"vary: {' with '.join(vary)} changes more than numbers: these values make different programs, so train "
            "each in a run of its own"
        ) from None


@dataclass(frozen=True)
class Varied:
    """A chip and an algorithm with each combination of numbers that there is.

    Attributes:
        members: one for each combination.
        which: for each replica, the number of its member.
        values: what was varied, as it was given.
    """

    members: list[tuple[AbstractChip, AbstractAlgorithm]]
    which: Int[np.ndarray, " replica"]
    values: dict[str, np.ndarray]


def varied(chip: AbstractChip, algorithm: AbstractAlgorithm, vary: Vary, n_replicas: int) -> Varied:
    """Who has which numbers.

    Args:
        chip: the simulated chip.
        algorithm: how it is trained.
        vary: for each name, a number for each replica.
        n_replicas: replicas.

    Raises:
        ValueError: if a name is none of a number, or its numbers are not one for each replica or cannot be.
    """
    if not vary:
        # Of no memory: how many replicas fit is seen later.
        return Varied([(chip, algorithm)], np.broadcast_to(np.int64(0), (n_replicas,)), {})
    columns = {name: _column(name, vary[name], n_replicas) for name in vary}
    numbers: dict[tuple, int] = {}
    members, which = [], np.zeros(n_replicas, np.int64)
    for replica, row in enumerate(zip(*columns.values(), strict=True)):
        if row not in numbers:
            numbers[row] = len(members)
            member = chip, algorithm
            for name, value in zip(columns, row, strict=True):
                member = _with(*member, name, value)
            members.append(member)
        which[replica] = numbers[row]
    return Varied(members, which, {name: np.array(column) for name, column in columns.items()})


def _column(name: str, values: Any, n_replicas: int) -> list[Any]:
    """One value for each replica."""
    if isinstance(values, str | Mapping) or not hasattr(values, "__len__") or _is_table(name, values):
        raise ValueError(f"vary: {name} must be a sequence of numbers, one for each replica, got {values!r}")
    if len(values) != n_replicas:
        raise ValueError(
            f"vary: {name} has {len(values)} values, and there are n_replicas = {n_replicas}: give one for each"
        )
    if name == "optimizer":
        return list(values)
    for value in values:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"vary: {name} must be finite numbers, got {value!r}")
    return [float(value) for value in values]


def _is_table(name: str, values: Any) -> bool:
    return name != "optimizer" and np.asarray(values, object).ndim > 1


def _with(
    chip: AbstractChip, algorithm: AbstractAlgorithm, name: str, value: Any
) -> tuple[AbstractChip, AbstractAlgorithm]:
    """The two with another number of that name."""
    try:
        if "." in name:
            imperfection, _, field = name.partition(".")
            return _with_imperfection(chip, imperfection, field, value), algorithm
        return chip, _with_number(algorithm, name, value)
    except ValueError as error:
        raise ValueError(f"vary: {error}") from None


def _with_imperfection(chip: AbstractChip, name: str, field: str, value: float) -> AbstractChip:
    if not isinstance(chip, Imperfect):
        raise ValueError(f"the chip has no imperfection {name!r} around it")
    if chip.imperfection.name == name:
        return with_fields(chip, imperfection=_replaced(chip.imperfection, name, field, value))
    return with_fields(chip, chip=_with_imperfection(chip.chip, name, field, value))


def _with_number(algorithm: AbstractAlgorithm, name: str, value: Any) -> AbstractAlgorithm:
    if name == "optimizer":
        if not isinstance(value, optax.GradientTransformation):
            raise ValueError(f"optimizer must be optax transformations, got {value!r}")
        return dataclasses.replace(algorithm, optimizer=value)
    if name in ("amplitude", "modulation_limit") and not isinstance(algorithm, Algorithm):
        raise ValueError(f"a {type(algorithm).__name__} has no {name}")
    if isinstance(algorithm, Algorithm) and name == "modulation_limit":
        return dataclasses.replace(algorithm, modulation_limit=value)
    if isinstance(algorithm, Algorithm) and name == "amplitude":
        return dataclasses.replace(algorithm, perturbation=_with_amplitude(algorithm.perturbation, value))
    if name in _STRUCTURE:
        raise ValueError(f"{name} is structure, which all replicas share: vary it from run to run")
    return dataclasses.replace(algorithm, optimizer=retuned(algorithm.optimizer, name, value))


# Settings of a run that are no numbers of an optimizer either, so that the refusal can say so.
_STRUCTURE = (
    *("tau_p", "tau_x", "tau_theta", "tau_hp", "time_constants", "perturbation", "baseline", "integrator"),
    *("batch", "n_steps", "bitwise", "engine", "chip", "cost"),
)


def _with_amplitude(family: AbstractPerturbation, value: float) -> AbstractPerturbation:
    return within_blocks(family, lambda inner: _replaced(inner, type(inner).__name__, "amplitude", value))


def _replaced(module: Any, name: str, field: str, value: float) -> Any:
    """A module with another number in one field."""
    fields = {each.name: each for each in dataclasses.fields(module) if each.init}
    numbers = [each for each in fields if fields[each].metadata.get("number")]
    if field not in fields:
        raise ValueError(f"{name} has no {field}; it has {', '.join(numbers)}")
    if field not in numbers:
        raise ValueError(f"{field} of {name} is structure, which all replicas share: vary it from run to run")
    return dataclasses.replace(module, **{field: value})
