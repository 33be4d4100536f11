"""`mgd plan`: what it prints and writes, and what it refuses."""

import json
from pathlib import Path

import pytest

CHIP = """
name = "a chip"
[chip]
hidden = [3]
init = "uniform"
[profile.seconds]
inference = 1e-6
perturbation = 0.0
write = 1e-3
load = 0.0
latency = 0.0
"""


@pytest.fixture
def chip(mgd_cli) -> Path:
    """A chip file in the folder where commands run."""
    path = Path("chip.toml")
    path.write_text(CHIP, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_plan_is_printed_and_its_settings_train(mgd_cli, chip):
    words = ("--target=0.8", "--simulations=4", "--chips=8", "--out=p")
    planned = mgd_cli("plan", str(chip), "parity", *words)
    assert planned.code == 0, planned.err
    lines = planned.out.splitlines()
    assert lines[0].startswith("0.8 after ")
    assert lines[0].endswith(" on a chip")
    assert lines[-1] == "mgd train p/plan.toml trains such chips"
    trained = mgd_cli("train", "p/plan.toml", "--out", "r")
    assert trained.code == 0, trained.err
    assert "the mean accuracy is 8" in trained.out
    # Again, it simulates nothing and says the same.
    again = json.loads(mgd_cli("plan", str(chip), "parity", *words, "--json").out)
    assert again["simulations"] == len(Path("p/simulations.jsonl").read_text(encoding="utf-8").splitlines())
    assert again["reached"]


def test_the_chips_that_come_with_the_package_are_listed(mgd_cli):
    lines = mgd_cli("plan", "--list").out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [
        "example",
        "fpga",
        "hw1",
        "hw2",
        "hw3",
        "memristive",
        "silicon-photonic-2506.18041",
        "superconducting",
        "thermo-optic",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "mgd: give a chip and a task, as in mgd plan hw1 nist7x7, or --list"),
        (("hw0", "parity"), "mgd: unknown chip 'hw0': did you mean 'hw"),
        (("hw1", "paritee"), "mgd: no task is called 'paritee'; did you mean parity?"),
        (("hw1", "parity", "--target=90"), "mgd: target must be above 0 and at most 1, got 90.0: 0.9 stands for 90 %"),
        (("hw1", "parity", "--seconds=0"), "mgd: seconds must be above 0, got 0.0"),
        (("hw1", "parity", "--tau-x=4"), "mgd: no such option --tau-x"),
        (("hw1", "parity", "--imperfect", "adc-bits=0"), "mgd: imperfect.adc-bits: "),
        (("bare.toml", "parity"), "mgd: bare.toml: there is no [profile]: give profile = "),
    ],
)
def test_bad_input_is_one_line_and_code_2(mgd_cli, words, said):
    Path("bare.toml").write_text('name = "bare"\n', encoding="utf-8")
    refused = mgd_cli("plan", *words)
    assert refused.code == 2
    assert refused.err.startswith(said), refused.err
    assert len(refused.err.splitlines()) == 1
