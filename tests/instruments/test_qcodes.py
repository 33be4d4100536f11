"""QCoDeS parameters as a chip, with QCoDeS itself."""

import numpy as np
import pytest

from mgd import HardwareError, LimitError
from mgd.instruments import Group, Identity, Limits, from_qcodes, opened

pytest.importorskip("qcodes", reason="QCoDeS is not installed")

from qcodes.instrument import Instrument
from qcodes.parameters import (
    DelegateGroup,
    DelegateGroupParameter,
    DelegateParameter,
    GroupedParameter,
    ManualParameter,
    Parameter,
    ScaledParameter,
)
from qcodes.validators import (
    Arrays,
    Enum,
    Ints,
    Multiples,
    MultiType,
    Numbers,
    PermissiveInts,
    PermissiveMultiples,
    Strings,
)


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


def test_a_scaled_view_and_a_current_are_set_in_units_of_their_groups():
    source = Parameter("dac", set_cmd=lambda volts: None, unit="V", vals=Numbers(-1.0, 1.0), initial_cache_value=0.0)
    source.add_validator(Numbers(-0.5, 2.0))
    gate = DelegateParameter("gate", source=source, unit="mV", scale=1e-3, vals=Numbers(-2000, 300))
    gate.add_validator(Numbers(-1000, 1000))
    bias = ManualParameter("bias", unit="mA", vals=MultiType(Numbers(0, 20), Numbers(1, 40), combiner="AND"))
    limits = from_qcodes([gate, bias], lambda: 0.0).limits
    assert (limits.ends(0), limits.ends(1), limits.unit) == ("-500 … 300 mV", "1 … 20 mA", "")
    groups = {"gates": Group(first=0, last=0, unit="mV", scale=100.0), "bias": Group(first=1, last=1, scale=4.0)}
    with opened(from_qcodes([gate, bias], lambda: 0.0, groups=groups)) as guarded:
        guarded.set_parameters(np.array([-2.0, 3.0]))
        assert (source.cache.get(), bias()) == (pytest.approx(-0.2), 12.0)
        with pytest.raises(
            LimitError, match=r"0 \(gates\) would be set to 400 mV, outside its limits of -500 … 300 mV"
        ):
            guarded.set_parameters(np.array([4.0, 3.0]))
    assert (source.cache.get(), bias()) == (pytest.approx(-0.1), pytest.approx(10.5))  # the middle of its range
    with pytest.raises(ValueError, match=r"gates\.unit is 'V', and the unit of its limits is 'mV': give it once"):
        from_qcodes([gate, bias], lambda: 0.0, groups={"gates": Group(first=0, last=0, unit="V")})


@pytest.mark.parametrize("vals", [None, Numbers(), Numbers(min_value=0.0)])
def test_without_a_range_limits_must_be_given(vals):
    bare = ManualParameter("bare", initial_value=0.0, vals=vals)
    with pytest.raises(ValueError, match="qcodes does not say which range bare has: give limits="):
        from_qcodes([bare], lambda: 0.0)
    assert from_qcodes([bare], lambda: 0.0, limits=Limits.uniform(1, 0.0, 1.0)).n_params == 1


def test_what_a_validator_refuses_is_told_with_name_and_value(rack):
    rack.right.vals = Numbers(-1.0, 1.0)
    chip = from_qcodes([rack.left, rack.right], rack.cost, limits=Limits.uniform(2, -1.0, 0.05, "V"))
    with opened(chip) as guarded:
        rack.right.vals = Numbers(-1.0, 0.01)
        with pytest.raises(
            HardwareError, match=r"setting rack_right to 0.05 V raised ValueError: .*narrow the"
        ) as error:
            guarded.set_parameters(np.array([0.0, guarded.limits.high[1]]))
        guarded.set_parameters(np.array([0.0, 0.0]))
    assert not error.value.passing
    assert str(error.value).startswith("qcodes rack_left … rack_right (2): ")


@pytest.mark.parametrize(
    "vals",
    [
        *(Ints(0, 255), PermissiveInts(0, 255), Multiples(5, min_value=0, max_value=255), Enum(0.0, 1.0, 255.0)),
        *(PermissiveMultiples(0.5), Arrays(min_value=0.0, max_value=255.0), Strings()),
        MultiType(Numbers(0, 255), Multiples(5), combiner="AND"),
    ],
)
@pytest.mark.parametrize("limits", [None, Limits.uniform(1, 0.0, 255.0)])
def test_a_parameter_that_takes_some_numbers_alone_is_refused(vals, limits):
    steps = ManualParameter("steps", vals=vals)
    with pytest.raises(ValueError, match=r"qcodes (steps does not take .*: training may set|does not say which)"):
        from_qcodes([steps], lambda: 0.0, limits=limits)


def test_a_view_may_round_what_it_is_set_to():
    steps = ManualParameter("steps", initial_value=0, vals=Ints(0, 255))
    rounded = DelegateParameter("rounded", source=steps, set_parser=round)
    with pytest.raises(ValueError, match="does not say which range rounded has"):
        from_qcodes([rounded], lambda: 0.0)
    chip = from_qcodes([rounded], lambda: 0.0, limits=Limits.uniform(1, 0.0, 255.0))
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([1.6]))
        assert steps() == 2


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


