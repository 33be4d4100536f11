"""Parameters of different kinds in one chip: heaters in volts and bias currents in amperes, behind a socket."""

import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import mgd.cli
from mgd.instruments import ServeSettings, opened
from mgd.runs import RunConfig, chip_settings, read_chip_file, resolve, simulated_as, start
from mgd.runs._served import make_speaker

# Six voltages of up to 5 V, and three currents of up to 20 mA: in amperes, a range of 0.04 beside one of 10.
AMPERES, RATE = 0.02, 2.0
CHIP = """[chip]
inputs = [2]
outputs = 1
[instrument]
kind = "scpi"
resource = "{resource}"
n_params = 9
binary = false
at_limit = "saturate"
[instrument.commands]
set = "PAR:DATA {{data}}"
readback = "PAR:DATA?"
perturb = ""
count = ""
limits = ""
input = "INP {{data}}"
target = ""
cost = ""
outputs = "OUTP?"
batch = ""
reset = ""
format = ""
safe = "SAFE"
"""
GROUPS = """[instrument.groups.heaters]
first = 0
last = 5
unit = "V"
low = -5.0
high = 5.0
[instrument.groups.bias]
first = 6
last = 8
unit = "A"
low = -0.02
high = 0.02
scale = 0.004
"""
LIMITS = """[instrument.limits]
low = [-5.0, -5.0, -5.0, -5.0, -5.0, -5.0, -0.02, -0.02, -0.02]
high = [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.02, 0.02, 0.02]
"""
LEARN = {"task": "parity", "batch": 4, "tau_x": 8, "tau_theta": 8, "optimizer": "sgd", "seed": 1}


class Chip:
    """Two kinds of parameters into tanh neurons, behind a socket.

    Attributes:
        values: what it is set to, in V and in A.
        largest: the largest of each kind that it ever was set to.
        sent: every command that came.
    """

    def __init__(self):
        self.values, self.largest, self.sent = np.zeros(9), np.zeros(2), list[str]()
        self.x = np.zeros((1, 2))
        chip = self

        class Line(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):
                    for line in self.rfile:
                        replies = [chip.answer(one.strip().lstrip(":")) for one in line.decode().split(";")]
                        if replies := [reply for reply in replies if reply is not None]:
                            self.wfile.write(";".join(replies).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Line)
        self.resource = f"TCPIP0::127.0.0.1::{self._server.server_address[1]}::SOCKET"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, command: str) -> str | None:
        self.sent.append(command)
        if found := re.fullmatch(r"(PAR:DATA|INP) (\S+)", command):
            numbers = np.array(found[2].split(","), float)
            if found[1] == "INP":
                self.x = numbers.reshape(-1, 2)
                return None
            self.values = numbers
            self.largest = np.maximum(self.largest, [np.abs(numbers[:6]).max(), np.abs(numbers[6:]).max()])
        elif command == "OUTP?":
            w, u = self.values[:6].reshape(2, 3), self.values[6:] / 0.004
            hidden = np.tanh((2 * self.x - 1) @ w[:, :2].T + w[:, 2])
            return ",".join(f"{y:.9g}" for y in 0.5 + 0.5 * np.tanh(hidden @ u[:2] + u[2]))
        elif command == "SAFE":
            self.values = np.zeros(9)
        else:
            return {
                "*IDN?": "ACME,two kinds,K2,1",
                "SYST:ERR?": '0,"No error"',
                "PAR:DATA?": ",".join(f"{value:.9g}" for value in self.values),
            }[command]
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def chip() -> Iterator[Chip]:
    made = Chip()
    yield made
    made.close()


@pytest.fixture
def write(chip: Chip, tmp_path, monkeypatch) -> Callable[[str], Path]:
    monkeypatch.chdir(tmp_path)

    def write(more: str) -> Path:
        path = tmp_path / "chip.toml"
        path.write_text(CHIP.format(resource=chip.resource) + more)
        return path

    return write


