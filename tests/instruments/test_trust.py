"""No wrong number is learnt in silence, from chips that give anything to check by: cases of benchmarks/faults.py."""

import functools
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import Limits, from_callables, from_qcodes, opened

_SPEC = importlib.util.spec_from_file_location("faults", Path(__file__).parents[2] / "benchmarks" / "faults.py")
assert _SPEC is not None
assert _SPEC.loader is not None
faults = importlib.util.module_from_spec(_SPEC)
sys.modules["faults"] = faults
_SPEC.loader.exec_module(faults)


@functools.cache
def without_faults(kind: str):
    """What a run of a kind comes to."""
    return faults.train(faults.KINDS[kind])


CHECKED = ("counter", "read-back", "text", "one a message", "sums", "batches", "several", "own functions")
CASES = [f"{kind}, {fault}" for kind in CHECKED for fault in ("doubled", "late", "reset")]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.long
@pytest.mark.enough(
    "counter, doubled", "own functions, late", "several, reset", "batches, doubled", "one a message, reset"
)
def test_where_there_is_something_to_check_by_nothing_wrong_is_learnt(case):
    kind, fault = case.split(", ")
    quiet = without_faults(kind)
    some = (faults.train(faults.KINDS[kind], fault, seed, faults.MANY / quiet.messages) for seed in range(1, 9))
    found = next(each for each in some if each.faults)
    assert (quiet.wrong, found.wrong, found.error) == (0, 0, "")
    assert found.theta.tobytes() == quiet.theta.tobytes()
    assert found.largest <= 10


@pytest.mark.long
def test_where_there_is_nothing_to_check_by_wrong_costs_are_learnt():
    """Which shows that the campaign would find them."""
    quiet = without_faults("nothing")
    assert faults.train(faults.KINDS["nothing"], "doubled", 1, faults.MANY / quiet.messages).wrong > 0


@pytest.mark.long
def test_an_overload_is_asked_again_and_a_stuck_readout_is_warned_of():
    quiet = without_faults("counter")
    found = faults.train(faults.KINDS["counter"], "overload", 1, faults.MANY / quiet.messages)
    assert (found.wrong, found.error) == (0, "")
    assert found.theta.tobytes() == quiet.theta.tobytes()
    stuck = faults.train(faults.KINDS["counter"], "stuck", 1, faults.MANY / quiet.messages)
    assert (stuck.faults, stuck.warned) == (1, True)
    assert stuck.wrong <= faults.STUCK


def lab(identify=lambda: "S1", **settings):
    """A lab's functions, with a read-back of what was set."""
    state = {"theta": np.zeros(2, np.float32)}
    chip = from_callables(
        set_parameters=lambda theta: state.update(theta=theta),
        measure_cost=lambda: 0.5,
        limits=Limits.uniform(2, -1.0, 1.0, "V"),
        identify=identify,
        read_parameters=lambda: state["theta"],
        **settings,
    )
    return state, chip


def test_functions_that_read_back_show_a_reset():
    state, chip = lab(verify_within=1e-3)
    assert chip.may_slip
    with opened(chip) as guarded:
        guarded.make_sure()  # nothing was set yet
        guarded.set_parameters(np.array([0.5, -0.5]))
        state["theta"] = np.array([0.5005, -0.5], np.float32)
        guarded.make_sure()
        state["theta"] = np.zeros(2, np.float32)
        with pytest.raises(
            HardwareError, match=r"read_parameters gave 0 for parameter 0, which was set to 0\.5: the chip was reset"
        ) as raised:
            guarded.set_parameters(np.array([0.25, 0.25]))
        assert raised.value.passing


def test_functions_that_identify_show_a_reply_to_another_query():
    replies = iter(["S1", "S1", "0.125"])
    _, chip = lab(identify=lambda: next(replies))
    with opened(chip) as guarded:
        guarded.make_sure()
        with pytest.raises(HardwareError, match=r"its identify gave .*0\.125.* a reply belongs to another query"):
            guarded.make_sure()


@pytest.mark.parametrize("within", [-1.0, np.nan, 1e7])
def test_verify_within_that_is_no_distance_is_refused(within):
    with pytest.raises(ValueError, match="verify_within must be from 0 to 1e6"):
        lab(verify_within=within)


class Parameter:
    """A settable and gettable parameter."""

    unit, gettable = "V", True

    def __init__(self, name: str):
        self.full_name, self.value = name, 0.0

    def set(self, value: float) -> None:
        self.value = value

    def get(self) -> float:
        return self.value


def test_lines_of_a_control_system_are_read_back_if_asked_for():
    lines = [Parameter("dac_ch1"), Parameter("dac_ch2")]
    limits = Limits.uniform(2, -1.0, 1.0)
    assert not from_qcodes(lines, lambda: 0.5, limits=limits, address="one").may_slip
    with opened(from_qcodes(lines, lambda: 0.5, limits=limits, verify_within=1e-6, address="two")) as guarded:
        guarded.set_parameters(np.array([0.5, -0.5]))
        guarded.make_sure()
        lines[1].value = 0.0
        with pytest.raises(HardwareError, match=r"read_parameters gave 0 for parameter 1, which was set to -0\.5"):
            guarded.make_sure()
    lines[0].get = lambda: "off"  # pyright: ignore[reportAttributeAccessIssue]
    unreadable = from_qcodes(lines, lambda: 0.5, limits=limits, verify_within=1e-6, address="three")
    with pytest.raises(HardwareError, match="dac_ch1 cannot be read back: leave verify_within out"), opened(unreadable):
        pass
