"""A lab's own functions as an instrument."""

import collections
from typing import Any

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd import HardwareError
from mgd.instruments import Guarded, Identity, Limits, from_callables, opened
from mgd.instruments._failures import failing

LIMITS = Limits(np.array([0.0, -1.0]), np.array([1.0, 3.0]), "V")


def _volts(**more):
    volts = np.zeros(2, np.float32)
    chip = from_callables(
        set_parameters=lambda theta: np.copyto(volts, theta),
        limits=LIMITS,
        **dict[str, Any](measure_cost=volts.sum) | more,
    )
    return volts, chip


def test_its_functions_are_its_verbs():
    calls = []
    chip = from_callables(
        set_parameters=lambda theta: calls.append(("set_parameters", theta.tolist())),
        measure_cost=lambda: 0.25,
        read_outputs=lambda: np.ones((1, 1), np.float32),
        present=lambda x, target: calls.append(("present", x.shape, target.shape)),
        perturb=lambda perturbation: calls.append(("perturb", perturbation.tolist())),
        measure_batch=lambda signals: signals.sum(1),
        identify=lambda: Identity("house", "toy", "7"),
        open=lambda: calls.append("open"),
        close=lambda: calls.append("close"),
        safe_state=lambda: calls.append("safe_state"),
        limits=LIMITS,
        address="rack 3",
    )
    assert (chip.address, chip.n_params, chip.reads, chip.own_line) == ("rack 3", 2, "both", True)
    with opened(chip, serial="7") as guarded:
        guarded.present(np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32))
        guarded.set_parameters(np.array([0.5, 1.0]))
        guarded.perturb(np.array([0.25, -0.25]))
        assert guarded.measure_cost() == 0.25
        assert guarded.read_outputs().tolist() == [[1.0]]
        assert guarded.measure_batch(np.array([[0.25, 0.5]])).tolist() == [0.75]
    assert calls == [
        "open",
        ("present", (1, 4), (1, 1)),
        ("set_parameters", [0.5, 1.0]),
        ("perturb", [0.25, -0.25]),
        "safe_state",
        "close",
    ]


def test_batches_may_be_of_outputs():
    verbs = {"set_parameters": lambda theta: None, "read_outputs": lambda: np.zeros((1, 1)), "limits": LIMITS}
    chip = from_callables(**verbs, read_batch=lambda signals: signals.sum(1)[:, None, None])
    assert (chip.reads_together, chip.most_together) == ("outputs", 1_000_000)
    with opened(chip) as guarded:
        guarded.present(np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32))
        assert guarded.read_batch(np.array([[0.25, 0.5], [0.0, 0.5]])).tolist() == [[[0.75]], [[0.5]]]
    assert from_callables(**verbs, measure_batch=lambda signals: signals.sum(1)).reads_together == "cost"


def test_without_a_safe_state_of_its_own_it_is_left_in_the_middle():
    volts, chip = _volts()
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([1.0, 3.0]))
    assert volts.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("functions", "reads"),
    [
        ({"measure_cost": lambda: 0.0}, "cost"),
        ({"read_outputs": lambda: 0.0}, "outputs"),
    ],
)
def test_it_says_what_it_can(functions, reads):
    chip = from_callables(set_parameters=lambda theta: None, limits=LIMITS, **functions)
    assert (chip.reads, chip.own_line, chip.most_together) == (reads, False, 0)


def test_what_it_has_not_been_given_it_cannot_do():
    chip = from_callables(set_parameters=lambda theta: None, measure_cost=lambda: 0.0, limits=LIMITS)
    for ask in (chip.read_outputs, lambda: chip.perturb(np.zeros(2)), lambda: chip.measure_batch(np.zeros((1, 2)))):
        with pytest.raises(HardwareError, match="has no"):
            ask()


def test_with_nothing_to_measure_it_is_refused():
    with pytest.raises(ValueError, match="needs measure_cost or read_outputs, got neither"):
        from_callables(set_parameters=lambda theta: None, limits=LIMITS)


def test_who_is_there_may_be_a_serial_number_or_nothing():
    assert _volts(identify=lambda: 1234)[1].identify() == Identity("", "", "1234")
    assert _volts(address="rack 3")[1].identify() == Identity("", "", "rack 3")
    assert _volts()[1].identify() == Identity("", "", "callables")


