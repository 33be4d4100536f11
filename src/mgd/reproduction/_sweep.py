"""NIST7x7 trained on chips with a grid of learning rates side by side."""

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from .. import chips, datasets, perturbations
from .._train import Session
from ..algorithm import TimeConstants, discrete
from ..chips.imperfections import ActivationVariation, CostNoise, UpdateNoise, imperfect
from ..datasets import Task

SIZES = (49, 4, 4)
AMPLITUDE = 0.01
_FAMILIES = {"rademacher": perturbations.Rademacher, "walsh": perturbations.Walsh}
_IMPERFECTIONS = {"cost-noise": CostNoise, "update-noise": UpdateNoise, "defects": ActivationVariation}


def sweep(
    *,
    tau_theta: int,
    tau_x: int,
    rates: Sequence[float],
    chips_per_rate: int,
    windows: int,
    logs: int,
    batch: int,
    perturbation: str = "rademacher",
    engine: str = "sampled",
    imperfection: str | None = None,
    sigma: float = 0.0,
    n_test: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Trains chips and follows their test accuracy.

    All rates are in one run: what differs is a number in each chip's optimiser, so that one program is compiled.

    Args:
        tau_theta: timesteps of a window.
        tau_x: timesteps a sample is held.
        rates: learning rates.
        chips_per_rate: chips of each; no two start from the same parameters.
        windows: windows of the run.
        logs: evaluations, evenly spaced.
        batch: samples over which a measurement is averaged.
        perturbation: "rademacher" or "walsh".
        engine: "sampled" or "measured".
        imperfection: "cost-noise", "update-noise", "defects" or None.
        sigma: of the imperfection.
        n_test: how many of the test samples are used; None for all.
        seed: the seed of all random numbers.

    Returns:
        Accuracy over (rate, chip, step), with measurements and sample loads at each step.
    """
    chip = chips.mlp(SIZES, cost="mse", init="glorot")
    if imperfection is not None:
        chip = imperfect(chip, _IMPERFECTIONS[imperfection](sigma))
    algorithm = discrete(
        perturbation=_FAMILIES[perturbation](amplitude=AMPLITUDE),
        optimizer=optax.inject_hyperparams(optax.sgd)(learning_rate=rates[0]),
        time_constants=TimeConstants(tau_theta=tau_theta, tau_x=tau_x),
    )
    session = Session(
        chip,
        _task(n_test),
        algorithm,
        n_steps=windows * tau_theta,
        key=jax.random.key(seed),
        n_replicas=len(rates) * chips_per_rate,
        batch=batch,
        engine=engine,
        log_every=max(1, windows // logs) * tau_theta,
    )
    _set_rates(session, np.repeat(np.array(rates, np.float32), chips_per_rate))
    while not session.finished:
        session.advance()
    history = session.history()
    accuracy = history.accuracy.values.reshape(len(rates), chips_per_rate, -1)
    counted = {name: ("step", history[name].values) for name in ("cost_measurements", "sample_loads")}
    return xr.Dataset(
        {"accuracy": (("rate", "chip", "step"), accuracy)},
        {"rate": np.array(rates, float), "chip": np.arange(chips_per_rate), "step": history.step.values, **counted},
    )


def _task(n_test: int | None) -> Task:
    task = datasets.nist7x7()
    return replace(task, test=task.test.subset(slice(0, n_test)))


def _set_rates(session: Session, rates: np.ndarray) -> None:
    """Gives each replica its own learning rate."""

    def where(progress):
        return progress.state.optimizer.hyperparams["learning_rate"]

    session.snapshot.progress = eqx.tree_at(where, session.snapshot.progress, jnp.asarray(rates))
