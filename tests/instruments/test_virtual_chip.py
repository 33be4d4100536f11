"""A virtual chip in its own process, on a real socket: what it computes, what it refuses, and lines that break."""

import re
import socket

import jax
import numpy as np
import pytest

import mgd.cli
from mgd import HardwareError
from mgd.instruments import Limits, Scpi, Simulated, load_instrument, opened
from mgd.instruments._harmless import harmless
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._scpi._transports import Visa
from mgd.runs import read_chip_file, serve_chip
from mgd.runs._build import build_served_chip

THETA = np.linspace(-1, 1, 9, dtype=np.float32)
WIGGLE = np.full(9, 0.125, np.float32)
X = np.array([[0.25, 1.0], [1.0, 0.0], [0.0, 0.5]], np.float32)
Y = np.array([[1.0], [0.0], [1.0]], np.float32)


def driver_of(resource: str, tmp_path, **settings) -> Scpi:
    driver = load_instrument("scpi", {"resource": resource, "retries": 0} | settings, tmp_path)
    assert isinstance(driver, Scpi)
    return driver


def piece_of(file, seed: int) -> Simulated:
    """What the server has in it."""
    with jax.numpy_dtype_promotion("standard"):
        chip = build_served_chip(read_chip_file(file))
    return Simulated(chip, key=jax.random.key(seed), limits=Limits.uniform(chip.n_params, -10.0, 10.0))


class Talk:
    """A bare socket to a server, without any driver."""

    def __init__(self, resource: str):
        self.socket = socket.create_connection(("127.0.0.1", int(resource.split("::")[2])), 20)
        self.file = self.socket.makefile("rb")

    def __call__(self, message: bytes) -> bytes:
        self.socket.sendall(message + b"\n")
        return self.file.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.socket.close()


def test_it_says_what_it_serves_and_who_it_is(served, tmp_path):
    assert served.announced == f"serving small (2-2-1, 9 parameters, serial A7) at {served.resource}"
    with opened(driver_of(served.resource, tmp_path), serial="A7") as chip:
        assert (chip.identify().model, chip.identify().serial, chip.n_params) == ("virtual chip", "A7", 9)
        assert (set(chip.limits.low.tolist()), set(chip.limits.high.tolist())) == ({-10.0}, {10.0})
    with (
        pytest.raises(HardwareError, match=r"serial 'A7' answers .* instead of 'B1'"),
        opened(driver_of(served.resource, tmp_path), serial="B1"),
    ):
        pass


def measure_all(chip) -> list[np.ndarray]:
    """Every kind of measurement, noise and drift and all, in an order."""
    chip.present(X, Y)
    chip.set_parameters(THETA)
    found = [chip.measure_cost(), chip.measure_cost(), chip.read_outputs()]
    chip.perturb(WIGGLE)
    found += [chip.measure_cost(), chip.measure_batch(np.stack([WIGGLE, -WIGGLE, WIGGLE]))]
    chip.set_parameters(THETA[::-1])
    found += [chip.measure_cost(), chip.read_outputs()]
    return [np.asarray(one, np.float32) for one in found]