@pytest.mark.parametrize(("reply", "words"), [("a lot", "gave 'a lot', which is not a number"), ([1, 2], "2 numbers")])
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


class Source(Parameter):
    """A source that keeps the values it was set to."""

    def __init__(self, low: float, high: float, unit: str = "V", **more):
        self.sent: list[float] = []
        super().__init__("source", set_cmd=self.sent.append, unit=unit, vals=Numbers(low, high), **more)


def scaled(of: Parameter, name: str = "gate", **how) -> DelegateParameter:
    return DelegateParameter(name, source=of, **how)


VIEWS = {
    "mV of V": (lambda: scaled(Source(-1, 1), scale=1e-3), -1000, 1000),
    "V of mV": (lambda: scaled(Source(-800, 400, "mV"), scale=1e3), -0.8, 0.4),
    "turned round": (lambda: scaled(Source(-0.25, 1), scale=-0.5), -2, 0.5),
    "with an offset": (lambda: scaled(Source(-1, 1), scale=2.0, offset=0.5), -0.75, 0.25),
    "an offset alone": (lambda: scaled(Source(-1, 1), offset=-0.5), -0.5, 1.5),
    "neither": (lambda: scaled(Source(-1, 1)), -1, 1),
    "a view of a view": (lambda: scaled(scaled(Source(-1, 1), "inner", scale=1e-3), scale=0.1), -1e4, 1e4),
    "a tighter validator of its own": (lambda: scaled(Source(-1, 1), scale=1e-3, vals=Numbers(-50, 2000)), -50, 1000),
    "a source with a scale of its own": (lambda: scaled(Source(-4, 4, scale=10.0), scale=2.0), -2, 2),
    "scale and validator of a plain one": (lambda: Source(-4, 4, scale=10.0, offset=1.0), -4, 4),
    "a divider": (lambda: ScaledParameter(Source(-1, 1, get_cmd=lambda: 0.0), division=10), -0.1, 0.1),
    "an amplifier": (lambda: ScaledParameter(Source(-1, 1, get_cmd=lambda: 0.0), gain=10), -10, 10),
    "both of two validators": (
        lambda: ManualParameter("gate", vals=MultiType(Numbers(-3, 1), Numbers(-2, 5), combiner="AND")),
        -2,
        1,
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_the_range_of_a_view_is_that_of_what_it_sets(name):
    make, low, high = VIEWS[name]
    limits = from_qcodes([make()], lambda: 0.0).limits
    assert limits.low[0] == pytest.approx(low, rel=3e-7)
    assert limits.high[0] == pytest.approx(high, rel=3e-7)
    assert low <= float(limits.low[0])
    assert float(limits.high[0]) <= high


def test_of_several_validators_the_tightest_counts():
    gate = ManualParameter("gate", vals=Numbers(-3, 1))
    gate.add_validator(Numbers(-2, 5))
    assert from_qcodes([gate], lambda: 0.0).limits.low.tolist() == [-2]
    gate.add_validator(Numbers(-10, 0.5))
    assert from_qcodes([gate], lambda: 0.0).limits.high.tolist() == [0.5]


def test_limits_wider_than_a_validator_are_refused_before_anything_is_opened():
    gate = scaled(Source(-1, 1), scale=1e-3, unit="mV")
    with pytest.raises(ValueError, match=r"qcodes gate takes -1000 … 1000 mV, and its limits are -5000 … 5000: narrow"):
        from_qcodes([gate], lambda: 0.0, limits=Limits.uniform(1, -5000.0, 5000.0))


def test_the_safe_state_of_a_view_is_within_its_source():
    below = Source(-800, 400, "mV")
    with opened(from_qcodes([scaled(below, scale=1e3, unit="V")], lambda: 0.0)) as guarded:
        guarded.set_parameters(np.array([0.3]))
    assert below.sent == pytest.approx([300, -200], rel=1e-6)


def test_a_group_sets_all_that_are_in_it():
    one, other = Source(-1, 1, initial_cache_value=0.0), Source(-0.5, 4, initial_cache_value=0.0)
    members = [DelegateGroupParameter("one", source=one), DelegateGroupParameter("other", source=other)]
    gates = GroupedParameter("gates", group=DelegateGroup("both", parameters=members))
    chip = from_qcodes([gates], lambda: 0.0)
    assert (chip.limits.low[0], chip.limits.high[0]) == (-0.5, 1.0)
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([0.75]))
    assert one.sent == other.sent == [0.75, 0.25]


def test_a_group_whose_range_cannot_be_known_needs_limits():
    members = [DelegateGroupParameter("one", source=Source(-1, 1, initial_cache_value=0.0), scale=10.0)]
    gates = GroupedParameter("gates", group=DelegateGroup("both", parameters=members))
    with pytest.raises(ValueError, match="qcodes does not say which range gates has"):
        from_qcodes([gates], lambda: 0.0)


def test_one_that_cannot_be_set_is_refused():
    with pytest.raises(ValueError, match=r"qcodes meter does not take .*it cannot be set"):
        from_qcodes([Parameter("meter", get_cmd=lambda: 0.0, vals=Numbers(0, 1))], lambda: 0.0)
