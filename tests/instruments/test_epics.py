"""EPICS process variables as a chip: pyepics as the client, an IOC of caproto as the server."""

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from mgd import HardwareError, LimitError
from mgd.instruments import Group, Limits, from_epics, from_ophyd, opened

epics = pytest.importorskip("epics", reason="pyepics is not installed")
pytest.importorskip("caproto", reason="caproto is not installed")

IOC = """
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty, run

class Chip(PVGroup):
    left = pvproperty(value=0.0, lower_ctrl_limit=-2.0, upper_ctrl_limit=2.0, units="V")
    right = pvproperty(value=0.0, lower_ctrl_limit=-2.0, upper_ctrl_limit=2.0, units="V")
    bias = pvproperty(value=5.0, lower_ctrl_limit=0.0, upper_ctrl_limit=20.0, units="mA")
    bare = pvproperty(value=0.0)
    shown = pvproperty(value=0.0, lower_disp_limit=-9.0, upper_disp_limit=9.0, precision=1)
    rounded = pvproperty(value=0.0, lower_ctrl_limit=-0.3, upper_ctrl_limit=0.3, precision=1)
    steps = pvproperty(value=0, lower_ctrl_limit=0, upper_ctrl_limit=255)
    one_of = pvproperty(value="a", enum_strings=["a", "b"], record="mbbi", dtype=ChannelType.ENUM)
    cost = pvproperty(value=0.0, read_only=True)
    outputs = pvproperty(value=[0.0, 0.0], read_only=True)

    @cost.getter
    async def cost(self, instance):
        return (self.left.value - 1) ** 2 + self.right.value**2

    @outputs.getter
    async def outputs(self, instance):
        return [self.left.value, self.right.value]

async def serving(async_lib):
    print("serving", flush=True)

run(Chip(prefix="mgd:").pvdb, interfaces=["127.0.0.1"], startup_hook=serving)
"""


