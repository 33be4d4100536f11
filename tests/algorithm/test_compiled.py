"""Ask and tell by hand are compiled once, whatever the costs are and whoever compiles."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd

KINDS = {
    "float": float,
    "int": int,
    "float32": np.float32,
    "float64": np.float64,
    "0-d": lambda cost: np.asarray(cost, np.float32),
    "0-d float64": lambda cost: np.asarray(cost, np.float64),
    "jax": lambda cost: jnp.asarray(cost, jnp.float32),
    "jax, weakly typed": lambda cost: jnp.asarray(float(cost)),
}
WRAPPERS = {"as they are": lambda method: method, "filter_jit": eqx.filter_jit, "jit": jax.jit}


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The programs that were compiled since."""
    found = []

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize(
    ("kind", "wrapper"), [*((kind, how) for kind in KINDS for how in ("as they are", "filter_jit")), ("float", "jit")]
)
def test_thirty_steps_are_one_compilation(kind, wrapper, compilations):
    times = mgd.TimeConstants(tau_theta=4, tau_x=2)
    algorithm = mgd.discrete(optimizer=optax.sgd(1e-3), time_constants=times)
    ask, tell = WRAPPERS[wrapper](algorithm.ask), WRAPPERS[wrapper](algorithm.tell)
    state = algorithm.init(jnp.zeros(3), key=jax.random.key(0))
    theta = np.zeros(3)
    told = []
    for step in range(30):
        probe, state = ask(state)
        theta = np.asarray(probe.theta) + np.asarray(probe.perturbation)
        cost = KINDS[kind](((theta - 1 - step) ** 2).sum())
        told.append(len(compilations))
        state, info = tell(state, cost)
        told.append(len(compilations))
        assert float(info.cost) == np.float32(cost)
    assert sum(after - before for before, after in zip(told[::2], told[1::2], strict=True)) == 1
    assert told[-1] == told[3]  # and ask none after its first


def test_a_compiled_tell_is_the_traced_one():
    algorithm = mgd.discrete(optimizer=optax.sgd(0.1), time_constants=mgd.TimeConstants(tau_theta=3))
    ready = traced = algorithm.init(jnp.ones(4), key=jax.random.key(1))
    tell = jax.jit(lambda state, cost: algorithm.tell(state, cost))
    for cost in (1.0, 1.5, 0.25, 4.0, 2.0, 1.0):
        ready, _ = algorithm.tell(ready, cost)
        traced, _ = tell(traced, jnp.float32(cost))
    assert eqx.tree_equal(ready, traced)
    assert not np.array_equal(ready.theta, jnp.ones(4))


@pytest.mark.parametrize(
    ("cost", "got"),
    [(np.zeros(1), r"float64 of shape \(1,\)"), (1j, r"complex128 of shape \(\)"), (True, r"bool of shape \(\)")],
)
def test_what_is_no_cost_is_refused(cost, got):
    algorithm = mgd.discrete()
    state = algorithm.init(jnp.zeros(3), key=jax.random.key(0))
    with pytest.raises(ValueError, match=rf"^a cost must be one real number, got {got}$"):
        algorithm.tell(state, cost)