def train(path: Path, out: str = "run", **settings) -> dict:
    config = LEARN | chip_settings([read_chip_file(path)], simulate=False) | settings
    folder = start(resolve(RunConfig.of(config)), Path(out))
    return json.loads((folder / "summary.json").read_text())


def theta_of(run: str) -> np.ndarray:
    return load_file(Path(run) / "theta.safetensors")["theta"][0]


@pytest.mark.long
def test_a_chip_of_two_kinds_learns_xor_from_its_file(chip, write):
    assert train(write(GROUPS), steps=300, learning_rate=RATE, amplitude=0.05)["accuracy"] == 1.0
    assert 1.0 < chip.largest[0] <= 5.0
    assert 0.002 < chip.largest[1] <= AMPERES


@pytest.mark.long
def test_without_scales_it_does_not(chip, write):
    file = write(LIMITS)
    with pytest.raises(ValueError, match=r"parameter 6 .* no room for a perturbation of 0\.05 to both sides"):
        train(file, "refused", steps=300, learning_rate=RATE, amplitude=0.05)
    # The amplitude and the rate that the currents need, which for the voltages are nothing.
    summary = train(file, steps=300, learning_rate=RATE * 0.004**2, amplitude=0.05 * 0.004)
    assert summary["accuracy"] < 1.0
    assert chip.largest[0] < 0.6


def test_a_group_says_its_amplitude_and_the_run_follows(write):
    file = write(GROUPS.replace("scale = 0.004", "scale = 0.004\namplitude = 2e-4"))
    config = LEARN | chip_settings([read_chip_file(file)], simulate=False) | {"steps": 8, "learning_rate": 1.0}
    assert resolve(RunConfig.of(config)).amplitude == pytest.approx(0.05)
    with pytest.raises(
        ValueError, match=r"amplitude is 0\.01, and the amplitudes .* make it 0\.05: leave one of them out"
    ):
        resolve(RunConfig.of(config | {"amplitude": 0.01}))


RAMPED = """[instrument.groups.heaters]
first = 0
last = 5
unit = "V"
low = -5.0
high = 5.0
ramp_per_second = 40.0
[instrument.groups.bias]
first = 6
last = 8
unit = "A"
low = -0.02
high = 0.02
"""


def test_voltages_are_ramped_on_the_wire_and_on_the_way_to_the_safe_state(chip, write):
    instrument = read_chip_file(write(RAMPED)).load_instrument()
    assert instrument.ramp_seconds == pytest.approx(0.25)
    assert instrument.leave_seconds == pytest.approx(120.25)
    with opened(instrument) as guarded:
        chip.sent.clear()
        guarded.set_parameters(np.array([4.0, 0, 0, 0, 0, 0, 0.01, 0, 0]))
        assert chip.values[[0, 6]].tolist() == pytest.approx([4.0, 0.01])
    first = [float(one.split()[1].split(",")[0]) for one in chip.sent if one.startswith("PAR:DATA ")]
    assert first == pytest.approx([2.05, 4.0, 2.0, 0.0])  # from the harmless value of 0.1 V, 2 V in 0.05 s
    assert chip.sent[-2:] == ["SAFE", "SYST:ERR?"]


def test_a_guardian_ramps_from_where_the_chip_says_it_is(chip, write):
    instrument = read_chip_file(write(RAMPED)).load_instrument()
    assert instrument.origin is not None
    assert list(instrument.origin.groups) == ["heaters", "bias"]
    chip.values = np.array([4.0, 0, 0, 0, 0, -3.0, 0.01, 0, 0])
    instrument.open_to_leave()
    instrument.safe_state()
    instrument.close()
    first = [float(one.split()[1].split(",")[0]) for one in chip.sent if one.startswith("PAR:DATA ")]
    assert first == pytest.approx([2.0, 0.0])
    assert chip.sent[-2:] == ["SAFE", "SYST:ERR?"]


