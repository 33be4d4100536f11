"""Simulations that are kept: those that are whole, and no others."""

import os

import pytest

from mgd import RunError
from mgd.planning._kept import Kept
from mgd.planning._simulate import Passage

PASSAGE = Passage(
    mean=40.0,
    each=(32.0, float("inf")),
    steps=80,
    seconds=1.25,
    engine="fused",
    seen=(20, 80),
    means=(0.5, 0.75),
    ended=True,
    between=(36.0, float("inf")),
)


def test_a_line_that_was_harmed_is_simulated_again(tmp_path):
    path = tmp_path / "simulations.jsonl"
    for key in ("one", "two"):
        Kept(path).put(key, PASSAGE)
    assert Kept(path).get("one") == Kept(path).get("two") == PASSAGE
    path.write_text(path.read_text().replace('"one", "mean": 40.0', '"one", "mean": 48.0'))
    assert (Kept(path).get("one"), Kept(path).get("two")) == (None, PASSAGE)
    path.write_bytes(b"\xff[\n3\n" + path.read_bytes()[:-20])
    assert (Kept(path).get("one"), Kept(path).get("two")) == (None, None)


def test_lines_of_old_versions_have_no_digest(tmp_path):
    path = tmp_path / "simulations.jsonl"
    Kept(path).put("one", PASSAGE)
    path.write_text(path.read_text().rpartition(', "sha256"')[0] + "}\n")
    assert Kept(path).get("one") == PASSAGE


def test_what_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "simulations.jsonl")
    with pytest.raises(RunError, match=r"cannot read .*simulations.jsonl: it must be a file, and is a pipe; remove it"):
        Kept(tmp_path / "simulations.jsonl")
