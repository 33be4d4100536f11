"""Recordings: the same bytes with no hardware, and what is left of a recording that was cut."""

import os
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from mgd import DataError, HardwareError, MgdWarning, RunError
from mgd.instruments import AbstractInstrument, Recorder, Replay, opened

X, TARGET = np.array([[1, 2], [3, 4]], np.float32), np.zeros((2, 2), np.float32)
WIGGLE = np.array([0.1, -0.2, 0.3], np.float32)


def _session(chip) -> list:
    """What a chip answers to one of each."""
    chip.present(X, TARGET)
    chip.set_parameters(np.ones(3, np.float32))
    chip.perturb(WIGGLE)
    return [
        chip.measure_cost(),
        chip.read_outputs().tolist(),
        chip.measure_batch(np.stack([WIGGLE, -WIGGLE])).tolist(),
        chip.read_batch(np.stack([WIGGLE, -WIGGLE, WIGGLE])).tolist(),
        str(chip.identify()),
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chip.recording"


@pytest.fixture
def recorded(chip, path):
    with opened(Recorder(chip, path)) as guarded:
        return _session(guarded)


def test_a_replay_gives_the_same_bytes_without_the_chip(path, recorded):
    with opened(Replay(path)) as guarded:
        assert _session(guarded) == recorded


def test_recording_changes_nothing(chip, make_chip, path):
    plain = make_chip()
    with opened(plain, alone=False) as alone, opened(Recorder(chip, path)) as guarded:
        assert _session(guarded) == _session(alone)
    assert [verb for verb in chip.asked if verb != "identify"] == [verb for verb in plain.asked if verb != "identify"]


def test_a_replay_is_as_the_chip_was(chip, path, recorded):
    replay = Replay(path)
    assert replay.recorded_address == chip.address
    assert replay.identify.__self__._identity == chip.identify()
    for name in ("n_params", "reads", "own_line", "most_together", "reads_together"):
        assert getattr(replay, name) == getattr(chip, name)
    assert (replay.limits.low == chip.limits.low).all()
    assert (replay.limits.high == chip.limits.high).all()
    assert replay.limits.unit == "V"


def test_a_recording_of_before_batches_could_be_of_outputs_is_replayed(path, recorded):
    path.write_bytes(path.read_bytes().replace(b', "reads_together": "cost"', b""))
    with opened(Replay(path)) as guarded:
        assert guarded.reads_together == "cost"
        assert _session(guarded) == recorded


def test_the_sizes_are_those_that_are_stated(chip, path):
    with Recorder(chip, path) as recorder:
        recorder.set_parameters(np.zeros(3, np.float32))
        recorder._flush()
        before = path.stat().st_size
        for _ in range(100):
            recorder.perturb(WIGGLE)
            recorder.measure_cost()
        recorder._flush()
        assert path.stat().st_size - before == 100 * 32
        recorder.measure_batch(np.zeros((8, 3), np.float32))
        recorder._flush()
        assert path.stat().st_size - before == 100 * 32 + 14 + 8 * 4


OTHER = {
    "another verb": (
        lambda c: c.measure_cost(),
        "at exchange 1, measure_cost was called, but the recording has present",
    ),
    "other inputs": (
        lambda c: c.present(X + 1, TARGET),
        "at exchange 1, present was called, but the recording has other values",
    ),
    "other targets": (
        lambda c: c.present(X, TARGET + 1),
        "at exchange 1, present was called, but the recording has other values",
    ),
    "another shape": (
        lambda c: c.present(X[:, :, None], TARGET),
        "at exchange 1, present was called, but the recording has other",
    ),
    "other parameters": (
        lambda c: (c.present(X, TARGET), c.set_parameters(np.full(3, 1.1, np.float32))),
        "at exchange 2, set_parameters was called, but the recording has other values",
    ),
    "more than there is": (
        lambda c: (_session(c), c.measure_cost(), c.measure_cost()),
        "at exchange 9, measure_cost was called, but the recording has safe_state there",
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_asked_anything_else_it_says_where_and_what(path, recorded, name):
    ask, words = OTHER[name]
    with opened(Replay(path)) as guarded, pytest.raises(HardwareError, match=words) as error:
        ask(guarded)
    assert not error.value.passing
    assert str(error.value).startswith(str(path))


def test_a_reply_of_the_wrong_shape_is_replayed_as_the_failure_that_it_was(chip, path):
    said = []

    def session(guarded: AbstractInstrument) -> None:
        guarded.present(X, TARGET)
        with pytest.raises(HardwareError, match=r"read_outputs gave shape \(4,\) where \(2, 2\) is due") as error:
            guarded.read_outputs()
        assert error.value.passing
        said.append(str(error.value))
        chip.replies.clear()
        assert guarded.read_outputs().shape == (2, 2)

    chip.replies["read_outputs"] = np.zeros(4, np.float32)
    with opened(Recorder(chip, path)) as guarded:
        session(guarded)
    with opened(Replay(path)) as guarded:
        session(guarded)
    assert said[0] == said[1]


def test_at_its_end_it_says_so(path, recorded):
    with opened(Replay(path)) as guarded:
        _session(guarded)
        guarded.safe_state()
        with pytest.raises(HardwareError, match=r"exchange 10, .* the recording ends here: record for longer"):
            guarded.measure_cost()


def test_a_replay_may_be_left_early_and_begun_anew(path, recorded):
    with opened(Replay(path)) as guarded:
        guarded.present(X, TARGET)
    with opened(Replay(path)) as guarded:
        assert _session(guarded) == recorded


def test_failures_are_replayed_too(chip, path):
    errors = [HardwareError("chip 1: no reply", passing=True), HardwareError("it does not converge", skip=True)]
    chip.fails["measure_cost"] = [*errors, OSError("reset")]

    def session(guarded: AbstractInstrument) -> list:
        found = []
        for _ in range(3):
            with pytest.raises((HardwareError, OSError)) as error:
                guarded.measure_cost()
            found.append((str(error.value), getattr(error.value, "passing", True), getattr(error.value, "skip", False)))
        guarded.close()
        guarded.open()
        chip.fails.clear()
        return [*found, guarded.measure_cost()]

    with opened(Recorder(chip, path)) as guarded:
        first = session(guarded)
    assert first == [
        ("chip 1: no reply", True, False),
        ("it does not converge", False, True),
        ("reset", True, False),
        3.0,
    ]
    with opened(Replay(path)) as guarded:
        assert session(guarded) == first


def test_a_reopening_that_fails_is_an_exchange(chip, path):
    with Recorder(chip, path) as recorder:
        recorder.close()
        chip.fails["open"] = [HardwareError("still gone", passing=True)]
        with pytest.raises(HardwareError, match="still gone"):
            recorder.open()
        recorder.open()
        assert recorder.measure_cost() == 3.0
    with Replay(path) as replay:
        replay.close()
        with pytest.raises(HardwareError, match="still gone"):
            replay.open()
        replay.open()
        assert replay.measure_cost() == 3.0


def _asks(chip: AbstractInstrument) -> list:
    return [
        lambda: chip.present(X, TARGET),
        lambda: chip.set_parameters(np.ones(3, np.float32)),
        lambda: chip.perturb(WIGGLE),
        chip.measure_cost,
        chip.read_outputs,
    ]


@pytest.fixture
def begins(chip, path) -> int:
    """A recording of these; where its first exchange begins."""
    with Recorder(chip, path) as recorder:
        for ask in _asks(recorder):
            ask()
    content = path.read_bytes()
    return content.index(b"\n", content.index(b"\n") + 1) + 1


def test_however_the_tail_is_torn_all_whole_exchanges_are_replayed(path, tmp_path, begins):
    whole, torn = path.read_bytes(), tmp_path / "torn"
    ends = begins + np.cumsum([14, 14, 14, 18, 14 + 16])
    assert len(whole) == ends[-1] + 14  # the safe state
    for length in range(begins, ends[-1]):
        torn.write_bytes(whole[:length])
        n_whole = int((ends <= length).sum())
        with Replay(torn) as replay:
            asks = _asks(replay)
            for ask in asks[:n_whole]:
                ask()
            with pytest.raises(HardwareError, match=f"exchange {n_whole}, .* the recording ends here"):
                asks[n_whole]()


def test_a_damaged_exchange_ends_the_recording(path, begins):
    whole = bytearray(path.read_bytes())
    whole[begins + 14 + 6] = 0xFF  # the second exchange's length
    path.write_bytes(whole)
    with Replay(path) as replay:
        first, second, *_ = _asks(replay)
        first()
        with pytest.raises(HardwareError, match=r"exchange 1, .* ends here"):
            second()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a recording of this version"),
        (b"something else\n{}\n", "is not a recording of this version"),
        (b"mgd recording 1\n{", "has an incomplete header"),
        (b"mgd recording 1\n{]\n", "damaged header"),
        (b"mgd recording 1\n{}\n", "damaged header: the setting 'identity' is needed"),
        (None, "cannot read the recording .*: No such file or directory"),
    ],
)
def test_what_is_no_recording_is_refused(path, content, words):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        Replay(path)


def test_a_recording_is_never_written_over(chip, path, recorded):
    with pytest.raises(ValueError, match="is there already: record to another file"):
        Recorder(chip, path)


def test_a_folder_that_is_not_there_is_told_and_the_chip_is_closed(chip, tmp_path):
    with (
        pytest.raises(RunError, match=r"cannot record to .*: No such file or directory"),
        opened(Recorder(chip, tmp_path / "none" / "r")),
    ):
        pytest.fail("it was opened")
    assert chip.asked[-1] == "close"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_ends_the_measuring_and_never_the_leaving(chip, path):
    def measure_and_leave() -> None:
        with opened(Recorder(chip, path)) as guarded:
            recorder = guarded.inner
            assert isinstance(recorder, Recorder)
            assert recorder._file is not None
            recorder._file.close()
            recorder._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 (it closes it)
            for _ in range(5000):
                guarded.measure_cost()

    with (
        pytest.warns(MgdWarning, match="No space left"),
        pytest.raises(RunError, match=r"cannot record to .*: No space left"),
    ):
        measure_and_leave()
    assert chip.asked[-2:] == ["safe_state", "close"]


KILLED = """
import sys, time, numpy as np
from mgd.instruments import Limits, Recorder, from_callables
count = iter(range(10**9))
chip = from_callables(
    set_parameters=lambda theta: None, measure_cost=lambda: float(next(count)), limits=Limits.uniform(3, -1.0, 1.0)
)
with Recorder(chip, sys.argv[1]) as recorder:
    for n in range(10**9):
        recorder.measure_cost()
        if n == 8_000:
            print("go", flush=True)
"""


def test_a_program_that_is_killed_leaves_all_but_its_last_second(path):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "go\n"
        program.kill()
        assert program.wait() == -signal.SIGKILL
    with Replay(path) as replay:
        for expected in range(7_000):
            assert replay.measure_cost() == expected


def test_memory_stays_flat(chip, path):
    chip.replies["measure_batch"] = np.zeros(2000, np.float32)
    signals = np.zeros((2000, 3), np.float32)

    def peak(instrument: AbstractInstrument) -> int:
        tracemalloc.reset_peak()
        for _ in range(400):
            instrument.measure_batch(signals)
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        with Recorder(chip, path) as recorder:
            recording = peak(recorder)
        with Replay(path) as replay:
            replaying = peak(replay)
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 3_200_000
    assert max(recording, replaying) < 800_000