def test_two_without_an_address_are_not_taken_for_one_chip():
    with opened(_volts()[1]), opened(_volts()[1]):
        pass


def test_it_waits_for_what_is_left_of_the_settling(monkeypatch):
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    clock = type("Clock", (), {"monotonic": lambda: now[0], "sleep": sleep})
    monkeypatch.setattr("mgd.instruments._callables.time", clock)
    chip = _volts(settle_seconds=4.0)[1]
    chip.set_parameters(np.zeros(2, np.float32))
    now[0] += 1.0
    chip.measure_cost()
    assert waits == [3.0]
    chip.measure_cost()
    assert waits == [3.0]


class Visa(Exception):
    """As PyVISA's errors, of no kind that Python has."""


PASSES = [
    *(TimeoutError("late"), ConnectionResetError("reset"), OSError("no such device"), EOFError(), Visa("VI_ERROR_TMO")),
    ValueError("could not convert string to float: '+1.2E-'"),
    UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range"),
]
ENDS = [
    *(TypeError("wrong"), AttributeError("wrong"), KeyError("wrong"), IndexError("wrong"), NameError("wrong")),
    *(ZeroDivisionError("wrong"), AssertionError("wrong"), ValueError("wrong"), NotImplementedError("wrong")),
    *(ImportError("wrong"), RecursionError("wrong"), RuntimeError("no reply")),
]
ASKED = {
    "present": lambda chip: chip.present(np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32)),
    "set_parameters": lambda chip: chip.set_parameters(np.zeros(2)),
    "perturb": lambda chip: chip.perturb(np.zeros(2)),
    "measure_cost": lambda chip: chip.measure_cost(),
    "read_outputs": lambda chip: chip.read_outputs(),
    "measure_batch": lambda chip: chip.measure_batch(np.zeros((1, 2))),
    "read_batch": lambda chip: chip.read_batch(np.zeros((1, 2))),
    "identify": lambda chip: chip.identify(),
    "open": lambda chip: chip.open(),
    "safe_state": lambda chip: chip.safe_state(),
}


@pytest.mark.parametrize("verb", ASKED)
@pytest.mark.parametrize("error", [*PASSES, *ENDS], ids=lambda error: f"{type(error).__name__}: {error}"[:30])
def test_what_a_function_raises_may_pass_unless_it_is_a_wrong_call(verb, error):
    def fail(*arguments):
        raise error

    verbs: dict[str, Any] = {"set_parameters": print, "measure_cost": float, "read_outputs": float, verb: fail}
    chip = from_callables(limits=LIMITS, address="rack 3", **verbs)
    with pytest.raises(HardwareError, match=f"rack 3: its {verb} raised {type(error).__name__}: ") as told:
        ASKED[verb](Guarded(chip))
    assert told.value.passing is (error in PASSES)
    assert "\n" not in str(told.value)


@pytest.mark.long
def test_a_time_out_in_a_training_is_asked_again_and_a_wrong_call_ends_it_at_once():
    """At any measurement, in any function: opened again, the chip learns as if nothing had been."""
    task, calls = mgd.datasets.parity(bits=2), []

    def train(**fails: dict[int, Exception]) -> np.ndarray:
        done, shown = collections.Counter[str](), {}
        calls.append(done)

        def counted(name: str) -> None:
            done[name] += 1
            if done[name] in fails.get(name, {}):
                raise fails[name][done[name]]

        chip = from_callables(
            open=lambda: counted("open"),
            set_parameters=lambda theta: (counted("set_parameters"), shown.update(theta=theta)),
            present=lambda x, target: (counted("present"), shown.update(x=x)),
            read_outputs=lambda: (counted("read_outputs"), shown["x"] @ shown["theta"][:, None] / 4)[1],
            limits=Limits.uniform(2, -5.0, 5.0),
        )
        with opened(chip) as guarded:
            options = mgd.engines.Options(saturate=True, give_up_seconds=20.0)
            algorithm = mgd.discrete(optimizer=optax.sgd(0.1))
            return np.asarray(
                mgd.train(guarded, task, algorithm, n_steps=40, batch=4, key=jax.random.key(0), options=options).theta
            )

    whole = train()
    late = {
        "present": {3: TimeoutError()},
        "set_parameters": {9: Visa("VI_ERROR_TMO")},
        "read_outputs": {20: OSError()},
    }
    np.testing.assert_array_equal(train(**late), whole)
    assert calls[1]["open"] == 4
    with pytest.raises(HardwareError, match="its read_outputs raised TypeError: wrong: correct that function"):
        train(read_outputs={20: TypeError("wrong")})
    assert calls[2]["open"] == 1


