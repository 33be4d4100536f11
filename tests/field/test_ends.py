"""How commands end, what a lock is of, numbers beyond all bounds: cases from the field, a test a line of the table."""

import contextlib
import errno
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import pytest

import mgd
import mgd.cli
from mgd import HardwareError, RunError
from mgd._stops import interruptible
from mgd.instruments import Limits, Simulated, from_callables, opened
from mgd.instruments._locks import places
from mgd.instruments._virtual._messages import Messages, Refused, values
from mgd.instruments._virtual._server import Server
from mgd.runs import only_writer

LONG = ("--bits=2", "--hidden=2", "--learning-rate=0.5", "--tau-theta=8", "--tau-x=8", "--steps=1000000000")
CHIP = """
name = "small"
[chip]
inputs = [2]
outputs = 1
hidden = [2]
"""
_PIPE = subprocess.PIPE


def _mgd(*arguments: object, before: tuple = (), python: tuple = (), **options) -> subprocess.Popen:
    command = [*before, sys.executable, *python, "-m", "mgd", *map(str, arguments)]
    return subprocess.Popen(command, stdout=_PIPE, stderr=_PIPE, text=True, **options)


def _wait_until(true: Callable[[], object], process: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def _said(err: str) -> list[str]:
    """What a command said, without what Python says of its imports."""
    return [line for line in err.splitlines() if not line.startswith("import time:")]


# --- Ctrl-C while importing; SIGTERM −15 during start-up ---


@pytest.mark.parametrize(
    ("module", "signals"),
    [
        ("click", [signal.SIGINT]),
        ("click", [signal.SIGTERM]),
        ("numpy", [signal.SIGHUP]),
        ("jax._src.lib", [signal.SIGINT, signal.SIGINT]),
        ("jax", [signal.SIGINT, signal.SIGINT, signal.SIGINT]),
        ("equinox", [signal.SIGTERM, signal.SIGINT]),
    ],
)
def test_a_signal_while_importing_is_one_line_and_exit_code_130(module, signals, cache_env, tmp_path):
    process = _mgd("train", "parity", *LONG, "--out", tmp_path / "run", python=("-X", "importtime"), env=cache_env)
    assert process.stderr is not None
    for line in process.stderr:  # one for each module, when it is there
        if line.rstrip().endswith(f"| {module}") or line.split("|")[-1].strip() == module:
            break
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, len(_said(err))) == (130, "", 1), _said(err)
    assert _said(err)[0].startswith("mgd: stopped")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_second_ctrl_c_says_how_to_go_on_too(cache_env, tmp_path):
    run = tmp_path / "run"
    process = _mgd("train", "parity", *LONG, "--out", run, env=cache_env)
    _wait_until((run / "checkpoint.safetensors").exists, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.count("\n")) == (130, "", 1), err
    assert err.startswith("mgd: stopped ")
    assert err.rstrip().endswith(f"mgd resume {run}")


class _Sends:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def _in_a_callback_of_the_collector(tmp_path):
    def callback(phase: str, info: dict) -> None:
        if phase == "start":
            gc.callbacks.remove(callback)
            signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


def _in_a_finaliser(tmp_path):
    _Sends()


def _in_an_import(tmp_path):
    (tmp_path / "sends_a_signal.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nwhole = True\n")
    sys.path.insert(0, str(tmp_path))
    try:
        assert importlib.import_module("sends_a_signal").whole
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["sends_a_signal"]


@pytest.mark.parametrize("send", [_in_a_callback_of_the_collector, _in_a_finaliser, _in_an_import])
def test_ctrl_c_is_raised_where_it_comes_out_and_not_lost(send, tmp_path):
    """In a callback of JAX's at the collection of garbage, it was lost, or the process ended by SIGSEGV."""
    came_through = []

    def body() -> None:
        send(tmp_path)
        came_through.append(True)
        time.sleep(60)

    with interruptible() as signals:
        signals.on = True
        with pytest.raises(KeyboardInterrupt):
            body()
        signals.on = False
    assert came_through


