"""Parameters of different kinds: what groups refuse, and what θ of theirs comes to on the chip."""

import itertools
import threading
import time

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd.engines import Data, Fleet, Instrumented
from mgd.instruments import Group, Guarded, Limits, Scpi, from_callables, in_groups, opened
from mgd.runs import Table

LOW, HIGH = np.array([-5.0, -5.0, 0.0]), np.array([5.0, 5.0, 20.0])
TWO_KINDS = {
    "heaters": Group(first=0, last=1, unit="V", scale=2.5),
    "bias": Group(first=2, last=2, unit="mA", scale=4.0, centre=10.0),
}
SCPI = {"kind": "scpi", "resource": "TCPIP0::127.0.0.1::9::SOCKET", "n_params": 3, "binary": False}
WORDS = {"limits": "", "perturb": "", "batch": ""}


def lab(limits: Limits | None = None, **more) -> tuple[mgd.instruments.AbstractInstrument, list[list[float]]]:
    """A chip of a lab's functions whose cost is a sum of squares, and what it was set to."""
    sent: list[list[float]] = []
    verbs = {"set_parameters": lambda v: sent.append(v.tolist()), "measure_cost": lambda: float(np.sum(sent[-1]) ** 2)}
    return from_callables(limits=limits or Limits(LOW, HIGH), **{**verbs, **more}), sent


def test_theta_stands_for_values_in_the_units_of_their_groups():
    chip, sent = lab(groups=TWO_KINDS)
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([1.0, -1.0, 0.5]))
        assert sent[-1] == [2.5, -2.5, 12.0]
        with pytest.raises(
            mgd.LimitError, match=r"parameter 2 \(bias\) would be set to 22 mA, outside its limits of 0 … 20 mA"
        ):
            guarded.set_parameters(np.array([1.0, -1.0, 3.0]))
        assert guarded.limits.unit == ""
        assert guarded.limits.ends(0) == "-5 … 5 V"
    assert sent[-1] == [0.0, 0.0, 10.0]  # the safe state: the middle of the lab's own limits


@pytest.mark.parametrize("scale", [1e-6, 0.0313, 3.7, 1e5])
@pytest.mark.parametrize("centre", [0.0, 0.3, -17.0])
def test_no_theta_within_its_limits_is_a_value_outside_of_the_chips(scale, centre):
    limits = Limits(centre + np.array([-0.3, -7.1]), centre + np.array([0.1, 1e-3]))
    said: list[np.ndarray] = []
    chip, _ = lab(
        limits,
        set_parameters=said.append,
        perturb=said.append,
        groups={"all": Group(first=0, last=1, scale=scale, centre=centre)},
    )
    rng = np.random.default_rng(0)
    for end, other in ((chip.limits.low, chip.limits.high), (chip.limits.high, chip.limits.low)):
        chip.set_parameters(end)
        assert limits.low.tolist() <= said[-1].tolist() <= limits.high.tolist()
        for part in rng.uniform(0, 0.5, 20).astype(np.float32):  # a perturbation that brings θ to the end
            away = (end + part * (other - end)).astype(np.float32)
            chip.set_parameters(away)
            chip.perturb(end - away)
            total = said[-2].astype(np.float64) + said[-1]
            assert ((limits.low <= total) & (total <= limits.high)).all()


def test_what_is_given_to_none_changes_nothing():
    chip, sent = lab(groups={"heaters": Group(first=0, last=1, unit="V"), "bias": Group(first=2, last=2, unit="mA")})
    theta = np.array([0.1, -0.3, 0.7], np.float32)
    chip.set_parameters(theta)
    assert np.array(sent[-1], np.float32).tobytes() == theta.tobytes()
    assert (chip.limits.low == Limits(LOW, HIGH).low).all()