@pytest.fixture(scope="module", autouse=True)
def place():
    """Where the client looks for variables: told before its library is loaded, which happens once in a process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = {"EPICS_CA_ADDR_LIST": "127.0.0.1", "EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_SERVER_PORT": port}
    os.environ.update(here)
    return here


@pytest.fixture(scope="module")
def start(place):
    """Starts the IOC on loopback, each time at the same place, when the one before it has ended; its process."""
    beacons = {"EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO", "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1"}
    started = []

    def start() -> subprocess.Popen:
        ioc = subprocess.Popen([sys.executable, "-c", IOC], env=os.environ | beacons, stdout=subprocess.PIPE)
        started.append(ioc)
        # A client looks less and less often for a variable that nobody serves.
        assert ioc.stdout.readline() == b"serving\n", ioc.stdout.read()
        return ioc

    yield start
    for ioc in started:
        ioc.kill()
        ioc.communicate()


@pytest.fixture(scope="module")
def server(start):
    return start()


@pytest.fixture(scope="module")
def pvs(server):
    names = ("left", "right", "bias", "bare", "shown", "rounded", "steps", "one_of", "cost", "outputs")
    found = {name: epics.PV(f"mgd:{name}") for name in names}
    for pv in found.values():
        assert pv.wait_for_connection(timeout=20), pv.pvname
    return found


def test_variables_are_put_and_the_cost_is_read_from_the_server(pvs):
    chip = from_epics([pvs["left"], pvs["right"]], pvs["cost"])
    assert chip.address == "epics mgd:left … mgd:right (2)"
    with opened(chip) as guarded:
        for left in np.linspace(-1, 1, 9):
            guarded.set_parameters(np.array([left, 0.5]))
            # At once, and not what the client was last told of.
            assert guarded.measure_cost() == pytest.approx((left - 1) ** 2 + 0.25)


def test_limits_are_the_control_limits(pvs):
    limits = from_epics([pvs["left"], pvs["right"]], pvs["cost"]).limits
    assert (limits.low.tolist(), limits.high.tolist(), limits.unit) == ([-2, -2], [2, 2], "V")


def test_variables_of_two_kinds_are_set_in_units_of_their_groups(pvs):
    groups = {"volts": Group(first=0, last=0, scale=2.0), "bias": Group(first=1, last=1, scale=4.0, centre=10.0)}
    with opened(from_epics([pvs["left"], pvs["bias"]], pvs["cost"], groups=groups)) as guarded:
        guarded.set_parameters(np.array([-0.5, 0.5]))
        assert (pvs["left"].get(use_monitor=False), pvs["bias"].get(use_monitor=False)) == (-1.0, 12.0)
        with pytest.raises(LimitError, match=r"1 \(bias\) would be set to 22 mA, outside its limits of 0 … 20 mA"):
            guarded.set_parameters(np.array([0.0, 3.0]))
        with pytest.raises(LimitError, match=r"0 \(volts\) would be set to 3 V, outside its limits of -2 … 2 V"):
            guarded.set_parameters(np.array([1.5, 0.0]))
    assert (pvs["left"].get(use_monitor=False), pvs["bias"].get(use_monitor=False)) == (0.0, 10.0)


def test_without_control_limits_they_must_be_given(pvs):
    with pytest.raises(ValueError, match="epics does not say which range mgd:bare has: give limits="):
        from_epics([pvs["bare"]], pvs["cost"])
    assert from_epics([pvs["bare"]], pvs["cost"], limits=Limits.uniform(1, -1.0, 1.0)).n_params == 1


def test_limits_of_a_display_are_no_limits_of_what_it_takes(pvs):
    with pytest.raises(ValueError, match="epics does not say which range mgd:shown has: give limits="):
        from_epics([pvs["shown"]], pvs["cost"])


def test_a_precision_is_of_what_is_shown_and_not_of_what_is_set_or_read(pvs):
    chip = from_epics([pvs["rounded"]], pvs["rounded"])
    assert -0.3 <= float(chip.limits.low[0]) < float(chip.limits.high[0]) <= 0.3
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([0.123456]))
        assert guarded.measure_cost() == pytest.approx(0.123456, rel=1e-6)


@pytest.mark.parametrize(("name", "kind"), [("steps", "(long|int)"), ("one_of", "enum")])
def test_one_of_whole_numbers_is_refused(pvs, name, kind):
    cost, limits = pvs["cost"], Limits.uniform(1, 0.0, 1.0)
    words = f"mgd:{name} does not take 0, which is within its limits .*TypeError: it is of type {kind}"
    if name == "steps":
        with pytest.raises(ValueError, match=words):
            from_epics([pvs[name]], cost)
    with pytest.raises(HardwareError, match=words), opened(from_epics([pvs[name]], cost, limits=limits)):
        pytest.fail("it was opened")


def test_limits_wider_than_the_control_limits_are_refused_when_it_opens(pvs):
    """A record would cut off what is beyond them, without a word."""
    chip = from_epics([pvs["bare"], pvs["left"]], pvs["cost"], limits=Limits.uniform(2, -5.0, 5.0, "V"))
    words = "mgd:left takes -2 … 2 V, and its limits are -5 … 5: narrow the limits"
    with pytest.raises(HardwareError, match=words) as wide, opened(chip):
        pytest.fail("it was opened")
    assert not wide.value.passing


def test_a_waveform_is_the_outputs(pvs):
    with opened(from_epics([pvs["left"], pvs["right"]], pvs["outputs"], reads="outputs")) as guarded:
        guarded.present(np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32))
        guarded.set_parameters(np.array([0.5, -1.5]))
        assert guarded.read_outputs().tolist() == [[0.5, -1.5]]


@pytest.mark.long
def test_one_that_is_nowhere_is_told():
    with pytest.raises(HardwareError, match="mgd:nowhere is not connected after") as error:
        from_epics([epics.PV("mgd:nowhere")], lambda: 0.0, timeout_seconds=0.1)
    assert error.value.passing


@pytest.mark.long
def test_a_server_that_starts_anew_is_told_and_one_that_dies(start, server, pvs):
    """It ends the server, as the test after it does. One that starts again answers, with other values than were set."""
    chip = from_epics([pvs["left"], pvs["right"]], pvs["cost"], timeout_seconds=3.0)
    chip.set_parameters(np.ones(2, np.float32))
    server.kill()
    server.wait()
    again = start()
    while pvs["left"].connected and again.poll() is None:
        time.sleep(0.01)
    for pv in pvs.values():
        assert pv.wait_for_connection(timeout=60), pv.pvname
    with pytest.raises(
        HardwareError, match="mgd:left could not be reached after it was set: check its connection"
    ) as lost:
        chip.measure_cost()
    chip.set_parameters(np.ones(2, np.float32))
    assert chip.measure_cost() == 1

    again.kill()
    again.wait()
    # The client may take a put for done whose connection ended on the way; it says so before the cost is read.
    unread = r"reading mgd:cost(: it is not connected| gave nothing: check that it is connected)"
    told = r"setting mgd:(left|right) to 1 V: (it is not connected|no answer)|" + unread

    def put_and_get() -> None:
        chip.set_parameters(np.ones(2, np.float32))
        chip.measure_cost()

    with pytest.raises(HardwareError, match=told) as put:
        put_and_get()
    with pytest.raises(HardwareError, match=unread) as got:
        chip.measure_cost()
    assert lost.value.passing
    assert put.value.passing
    assert got.value.passing


@pytest.mark.slow
def test_signals_of_ophyd_whose_server_started_anew_are_told(start, server):
    ophyd = pytest.importorskip("ophyd", reason="ophyd is not installed")
    ophyd.set_cl("pyepics")
    server.kill()
    server.wait()
    ioc = start()
    signals = [ophyd.EpicsSignal(f"mgd:{name}", name=name) for name in ("left", "right")]
    cost = ophyd.EpicsSignalRO("mgd:cost", name="cost")
    for signal in (*signals, cost):
        signal.wait_for_connection(timeout=60)
    chip = from_ophyd(signals, cost)
    assert (chip.limits.low.tolist(), chip.limits.high.tolist(), chip.limits.unit) == ([-2, -2], [2, 2], "V")
    chip.set_parameters(np.ones(2, np.float32))
    assert chip.measure_cost() == 1

    ioc.kill()
    ioc.wait()
    start()
    while signals[0].connected:
        time.sleep(0.01)
    for signal in (*signals, cost):
        signal.wait_for_connection(timeout=60)
    with pytest.raises(HardwareError, match="left could not be reached after it was set: check its connection") as lost:
        chip.measure_cost()
    assert lost.value.passing
    chip.set_parameters(np.ones(2, np.float32))
    assert chip.measure_cost() == 1