def test_ctrl_c_while_a_chip_is_being_left_waits_until_it_is_safe():
    asked = []

    def safe_state() -> None:
        asked.append("safe")
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.2)
        asked.append("safe indeed")

    chip = from_callables(
        set_parameters=lambda theta: None,
        measure_cost=lambda: 0.0,
        limits=Limits.uniform(1, -1.0, 1.0),
        safe_state=safe_state,
        close=lambda: asked.append("closed"),
    )

    def body() -> None:
        with opened(chip):
            pass
        time.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        body()
    assert asked == ["safe", "safe indeed", "closed"]


# --- window closed (track 253) ---


class _Talk:
    """Asks a served chip what it holds."""

    def __init__(self, resource: str):
        _, host, port, _ = resource.split("::")
        self._place = host, int(port)

    def __call__(self, message: str) -> str:
        with socket.create_connection(self._place, 60) as line, line.makefile() as replies:
            line.sendall(message.encode() + b"\n")
            return replies.readline().strip()

    def is_safe(self) -> bool:
        return set(self("PAR:DATA?").split(",")) == {"0"}


@pytest.mark.long
def test_a_closed_window_leaves_the_chip_safe_and_keeps_the_run(serve_process, tmp_path, cache_env):
    served = serve_process(CHIP)
    file, run = tmp_path / "chip.toml", tmp_path / "run"
    file.write_text(f"{CHIP}[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\ntimeout_seconds = 60.0\n")
    train = [sys.executable, "-m", "mgd", "train", "parity", "--chip", file, *LONG, "--out", run]
    terminal = "import pty, sys; pty.spawn(sys.argv[1:])"
    window = subprocess.Popen(
        [sys.executable, "-c", terminal, *map(str, train)], stdout=_PIPE, stdin=_PIPE, env=cache_env
    )
    talk = _Talk(served.resource)
    _wait_until(lambda: (run / "checkpoint.safetensors").exists() and not talk.is_safe(), window)
    window.kill()  # the terminal's end of the line is closed
    window.communicate()
    end = time.monotonic() + 120
    while not talk.is_safe():
        assert time.monotonic() < end
        time.sleep(0.05)
    while True:  # it ends by itself
        with contextlib.suppress(RunError), only_writer(run):
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    served.stop()


