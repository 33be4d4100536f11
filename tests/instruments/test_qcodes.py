"""QCoDeS parameters as a chip, with QCoDeS itself."""

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import Identity, Limits, from_qcodes, opened

pytest.importorskip("qcodes", reason="QCoDeS is not installed")

from qcodes.instrument import Instrument
from qcodes.parameters import ManualParameter, Parameter
from qcodes.validators import Ints, Numbers


class Rack(Instrument):
    """Two sources and a cost that they make."""

    def __init__(self):
        super().__init__("rack")
        for name in ("left", "right"):
            self.add_parameter(
                name, parameter_class=ManualParameter, initial_value=0.0, unit="V", vals=Numbers(-1.0, 0.1)
            )
        self.add_parameter("cost", get_cmd=lambda: (self.left() - 0.05) ** 2 + self.right() ** 2)

    def get_idn(self):
        return {"vendor": "house", "model": "rack", "serial": "R7", "firmware": None}


@pytest.fixture
def rack():
    made = Rack()
    yield made
    made.close()


def test_parameters_are_set_and_the_cost_is_read(rack):
    chip = from_qcodes([rack.left, rack.right], rack.cost)
    assert chip.address == "qcodes rack_left … rack_right (2)"
    with opened(chip, serial="R7") as guarded:
        guarded.set_parameters(np.array([0.05, -0.5]))
        assert (rack.left(), rack.right()) == (pytest.approx(0.05), -0.5)
        assert guarded.measure_cost() == pytest.approx(0.25)
    assert chip.identify() == Identity("house", "rack", "R7")


def test_limits_are_those_of_the_validators_and_within_them(rack):
    limits = from_qcodes([rack.left, rack.right], rack.cost).limits
    assert limits.unit == "V"
    assert limits.low.tolist() == [-1.0, -1.0]
    assert limits.high == pytest.approx([0.1, 0.1], rel=1e-7)
    assert (limits.high.astype(float) <= 0.1).all()  # which float32's nearest to 0.1 is not
    rack.left(float(limits.high[0]))


@pytest.mark.parametrize("vals", [None, Numbers(), Numbers(min_value=0.0)])
def test_without_a_range_limits_must_be_given(vals):
    bare = ManualParameter("bare", initial_value=0.0, vals=vals)
    with pytest.raises(ValueError, match="qcodes does not say which range bare has: give limits="):
        from_qcodes([bare], lambda: 0.0)
    assert from_qcodes([bare], lambda: 0.0, limits=Limits.uniform(1, 0.0, 1.0)).n_params == 1


def test_what_a_validator_refuses_is_told_with_name_and_value(rack):
    chip = from_qcodes([rack.left, rack.right], rack.cost, limits=Limits.uniform(2, -5.0, 5.0, "V"))
    with opened(chip) as guarded:
        with pytest.raises(
            HardwareError, match=r"setting rack_right to 0.5 V raised ValueError: .*narrow the"
        ) as error:
            guarded.set_parameters(np.array([0.0, 0.5]))
        guarded.set_parameters(np.array([0.0, 0.0]))
    assert not error.value.passing
    assert str(error.value).startswith("qcodes rack_left … rack_right (2): ")


def test_a_parameter_of_whole_numbers_refuses_others():
    steps = ManualParameter("steps", initial_value=0, vals=Ints(0, 255))
    chip = from_qcodes([steps], lambda: 0.0, safe_state=lambda: steps(0))
    assert chip.limits.high.tolist() == [255.0]
    with opened(chip) as guarded, pytest.raises(HardwareError, match=r"setting steps to 1.5 raised TypeError"):
        guarded.set_parameters(np.array([1.5]))


@pytest.mark.parametrize(
    ("error", "passing"), [(TimeoutError("no reply"), True), (OSError("line lost"), True), (KeyError("typo"), False)]
)
def test_a_readout_that_fails_is_a_failure_of_the_chip(rack, error, passing):
    def fail():
        raise error

    broken = Parameter("broken", get_cmd=fail)
    words = f"reading broken raised {type(error).__name__}"
    with opened(from_qcodes([rack.left], broken)) as guarded, pytest.raises(HardwareError, match=words) as told:
        guarded.measure_cost()
    assert told.value.passing is passing


@pytest.mark.parametrize(("reply", "words"), [("a lot", "gave 'a lot', which is no number"), ([1, 2], "2 numbers")])
def test_a_reading_that_is_no_cost_is_told(rack, reply, words):
    cost = Parameter("cost", get_cmd=lambda: reply)
    with opened(from_qcodes([rack.left], cost)) as guarded, pytest.raises(HardwareError, match=words):
        guarded.measure_cost()


def test_outputs_may_be_read_and_inputs_presented(rack):
    shown = []
    outputs = Parameter("outputs", get_cmd=lambda: [rack.left(), rack.right(), 1.0, 2.0])
    present = lambda x, target: shown.append(x.tolist())
    with opened(from_qcodes([rack.left, rack.right], outputs, reads="outputs", present=present)) as guarded:
        guarded.present(np.ones((2, 3), np.float32), np.zeros((2, 2), np.float32))
        guarded.set_parameters(np.array([-0.25, 0.0]))
        assert guarded.read_outputs().tolist() == [[-0.25, 0.0], [1.0, 2.0]]
    assert shown == [[[1, 1, 1], [1, 1, 1]]]


def test_with_no_parameters_it_is_refused():
    with pytest.raises(ValueError, match="a chip needs parameters, got no qcodes objects"):
        from_qcodes([], lambda: 0.0)
