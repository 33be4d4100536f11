"""Which folder a plan may be made in."""

import contextlib
import dataclasses
import re
import resource
from pathlib import Path

import pytest

from mgd import RunError
from mgd.planning import Plan, Problem, read_plan, write_plan
from mgd.planning._folder import check_folder, plain
from mgd.runs import settings_in
from mgd.timing import HardwareTime

ASKED = {"simulations": 6, "seconds": 180.0, "seed": 3, "search": 0, "gpu": None}


def made(asked: Problem) -> Plan:
    """A plan for two chips, for the settings of a problem."""
    return Plan(
        settings=asked.given,
        target=asked.target,
        reached=True,
        best=0.9,
        chips=2,
        time=HardwareTime(0.25, None, {"write": 0.25}, {"write": 1.0}, None),
        expected=(0.2, 0.35),
        interval=(0.1, 0.2, 0.3),
        each=(0.1, 0.3),
        fraction=1.0,
        writes=250,
        endurance=None,
        error={},
        gains=(),
        backprop_seconds=0.5,
        reasons={},
        simulations=6,
        stopped=False,
        engine="fused",
        profile=asked.profile,
    )


@pytest.fixture
def kept(problem, tmp_path):
    """A problem, and a folder with its plan."""
    asked = problem(write=1e-3)
    write_plan(tmp_path, made(asked), {"given": plain(asked.given), **ASKED})
    return asked, tmp_path


def test_the_same_plan_goes_on_and_another_is_refused(kept, problem):
    asked, folder = kept
    check_folder(folder, asked, chips=2, seed=3)
    others = {
        "task, or with other settings": (dataclasses.replace(asked, given={**asked.given, "hidden": [3]}), 2, 3),
        "chip": (problem(write=2e-3), 2, 3),
        "target": (dataclasses.replace(asked, target=0.9), 2, 3),
        "number of chips": (asked, 4, 3),
        "seed": (asked, 2, 4),
    }
    for what, (other, chips, seed) in others.items():
        said = f"{folder} has a plan for another {what}: give another out"
        with pytest.raises(RunError, match=f"^{re.escape(said)}$"):
            check_folder(folder, other, chips=chips, seed=seed)


def test_a_plan_for_data_and_a_chip_of_your_own_is_kept(kept):
    asked, folder = kept
    tables = {"task": {"path": "/data/mine.csv"}, "chip": {"build": "mine:chip", "folder": "/code"}}
    own = dataclasses.replace(asked, given=settings_in(tables, Path()))
    write_plan(folder, made(own), {"given": plain(own.given), **ASKED})
    assert read_plan(folder).settings["task"]["path"] == "/data/mine.csv"
    check_folder(folder, own, chips=2, seed=3)


@contextlib.contextmanager
def small_files(most):
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_plan_that_cannot_be_written_is_told_in_a_line(kept):
    asked, folder = kept
    before = read_plan(folder)
    with (
        small_files(100),
        pytest.raises(RunError, match=r"^cannot write .*plan.toml: File too large; the same"),
    ):
        write_plan(folder, made(asked), {"given": plain(asked.given), **ASKED})
    assert read_plan(folder) == before


def test_a_folder_of_something_else_is_refused(problem, tmp_path):
    check_folder(tmp_path / "new", problem(), chips=2, seed=0)
    check_folder(tmp_path, problem(), chips=2, seed=0)
    (tmp_path / "plan.toml").write_text("mine")
    for path in (tmp_path, tmp_path / "plan.toml"):
        with pytest.raises(RunError, match=f"^{re.escape(str(path))} exists and is not a plan: give another out$"):
            check_folder(path, problem(), chips=2, seed=0)