REPLIES = [0.5, "0.5", " +5.0E-01\n", b"0.5", [0.5], (0.5,), np.float64(0.5), np.float16(0.5), np.array(0.5), [[0.5]]]
NO_REPLIES = [None, "", "half", 0.5 + 0j, [0.5 + 0j], [None], {"cost": 0.5}, "0_5", np.datetime64(0, "s"), print]


@pytest.mark.parametrize("reply", [*REPLIES, *NO_REPLIES], ids=repr)
@pytest.mark.parametrize("verb", ["measure_cost", "read_outputs", "measure_batch", "read_batch"])
@pytest.mark.usefixtures("as_users_call")
def test_a_reply_is_taken_for_a_number_or_refused_in_one_line(reply, verb):
    chip = from_callables(
        set_parameters=lambda theta: None, limits=LIMITS, **{"measure_cost": lambda: 0.0, verb: lambda *given: reply}
    )
    guarded = Guarded(chip)
    guarded.present(np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32))
    if any(reply is each for each in REPLIES):
        assert np.asarray(ASKED[verb](guarded)).ravel().tolist() == [0.5]
        return
    with pytest.raises(
        HardwareError, match=f"{verb} gave (None|a .*) where numbers of shape .* correct its driver"
    ) as told:
        ASKED[verb](guarded)
    assert not told.value.passing


class OfALab(BaseException):
    """What a library raises that nobody is to catch."""


@pytest.mark.parametrize(("error", "name"), [(SystemExit(3), "SystemExit: 3"), (OfALab("odd"), "OfALab: odd")])
def test_a_function_that_ends_the_program_is_a_failure_of_its_chip(error, name):
    def measure() -> float:
        raise error

    chip = from_callables(set_parameters=lambda theta: None, limits=Limits.uniform(1, -1.0, 1.0), measure_cost=measure)
    with pytest.raises(HardwareError, match=f"its measure_cost raised {name}: correct that function$") as raised:
        chip.measure_cost()
    assert not raised.value.passing


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
def test_an_interrupt_is_none(error):
    with pytest.raises(type(error)), failing("chip", "its measure_cost", "correct that function"):
        raise error


def test_outputs_may_lack_axes_of_length_one():
    shape: dict[str, Any] = {"reply": np.arange(3.0)}
    chip = from_callables(set_parameters=lambda theta: None, limits=LIMITS, read_outputs=lambda: shape["reply"])
    guarded = Guarded(chip)
    guarded.present(np.zeros((3, 2), np.float32), np.zeros((3, 1), np.float32))
    assert guarded.read_outputs().tolist() == [[0], [1], [2]]
    guarded.present(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32))
    assert guarded.read_outputs().tolist() == [[0, 1, 2]]
    shape["reply"] = np.zeros((3, 2))
    with pytest.raises(HardwareError, match=r"read_outputs gave shape \(3, 2\) where \(1, 3\) is due"):
        guarded.read_outputs()


def test_it_may_say_where_a_training_starts():
    start = [0.25, 1.5]
    np.testing.assert_array_equal(_volts(start=np.array(start))[1].start, start)
    with pytest.raises(ValueError, match=r"there are limits for 2 parameters, and start has shape \(3,\)"):
        _volts(start=np.zeros(3))


class Glitch(Exception):
    """Of a lab's own, called after nothing that is known."""


@pytest.mark.parametrize(
    ("retry_on", "error", "passes"),
    [
        (None, Glitch("hm"), False),
        (Glitch, Glitch("hm"), True),
        ([Glitch, KeyError], KeyError("x"), True),
        ((Glitch,), TimeoutError("late"), False),
    ],
)
def test_what_is_worth_another_try_can_be_said(retry_on, error, passes):
    def fail() -> float:
        raise error

    chip = from_callables(set_parameters=print, measure_cost=fail, limits=LIMITS, address="rack 3", retry_on=retry_on)
    with pytest.raises(HardwareError, match=f"rack 3: its measure_cost raised {type(error).__name__}") as told:
        chip.measure_cost()
    assert told.value.passing is passes
    assert ("name Glitch in retry_on" in str(told.value)) is (isinstance(error, Glitch) and not passes)


