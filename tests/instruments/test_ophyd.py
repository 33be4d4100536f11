"""Ophyd signals as a chip, with ophyd itself."""

import os

import numpy as np
import pytest

from mgd import HardwareError, LimitError
from mgd.instruments import Group, Limits, from_ophyd, opened

# Its signals here need no client of EPICS, which test_epics sets up for itself.
os.environ["OPHYD_CONTROL_LAYER"] = "dummy"
ophyd = pytest.importorskip("ophyd", reason="ophyd is not installed")

from ophyd.sim import SynAxis, SynSignal  # noqa: E402

LIMITS = Limits.uniform(2, -2.0, 2.0, "mm")


@pytest.fixture
def axes():
    return [SynAxis(name="left"), SynAxis(name="right")]


@pytest.fixture
def cost(axes):
    return SynSignal(func=lambda: sum((axis.position - 1) ** 2 for axis in axes), name="cost")


def test_signals_are_set_and_the_cost_is_triggered_and_read(axes, cost):
    with opened(from_ophyd(axes, cost, limits=LIMITS)) as guarded:
        guarded.set_parameters(np.array([1.0, -1.0]))
        assert [axis.position for axis in axes] == [1.0, -1.0]
        assert guarded.measure_cost() == 4.0
        guarded.set_parameters(np.array([1.0, 1.0]))
        assert guarded.measure_cost() == 0.0
    assert [axis.position for axis in axes] == [0.0, 0.0]


def test_axes_of_two_kinds_are_set_in_units_of_their_groups(axes, cost):
    groups = {
        "stage": Group(first=0, last=0, unit="mm", scale=0.5, ramp_per_second=40.0),
        "bias": Group(first=1, last=1, unit="mA", low=0.0, scale=4.0),
    }
    limits = Limits(np.array([-2.0, -1.0]), np.array([2.0, 20.0]))
    chip = from_ophyd(axes, cost, limits=limits, groups=groups)
    assert (chip.ramp_seconds, chip.leave_seconds) == (pytest.approx(0.1), pytest.approx(120.1))
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([-2.0, 3.0]))
        assert [axis.position for axis in axes] == [-1.0, 12.0]
        with pytest.raises(LimitError, match=r"1 \(bias\) would be set to -4 mA, outside its limits of 0 … 20 mA"):
            guarded.set_parameters(np.array([0.0, -1.0]))
    assert [axis.position for axis in axes] == [0.0, 10.0]


def test_they_are_waited_for_all_together(cost):
    sent = []

    class Together(ophyd.Signal):
        """One that arrives when all four have been sent."""

        def set(self, value):
            self.put(value)
            sent.append(ophyd.status.Status(self))
            if len(sent) == 4:
                for status in sent:
                    status.set_finished()
            return sent[-1]

    slow = [Together(name=name, value=0.0) for name in ("a", "b", "c", "d")]
    chip = from_ophyd(slow, lambda: 0.0, limits=Limits.uniform(4, -2.0, 2.0))
    chip.set_parameters(np.ones(4, np.float32))
    assert [axis.get() for axis in slow] == [1.0] * 4


def test_one_that_does_not_arrive_is_told(axes):
    axes[1].delay = 5.0
    chip = from_ophyd(axes, lambda: 0.0, limits=LIMITS, timeout_seconds=0.05)
    with pytest.raises(HardwareError, match=r"setting right to 1.5 mm raised WaitTimeoutError: ") as error:
        chip.set_parameters(np.array([0, 1.5]))
    assert error.value.passing
    assert str(error.value).startswith(chip.address)


def test_limits_are_those_of_the_signals():
    class Limited(ophyd.Signal):
        @property
        def limits(self):
            return (-3.0, 5.0)

    chip = from_ophyd([Limited(name="bias", value=0.0, metadata={"units": "mV"})], lambda: 0.0)
    assert (chip.limits.low.tolist(), chip.limits.high.tolist(), chip.limits.unit) == ([-3.0], [5.0], "mV")
    assert chip.address == "ophyd bias"


def test_without_limits_they_must_be_given():
    with pytest.raises(ValueError, match="ophyd does not say which range bare has"):
        from_ophyd([ophyd.Signal(name="bare", value=0.0)], lambda: 0.0)


@pytest.mark.parametrize("ends", [(0, 0), (1.0, 1.0), (2.0, -2.0), (None, None), (0.0, np.nan), (-np.inf, np.inf)])
def test_the_same_limit_twice_and_the_like_are_no_limits(ends):
    class Limited(ophyd.Signal):
        limits = ends

    with pytest.raises(ValueError, match="ophyd does not say which range bias has"):
        from_ophyd([Limited(name="bias", value=0.0)], lambda: 0.0)


class Setpoint(ophyd.Signal):
    limits = (-1.0, 2.0)


class Stage(ophyd.PVPositioner):
    setpoint = ophyd.Component(Setpoint, value=0.0)
    done = ophyd.Component(ophyd.Signal, value=1)


@pytest.mark.parametrize(
    ("own", "due"),
    [(None, (-1, 2)), ((-0.5, 8.0), (-0.5, 2)), ((0, 0), (-1, 2)), ((-0.25, 0.75), (-0.25, 0.75))],
)
def test_of_a_positioner_the_tighter_limits_count(own, due):
    stage = Stage("stage", name="stage", limits=own, egu="mm")
    limits = from_ophyd([stage], lambda: 0.0).limits
    assert (limits.low[0], limits.high[0], limits.unit) == (*due, "mm")


def test_limits_wider_than_a_signal_takes_are_refused_when_it_opens():
    stage = Stage("stage", name="stage", limits=(-0.5, 0.5))
    chip = from_ophyd([stage], lambda: 0.0, limits=Limits.uniform(1, -2.0, 2.0))
    with (
        pytest.raises(HardwareError, match=r"stage takes -0\.5 … 0\.5, and its limits are -2 … 2: narrow"),
        opened(chip),
    ):
        pytest.fail("it was opened")


def test_a_plain_signal_is_set_and_read():
    bias = ophyd.Signal(name="bias", value=0.0)
    chip = from_ophyd([bias], bias, limits=Limits.uniform(1, -2.0, 2.0))
    chip.set_parameters(np.array([0.5], np.float32))
    assert chip.measure_cost() == 0.5
