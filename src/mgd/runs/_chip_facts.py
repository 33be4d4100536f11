"""What is known of the user's own chip when a run begins, and whether it is still the same when the run continues."""

import warnings
from pathlib import Path
from typing import Any

import jax

from .._errors import MgdWarning, RunError
from ..datasets import Task
from ._chip_table import ChipFacts, OwnChip
from ._config import RunConfig
from ._known import answers_of, check_answers
from ._own_chip import Function, Shapes, digest_of_source, is_module, is_torch, source_of
from ._own_parts import build_own_chip, whole_task
from ._rule import chosen_for_chip

# Settings of our networks, and of the cost of a module's outputs.
_OF_OURS, _OF_A_COST = ("activation", "output", "init"), ("cost", "label_smoothing")
# Of a run of no given length, to choose its windows by.
_USUAL_STEPS = 100_000


def with_chip_facts(config: RunConfig) -> RunConfig:
    """These settings with the facts of the chip that their function builds; it is called here.

    A PyTorch module becomes an instrument of the kind `torch`, as if the file had said so.

    Raises:
        ValueError: if the function cannot be run, or its chip does not go with the task or with other settings.
        DataError: if the task cannot be read.
    """
    table = config.chip
    assert table is not None, "only a chip of the user's own has facts"
    # What was resolved before has a default for each of these.
    resolved = table.facts is not None
    given = [name for name in (*_OF_OURS, *_OF_A_COST) if getattr(config, name) is not None and not resolved]
    table.check_alone([name for name in given if name in _OF_OURS])
    task = whole_task(config)
    shapes = Shapes(task.input_shape, task.n_outputs)
    made = Function.of(table, shapes, lambda: task)(jax.random.key(0))
    if is_torch(made):
        if config.instruments:
            raise ValueError(
                f"{table.said} returns a PyTorch module, which is an instrument, and [instrument] names another: leave "
                "one of them out"
            )
        return _on_torch(config, made, torch_table(table, shapes, config.cost), len(task.train))
    if not is_module(made) and (cost := [name for name in given if name in _OF_A_COST]):
        raise ValueError(f"{table.said} returns a chip that has a cost of its own: leave {cost[0]} out")
    chip = build_own_chip(config, task)
    facts = ChipFacts(
        sha256=digest_of_source(table),
        n_params=chip.n_params,
        samples=len(task.train),
        costs=answers_of(chip, task, jax.random.key(0), None),
    )
    return config.model_copy(update={"chip": table.model_copy(update={"facts": facts})})


def torch_table(table: OwnChip, shapes: Shapes | None, cost: str | None) -> dict[str, Any]:
    """The table of an instrument that is the PyTorch module of this function.

    Raises:
        ValueError: if the function needs a task, or traits were declared.
    """
    if table.traits is not None:
        raise ValueError(f"{table.said} returns a PyTorch module, which has no traits: leave [chip.traits] out")
    plain = Function.of(table, shapes, None)
    if plain.keyed:
        raise ValueError(f"{table.said} returns a PyTorch module, and a key is JAX's: let it use torch.manual_seed")
    arguments = {name: list(value) if name == "inputs" else value for name, value in plain.arguments.items()}
    names = {} if table.trainable is None else {"names": list(table.trainable)}
    whose = {"kind": "torch", "module": table.build, "arguments": arguments, "folder": str(table.where.resolve())}
    return whose | names | ({} if cost is None else {"cost": cost})


def torch_table_of(
    table: OwnChip, inputs: tuple[int, ...] | None, outputs: int | None, cost: str | None
) -> dict[str, Any]:
    """The table of an instrument that is the PyTorch module of this function, without a task.

    Raises:
        ValueError: if the function returns a chip that is only simulated, or needs what only a task can say.
    """
    shapes = None if inputs is None or outputs is None else Shapes(inputs, outputs)
    if not is_torch(Function.of(table, shapes, None)(jax.random.key(0))):
        raise ValueError(
            f"{table.said} returns a simulated chip: this needs a real one; mgd train and mgd calibrate --simulate "
            "simulate it, and mgd chip serve serves it"
        )
    return torch_table(table, shapes, cost)


def check_same_chip(config: RunConfig, task: Task, folder: Path) -> None:
    """Whether the user's own chip is that with which a run in this directory began.

    Code may change without the chip: a comment, a name. And a chip may change without its file: by what that imports.
    So its costs decide, and a changed file is told.

    Raises:
        RunError: if it gives other costs.
    """
    table = config.chip
    if table is None or table.facts is None:
        return
    found = answers_of(build_own_chip(config, task), task, jax.random.key(0), None)
    try:
        check_answers(found, table.facts.costs, folder)
    except RunError as error:
        changed = digest_of_source(table) != table.facts.sha256
        raise RunError(f"{source_of(table)} has changed, and {error}" if changed else str(error)) from None
    warn_if_changed(table, folder, "its chip gives the same costs, and the run continues")


def warn_if_changed(table: OwnChip, folder: Path, so: str) -> None:
    """Warns: MgdWarning: if the file of the function has changed since the run began."""
    if table.facts is not None and digest_of_source(table) != table.facts.sha256:
        warnings.warn(f"{source_of(table)} has changed since {folder} began: {so}", MgdWarning, stacklevel=2)


def _on_torch(config: RunConfig, module: Any, instrument: dict[str, Any], n_samples: int) -> RunConfig:
    """The settings with this instrument in place of the chip, and with what is chosen for a chip of its size."""
    given = config.model_dump(exclude_none=True, by_alias=True, exclude={"chip"}) | {"task": config.task}
    n_params = sum(parameter.numel() for parameter in module.parameters())
    facts = ChipFacts(sha256="", n_params=n_params, samples=n_samples)
    algorithm, steps = config.algorithm or "discrete", config.steps or _USUAL_STEPS
    return RunConfig.of(chosen_for_chip(facts, given, algorithm, steps) | given | {"instrument": instrument})
