"""Several devices give the run of one."""

import os
import subprocess
import sys

import jax
import pytest

import mgd
from mgd.cli._at_once import have_devices

FLAG = "xla_force_host_platform_device_count"
ON_FOUR = """
import dataclasses
import jax, numpy as np, optax, pytest
import mgd
from mgd.algorithm import TimeConstants, TwoSided
from mgd.perturbations import Rademacher

assert len(jax.devices()) == 4
task, chip, key = mgd.datasets.parity(2), mgd.chips.mlp((2, 2, 1)), jax.random.key(1)

def train(algorithm, **settings):
    return mgd.train(chip, task, algorithm, n_steps=50, key=key, **settings)

def algorithm(baseline=None, **times):
    more = {} if baseline is None else {"baseline": baseline}
    return mgd.discrete(
        perturbation=Rademacher(0.1), optimizer=optax.sgd(2.0), time_constants=TimeConstants(**times), **more
    )

def same(settings, one, several):
    a, b = train(one, **settings), train(one, **settings, devices=several)
    assert b.theta.sharding.num_devices == several
    start = a.history.isel(step=0).cost.values
    assert np.abs(a.cost - start).max() > 1e-4
    np.testing.assert_allclose(a.theta, b.theta, rtol=1e-4, atol=4e-4)
    np.testing.assert_allclose(a.history.cost, b.history.cost, rtol=0, atol=1e-4)

same({"n_replicas": 8}, algorithm(), 4)
same({"n_replicas": 4}, algorithm(tau_x=3, tau_theta=6), 4)
same({}, algorithm(tau_x=8, tau_theta=16), 4)
same({}, algorithm(TwoSided(), tau_p=2, tau_x=6, tau_theta=12), 2)
shuffled, task = task, dataclasses.replace(task, order="sequential")
same({"n_replicas": 4}, algorithm(tau_x=3, tau_theta=6), 4)
same({}, algorithm(tau_x=8, tau_theta=16), 4)
task = shuffled

for settings, one, devices, message in (
    ({"n_replicas": 7}, algorithm(), 4, "^7 replicas cannot be shared evenly by 4 devices: use 8 replicas, or"),
    ({}, algorithm(), 4, "^4 devices cannot share a hold of 1 timesteps evenly: use tau_x and tau_theta"),
    ({}, algorithm(tau_x=6, tau_theta=6), 4, "^4 devices cannot share a hold of 6 timesteps evenly"),
    ({"n_replicas": 4, "engine": "sampled"}, algorithm(), 4, "^only the measured engine uses several devices"),
    ({"n_replicas": 5}, algorithm(), 5, "^devices = 5, and JAX has 4: use up to 4"),
):
    with pytest.raises(ValueError, match=message):
        train(one, **settings, devices=devices)
print("the same")
"""


@pytest.mark.slow
def test_four_devices_give_the_run_of_one_and_refuse_what_they_cannot_share(cache_env):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    env = cache_env | {"XLA_FLAGS": flags}
    done = subprocess.run([sys.executable, "-W", "error", "-c", ON_FOUR], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


def test_more_devices_than_there_are_are_refused():
    n = len(jax.devices()) + 1
    with pytest.raises(
        ValueError, match=rf"^devices = {n}, and JAX has {n - 1}: use up to {n - 1}; on a CPU, JAX_NUM_"
    ):
        mgd.train(
            *(mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(2), mgd.discrete()),
            n_steps=1,
            key=jax.random.key(0),
            n_replicas=n,
            devices=n,
        )


def test_the_command_line_makes_devices_of_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "")  # so that what is set below does not stay after the test
    for asked, flags, expected in ((4, "", "4"), (1, "", None), (5, "", None), (4, f"--{FLAG}=2", None)):
        monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
        monkeypatch.setenv("XLA_FLAGS", flags)
        have_devices(asked)
        assert os.environ.get("JAX_NUM_CPU_DEVICES") == expected
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "3")
    monkeypatch.setenv("XLA_FLAGS", "")
    have_devices(4)
    assert os.environ["JAX_NUM_CPU_DEVICES"] == "3"
