"""How chips are left: every line whatever becomes of the others, in the time that ramps take, and told by name."""

import os
import signal
import socket
import time

import numpy as np
import pytest

from mgd import HardwareError, MgdWarning
from mgd.instruments import Limits, Recorder, from_callables, from_epics, from_ophyd, load_instrument, opened
from mgd.instruments._line import Line, Reading
from mgd.instruments._lines import from_lines

LIMITS = Limits.uniform(4, -5.0, 5.0, "V")


class Gates:
    """Four gates at 4 V, which are ramped in so many stages; what is done at each is a test's."""

    def __init__(self, stages: int = 1):
        self.volts, self.moves = [4.0] * 4, []
        self.at = dict.fromkeys(range(4), lambda: None)
        lines = [
            Line(
                name=f"gate {k}",
                put=lambda value, seconds, k=k: self.put(k, value),
                unit="V",
                stages=lambda value, k=k: np.linspace(self.volts[k], value, stages + 1)[1:].tolist(),
                present=lambda k=k: self.volts[k],
            )
            for k in range(4)
        ]
        reading = Reading("meter", lambda: 0.5)
        self.chip = from_lines(
            lines,
            reading,
            system="test",
            reads="cost",
            limits=LIMITS,
            others={"address": "gates", "leave_seconds": 60.0},
        )

    def put(self, k: int, value: float) -> None:
        self.at[k]()
        self.moves.append(k)
        self.volts[k] = value


def wait_for_ever() -> None:
    while True:
        time.sleep(10)


def fail() -> None:
    raise TimeoutError("no reply")


def test_lines_that_are_ramped_go_together():
    gates = Gates(stages=3)
    with opened(gates.chip):
        pass
    assert gates.volts == [0, 0, 0, 0]
    assert gates.moves == 3 * [0, 1, 2, 3]


def test_they_do_in_a_training_too():
    gates = Gates(stages=2)
    gates.chip.set_parameters(np.array([1, 2, 3, 4], np.float32))
    assert (gates.volts, gates.moves) == ([1, 2, 3, 4], [0, 1, 2, 3, 0, 1, 2, 3])


@pytest.mark.parametrize("broken", range(4))
def test_one_that_fails_does_not_keep_the_others_from_being_made_safe(broken):
    gates = Gates(stages=2)
    gates.at[broken] = fail
    words = rf"gates could not be put in its safe state.*: check gate {broken} \(at 4 V\) \(gates: gate {broken} is not"
    with pytest.warns(MgdWarning, match=words), opened(gates.chip):
        pass
    assert gates.volts == [4.0 if k == broken else 0.0 for k in range(4)]


@pytest.mark.long
def test_one_that_waits_for_ever_neither(capfd):
    gates = Gates()
    gates.at[1] = wait_for_ever
    words = r"check gate 1 \(at 4 V\) \(.*it did not end within 1 s; raise leave_seconds to give it more"
    with pytest.warns(MgdWarning, match=words), opened(gates.chip, leave_seconds=1.0):
        pass
    assert gates.volts == [0, 4, 0, 0]


def test_what_a_ramp_did_not_reach_in_time_is_told_by_name_and_value():
    gates = Gates(stages=100)
    gates.at[0] = gates.at[3] = lambda: time.sleep(0.02)
    words = r"check gate 0 \(at \S+ V\), gate 1 \(at \S+ V\), gate 2 \(at \S+ V\), gate 3 \(at \S+ V\) "
    with pytest.warns(MgdWarning, match=words), opened(gates.chip, leave_seconds=0.3):
        pass
    assert 0 < max(gates.volts) <= 4


def test_the_time_it_has_is_the_instruments_if_nothing_is_said(capfd):
    gates = Gates()
    gates.chip.leave_seconds = 0.1
    gates.at[2] = wait_for_ever
    with pytest.warns(MgdWarning, match="did not end within 0.1 s"), opened(gates.chip):
        pass


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_no_time_at_all_is_refused_before_it_is_opened(chip, seconds):
    with pytest.raises(ValueError, match="leave_seconds must be above 0, got"), opened(chip, leave_seconds=seconds):
        pytest.fail("it was opened")
    assert chip.asked == []


def test_all_the_time_that_there_is_may_be_given():
    gates = Gates(stages=2)
    with opened(gates.chip, leave_seconds=float("inf")):
        pass
    assert gates.volts == [0, 0, 0, 0]


def test_what_takes_long_is_told_in_one_line(capfd):
    gates = Gates()
    said = []

    def wait_until_said() -> None:
        while not "".join(said).endswith("\n"):
            time.sleep(0.01)
            said.append(capfd.readouterr().err)

    gates.at[0] = wait_until_said
    with opened(gates.chip):
        pass
    assert (
        "".join([*said, capfd.readouterr().err])
        == "mgd: gates is being put in its safe state, which may take up to 60 s\n"
    )


