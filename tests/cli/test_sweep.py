"""`mgd sweep`, and sweeps in `mgd show` and `mgd plot`."""

import json
from pathlib import Path

import pytest

SMALL = ("--hidden=2", "--steps=40", "--replicas=3", "--tau-x=1", "--tau-theta=1", "--engine=measured", "--workers=1")
VARY = ("--vary", "cost-noise=0.01,0.1", "--vary", "learning-rate=0.5,1")


def test_a_sweep_says_what_it_costs_and_what_came_of_it(mgd_cli):
    swept = mgd_cli("sweep", "parity", *SMALL, *VARY, "--out", "bits")
    assert swept.code == 0, swept.err
    first, second = swept.err.splitlines()[:2]
    assert first == "4 points: 480 chip-steps, in one program"
    assert second.startswith("the first point took ")
    lines = swept.out.splitlines()
    assert lines[0] == "4 points of 3 chips each"
    assert lines[1].startswith("  best: cost-noise=0.")
    assert lines[-1] == "mgd show bits has every point; mgd plot bits draws them"
    # Again it computes nothing, and with one value more what is missing.
    again = mgd_cli("sweep", "parity", *SMALL, *VARY, "--out", "bits")
    assert (again.code, again.out, again.err) == (0, swept.out, "")
    more = mgd_cli(
        "sweep", "parity", *SMALL, "--vary", "cost-noise=0.2", "--vary", "learning_rate=1", "--out", "bits", "--json"
    )
    assert more.err.splitlines()[0] == "one point: 120 chip-steps, in one program"
    found = json.loads(more.out)
    assert [(line["cost-noise"], line["learning_rate"]) for line in found] == [
        (0.01, 0.5),
        (0.01, 1.0),
        (0.1, 0.5),
        (0.1, 1.0),
        (0.2, 1.0),
    ]
    shown = mgd_cli("show", "bits")
    assert shown.code == 0
    assert shown.out.splitlines()[0].split()[:4] == ["cost-noise", "learning_rate", "median", "accuracy"]
    assert len(shown.out.splitlines()) == 7
    assert json.loads(mgd_cli("show", "bits", "--json").out) == found
    drawn = mgd_cli("plot", "bits", "-o", "a.svg", "--y", "cost", "--x", "cost-noise", "--hue", "learning-rate")
    assert (drawn.code, drawn.out) == (0, "written: a.svg\n")
    assert mgd_cli("plot", "bits", "--x", "steps").err.startswith("mgd: unknown x 'steps'; choose cost-noise, ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vary", "cost-nois=1,2"), "mgd: vary: unknown setting 'cost-nois': did you mean 'cost-noise'?"),
        ((), "mgd: a sweep varies something: give vary, such as dac-bits=3..10"),
        (("--vary", "dac-bits"), "mgd: vary: give NAME=VALUES, such as dac-bits=3..10 or cost-noise=0,0.01"),
        (("--vary", "dac-bits=0..3"), "mgd: the point dac-bits=0: imperfect.dac-bits: input should be greater"),
        (("--vary", "dac-bits=3..4", "--design", "sobol"), "mgd: design must be grid, sobol:N or random:N"),
        (("--vary", "dac-bits=3..4", "--until-solved"), "mgd: leave until-solved out: every point of a sweep"),
        (("--vary", "dac-bits=3..4", "--workers", "0"), "mgd: Invalid value for '--workers'"),
        (("--vary", "dac-bits=3..4", "--out", "."), "mgd: . exists and is not a sweep: give another out"),
    ],
)
def test_bad_input_is_one_line_and_code_2(mgd_cli, words, said):
    Path("notes.txt").write_text("mine")
    found = mgd_cli("sweep", "parity", *words)
    assert found.code == 2
    assert found.err.startswith(said)
    assert found.err.count("\n") == 1


def test_a_file_of_a_sweep(mgd_cli):
    Path("a.toml").write_text('task = "parity"\n[vary]\ncost-nois = [0.1]\n')
    said = mgd_cli("sweep", "a.toml")
    assert (said.code, said.err) == (2, "mgd: vary: unknown setting 'cost-nois': did you mean 'cost-noise'?\n")
    said = mgd_cli("sweep", "nowhere.toml")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith("mgd: cannot read nowhere.toml: No such file")


def test_what_is_of_sweeps_is_refused_of_runs(mgd_cli):
    Path("bits").mkdir()
    Path("bits/sweep.json").write_text("{}")
    for words, said in (
        (("plot", "bits", "bits"), "mgd: a sweep is drawn by itself"),
        (("show", "bits", "bits"), "mgd: a sweep is shown by itself"),
        (("plot", "bits", "--csv", "a.csv"), "mgd: a sweep is drawn by itself"),
        (("plot", "nowhere", "--hue", "dac-bits"), "mgd: --hue is for a sweep, and nowhere is none"),
        (("plot", "nowhere", "--x", "weeks"), "mgd: Invalid value for '--x': 'weeks' is not one of"),
        (("plot", "bits"), "mgd: bits/sweep.json is damaged"),
    ):
        found = mgd_cli(*words)
        assert found.code == 2
        assert found.err.startswith(said), found.err
        assert found.err.count("\n") == 1