@pytest.mark.usefixtures("as_users_call")
def test_a_safe_state_that_is_given_less_time_than_the_ramp_is_refused(write):
    file = write(RAMPED.replace("40.0", "0.05"))
    file.write_text(file.read_text().replace("n_params", "leave_seconds = 60.0\nn_params"))
    with pytest.raises(ValueError, match=r"leave_seconds is 60, and to ramp the parameters takes up to 200 s"):
        read_chip_file(file).load_instrument()


@pytest.fixture
def command(capsys) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            mgd.cli.main(list(arguments))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out + said.err

    return run


RATES = GROUPS.replace('unit = "V"', 'unit = "V"\nlearning_rate = 0.5')
TRAIN = ("train", "parity", "--tau-theta=8", "--tau-x=8", "--batch=4", "--amplitude=0.05", "--learning-rate=1")


@pytest.mark.long
def test_all_that_tells_of_a_run_says_what_theta_stands_for(chip, write, command, tmp_path):
    file = write(RATES)
    code, said = command("chip", "check", str(file))
    assert code == 0
    assert "9 parameters, of different kinds:" in said
    assert "heaters: parameters 0 to 5, -5 … 5 V, a learning rate of its own" in said
    assert "bias: parameters 6 to 8, -0.02 … 0.02 A, one unit of θ is 0.004 A" in said
    code, said = command(*TRAIN, f"--chip={file}", "--steps=64", "--out=run", "--at-end=keep", "--record=recording")
    assert code == 0, said
    theta = theta_of("run")
    values = theta * np.array([1.0] * 6 + [0.004] * 3)
    assert chip.values == pytest.approx(values, rel=1e-6)  # left with what it learnt
    assert command("replay", "run")[0] == 0
    assert command("export", "run", "--out=run.npz")[0] == 0
    with np.load("run.npz") as found:
        about = json.loads(str(found["about"]))
        assert found["theta_on_chip"][0] == pytest.approx(values, rel=1e-6)
    assert about["unit"] == ""
    assert [(group["name"], group["unit"]) for group in about["groups"]] == [("heaters", "V"), ("bias", "A")]
    assert "theta has the axes (replica, parameter) and is in units of its groups" in about["words"][0]
    assert "name bias, first 6, last 8, unit A, scale 0.004, centre 0, learning_rate 1" in command("show", "run")[1]
    assert command("apply", "run", f"--chip={file}")[0] == 0
    file.write_text(file.read_text().replace("scale = 0.004", "scale = 0.005"))
    code, said = command("apply", "run", f"--chip={file}")
    assert code == 2
    assert "were trained in other units of their groups" in said
    assert "scale of bias was 0.004, and is now 0.005: restore that" in said
    file.write_text(file.read_text().replace("scale = 0.005", "scale = 0.004").replace('unit = "A"', 'unit = "mA"'))
    code, said = command("apply", "run", f"--chip={file}")
    assert code == 2
    assert "unit of bias was A, and is now mA: restore that" in said


@pytest.mark.long
def test_a_run_goes_on_in_the_units_it_began_with(chip, write, tmp_path):
    train(write(GROUPS), steps=8, learning_rate=1.0, amplitude=0.05)
    mgd.runs.resume(Path("run"), steps=16)
    assert json.loads((Path("run") / "summary.json").read_text())["steps"] == 16
    path = Path("run") / "config.toml"
    path.write_text(path.read_text().replace("scale = 0.004", "scale = 0.005"))
    sums = Path("run") / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "config.toml" not in line))
    with pytest.raises(mgd.RunError, match=r"other groups of parameters: scale of bias was 0\.004, and is now 0\.005"):
        mgd.runs.resume(Path("run"), steps=24)


