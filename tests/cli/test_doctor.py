"""`mgd doctor`, and the finding among the closing lines of a run."""

import json
from pathlib import Path

import pytest

SICK = ("train", "parity", "--steps=200", "--imperfect=dac-bits=6", "--out=run")


@pytest.fixture
def sick(mgd_cli):
    return mgd_cli(*SICK)


@pytest.mark.long
def test_the_first_finding_is_among_the_closing_lines(sick):
    assert sick.code == 0
    lines = [line for line in sick.out.splitlines() if "converter" in line]
    kept = json.loads(Path("run/summary.json").read_text())["diagnosis"]
    assert kept["name"] == "levels"
    assert lines == [f"  {kept['problem']}: try {kept['remedy']} (mgd doctor run says all)"]


def test_findings_are_numbered_lines_or_json(sick, mgd_cli):
    said, as_json = mgd_cli("doctor", "run"), mgd_cli("doctor", "run", "--json")
    assert (said.code, as_json.code) == (0, 0)
    first, *_ = found = json.loads(as_json.out)
    assert first["name"] == "levels"
    assert said.out.splitlines()[:2] == [f"1. {first['problem']}", f"   try {first['remedy']}"]
    assert len(said.out.splitlines()) == 2 * len(found)


@pytest.mark.long
def test_of_a_healthy_run_it_says_so_in_one_line(mgd_cli):
    begun = mgd_cli("train", "parity", "--steps=60", "--out=run")
    assert "mgd doctor" not in begun.out
    assert mgd_cli("doctor", "run").out == "run: nothing is wrong\n"
    assert mgd_cli("doctor", "run", "--json").out == "[]\n"


def test_what_is_no_run_is_one_line(mgd_cli):
    said = mgd_cli("doctor", "nowhere")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("mgd: nowhere is not a run directory")