@pytest.mark.long
def test_under_nohup_a_closed_window_is_nothing(cache_env, tmp_path):
    run = tmp_path / "run"
    process = _mgd("train", "parity", *LONG, "--out", run, before=("nohup",), env=cache_env, stdin=subprocess.DEVNULL)
    _wait_until((run / "checkpoint.safetensors").exists, process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    # Had it been heard, SIGTERM would have been the second.
    assert err.splitlines()[-1].startswith("mgd: stopped at step "), err


# --- Ctrl-Z longer than twice give_up_seconds ---


@pytest.mark.long
def test_what_is_waited_for_is_not_blamed_while_nobody_listened():
    program = (
        "import sys, time\nfrom mgd._awake import awake\nfrom mgd.bench._watchdog import watchdog\n"
        "began, since = awake(), time.monotonic()\n"
        "with watchdog('chip 1', 1.0, lambda: awake() - began):\n"
        "    print('waits', flush=True)\n    sys.stdin.readline()\n"
        "print(time.monotonic() - since - (awake() - began))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    assert float(out) > 2


@pytest.mark.slow
def test_a_run_that_is_stopped_for_long_goes_on(serve_process, tmp_path, cache_env):
    served = serve_process(CHIP)
    file, run = tmp_path / "chip.toml", tmp_path / "run"
    file.write_text(f"{CHIP}[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\ngive_up_seconds = 3.0\n")
    process = _mgd("train", "parity", "--chip", file, *LONG, "--out", run, env=cache_env)
    talk = _Talk(served.resource)
    _wait_until(lambda: (run / "checkpoint.safetensors").exists() and not talk.is_safe(), process)
    process.send_signal(signal.SIGTSTP)
    time.sleep(7)
    process.send_signal(signal.SIGCONT)
    held = talk("PAR:DATA?")
    _wait_until(lambda: talk("PAR:DATA?") != held, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert talk.is_safe()
    served.stop()


# --- lock by the resource's text; a folder without locks ---

SAME = [
    ("TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP::localhost::5025::SOCKET", "tcpip0::LOCALHOST::05025::socket"),
    ("TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP0::[::1]::5025::SOCKET", "TCPIP0::[::ffff:127.0.0.1]::5025::SOCKET"),
    ("TCPIP::10.0.0.9::INSTR", "TCPIP0::10.0.0.9::inst0", "TCPIP0::10.0.0.9::inst0::INSTR", "TCPIP::10.0.0.9::hislip0"),
    ("GPIB::5::INSTR", "GPIB0::5", "gpib0::05::instr"),
    ("USB0::0x0957::0x1234::MY1::INSTR", "USB::2391::4660::MY1::0::INSTR"),
    ("ASRL/dev/ttyUSB0::INSTR", "ASRL::/dev/ttyUSB0", "ASRL/dev/./ttyUSB0::INSTR"),
]
OTHER = [
    ("TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP0::127.0.0.1::5026::SOCKET"),
    ("TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP0::127.0.0.2::5025::SOCKET"),
    ("GPIB0::5::INSTR", "GPIB1::5::INSTR"),
    ("USB0::0x0957::0x1234::MY1::INSTR", "USB0::0x0957::0x1234::MY2::INSTR"),
    ("ASRL/dev/ttyUSB0::INSTR", "ASRL/dev/ttyUSB1::INSTR"),
    ("chip 1", "Chip 1"),
]


@pytest.mark.parametrize("addresses", SAME, ids=lambda addresses: addresses[-1])
def test_addresses_of_one_chip_have_a_place_in_common(addresses):
    assert set.intersection(*map(places, addresses))


@pytest.mark.parametrize("addresses", OTHER, ids=lambda addresses: addresses[-1])
def test_addresses_of_two_chips_have_none(addresses):
    assert not set.intersection(*map(places, addresses))


def test_a_link_to_a_serial_port_is_that_port(tmp_path):
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    assert places(f"ASRL{tmp_path}/by-id::INSTR") == places(f"ASRL{tmp_path}/ttyUSB0")


def _chip_at(address: str):
    return from_callables(
        set_parameters=lambda theta: None,
        measure_cost=lambda: 0.0,
        limits=Limits.uniform(1, -1.0, 1.0),
        address=address,
    )


def test_two_trainers_on_one_chip_by_two_names_one_is_refused():
    one, other = "TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP0::localhost::5025::SOCKET"
    with (
        opened(_chip_at(one)),
        pytest.raises(HardwareError, match=f"{other} is open already"),
        opened(_chip_at(other)),
    ):
        pytest.fail("it was opened")


def test_a_folder_without_locks_is_told_in_one_line(monkeypatch, tmp_path):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        pytest.raises(RunError, match=r"^[^\n]*without locks \(No locks available\)[^\n]*--out$"),
        only_writer(tmp_path),
    ):
        pytest.fail("it was locked")
    with (
        pytest.raises(HardwareError, match=r"^chip 1: a file in [^\n]* cannot be locked \(No locks available\)[^\n]*$"),
        opened(_chip_at("chip 1")),
    ):
        pytest.fail("it was opened")


# --- log_every = 1, 1e8 steps; --blocks 1000000000; sizes beyond 2^63 ---

TOO_LARGE = {
    "log_every": (("--steps=100000000", "log_every = 1"), "give log_every = 100 or more"),
    "blocks": (("--blocks=1000000000",), "9 parameters cannot be split into 1000000000 blocks: give fewer, at most 9"),
    "blocks beyond 2^63": (("--blocks=9223372036854775808",), "blocks: input should be less than 2147483648"),
    "batch": (("--batch=9223372036854775808",), "batch: input should be less than 2147483648"),
    "batch beyond 2^32": (("--batch=4294967296",), "batch: input should be less than 2147483648"),
    "replicas": (("--replicas=9223372036854775808",), "replicas: input should be less than 9223372036854775808"),
    "devices": (("--devices=9223372036854775808",), "devices: input should be less than 2147483648"),
    "hidden": (("--hidden=9223372036854775808",), "hidden.0: input should be less than 2147483648"),
    "hidden of too many parameters": (("--hidden=2147483647",), "the number of parameters must be at most"),
    "tau-hp": (("--algorithm=analog", "--tau-hp=1e17"), "tau_hp: input should be less than or equal to 2147483648"),
    "a number of 5,000 digits": (("batch = " + "1" * 5000,), "config.toml is not TOML: Exceeds the limit"),
    "a number of 400 digits": (("weight_decay = " + "1" * 400,), "weight_decay: input should be a valid number"),
    "tables nested too deep": (("batch = " + "[" * 20000,), "config.toml cannot be read as TOML"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_size_beyond_all_bounds_is_one_line_and_exit_code_2(name, tmp_path, monkeypatch, capsys):
    given, words = TOO_LARGE[name]
    monkeypatch.chdir(tmp_path)
    lines = ['task = "parity"', *(each for each in given if not each.startswith("--"))]
    (tmp_path / "config.toml").write_text("\n".join(lines))
    options = [each for each in given if each.startswith("--")]
    steps = [] if any(each.startswith("--steps") for each in given) else ["--steps=20"]
    with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
        mgd.cli.main(["train", "config.toml", *steps, *options, "--out=run"])
    said = capsys.readouterr()
    assert (exit_.value.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert words in said.err
    assert len(said.err) < 500


@pytest.mark.parametrize("value", ["9223372036854775808", "1e300", "inf", "nan", "-1.0"])
def test_so_is_a_patience_of_a_chip(value, tmp_path, capsys):
    (tmp_path / "chip.toml").write_text(
        f"{CHIP}[instrument]\nkind = 'scpi'\nresource = 'x'\ngive_up_seconds = {value}\n"
    )
    with pytest.raises(SystemExit) as exit_:
        mgd.cli.main(["chip", "check", str(tmp_path / "chip.toml")])
    said = capsys.readouterr()
    assert (exit_.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "instrument.give_up_seconds: input should be" in said.err


@pytest.mark.parametrize("name", ["n_steps", "n_replicas", "batch", "log_every", "devices"])
@pytest.mark.parametrize("value", [2**63, 10**30])
def test_and_so_it_is_for_the_library(name, value):
    arguments = {"n_steps": 5} | {name: value}
    with pytest.raises(ValueError, match=f"^{name} must be at most .*, got {value:,}$"):
        mgd.train(
            mgd.chips.mlp((2, 2, 1)),
            mgd.datasets.parity(bits=2),
            mgd.discrete(),
            key=jax.random.key(0),
            **arguments,  # pyright: ignore[reportArgumentType]
        )


# --- a damaged Numba cache ---


def test_a_flipped_bit_in_what_numba_kept_is_found_out(tmp_path, monkeypatch):
    numba = pytest.importorskip("numba")
    from numba.core import config

    from mgd.engines.simulated._fused import _compiled

    def add(x, out):
        out[0] = x + 1.0

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_compiled, "_jit", lambda lanes, **options: numba.njit(nogil=True, **options)(add))

    def compute() -> float:
        out = np.zeros(1)
        _compiled._kernel.__wrapped__(32)(2.0, out)
        return out[0]

    assert compute() == 3.0
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert sorted(path.suffix for path in whole) == [".nbc", ".nbi", ".sha256", ".sha256"]
    rng = np.random.default_rng(0)
    for path, content in whole.items():
        harmed = bytearray(content)
        harmed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        for damage in (bytes(harmed), content[: len(content) // 2], b""):
            path.write_bytes(damage)
            removed = path if path.suffix != ".sha256" else path.with_suffix("")
            _compiled._remove_damaged(tmp_path)
            assert not removed.exists()
            assert compute() == 3.0
            assert removed.exists()  # and kept again
            _compiled._remove_damaged(tmp_path)
            assert removed.exists()


# --- served chip: 50 MB line, 2 MB of `;` ---


def _all_of(messages: Messages) -> list[list[bytes]]:
    return list(iter(messages.take, None))


def test_messages_are_the_same_however_they_come():
    sent = b'*IDN?\nINP:DATA #14\n;"#;:MEAS:COST?\n;; ;\nA "a;\\"b;c\nB "never ended;\n#x;C\nPAR:DATA #3' + b"012"
    sent += bytes(12) + b"\n*OPC?\n"
    whole, bytewise = Messages(), Messages()
    whole.feed(sent)
    found = []
    for byte in sent:
        bytewise.feed(bytes([byte]))
        found += _all_of(bytewise)
    assert found == _all_of(whole)
    assert found[:3] == [[b"*IDN?"], [b'INP:DATA #14\n;"#', b":MEAS:COST?"], []]
    assert found[-2:] == [[b"PAR:DATA #3012" + bytes(12)], [b"*OPC?"]]
    assert (whole.size, bytewise.size) == (0, 0)


def test_a_message_of_too_many_commands_is_passed_over():
    messages = Messages()
    messages.feed(b"B;" * 100_000 + b"\n" + b";" * 2_000_000 + b"\n*OPC?\n")
    with pytest.raises(Refused, match="-363"):
        messages.take()
    assert _all_of(messages) == [[], [b"*OPC?"]]


@pytest.mark.parametrize(
    "data",
    [b"1,,2", b"1,", b",", b"1 2", b"0_5", b"1;2", b"x", b"\xff", b"1," * 20_000_000 + b"1"],
    ids=lambda data: repr(data[:9]),
)
def test_what_is_no_numbers_is_refused(data):
    with pytest.raises(Refused):
        values(data)


def test_a_client_that_sends_without_end_is_cut_off_and_the_others_are_not(monkeypatch, tmp_path):
    import asyncio

    from mgd.instruments import ServeSettings, Speaker
    from mgd.instruments._virtual import _server

    monkeypatch.setattr(_server, "_LONGEST_MESSAGE", 1000)
    piece = Simulated(mgd.chips.mlp((2, 2, 1)), key=jax.random.key(0))
    speaker = Speaker(piece, serial="1", inputs=(2,), outputs=1)

    async def talk() -> tuple[bytes, bytes, bytes]:
        server = Server(speaker, ServeSettings())
        listening = await server.listen("127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        (one, say), (other, flood) = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        flood.write(b"A" * 2000)
        cut_off = await other.read()
        say.write(b"SYST:ERR?\n*OPC?\n")
        found = cut_off, await one.readline(), await one.readline()
        for writer in (say, flood):
            writer.close()
        await server.close(listening)
        return found

    assert asyncio.run(talk()) == (b"", b'-363,"Input buffer overrun;2000 bytes without an end"\n', b"1\n")


def test_batches_of_any_size_take_few_programs_and_cost_the_same():
    from mgd.instruments import _simulated

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(16, 9)).astype(np.float32)
    chip = mgd.chips.mlp((2, 2, 1))
    costs = []
    compiled = _simulated._measure_rows._cached._cache_size()
    for n in (9, 10, 11, 13, 16):
        piece = Simulated(chip, key=jax.random.key(0))
        piece.present(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))
        costs.append(piece.measure_batch(rows[:n]))
    assert _simulated._measure_rows._cached._cache_size() == compiled + 1
    for fewer in costs:
        np.testing.assert_array_equal(fewer, costs[-1][: len(fewer)])
