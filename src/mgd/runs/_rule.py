"""Settings of a run by the rule of `mgd.train`. Nothing here imports JAX."""

from typing import Any

from .._defaults import Defaults, defaults
from ._chip_table import ChipFacts


def chosen_for_chip(facts: ChipFacts, given: dict[str, Any], algorithm: str, steps: int) -> dict[str, Any]:
    """What `mgd.train` would choose for a chip of the user's own; nothing where a rate or an optimizer is given."""
    optimizer = given.get("optimizer")
    if algorithm != "discrete" or optimizer not in (None, "adam") or (optimizer is None and "learning_rate" in given):
        return {}
    steps = given.get("steps", steps)
    chosen = defaults(facts.n_params, steps, facts.samples - given.get("holdout", 0))
    return as_chosen(chosen, given) | {"learning_rate": chosen.learning_rate}


def as_chosen(chosen: Defaults, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of what was chosen by the rule, but for the rate."""
    window = given.get("tau_theta", chosen.tau_theta)
    return {
        "optimizer": "adam",
        "schedule": "cosine",
        "weight_decay": chosen.weight_decay,
        "tau_theta": window,
        "tau_x": window,
        "batch": chosen.batch,
    }
