"""One chip of three instruments that speak SCPI."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mgd.cli
from mgd.instruments import AbstractInstrument, opened
from mgd.runs import read_chip_file

from .commands import command, theta
from .three import CHIP, DAC, GENERATOR, HEAD, METER, WHO, Bench, listening

STEPS = 32
TRAIN = ("--tau-theta=8", "--tau-x=8", "--batch=2", "--amplitude=0.05", "--learning-rate=0.2", f"--steps={STEPS}")


def write(bench: Bench, *changes: tuple[str, str], text: str = CHIP) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path("chip.toml").write_text(text.format(**bench.resources))
    return "chip.toml"


def train(chip: str, out: str) -> int:
    return command("train", "parity", "--chip", chip, *TRAIN, "--out", out)


def test_chip_check_shows_every_instrument(bench, capsys):
    assert command("chip", "check", write(bench)) == 0
    said = capsys.readouterr().out
    assert said.startswith("chip: ACME+Burns,DAC16+AWG2+DMM6,D7+W1+M3, at dac (TCPIP0::127.0.0.1::")
    assert f"  dac: ACME,DAC16,D7,2.1 at {bench.resources['dac']}, sets 9 parameters, limits -5 … 5 V\n" in said
    assert f"  generator: Burns,AWG2,W1,1.1 at {bench.resources['generator']}\n" in said
    assert f"  meter: ACME,DMM6,M3,0.9 at {bench.resources['meter']}\n" in said
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> np.ndarray:
    """What is learnt where nothing happens."""
    folder = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch, listening() as bench:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        assert train(write(bench), "quiet") == 0
        assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]
        return theta("quiet")


@pytest.mark.quick("meter")
@pytest.mark.parametrize("killed", WHO)
def test_one_that_is_killed_and_starts_again_changes_nothing(bench, quiet, killed, caplog):
    readings = []

    def before(name: str, asked: str) -> None:
        readings.extend([asked] * (asked == "READ?"))
        if len(readings) == 40 and asked == "READ?":
            bench.kill(killed)
            if killed != "meter":  # which is opened last: it starts when the others were found again, and left
                bench.start(killed)
        if "meter" not in bench._servers and asked == "OUTP:ALL OFF":
            bench.start("meter")

    bench.before = before
    assert train(write(bench), "killed") == 0
    np.testing.assert_array_equal(theta("killed"), quiet)
    assert f"opened again, time 1: {killed}: TCPIP" in caplog.text
    assert 0 < bench.worst <= 5
    assert bench.done[-2:] == ["generator OUTP OFF", "dac OUTP:ALL OFF"]
    assert (bench.v == 0).all()


FAULTS = {
    "the meter answers twice": ("meter", "READ?", lambda bench, reply: reply + b"\n" + reply),
    "the DAC is reset": (
        "meter",
        "READ?",
        lambda bench, reply: (np.copyto(bench.v, 0), bench.answer("meter", "READ?"))[1],
    ),
    "the DAC answers as another": ("dac", "*IDN?", lambda bench, reply: b"0.125"),
}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_a_slip_or_a_reset_teaches_nothing(bench, quiet, fault, caplog):
    of, question, make = FAULTS[fault]
    readings, harmed, said = [], [], bench.said

    def at_fault(name: str, command: str) -> bytes | None:
        reply = said(name, command)
        readings.extend([reply] * (command == "READ?"))
        if len(readings) >= 40 and (name, command) == (of, question) and not harmed:
            harmed.append(reply)
            return make(bench, reply)
        return reply

    bench.said = at_fault
    assert train(write(bench), "harmed") == 0
    assert harmed
    np.testing.assert_array_equal(theta("harmed"), quiet)
    assert "opened again, time 1: " in caplog.text


@pytest.mark.long
def test_one_that_stays_away_is_named_and_the_others_are_safe(bench, capsys):
    chip, readings = write(bench, ("give_up_seconds = 20.0", "give_up_seconds = 1.0")), []

    def before(name: str, asked: str) -> None:
        readings.extend([asked] * (asked == "READ?"))
        if len(readings) == 40 and asked == "READ?":
            bench.kill("meter")

    bench.before = before
    assert train(chip, "run") == 4
    said = capsys.readouterr().err
    assert "meter: " in said
    assert said.count("\n") == 1
    assert bench.done[-2:] == ["generator OUTP OFF", "dac OUTP:ALL OFF"]


def test_the_chip_file_of_the_page_is_such_a_bench(bench):
    page = (Path(__file__).parents[2] / "docs" / "bring-your-own-chip.md").read_text(encoding="utf-8")
    (text,) = (block for block in re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S) if "[instrument.dac]" in block)
    for name, resource in bench.resources.items():
        text, changed = re.subn(
            rf'(?<=\[instrument\.{name}\])(.*?)"TCPIP.*?"', rf'\1"{resource}"', text, count=1, flags=re.S
        )
        assert changed == 1
    Path("page.toml").write_text(text)
    with opened(read_chip_file(Path("page.toml")).load_instrument()) as guarded:
        assert list(guarded.parts) == ["dac", "generator", "meter"]
        guarded.present(np.array([[0, 1], [1, 1]], np.float32), np.zeros((2, 1), np.float32))
        guarded.set_parameters(np.linspace(-1, 1, 9, dtype=np.float32))
        found = guarded.read_outputs()
        bench.x = np.array([[0, 1], [1, 1]])
        np.testing.assert_allclose(found[:, 0], bench.outputs(), rtol=1e-6)
    assert bench.done == ["generator OUTP ON", "dac OUTP:ALL OFF", "generator OUTP OFF"]


def test_a_whole_batch_with_targets_and_its_cost_by_a_meter(bench):
    present = 'present = "each"\n[instrument.generator.commands]\ninput = "SOUR{{channel}}:VOLT:OFFS {{value}}"\n'
    batch = '[instrument.generator.commands]\ninput = "INP {{data}}"\ntarget = "TARG {{data}}"\n'
    chip = read_chip_file(Path(write(bench, (present, batch), ('outputs = "READ?"', 'cost = "COST?"'))))
    x, y = np.array([[0, 0], [0, 1], [1, 0]], np.float32), np.array([[0], [1], [1]], np.float32)
    volts = np.linspace(-1, 1, 9, dtype=np.float32)
    with opened(chip.load_instrument()) as guarded:
        assert guarded.reads == "cost"
        guarded.present(x, y)
        guarded.set_parameters(volts)
        cost = guarded.measure_cost()
        np.testing.assert_array_equal(bench.v, volts)
        np.testing.assert_array_equal(bench.x, x)
        assert cost == pytest.approx(np.mean((bench.outputs() - y[:, 0]) ** 2), rel=1e-6)


def test_samples_that_are_shown_one_by_one_are_read_one_by_one(bench):
    asked = []
    bench.before = lambda name, command: asked.append(command)
    with opened(read_chip_file(Path(write(bench))).load_instrument()) as guarded:
        guarded.present(np.array([[0, 1], [0.25, 0]], np.float32), np.zeros((2, 1), np.float32))
        asked.clear()
        guarded.set_parameters(np.linspace(-1, 1, 9, dtype=np.float32))
        found = guarded.read_outputs()
        order = list(asked)
        bench.x = np.array([[0, 1], [0.25, 0]])
        np.testing.assert_allclose(found[:, 0], bench.outputs(), rtol=1e-6)
    voltages = [f"CH{k + 1}:VOLT" for k in range(9)]
    asked_back = [f"{each}?" for each in voltages]
    assert order[:9] == asked_back  # whether they were what was set before
    assert [each.split()[0] for each in order[9:18]] == voltages
    assert order[18:] == [
        *(*asked_back, "SYST:ERR?"),
        *("SOUR1:VOLT:OFFS 0", "SOUR2:VOLT:OFFS 1", "SYST:ERR?", "READ?"),
        *("SOUR1:VOLT:OFFS 0.25", "SOUR2:VOLT:OFFS 0", "SYST:ERR?", "READ?"),
    ]


# As `mgd` in a terminal of its own, but that a chip has less time to answer after the terminal was closed.
IN_TERMINAL = """
import pty, sys
soon = "import sys; from mgd.runs import _execute; _execute.STOP_SECONDS = 0.2"
soon += "; from mgd.cli import main; main(sys.argv[1:])"
pty.spawn([sys.executable, "-c", soon, *sys.argv[1:]])
"""


@pytest.mark.long
def test_a_closed_terminal_leaves_all_safe_though_one_does_not_answer(bench, cache_env):
    slow = ("[instrument.meter]\n", "[instrument.meter]\ntimeout_seconds = 600.0\n")
    patient = ("give_up_seconds = 20.0", "give_up_seconds = 600.0")
    measured, off, asked, answer = threading.Event(), threading.Event(), [], bench.answer

    def answering(name: str, command: str) -> bytes | None:
        asked.extend([command] * (command == "READ?"))
        if command == "READ?" and len(asked) >= 40:
            measured.set()
            return None
        reply = answer(name, command)
        if command == "OUTP:ALL OFF":
            off.set()
        return reply

    bench.answer = answering
    words = ("train", "parity", "--chip", write(bench, slow, patient), *TRAIN[:-1], "--steps=100000", "--out=run")
    pipe = subprocess.PIPE
    window = subprocess.Popen([sys.executable, "-c", IN_TERMINAL, *words], stdin=pipe, stdout=pipe, env=cache_env)
    assert measured.wait(120)
    window.kill()
    window.communicate()
    assert off.wait(120)
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]
    assert (bench.v == 0).all()


SECOND = """[instrument.bias]
resource = "{generator}"
n_params = 2
channels = ["A", "B"]
limits = {{ low = 0.0, high = 2.0, unit = "mA" }}
[instrument.bias.commands]
set = "BIAS{{channel}} {{value}}"
safe = "BIAS:OFF"
"""


def test_parameters_are_those_of_all_that_set_some_in_the_order_of_the_file(bench):
    text = (HEAD + SECOND + DAC + METER).replace("commands]\noutputs", 'commands]\ninput = ""\noutputs')
    set_to, answer = {}, bench.answer

    def also(name: str, command: str) -> bytes | None:
        if command.startswith("BIAS"):
            word, _, value = command.partition(" ")
            set_to[word] = float(value or 0)
            return None
        return answer(name, command)

    bench.answer = also
    with opened(read_chip_file(Path(write(bench, text=text))).load_instrument()) as guarded:
        assert (guarded.n_params, guarded.limits.unit) == (11, "")
        assert guarded.groups == {"bias": slice(0, 2), "dac": slice(2, 11)}
        assert guarded.limits.low.tolist() == [0.0] * 2 + [-5.0] * 9
        guarded.present(np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32))
        guarded.set_parameters(np.arange(11, dtype=np.float32) / 8)
        guarded.read_outputs()
        assert set_to == {"BIASA": 0.0, "BIASB": 0.125}
        assert bench.v.tolist() == [k / 8 for k in range(2, 11)]
    assert "BIAS:OFF" in set_to


ORDER = ("at_limit", 'order = ["meter", "generator", "dac"]\nat_limit')


def test_what_is_on_first_is_off_last(bench):
    with opened(read_chip_file(Path(write(bench, ORDER))).load_instrument()):
        assert bench.done == ["generator OUTP ON"]
    assert bench.done[1:] == ["dac OUTP:ALL OFF", "generator OUTP OFF"]


def opening(chip: AbstractInstrument, then: Callable[[], object] = lambda: None) -> None:
    with opened(chip):
        then()


def test_if_one_cannot_be_made_safe_the_others_are_and_it_is_named(bench):
    chip = read_chip_file(Path(write(bench, ORDER))).load_instrument()

    def lose() -> None:
        bench.kill("dac")
        chip.make_sure()

    with (
        pytest.warns(mgd.MgdWarning, match=r"check dac \(TCPIP"),
        pytest.raises(mgd.HardwareError, match=r"^dac: TCPIP"),
    ):
        opening(chip, lose)
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF"]


def test_one_that_hangs_does_not_take_the_time_of_all(bench):
    """Its own time-out is longer than the time that there is."""
    slow = ("[instrument.generator]\n", "[instrument.generator]\ntimeout_seconds = 600.0\n")
    chip, answer = read_chip_file(Path(write(bench, slow))).load_instrument(), bench.answer

    def use() -> None:
        with opened(chip, leave_seconds=0.6):
            bench.v[:] = 1.0
            bench.answer = lambda name, command: None if name == "generator" else answer(name, command)

    words = r"could not be put .*: check generator \(TCPIP\S+\) \(generator: it did not end within 0\.\d+ s, its share"
    with pytest.warns(mgd.MgdWarning, match=words):
        use()
    assert bench.done[1:] == ["dac OUTP:ALL OFF"]
    assert (bench.v == 0).all()


def test_if_one_cannot_be_opened_nothing_is_switched_on(bench):
    bench.kill("meter")
    with pytest.raises(mgd.HardwareError, match=r"^meter: .* cannot be opened"):
        opening(read_chip_file(Path(write(bench))).load_instrument())
    assert bench.done == ["generator OUTP OFF", "dac OUTP:ALL OFF"]


def test_if_one_refuses_to_be_switched_on_all_are_safe_and_it_is_named(bench):
    answer = bench.answer

    def refusing(name: str, command: str) -> bytes | None:
        is_refused = name == "generator" and command == "SYST:ERR?" and bench.done[-1:] == ["generator OUTP ON"]
        return b'-221,"Settings conflict: interlock"' if is_refused else answer(name, command)

    bench.answer = refusing
    with pytest.raises(mgd.HardwareError, match=r"^generator: .*'OUTP ON;:SYST:ERR\?' was refused: -221,.*interlock"):
        opening(read_chip_file(Path(write(bench))).load_instrument())
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]


def test_a_task_with_other_inputs_than_there_are_channels_is_refused(bench):
    fewer = ('present = "each"', 'present = "each"\ninput_channels = ["X"]')
    chip = read_chip_file(Path(write(bench, fewer))).load_instrument()
    shown = (np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32))
    with (
        opened(chip) as guarded,
        pytest.raises(ValueError, match=r"^generator: TCPIP.* has 1 input_channels, and a sample has 2 numbers"),
    ):
        guarded.present(*shown)


def test_another_piece_is_refused_by_name(bench):
    chip = read_chip_file(Path(write(bench, ("[instrument.meter]", '[instrument.meter]\nserial = "M4"'))))
    with pytest.raises(mgd.HardwareError, match=r"^meter: .*: serial 'M3' answers"):
        opening(chip.load_instrument())


def test_nobody_else_uses_any_of_them_meanwhile(bench):
    meter = 'kind = "scpi"\nresource = "{meter}"\nn_params = 1\nlimits = {{ low = 0.0, high = 1.0 }}\n'
    Path("meter.toml").write_text("[instrument]\n" + meter.format(**bench.resources))
    chip, other = (read_chip_file(Path(name)).load_instrument() for name in (write(bench), "meter.toml"))
    with opened(chip), pytest.raises(mgd.HardwareError, match="is open already"):
        opening(other)


BAD = {
    "no setter": (GENERATOR + METER, (), "none of instrument.generator, instrument.meter sets parameters: give"),
    "no reader": (DAC + GENERATOR, (), "none of instrument.dac, instrument.generator is read: give commands.outputs"),
    "nobody presents": (
        DAC + METER,
        (),
        "none of instrument.dac, instrument.meter presents inputs: give commands.input",
    ),
    "two read": (
        DAC + GENERATOR + METER,
        ("on = ", 'outputs = "OUT?"\non = '),
        "instrument.meter.commands.outputs: instrument.generator reads outputs already: let one do it",
    ),
    "no channel": (
        DAC + GENERATOR + METER,
        ("CH{{channel}}:VOLT {{value}}", "VOLT {{value}}"),
        "instrument.dac.commands.set: this command needs {channel} once, got 'VOLT {value}'",
    ),
    "a channel and all": (
        DAC + GENERATOR + METER,
        ("CH{{channel}}:VOLT {{value}}", "CH{{channel}}:VOLT {{data}}"),
        "instrument.dac.commands.set: this command has all numbers, {data}, or {channel} and {value}",
    ),
    "a format": (
        DAC + GENERATOR + METER,
        ("VOLT {{value}}", "VOLT {{value:.4f}}"),
        "instrument.dac.commands.set: what is in braces is a name alone",
    ),
    "channels": (
        DAC + GENERATOR + METER,
        ("n_params = 9", "n_params = 9\nchannels = [1, 2]"),
        "instrument.dac: there are 2 channels for n_params = 9: give as many",
    ),
    "how many": (DAC + GENERATOR + METER, ("n_params = 9\n", ""), "instrument.dac: give n_params, or the command"),
    "limits": (
        DAC + GENERATOR + METER,
        ("low = -5.0", "low = 5.0"),
        "instrument.dac.limits: limits of parameter 0 must be finite with low < high",
    ),
    "batch by channel": (
        DAC + GENERATOR + METER,
        ('present = "each"\n', ""),
        'instrument.generator: commands.input is sent for each {channel}, of one sample: give present = "each"',
    ),
    "never off": (
        DAC + GENERATOR + METER,
        ('safe = "OUTP OFF"\n', ""),
        "instrument.generator: commands.safe is needed, because it sets parameters or is switched on",
    ),
    "same line": (
        DAC + GENERATOR + METER,
        ("{meter}", "{dac}"),
        "instrument.meter.resource is that of instrument.dac",
    ),
    "no resource": (
        DAC + GENERATOR + METER,
        ('resource = "{meter}"\n', ""),
        "the setting 'instrument.meter.resource' is needed and was not given",
    ),
    "misspelt": (
        DAC + GENERATOR + METER,
        ('outputs = "', 'output = "'),
        "unknown setting 'instrument.meter.commands.output': did you mean 'outputs'?",
    ),
    "of a setter": (
        DAC + GENERATOR + METER,
        ("[instrument.meter]", "[instrument.meter]\nn_params = 1"),
        "instrument.meter: n_params is for an instrument that sets parameters: give commands.set too",
    ),
    "order": (
        'order = ["dac", "laser"]\n' + DAC + GENERATOR + METER,
        (),
        "instrument.order names 'laser', which has no table",
    ),
    "half an order": (
        'order = ["dac", "meter"]\n' + DAC + GENERATOR + METER,
        (),
        "instrument.order must name each instrument once, and has 'generator' 0 times",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_contradicts_itself_is_refused_before_anything_is_opened(case, tmp_path):
    text, change, said = BAD[case]
    text = HEAD + text
    assert not change or change[0] in text
    text = text.replace(*change, 1) if change else text
    resources = {name: f"TCPIP0::127.0.0.1::{9 + k}::SOCKET" for k, name in enumerate(WHO)}
    (tmp_path / "chip.toml").write_text(text.format(**resources))
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        read_chip_file(tmp_path / "chip.toml").load_instrument()
    assert "\n" not in str(raised.value)


def test_a_laser_whose_answer_is_another_than_was_said_is_switched_off(bench):
    answer = bench.answer
    bench.answer = lambda name, command: b"2" if command == "OUTP?" else answer(name, command)
    more = 'on = "OUTP ON"\non_readback = "OUTP?"'
    path = write(bench, ('on = "OUTP ON"', more), ('present = "each"', 'present = "each"\non_answer = "1"'))
    with pytest.raises(mgd.HardwareError, match=r"^generator: .*'OUTP\?' was answered '2', and '1' is due"):
        opening(read_chip_file(Path(path)).load_instrument())
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]


@pytest.mark.parametrize("last", ["OUTP ON", "SYST:ERR?"])
def test_ctrl_c_while_it_is_switched_on_leaves_it_off(bench, last):
    answer, seen = bench.answer, []

    def interrupted(name: str, command: str) -> bytes | None:
        if name == "generator" and command == last and (last == "OUTP ON" or "generator OUTP ON" in bench.done):
            seen.append(command)
            if len(seen) == 1:
                os.kill(os.getpid(), signal.SIGINT)
        return answer(name, command)

    bench.answer = interrupted
    with pytest.raises(KeyboardInterrupt):
        opening(read_chip_file(Path(write(bench))).load_instrument())
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF", "dac OUTP:ALL OFF"]


def test_an_interlock_that_stays_open_is_not_taken_for_right_when_it_is_opened_again(bench):
    answer, is_on = bench.answer, [b"1"]
    bench.answer = lambda name, command: is_on[0] if command == "OUTP?" else answer(name, command)
    chip = read_chip_file(
        Path(write(bench, ('on = "OUTP ON"', 'on = "OUTP ON"\non_readback = "OUTP?"')))
    ).load_instrument()
    with opened(chip) as guarded:
        is_on[0] = b"0"
        guarded.close()
        with pytest.raises(mgd.HardwareError, match=r"'OUTP\?' was answered '0', and '1' is due"):
            guarded.open()
        is_on[0] = b"1"


@pytest.mark.long
def test_a_laser_that_goes_off_and_inputs_that_are_forgotten_are_noticed_and_measured_again(bench, quiet, caplog):
    """Of a generator that was switched off and on: it is dark, and has no inputs, until it is set again."""
    answer, is_on, readings = bench.answer, [True], []

    def answered(name: str, command: str) -> bytes | None:
        if command == "OUTP ON":
            is_on[0] = True
        if command == "OUTP?":
            return b"1" if is_on[0] else b"0"
        if found := re.fullmatch(r"SOUR(\d):VOLT:OFFS\?", command):
            return f"{bench.x[0, int(found[1]) - 1]:.9g}".encode()
        readings.extend([command] * (command == "READ?"))
        if command == "READ?" and len(readings) == 40:
            is_on[0] = False
        if command == "READ?" and len(readings) == 90:
            bench.x = np.zeros((1, 2))
        found = answer(name, command)
        return found if is_on[0] or command != "READ?" else b"0.0"

    bench.answer = answered
    more = 'on = "OUTP ON"\non_readback = "OUTP?"\ninput_readback = "SOUR{{channel}}:VOLT:OFFS?"'
    assert train(write(bench, ('on = "OUTP ON"', more)), "dark") == 0
    assert "'OUTP?' was answered '0', and '1' is due: it was switched off or reset" in caplog.text
    assert "for input" in caplog.text
    np.testing.assert_array_equal(theta("dark"), quiet)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('on = "OUTP ON"', 'on_readback = "OUTP?"', "commands.on_readback asks for what commands.on does"),
        ('present = "each"', 'present = "each"\non_answer = "1"', "on_answer is the answer to commands.on_readback"),
    ],
)
def test_a_state_that_is_read_back_without_being_set_is_refused(bench, capsys, old, new, said):
    assert command("chip", "check", write(bench, (old, new))) == 2
    assert f"instrument.generator: {said}" in capsys.readouterr().err
    assert not bench.done