SEVERAL = """[instrument]
kind = "scpi"
[instrument.dac]
resource = "TCPIP0::127.0.0.1::9::SOCKET"
n_params = 2
limits = { low = -5.0, high = 5.0, unit = "V" }
commands = { set = "DAC {data}", safe = "OFF" }
[instrument.source]
resource = "TCPIP0::127.0.0.1::10::SOCKET"
n_params = 1
settle_seconds = 0.5
limits = { low = 0.0, high = 20.0, unit = "mA" }
commands = { set = "CURR {data}", safe = "OFF" }
[instrument.meter]
resource = "TCPIP0::127.0.0.1::11::SOCKET"
commands = { outputs = "READ?", input = "" }
[instrument.groups.source]
scale = 4.0
ramp_per_second = 10.0
"""


def test_instruments_of_a_chip_are_groups_by_themselves(tmp_path):
    (tmp_path / "chip.toml").write_text(SEVERAL)
    chip = read_chip_file(tmp_path / "chip.toml").load_instrument()
    assert dict(chip.groups) == {"dac": slice(0, 2), "source": slice(2, 3)}
    assert chip.limits.high.tolist() == pytest.approx([5.0, 5.0, 5.0], rel=1e-5)
    assert (chip.limits.ends(0), chip.limits.ends(2)) == ("-5 … 5 V", "0 … 20 mA")
    assert (chip.settle_seconds, chip.ramp_seconds) == (0.5, 2.0)
    with pytest.raises(
        mgd.LimitError, match=r"parameter 2 \(source\) would be set to 24 mA, outside its limits of 0 … 20"
    ):
        chip.limits.check(np.array([0, 0, 6], np.float32), "parameter")
    (tmp_path / "chip.toml").write_text(SEVERAL.replace("groups.source", "groups.sorce"))
    with pytest.raises(ValueError, match=r"groups\.sorce: the instrument has no group .*: did you mean 'source'\?"):
        read_chip_file(tmp_path / "chip.toml").load_instrument()


def test_a_simulation_has_the_amplitude_of_the_groups_and_says_what_it_leaves_out(write):
    file = read_chip_file(write(GROUPS.replace("scale = 0.004", "scale = 0.004\namplitude = 2e-4")))
    assert simulated_as(file) == {"amplitude": pytest.approx(0.05)}
    with pytest.warns(mgd.MgdWarning, match=r"learning_rate of instrument\.groups\.heaters is for the real chip"):
        assert simulated_as(read_chip_file(write(RATES))) == {}


def test_a_served_chip_has_the_values_of_its_file_on_its_lines(tmp_path):
    (tmp_path / "chip.toml").write_text(SERVED)
    file = read_chip_file(tmp_path / "chip.toml")
    speaker = make_speaker(file, ServeSettings())
    plain = make_speaker(read_chip_file(_without_groups(tmp_path)), ServeSettings())
    low, high = speaker.piece.limits.low, speaker.piece.limits.high
    assert low.tolist() == pytest.approx([-10.0] * 6 + [-40.0] * 3, rel=1e-5)
    assert high.tolist() == pytest.approx([10.0] * 6 + [60.0] * 3, rel=1e-5)
    theta = np.linspace(-2, 2, 9).astype(np.float32)
    speaker.piece.set_parameters(theta * np.array([1] * 6 + [5] * 3, np.float32) + np.array([0] * 6 + [10] * 3))
    plain.piece.set_parameters(theta)
    x, y = np.eye(2, dtype=np.float32), np.ones((2, 1), np.float32)
    for one in (speaker, plain):
        one.piece.present(x, y)
    assert speaker.piece.read_outputs() == pytest.approx(plain.piece.read_outputs(), rel=1e-5)


SERVED = """[chip]
inputs = [2]
outputs = 1
hidden = [2]
[instrument]
kind = "scpi"
resource = "TCPIP0::127.0.0.1::5025::SOCKET"
[instrument.groups.bias]
first = 6
last = 8
unit = "mA"
scale = 5.0
centre = 10.0
"""


def _without_groups(folder: Path) -> Path:
    path = folder / "plain.toml"
    path.write_text(SERVED[: SERVED.index("[instrument.groups")])
    return path
