"""The journal of costs: what a kill or a full disk leaves of it, and that nothing is in it twice."""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mgd import MgdWarning, RunError
from mgd.runs._journal import Journal

SETTINGS = "0123456789abcdef" * 4


def journal(folder, step: int = 0, settings: str = SETTINGS) -> Journal:
    found = Journal(lambda steps: 3 * steps)
    found.open(folder, settings)
    found.begin(step)
    return found


def costs(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def left(folder) -> list[float]:
    """What a run that goes on finds."""
    found = journal(folder)
    try:
        return list(found)
    finally:
        found.close()


def test_what_is_kept_is_there_again_each_once(tmp_path):
    first = journal(tmp_path)
    first.keep(costs(1, 2))
    first.keep(costs(np.nan))
    first.keep(costs(4))
    first.close()
    second = journal(tmp_path)
    assert second.behind == 4
    np.testing.assert_array_equal(list(second), [1, 2, np.nan, 4])
    assert second.behind == 0
    second.keep(costs(5))
    second.close()
    np.testing.assert_array_equal(left(tmp_path), [1, 2, np.nan, 4, 5])


@pytest.mark.parametrize("missing", [1, 5, 11])
def test_a_record_that_a_kill_cut_short_is_left_out_and_written_over(tmp_path, missing):
    first = journal(tmp_path)
    first.keep(costs(1))
    first.flush()
    first.keep(costs(2))
    first.close()
    path = tmp_path / "costs-0.journal"
    os.truncate(path, path.stat().st_size - missing)
    second = journal(tmp_path)
    assert list(second) == [1]
    second.keep(costs(3))
    second.close()
    assert left(tmp_path) == [1, 3]


def written(folder: Path, pieces: list[np.ndarray]) -> Path:
    one = journal(folder)
    for piece in pieces:
        one.keep(piece)
        one.flush()
    one.close()
    return folder / "costs-0.journal"


# Any bits at all, those of no number too.
PIECES = st.lists(arrays(np.uint32, st.integers(1, 5)).map(lambda bits: bits.view(np.float32)), max_size=5)


@given(PIECES, st.integers(0, 100))
def test_what_any_cut_leaves_is_a_beginning_of_whole_records(pieces, missing):
    with tempfile.TemporaryDirectory() as name:
        path = written(Path(name), pieces)
        end = max(0, path.stat().st_size - missing)
        os.truncate(path, end)
        whole = [
            piece
            for piece, upto in zip(pieces, np.cumsum([8 + piece.nbytes for piece in pieces]), strict=True)
            if 16 + upto <= end
        ]
        again = np.array(left(Path(name)), np.float32)
        assert again.tobytes() == np.concatenate([costs(), *whole]).tobytes()


@given(PIECES.filter(len), st.data())
def test_no_byte_that_flips_is_taken_for_a_cost(pieces, data):
    every = np.concatenate(pieces)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", MgdWarning)  # it says so, unless what is left looks like a torn tail
        path = written(Path(name), pieces)
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(16, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        found = np.array(left(Path(name)), np.float32)
    assert found.size < every.size
    assert found.tobytes() == every[: found.size].tobytes()


def test_a_checkpoint_drops_what_came_before_it(tmp_path):
    one = journal(tmp_path)
    one.keep(costs(1, 2, 3))
    one.begin(1, oldest=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["costs-0.journal", "costs-1.journal"]
    assert list(one) == []
    one.begin(7, oldest=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["costs-1.journal", "costs-7.journal"]
    one.remove()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_error_and_what_was_kept_before_stands(tmp_path):
    one = journal(tmp_path)
    one.keep(costs(1, 2))
    one.flush()

    class Full:
        """The journal's file, on a disk that takes half of what is written."""

        def __init__(self, file):
            self.file = file

        def write(self, content):
            return self.file.write(content[: len(content) // 2])

        def __getattr__(self, name):
            return getattr(self.file, name)

    file, one._file = one._file, Full(one._file)  # pyright: ignore[reportAttributeAccessIssue]
    one._waiting += costs(3).tobytes()
    with pytest.raises(RunError, match=r"cannot write to .*: No space left on device; earlier measurements"):
        one.flush()
    one._file = file
    one.keep(costs(4))
    one.close()
    assert left(tmp_path) == [1, 2, 4]


def test_that_of_other_settings_is_refused(tmp_path):
    one = journal(tmp_path)
    one.close()
    with pytest.raises(RunError, match=r"costs-0\.journal does not belong to this run's settings: delete it"):
        journal(tmp_path, settings="f" * 64)


def of_two_checkpoints(folder) -> None:
    """Three costs a step: those of steps 0 and 1 in one file, those of step 2 and one more in the next."""
    one = journal(folder)
    for value in range(6):
        one.keep(costs(value))
        one.flush()
    one.begin(2, oldest=0)
    for value in range(6, 10):
        one.keep(costs(value))
        one.flush()
    one.close()


def test_a_run_that_goes_on_from_the_checkpoint_before_finds_the_costs_of_both(tmp_path):
    of_two_checkpoints(tmp_path)
    assert left(tmp_path) == list(range(10))
    again = journal(tmp_path)
    assert list(again) == list(range(10))
    again.keep(costs(10))
    again.close()
    assert left(tmp_path) == list(range(11))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["costs-0.journal", "costs-2.journal"]


@pytest.mark.parametrize("record", range(6))
@pytest.mark.parametrize("word", range(3))
def test_a_flipped_bit_is_said_with_what_is_lost(tmp_path, record, word):
    of_two_checkpoints(tmp_path)
    path = tmp_path / "costs-0.journal"
    content = bytearray(path.read_bytes())
    content[16 + 12 * record + 4 * word] ^= 8
    path.write_bytes(content)
    what = f"costs after the first {record} are lost, with all measured later"
    with pytest.warns(MgdWarning, match=rf"costs-0\.journal is .*{what}; they are measured again"):
        assert left(tmp_path) == list(range(record))
    assert [path.name for path in tmp_path.iterdir()] == ["costs-0.journal"]
    assert left(tmp_path) == list(range(record))


def test_the_number_of_lost_costs_is_told(tmp_path):
    one = journal(tmp_path)
    for value in range(0, 40, 4):
        one.keep(costs(value, value, value, value))
        one.flush()
    one.close()
    path = tmp_path / "costs-0.journal"
    content = bytearray(path.read_bytes())
    content[16 + 24 * 3 + 10] ^= 1
    path.write_bytes(content)
    with pytest.warns(MgdWarning, match="is damaged at byte 88: 28 costs after the first 12 are lost"):
        assert len(left(tmp_path)) == 12


@pytest.mark.parametrize("bit", [1, 2, 128])
def test_a_wrong_count_of_the_last_costs_is_no_torn_tail(tmp_path, bit):
    one = journal(tmp_path)
    one.keep(costs(0, 1))
    one.flush()
    one.keep(costs(2, 3, 4, 5))
    one.flush()
    one.close()
    path = tmp_path / "costs-0.journal"
    content = bytearray(path.read_bytes())
    content[16 + 16] ^= bit
    path.write_bytes(content)
    with pytest.warns(MgdWarning, match="is damaged at byte 32: 4 costs after the first 2 are lost"):
        assert left(tmp_path) == [0, 1]


def test_an_older_file_that_is_cut_off_is_said_if_there_are_later_costs(tmp_path):
    of_two_checkpoints(tmp_path)
    os.truncate(tmp_path / "costs-0.journal", 16 + 12 * 4)
    with pytest.warns(MgdWarning, match=r"costs-0\.journal is incomplete: costs after the first 4 are lost"):
        assert left(tmp_path) == [0, 1, 2, 3]


def test_costs_of_which_others_are_lost_are_forgotten(tmp_path):
    of_two_checkpoints(tmp_path)
    one = journal(tmp_path)
    one.forget()
    assert list(one) == []
    one.keep(costs(5))
    one.close()
    assert left(tmp_path) == [5]