def test_what_is_refused_goes_into_the_error_queue(served):
    with Talk(served.resource) as say:
        say(b"*RST;*CLS;*OPC?")
        block = b"#236" + np.full(9, 11, "<f4").tobytes()
        refused = {
            b"PAR:DATA 1,2": '-224,"Illegal parameter value;PAR:DATA 2 values for 9 parameters"',
            b"PAR:DATA " + block: '-222,"Data out of range;PAR:DATA parameter 0, 11"',
            b"PAR:DATA": '-109,"Missing parameter;PAR:DATA"',
            b"PAR:DATA one": '-104,"Data type error;PAR:DATA"',
            b"PAR:DATA #x": '-161,"Invalid block data;PAR:DATA"',
            b"PAR:DATA nan,0,0,0,0,0,0,0,0": '-222,"Data out of range;PAR:DATA not finite"',
            b"PERT:DATA " + block: '-222,"Data out of range;PERT:DATA parameter 0, 11"',
            b"INP:SHAP 3,3": '-224,"Illegal parameter value;INP:SHAP a batch of inputs is N,2"',
            b"MEAS:COST?": '-221,"Settings conflict;MEAS:COST? no inputs were given"',
            b"MEAS:BATC? 1,2": '-221,"Settings conflict;MEAS:BATC? no inputs were given"',
            b"MEASURE:COSTS?": '-113,"Undefined header;MEASURE:COSTS?"',
            b"*IDN? 3": '-108,"Parameter not allowed;*IDN?"',
            b"FORM INT": '-224,"Illegal parameter value;FORM ASC or REAL"',
        }
        for message, error in refused.items():
            assert say(message + b";:SYST:ERR?").decode() == error
        assert say(b"par:data?;:SYSTEM:ERROR?") == b'0,0,0,0,0,0,0,0,0;0,"No error"'
        # A path is kept within a message, and errors come out in order; the queue overflows at its end.
        assert say(b"PAR:COUN?;LIM?") == b"9;-10,10"
        say(b"A;:B" + 30 * b";:C" + b";*OPC?")
        errors = [say(b"SYST:ERR?") for _ in range(21)]
        assert errors[:2] == [b'-113,"Undefined header;A"', b'-113,"Undefined header;B"']
        assert errors[19:] == [b'-350,"Queue overflow"', b'0,"No error"']


def test_a_chip_belongs_to_all_connections_and_a_format_to_one(served):
    with Talk(served.resource) as one, Talk(served.resource) as other:
        one(b"*RST;*CLS;*OPC?")
        one(b"FORM REAL;:PAR:DATA 1,2,3,4,5,6,7,8,9;*OPC?")
        assert other(b"PAR:DATA?") == b"1,2,3,4,5,6,7,8,9"
        assert one(b"PAR:DATA?").startswith(b"#236")
        assert other(b"SYST:SAFE;:PAR:DATA?") == b"0,0,0,0,0,0,0,0,0"


def test_limits_are_the_same_in_text_and_in_blocks(serve_here, tmp_path):
    told = []
    with serve_here(limits=(-1.1, 1.1)) as resource:
        for binary in (True, False):
            with driver_of(resource, tmp_path, binary=binary) as driver:
                told.append(driver.limits.low.tolist())
    assert told[0] == told[1]


@pytest.mark.parametrize("settings", [{}, {"binary": False}, {"compound": False}, {"verify": False}], ids=str)
def test_every_way_to_speak_sets_the_same(settings, served, tmp_path):
    with driver_of(served.resource, tmp_path, **settings) as driver, Talk(served.resource) as say:
        driver.present(X, Y)
        driver.set_parameters(THETA / 3)
        driver.perturb(WIGGLE / 3)
        assert 0 < driver.measure_cost() < 1
        for query, due in ((b"PAR:DATA?", THETA / 3), (b"PERT:DATA?", WIGGLE / 3)):
            np.testing.assert_array_equal(np.array(say(query).split(b","), np.float64).astype(np.float32), due)


def test_the_chip_refuses_what_a_guard_would_not_have_sent(served, tmp_path):
    with driver_of(served.resource, tmp_path) as driver:
        driver.set_parameters(np.full(9, 11, np.float32))
        with pytest.raises(HardwareError, match=r"-222,.*parameter 0, 11") as raised:
            driver.identify()  # writes go with the next question
        assert not raised.value.passing
        driver.set_parameters(THETA)
        assert driver.identify().serial == "A7"  # the line is in step


def test_through_pyvisa_it_is_the_same(served, tmp_path):
    settings = ScpiSettings.of({"resource": served.resource, "timeout_seconds": 30.0})
    with Scpi(settings, connect=lambda: Visa(served.resource, 30.0, "@py", {})) as driver:
        driver.present(X, Y)
        # Its bytes have newlines and semicolons among them.
        theta = np.frombuffer(b"\n;\n?" * 9, "<f4").astype(np.float32)
        driver.set_parameters(theta)
        assert driver.read_outputs().shape == (3, 1)
        assert driver.measure_batch(np.stack([WIGGLE] * 5)).shape == (5,)
    settings = settings.model_copy(update={"retries": 0})
    closed = Scpi(settings, connect=lambda: Visa("TCPIP0::127.0.0.1::9::SOCKET", 0.5, "@py", {}))
    with pytest.raises(HardwareError, match="Connection refused"):
        closed.open()
    quiet = Visa(served.resource, 0.1, "@py", {})
    with pytest.raises(TimeoutError):
        quiet.receive()
    quiet.close()