def test_it_is_said_by_classes_of_exceptions(as_users_call):
    for wrong in ("TimeoutError", [3], KeyboardInterrupt):
        with pytest.raises(ValueError, match="retry_on has classes of exceptions, such as TimeoutError, got"):
            _volts(retry_on=wrong)


class Holding:
    """Two volts that are read back: rounded, or read by a board in its own way."""

    def __init__(self, reads=lambda volts: volts, **more):
        self.volts, self.sent, self.reads, self.opened = np.zeros(2, np.float32), [], reads, 0
        verbs = dict[str, Any](
            open=self.open, read_parameters=lambda: self.volts.tolist(), measure_cost=lambda: self.volts.sum()
        )
        self.chip = from_callables(
            set_parameters=self.set, limits=Limits.uniform(2, -5.0, 5.0), address="rack 3", **verbs | more
        )

    def open(self) -> None:
        self.opened += 1

    def set(self, theta: np.ndarray) -> None:
        self.sent.append(theta.tolist())
        self.volts = np.array(self.reads(theta))


def test_parameters_that_can_be_read_back_are_harmless_first():
    bench = Holding()
    with opened(bench.chip) as guarded:
        assert guarded.reads_back
        assert np.abs(bench.sent).max() <= 0.1
        guarded.set_parameters(np.array([1.5, -4.0]))
    assert bench.sent[1:] == [[1.5, -4.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    "reads", [lambda volts: 1000 * volts, np.abs, lambda volts: volts.astype(int)], ids=["mV", "no sign", "whole"]
)
def test_a_board_that_reads_numbers_otherwise_is_found_before_anything_large_is_sent(reads):
    bench = Holding(reads)
    words = r"rack 3: read_parameters gave \S+ for parameter \d, which was set to \S+: check its range and resolution"
    with pytest.raises(HardwareError, match=words) as told, opened(bench.chip):
        pytest.fail("it was opened")
    assert not told.value.passing
    assert np.abs(bench.sent).max() <= 0.1


def test_what_is_rounded_is_within_what_is_said():
    bench = Holding(lambda volts: volts.round(2), verify_within=0.005)
    with opened(bench.chip) as guarded:
        guarded.set_parameters(np.array([1.234, -4.0]))
    with pytest.raises(ValueError, match="give read_parameters, or leave it out"):
        _volts(verify_within=0.1)


def test_a_chip_that_was_reset_is_noticed():
    names = ["A7"]
    bench = Holding(identify=lambda: names[-1])
    with opened(bench.chip) as guarded:
        guarded.set_parameters(np.array([1.5, -4.0]))
        guarded.make_sure()
        bench.volts[:] = 0
        with pytest.raises(
            HardwareError, match=r"gave 0 for parameter 0, which was set to 1\.5: the chip was reset"
        ) as told:
            guarded.make_sure()
        assert told.value.passing
        names.append("A8")
        with pytest.raises(HardwareError, match=r"rack 3: its identify gave ,,A8,, and ,,A7, before"):
            guarded.make_sure()


@pytest.mark.long
def test_what_came_between_a_reset_and_its_being_noticed_is_measured_again():
    """A brown-out in a training: the chip learns as if nothing had been."""
    task, found = mgd.datasets.parity(bits=2), []
    for reset_at in (None, 23):
        shown, done = {}, []

        def read(bench: Holding, shown=shown, done=done, reset_at=reset_at) -> np.ndarray:
            done.append(1)
            if len(done) == reset_at:
                bench.volts[:] = 0
            return shown["x"] @ bench.volts[:, None] / 4

        made: list[Holding] = []
        verbs = {"present": lambda x, target, shown=shown: shown.update(x=x), "measure_cost": None}
        made.append(Holding(**verbs, read_outputs=lambda made=made, read=read: read(made[0])))
        with opened(made[0].chip) as guarded:
            options = mgd.engines.Options(saturate=True, give_up_seconds=20.0)
            algorithm = mgd.discrete(optimizer=optax.sgd(0.1))
            result = mgd.train(guarded, task, algorithm, n_steps=40, batch=4, key=jax.random.key(0), options=options)
        found.append(np.asarray(result.theta))
        assert made[0].opened == (1 if reset_at is None else 2)
    np.testing.assert_array_equal(*found)