def send(number: int, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_ctrl_c_meanwhile_is_held_back(capfd, number):
    gates, came = Gates(stages=2), []
    before = signal.signal(number, lambda *_: came.append(list(gates.volts)))
    gates.at[0] = lambda: send(number) if not gates.moves else None
    try:
        with opened(gates.chip):
            pass
    finally:
        signal.signal(number, before)
    assert gates.volts == [0, 0, 0, 0]
    assert came == [[0, 0, 0, 0]]  # and arrives afterwards
    assert "gates is being put in its safe state: press Ctrl-C again to give up" in capfd.readouterr().err


def test_a_second_gives_up_and_says_what_is_not_safe(capfd):
    gates = Gates(stages=2)
    gates.at[1] = lambda: send(signal.SIGINT, 2) if len(gates.moves) > 4 else None
    words = r"check gate 0 \(at 0 V\), gate 1 \(at 2 V\), .* \(given up by Ctrl-C\)"
    with pytest.warns(MgdWarning, match=words), pytest.raises(KeyboardInterrupt), opened(gates.chip):
        pass
    assert gates.volts == [0, 2, 2, 2]


def test_a_terminal_that_is_closed_meanwhile_gives_nothing_up():
    gates, came = Gates(), []
    before = signal.signal(signal.SIGHUP, lambda *_: came.append("hup"))
    gates.at[1] = lambda: send(signal.SIGHUP, 2)
    try:
        with opened(gates.chip):
            pass
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (gates.volts, came) == ([0, 0, 0, 0], ["hup"])


def test_functions_of_a_lab_may_say_what_is_not_safe():
    chip = from_callables(
        set_parameters=lambda theta: None,
        measure_cost=lambda: 0.0,
        limits=LIMITS,
        safe_state=fail,
        not_safe=lambda: ["the laser (on)", "heater 3"],
        address="rack",
    )
    words = r"check the laser \(on\), heater 3 \(rack: its safe_state raised Timeout"
    with pytest.warns(MgdWarning, match=words), opened(chip):
        pass


def test_a_lines_own_safe_state_that_fails_tells_where_lines_are():
    signals = [Signal(name) for name in ("left", "right")]
    chip = from_ophyd(signals, lambda: 0.0, limits=Limits.uniform(2, -1.0, 1.0), safe_state=fail)
    with pytest.warns(MgdWarning, match=r"check left \(at 0.5\), right \(at 0.25\)"), opened(chip) as guarded:
        guarded.set_parameters(np.array([0.5, 0.25]))


class Signal:
    """A thing with the methods of an ophyd signal; what it is waited for is kept."""

    def __init__(self, name: str):
        self.name, self.value, self.waited = name, 0.0, []

    def set(self, value: float) -> "Signal":
        self.value = value
        return self

    def wait(self, timeout: float) -> None:
        self.waited.append(timeout)

    def get(self) -> float:
        return self.value


class Variable:
    """A thing with the methods of a process variable."""

    def __init__(self, name: str):
        self.pvname, self.lower_ctrl_limit, self.upper_ctrl_limit, self.waited = name, -1.0, 1.0, []

    def put(self, value: float, wait: bool, timeout: float) -> None:
        self.waited.append(timeout)


@pytest.mark.parametrize(("kind", "build"), [(Signal, from_ophyd), (Variable, from_epics)])
def test_a_safe_state_has_its_own_time_and_not_that_of_a_parameter(kind, build):
    things = [kind("left")]
    chip = build(things, lambda: 0.0, limits=Limits.uniform(1, -1.0, 1.0), timeout_seconds=0.5, leave_seconds=90.0)
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([0.5]))
    assert things[0].waited == [0.5, 90.0]


def test_a_chip_may_be_left_with_its_parameters(chip, tmp_path):
    with opened(Recorder(chip, tmp_path / "recording")) as guarded:
        guarded.set_parameters(np.zeros(3))
        guarded.perturb(np.full(3, 0.25))
        guarded.leave_with(np.array([0.5, 1.0, -1.5]))
    assert (chip.theta.tolist(), chip.wiggle.tolist()) == ([0.5, 1.0, -1.5], [0, 0, 0])
    assert "safe_state" not in chip.asked
    assert chip.asked[-1] == "close"


def test_it_is_not_after_an_error(chip):
    def use() -> None:
        with opened(chip) as guarded:
            guarded.leave_with(np.ones(3))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        use()
    assert chip.asked[-2:] == ["safe_state", "close"]


def test_nor_after_a_ctrl_c_at_the_very_end(chip):
    """When the parameters are being set once more, and the chip would then be closed."""

    def use() -> None:
        with opened(chip) as guarded:
            guarded.leave_with(np.ones(3))
            chip.fails["set_parameters"] = [KeyboardInterrupt()]

    with pytest.raises(KeyboardInterrupt):
        use()
    assert chip.asked[-2:] == ["safe_state", "close"]


def test_it_is_not_if_it_refuses_them(chip):
    words = "chip 1 did not keep its parameters, and is put in its safe state: chip 1: refused"

    def use() -> None:
        with opened(chip) as guarded:
            guarded.leave_with(np.ones(3))
            chip.fails["set_parameters"] = [HardwareError("chip 1: refused")]

    with pytest.warns(MgdWarning, match=words):
        use()
    assert chip.asked[-2:] == ["safe_state", "close"]


def test_what_a_driver_holds_back_is_sent_before_it_is_left(served, tmp_path):
    settings = {"resource": served.resource, "timeout_seconds": 10.0}
    theta = np.linspace(-1, 1, 9).astype(np.float32)
    with opened(load_instrument("scpi", settings, tmp_path)) as guarded:
        guarded.perturb(np.full(9, 0.5))
        guarded.leave_with(theta)
    host, port = served.resource.split("::")[1:3]
    with socket.create_connection((host, int(port))) as line, line.makefile() as reply:
        line.sendall(b"FORM ASC;:PAR:DATA?\n")
        found = [float(each) for each in reply.readline().split(",")]
    assert found == pytest.approx(theta.tolist(), abs=0.1)  # of eight bits