def test_batches_and_starts_are_in_the_same_units():
    rows: list[np.ndarray] = []

    def measure_batch(signals: np.ndarray) -> np.ndarray:
        rows.append(signals)
        return np.zeros(len(signals))

    chip, _ = lab(start=np.array([2.5, 0.0, 14.0]), measure_batch=measure_batch, groups=TWO_KINDS)
    assert chip.start is not None
    assert chip.start.tolist() == pytest.approx([1.0, 0.0, 1.0])
    chip.measure_batch(np.eye(3, dtype=np.float32))  # θ + θ̃, since there are no lines for θ̃
    assert rows[-1].tolist() == [[2.5, 0.0, 10.0], [0.0, 2.5, 10.0], [0.0, 0.0, 14.0]]
    chip, _ = lab(perturb=lambda v: None, measure_batch=measure_batch, groups=TWO_KINDS)
    chip.measure_batch(np.eye(3, dtype=np.float32))
    assert rows[-1].tolist() == [[2.5, 0.0, 0.0], [0.0, 2.5, 0.0], [0.0, 0.0, 4.0]]


def test_amplitudes_in_units_of_groups_make_scales():
    heaters, bias = {"first": 0, "last": 1, "unit": "V"}, {"first": 2, "last": 2, "unit": "mA"}
    groups = {"heaters": Group(**heaters, amplitude=0.1), "bias": Group(**bias, amplitude=0.3)}
    chip, sent = lab(groups=groups)
    chip.set_parameters(np.full(3, 0.05, np.float32))  # Δθ
    assert sent[-1] == pytest.approx([0.1, 0.1, 0.3])
    groups = {"heaters": Group(**heaters, amplitude=0.1, scale=5.0), "bias": Group(**bias, amplitude=0.3)}
    chip, sent = lab(groups=groups)
    units = chip.limits.units
    assert units is not None
    assert units.amplitude == pytest.approx(0.02)
    assert units.scale.tolist() == pytest.approx([5.0, 5.0, 15.0])