def test_check_says_who_answers_how_fast_and_how_noisy(served, tmp_path, capsys):
    text = served.file.read_text() + f"[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\nserial = 'A7'\n"
    (tmp_path / "here.toml").write_text(text)
    with pytest.raises(SystemExit) as exit_:
        mgd.cli.main(["chip", "check", str(tmp_path / "here.toml")])
    said = capsys.readouterr().out
    assert exit_.value.code == 0
    assert re.match(rf"small: mgd,virtual chip,A7,\S+ at {served.resource}\n  9 parameters, limits -10 … 10\n", said)
    noise = re.search(r"cost \S+, noise (\S+) \(standard deviation, 100 measurements\)", said)
    assert noise
    assert 0.007 < float(noise[1]) < 0.013  # 0.01, within four standard errors
    assert re.search(r"round trip \S+ ms \(median\), \S+ ms \(95 %\)", said)


def test_another_chip_or_none_is_exit_code_4_and_one_line(served, tmp_path, capsys):
    for name, changes in {
        "other": f"resource = '{served.resource}'\nserial = 'B1'",
        "none": "resource = 'TCPIP0::127.0.0.1::9::SOCKET'\nretries = 0",
    }.items():
        (tmp_path / "chip.toml").write_text(f"[instrument]\nkind = 'scpi'\n{changes}\n")
        with pytest.raises(SystemExit) as exit_:
            mgd.cli.main(["chip", "check", str(tmp_path / "chip.toml")])
        said = capsys.readouterr()
        assert (exit_.value.code, said.out, said.err.count("\n")) == (4, "", 1)
        assert {"other": "instead of 'B1'", "none": "127.0.0.1::9::SOCKET: cannot be opened"}[name] in said.err


@pytest.mark.long
def test_a_server_that_ends_and_comes_back_computes_what_the_simulated_chip_does(serve_process, served, tmp_path):
    """To the bit, with noise, drift and converters: the last of this module, as it ends the server."""
    driver = driver_of(served.resource, tmp_path, retries=3)
    driver.open()
    assert served.stop() == 0
    with pytest.raises(HardwareError) as raised:
        driver.measure_cost()
    assert raised.value.passing
    with pytest.raises(HardwareError, match="cannot be opened"):
        driver.open()
    again = serve_process(served.file.read_text(), port=int(served.resource.split("::")[2]))
    driver.open()
    found = measure_all(driver)
    driver.close()
    piece = piece_of(served.file, seed=3)
    piece.safe_state()  # as at *RST
    piece.set_parameters(harmless(driver.limits))  # as at the opening
    for mine, due in zip(found, measure_all(piece), strict=True):
        np.testing.assert_array_equal(mine, due)
    assert again.stop() == 0


@pytest.mark.parametrize("resource", ["TCPIP0::127.0.0.1::{port}::SOCKET", "tcpip::localhost::{port}::socket"])
def test_it_is_served_where_its_file_says_that_it_is(resource, tmp_path):
    """Without --port: whoever trains with the same file looks for it there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (tmp_path / "chip.toml").write_text(f"""
[chip]
inputs = [2]
outputs = 1
hidden = [2]
[instrument]
kind = "scpi"
resource = "{resource.format(port=port)}"
""")
        # It cannot, because another listens there; so it tells where.
        taken.listen()
        with pytest.raises(HardwareError, match=f"127.0.0.1:{port} cannot be opened"):
            serve_chip(read_chip_file(tmp_path / "chip.toml"), "127.0.0.1", None, None, announce=pytest.fail)
