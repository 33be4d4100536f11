"""What goes wrong on a wire is seen as such, and can be got over by opening again."""

import asyncio

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import ServeSettings, load_instrument
from mgd.instruments._virtual._server import Faults
from mgd.instruments._wire import WireError, block, numbers, split_reply

THETA = np.linspace(-1, 1, 9, dtype=np.float32)
X, Y = np.array([[0.25, 1.0]], np.float32), np.ones((1, 1), np.float32)


def prepared(driver) -> None:
    driver.set_parameters(THETA)
    driver.present(X, Y)


FAULTS = {
    "drop": ({"drop": 0.1}, "no complete reply"),
    "late": ({"late": 0.1, "late_seconds": 0.5}, "no complete reply"),
    "disconnect": ({"disconnect": 0.1}, "the other side closed the connection"),
    "garble": ({"garble": 0.15}, "was answered"),
}


@pytest.mark.parametrize(("faults", "what"), FAULTS.values(), ids=FAULTS)
@pytest.mark.quick("disconnect", "garble")
def test_each_fault_is_seen_as_passing_and_the_costs_are_those_of_a_good_line(faults, what, serve_here, tmp_path):
    costs, failures = [], []
    wiggles = np.random.default_rng(0).choice(np.float32([-0.1, 0.1]), (30, 9))  # pyright: ignore[reportArgumentType]
    with serve_here() as resource, load_instrument("scpi", {"resource": resource}, tmp_path) as driver:
        prepared(driver)
        due = [(driver.perturb(wiggle), driver.measure_cost())[1] for wiggle in wiggles]
    with serve_here(seed=5, **faults) as resource:
        limits = {"low": -10.0, "high": 10.0}
        settings = {"resource": resource, "timeout_seconds": 0.25, "retries": 20, "n_params": 9, "limits": limits}
        driver = load_instrument("scpi", settings, tmp_path)
        driver.open()
        ready = False
        while len(costs) < len(wiggles):
            try:
                if not ready:
                    driver.open()
                    prepared(driver)
                    ready = True
                driver.perturb(wiggles[len(costs)])
                costs.append(driver.measure_cost())
            except HardwareError as error:
                failures.append(error)
                ready = False
        driver.close()
    np.testing.assert_array_equal(costs, due)
    assert len(failures) >= 2
    assert all(failure.passing for failure in failures)
    assert any(what in str(failure) for failure in failures)


def test_a_garbled_reply_can_always_be_told():
    """Of every shape that a reply has: it is incomplete, no reply, or not the numbers that are due."""
    faults = Faults(ServeSettings(garble=1.0))
    replies = [b"0.25\n", b'0.25;0,"No error"\n', block(THETA) + b"\n", block(THETA) + b';0,"No error"\n', b"1\n"]
    for reply in replies:
        sizes = [numbers(item).size for item in split_reply(reply)[:1]]
        for _ in range(300):
            try:
                items = split_reply(faults.garbled(reply))
                told = items is None or [numbers(item).size for item in items[:1]] != sizes
            except WireError:
                told = True
            assert told


def test_faults_are_as_frequent_as_they_are_to_be_and_the_same_for_a_seed():
    settings = ServeSettings(seed=2, drop=0.1, late=0.2, disconnect=0.3, garble=0.15)
    drawn = [Faults(settings).draw() for _ in range(3)]
    assert len(set(drawn)) == 1
    one, other = Faults(settings), Faults(settings)
    found = [one.draw() for _ in range(4000)]
    assert found == [other.draw() for _ in range(4000)]
    shares = {"drop": 0.1, "late": 0.2, "disconnect before": 0.15, "disconnect after": 0.15, "garble": 0.15, None: 0.25}
    for fault, share in shares.items():
        assert abs(found.count(fault) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5


def test_latency_and_jitter_are_waited(serve_here, tmp_path):
    import time

    with (
        serve_here(latency_seconds=0.02, jitter_seconds=0.01) as resource,
        load_instrument("scpi", {"resource": resource}, tmp_path) as driver,
    ):
        started = time.perf_counter()
        for _ in range(5):
            driver.identify()
        assert time.perf_counter() - started > 5 * 0.02


def test_a_batch_is_its_measurements_one_by_one(serve_here, tmp_path):
    rows = np.random.default_rng(1).normal(0, 0.1, (7, 9)).astype(np.float32)
    with serve_here() as resource, load_instrument("scpi", {"resource": resource}, tmp_path) as driver:
        prepared(driver)
        together = driver.measure_batch(rows)
        single = [(driver.perturb(row), driver.measure_cost())[1] for row in rows]
        np.testing.assert_array_equal(together, np.array(single, np.float32))
        as_text = load_instrument("scpi", {"resource": resource, "binary": False}, tmp_path)
        as_text.open()
        prepared(as_text)
        np.testing.assert_array_equal(as_text.measure_batch(rows), together)
        as_text.close()


def test_a_port_that_is_taken_is_one_line(serve_here):
    from mgd.instruments._virtual._server import Server

    with serve_here() as resource:
        port = int(resource.split("::")[2])
        with pytest.raises(HardwareError, match=rf"127.0.0.1:{port} cannot be opened: .*use another --port"):
            asyncio.run(Server(None, ServeSettings()).listen("127.0.0.1", port))  # pyright: ignore[reportArgumentType]