BAD = {
    "an unknown group": (
        {"heatrs": {"scale": 2.0}},
        r"groups\.heatrs: the instrument has no group of this name; give f",
    ),
    "an unknown key": ({"a": {"frist": 0}}, r"groups\.a: unknown setting 'frist': did you mean 'first'\?"),
    "no table": ({"a": 3}, r"instrument\.groups\.a must be a table, such as"),
    "first alone": ({"a": {"first": 0}}, r"groups\.a: give both first and last, got 0 and None"),
    "last below first": ({"a": {"first": 2, "last": 1}}, r"groups\.a: last must not be below first, got 1 and 2"),
    "a number of no parameter": ({"a": {"first": -1, "last": 1}}, r"groups\.a: first must be .* from 0 on, got -1"),
    "beyond the last": ({"a": {"first": 0, "last": 3}}, r"groups\.a\.last is 3, and the chip has parameters 0 to 2"),
    "in common": (
        {"a": {"first": 0, "last": 1}, "b": {"first": 1, "last": 2}},
        r"groups\.b: parameter 1 is also one of instrument\.groups\.a: let each parameter be in one group",
    ),
    "no scale": ({"a": {"first": 0, "last": 1, "scale": 0.0}}, r"groups\.a: scale must be above 0, got 0\.0"),
    "an infinite scale": (
        {"a": {"first": 0, "last": 1, "scale": 1e39}},
        r"groups\.a: scale must be finite, got 1e\+39",
    ),
    "too many scales": (
        {"a": {"first": 0, "last": 1, "scale": [1.0, 2.0, 3.0]}},
        r"groups\.a: scale has 3 numbers, and the group 2 parameters: give one, or as many",
    ),
    "text": ({"a": {"first": 0, "last": 1, "scale": "2 V"}}, r"groups\.a: scale must be a number, or a list .* '2 V'"),
    "truth": (
        {"a": {"first": 0, "last": 1, "scale": True}},
        r"groups\.a: scale must be a number, or a list .* got True",
    ),
    "two units": (
        {"a": {"first": 0, "last": 1, "unit": "A"}},
        r"groups\.a\.unit is 'A', and the unit of its limits is 'V': give it once",
    ),
    "limits twice": (
        {"a": {"first": 0, "last": 2, "low": -1, "high": 1}},
        r"groups\.a: low and high are given in \[instrument\.limits\] too: give them once",
    ),
    "limits turned round": ({"a": {"first": 0, "last": 1, "low": 1, "high": -1}}, r"groups\.a: low must be below high"),
    "amplitudes that contradict": (
        {
            "a": {"first": 0, "last": 1, "amplitude": 0.1, "scale": 2.0},
            "b": {"first": 2, "last": 2, "amplitude": 0.4, "scale": 2.0},
        },
        r"groups\.b: amplitude / scale is 0\.2, and in instrument\.groups\.a it is 0\.05",
    ),
    "an amplitude without room": (
        {"a": {"first": 0, "last": 1, "amplitude": 6.0}},
        r"groups\.a\.amplitude: 6 V to both sides has no room between the limits of parameter 0, -5 … 5 V: lower it",
    ),
    "a rate of nothing": (
        {"a": {"first": 0, "last": 1, "learning_rate": 0}},
        r"groups\.a: learning_rate must be above",
    ),
    "a time below 0": (
        {"a": {"first": 0, "last": 0, "settle_seconds": -1.0}},
        r"groups\.a: settle_seconds .* at least 0",
    ),
    "a tiny scale": (
        {"a": {"first": 0, "last": 0, "scale": 1e-20}},
        r"groups\.a: scale must be from 1e-12 to 1e12, got 1e-20",
    ),
    "days to settle": (
        {"a": {"first": 0, "last": 0, "settle_seconds": 1e6}},
        r"groups\.a: settle_seconds must be at most 10000, got 1000000\.0: it is in seconds",
    ),
    "a unit of two lines": (
        {"a": {"first": 0, "last": 0, "unit": "V\n"}},
        r"groups\.a: unit must be one line of printable text, got 'V\\n'",
    ),
    "no name": ({"": {"first": 0, "last": 0}}, r"the name of a group must be one line of printable text, got ''"),
    "a name of two lines": ({"a\nb": {"first": 0, "last": 0}}, r"the name of a group must be .*, got 'a\\nb'"),
    "a read-back of some": (
        {"a": {"first": 1, "last": 2, "verify_within": 0.1}},
        r"groups\.a\.verify_within needs groups that have every parameter: give first and last to all",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.usefixtures("as_users_call")
def test_what_cannot_be_is_refused_before_anything_is_opened(case, tmp_path):
    groups, words = BAD[case]
    limits = {"low": LOW.tolist(), "high": HIGH.tolist(), "unit": "V"}
    table = SCPI | {"limits": limits, "commands": WORDS, "groups": groups, "folder": str(tmp_path)}
    with pytest.raises(ValueError, match=words) as error:
        Table.of(table).load()
    assert "\n" not in str(error.value)


SOME = {"a": {"first": 0, "last": 1, "low": -1.0, "high": 1.0}, "b": {"first": 2, "last": 2}}
TABLES = {
    "of some groups": (SCPI, SOME, r"groups\.a: low and high need groups that have every parameter"),
    "of a chip that is asked": (
        SCPI | {"commands": {**WORDS, "limits": "LIM?"}},
        SOME,
        r"groups\.a: low and high need groups that have every parameter",
    ),
    "of more than there are": (
        SCPI,
        {"a": {"first": 0, "last": 3, "low": -1.0, "high": 1.0}},
        r"instrument\.n_params is 3, and instrument\.groups have parameters 0 to 3: give groups for all of them",
    ),
    "of functions": (
        {"kind": "callables", "build": "lab:chip"},
        SOME,
        r"groups\.a: low and high .* given in the limits of the instrument itself: leave them out",
    ),
    "read-back of functions": (
        {"kind": "callables", "build": "lab:chip"},
        {"a": {"first": 0, "last": 2, "verify_within": 0.1}},
        r"groups\.a\.verify_within is for one instrument of the kind scpi",
    ),
    "of several": (
        {"kind": "scpi", "dac": {"resource": "TCPIP0::127.0.0.1::9::SOCKET"}},
        {"dac": {"low": -1.0}},
        r"groups\.dac: low and high .* given in \[instrument\.NAME\.limits\]: leave them out",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_limits_of_groups_are_for_instruments_whose_limits_a_file_says(case):
    table, groups, words = TABLES[case]
    with pytest.raises(ValueError, match=words):
        Table.of({"commands": WORDS} | table | {"groups": groups}).load()


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (Group(first=1, last=2, high=[4.0, 30.0]), r"a\.high is 30, beyond the .* of parameter 2, 0 … 20 V: narrow it"),
        (Group(first=2, last=2, low=20.0), r"a: nothing is left between the limits of parameter 2, 20 and 20"),
    ],
)
def test_limits_of_a_group_are_within_those_of_the_lab(group, words):
    with pytest.raises(ValueError, match=words):
        lab(Limits(LOW, HIGH, "V"), groups={"a": group})


def test_the_safe_state_is_within_the_limits_of_groups():
    chip, sent = lab(groups={"a": Group(first=0, last=1, low=1.0, high=4.0), "b": Group(first=2, last=2)})
    with opened(chip):
        pass
    assert sent == [[2.5, 2.5, 10.0]]
    made, _ = lab()
    with pytest.raises(ValueError, match=r"a\.low is 1, and the .* of parameter 0 are -5 … 5: give it where the instr"):
        in_groups(made, {"a": Group(first=0, last=1, low=1.0)})


def test_an_unknown_group_names_the_nearest(make_chip):
    chip = make_chip()
    chip.groups = {"heaters": slice(0, 2), "bias": slice(2, 3)}
    with pytest.raises(ValueError, match=r"heatrs: the instrument has no group of this name: did you mean 'heaters'\?"):
        in_groups(chip, {"heatrs": Group(scale=2.0)})
    grouped = in_groups(chip, {"bias": Group(scale=2.0)})
    assert grouped.limits.high.tolist() == pytest.approx([2.0, 2.0, 1.0])
    assert dict(grouped.groups) == chip.groups


def test_what_only_the_open_chip_says_is_checked_then(make_chip):
    chip = make_chip()
    chip.declared = False
    grouped = in_groups(chip, {"all": Group(first=0, last=2, high=9.0)})
    with pytest.raises(
        ValueError, match=r"all\.high is 9, beyond the instrument's own limits of parameter 0, -2 … 2 V"
    ):
        grouped.open()
    assert chip.asked[-1] == "close"


def test_limits_and_read_back_of_all_groups_are_those_of_the_instrument():
    groups = {
        "bias": {"first": 2, "last": 2, "unit": "mA", "low": 0.0, "high": 20.0, "verify_within": 0.5},
        "heaters": {"first": 0, "last": 1, "unit": "V", "low": [-5.0, -4.0], "high": 5.0},
    }
    chip = Table.of(SCPI | {"commands": WORDS, "groups": groups}).load()
    assert (chip.limits.ends(1), chip.limits.ends(2)) == ("-4 … 5 V", "0 … 20 mA")
    assert isinstance(chip, mgd.instruments.Grouped)
    assert isinstance(chip.inner, Scpi)
    assert chip.inner.settings.verify_within == (0.0, 0.0, 0.5)
    assert chip.inner.declared


def test_each_group_is_read_back_as_well_as_it_can_be():
    held = [np.zeros(3)]
    groups = {"heaters": Group(first=0, last=1), "bias": Group(first=2, last=2, scale=2.0, verify_within=0.5)}
    off = np.zeros(3)
    chip, _ = lab(set_parameters=lambda v: held.__setitem__(0, v + off), read_parameters=lambda: held[0], groups=groups)
    off[:] = 0, 0, 0.4
    chip.set_parameters(np.ones(3, np.float32))
    off[:] = 0.1, 0, 0
    with pytest.raises(
        mgd.HardwareError, match=r"gave 1\.1\d* for parameter 0, which was set to 1: .*set verify_within"
    ):
        chip.set_parameters(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="verify_within is for parameters that are read back: give read_parameters"):
        lab(groups=groups)


class Clock:
    """A clock that only sleeping moves, that of this thread."""

    def __init__(self):
        self.now, self._asleep, self._mine = 100.0, time.sleep, threading.get_ident()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if threading.get_ident() == self._mine:
            self.now += seconds
        else:
            self._asleep(seconds)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    for name in ("monotonic", "sleep"):
        monkeypatch.setattr(time, name, getattr(made, name))
    return made


def test_only_what_was_changed_has_to_settle(clock):
    heaters, bias = Group(first=0, last=1, settle_seconds=2.0), Group(first=2, last=2)
    chip, _ = lab(settle_seconds=0.25, groups={"heaters": heaters, "bias": bias})
    assert chip.settle_seconds == 2.0
    for theta, seconds in (([1, 1, 1], 2.0), ([1, 1, 2], 0.25), ([1, 1, 2], 0.0), ([1, 2, 2], 2.0)):
        before = clock.now
        chip.set_parameters(np.array(theta, np.float32))
        chip.measure_cost()
        assert clock.now - before == pytest.approx(seconds)
    chip.set_parameters(np.array([2, 2, 2], np.float32))
    clock.sleep(0.5)
    chip.set_parameters(np.array([2, 2, 3], np.float32))  # which settles while the heaters go on
    before = clock.now
    chip.measure_cost()
    assert clock.now - before == pytest.approx(1.5)


@pytest.mark.parametrize("own_safe_state", [False, True])
def test_ramped_parameters_never_change_faster_than_they_may(clock, own_safe_state):
    put: list[tuple[float, np.ndarray]] = [(clock.now, np.zeros(3))]
    more = {"safe_state": lambda: put.append((clock.now, np.full(3, np.nan)))} if own_safe_state else {}
    chip, _ = lab(
        Limits(-HIGH, HIGH),
        set_parameters=lambda v: put.append((clock.now, v.astype(float))),
        groups={"heaters": Group(first=0, last=1, ramp_per_second=0.5), "bias": Group(first=2, last=2)},
        **more,
    )
    assert chip.ramp_seconds == 20.0  # from -5 V to 5 V
    assert chip.leave_seconds == 140.0
    with opened(chip) as guarded:
        for theta in ([1, -1, 5], [1.01, -1, 7], [0.99, -1, 7], [1.01, -1, 7], [-2, 2, 0]):
            guarded.set_parameters(np.array(theta, np.float32))
            assert put[-1][1].tolist() == pytest.approx(theta)
    if own_safe_state:
        assert np.isnan(put.pop()[1]).all()
    assert put[-1][1].tolist() == [0.0, 0.0, 0.0]
    # A step of the ramp is made at once, and is paid for in time before the next.
    for (before, old), (then, _), (_, new) in zip(put, put[1:], put[2:], strict=False):
        assert np.abs(new - old)[:2].max() <= 0.5 * (then - before) + 2 * 0.5 * 0.05 + 1e-6
    steps = [np.abs(new - old)[:2].max() for (_, old), (_, new) in itertools.pairwise(put)]
    assert max(steps) <= 0.5 * 0.05 + 1e-6
    assert clock.now - 100.0 == pytest.approx(sum(steps) / 0.5, abs=0.06)


@pytest.mark.parametrize(("more", "verb"), [({"perturb": print}, "perturb"), ({"measure_batch": print}, "batches")])
def test_what_is_not_set_whole_cannot_be_ramped(more, verb):
    with pytest.raises(ValueError, match=r"ramp_per_second .* leave perturb, measure_batch and read_batch out"):
        lab(groups={"all": Group(first=0, last=2, ramp_per_second=1.0)}, **more)


def test_other_kinds_say_that_they_have_no_times_of_groups(make_chip):
    with pytest.raises(ValueError, match=r"ramp_per_second of a group is for .* scpi and callables, not for a Chip"):
        in_groups(make_chip(), {"all": Group(first=0, last=2, ramp_per_second=1.0)})


def quadratic(**groups: Group) -> Guarded:
    """The cost is (θ - 1)² in θ, so a gradient does not depend on scales."""
    now = [np.zeros(2)]

    def cost() -> float:
        return float(((now[0] / np.array([1.0, 0.5]) - 1) ** 2).sum())

    chip = from_callables(
        set_parameters=lambda v: now.__setitem__(0, v.astype(float)),
        measure_cost=cost,
        limits=Limits(np.array([-9.0, -9.0]), np.array([9.0, 9.0])),
        start=np.zeros(2),
        groups=groups,
    )
    return Guarded(chip)


def step(chip: Guarded, algorithm=None) -> np.ndarray:
    """What one update makes of a start at zero."""
    walsh = mgd.perturbations.Walsh(0.01)
    times = mgd.TimeConstants(tau_theta=4)
    algorithm = algorithm or mgd.discrete(perturbation=walsh, optimizer=optax.sgd(0.1), time_constants=times)
    engine = Instrumented(chip, algorithm, np.zeros(2, np.float32), cost=mgd.chips.mlp((1, 1)).loss)
    task = mgd.datasets.parity(bits=2)
    progress = engine.init(1, key=jax.random.key(0))
    return np.asarray(engine.advance(Data.of(task.train, task.kind), progress, 4).replica().theta)


@pytest.mark.long
def test_a_rate_multiplies_the_updates_of_its_group():
    plain = step(quadratic(a=Group(first=0, last=0), b=Group(first=1, last=1, scale=0.5)))
    faster = step(quadratic(a=Group(first=0, last=0), b=Group(first=1, last=1, scale=0.5, learning_rate=3.0)))
    assert plain == pytest.approx([0.2, 0.2], rel=0.05)
    assert faster.tolist() == pytest.approx([plain[0], 3 * plain[1]], rel=1e-6)


def test_another_amplitude_than_the_groups_say_is_refused():
    chip, task = quadratic(all=Group(first=0, last=1, amplitude=0.1, scale=1.0)), mgd.datasets.parity(bits=2)
    words = r"of an amplitude of 0\.1, and the algorithm perturbs by 0\.01: give"
    with opened(chip.inner) as guarded, pytest.raises(ValueError, match=words):
        mgd.train(guarded, task, mgd.discrete(), n_steps=4, key=jax.random.key(0))


@pytest.mark.long
def test_training_takes_the_amplitude_of_the_groups_by_itself():
    chip, task = quadratic(all=Group(first=0, last=1, amplitude=0.1, scale=1.0)), mgd.datasets.parity(bits=2)
    with opened(chip.inner) as guarded:
        result = mgd.train(guarded, task, n_steps=4, key=jax.random.key(0))
    assert result.counts.cost_measurements > 4


def test_a_ramp_ends_within_hours():
    with pytest.raises(ValueError, match=r"groups\.a\.ramp_per_second: from limit to limit it takes 1e\+07 s, and"):
        lab(groups={"a": Group(first=0, last=1, ramp_per_second=1e-6)})


def test_chips_that_share_their_parameters_have_one_meaning():
    groups = (Group(first=0, last=1, unit="V"), Group(first=0, last=1, scale=2.0, unit="V"))
    engines = [
        Instrumented(quadratic(a=group), mgd.discrete(), np.zeros(2, np.float32), cost=mgd.chips.mlp((1, 1)).loss)
        for group in groups
    ]
    with pytest.raises(ValueError, match=r"the scale of a is 1 for chip 0 \(.*\) and 2 for chip 1 \(.*--fleet own"):
        Fleet(engines)
    assert Fleet(engines, trained="own").n_chips == 2


def test_chips_that_share_their_parameters_learn_at_one_rate():
    fast = quadratic(all=Group(first=0, last=1, learning_rate=2.0))
    engines = [
        Instrumented(chip, mgd.discrete(), np.zeros(2, np.float32), cost=mgd.chips.mlp((1, 1)).loss)
        for chip in (quadratic(all=Group(first=0, last=1)), fast)
    ]
    with pytest.raises(ValueError, match=r"rate of the group of parameter 0 is 1 for chip 0 and 2 for chip 1"):
        Fleet(engines)
    assert Fleet(engines, trained="own").n_chips == 2
