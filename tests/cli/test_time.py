"""`mgd time`: what it says of a run, and what it refuses."""

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mgd.cli._time import thin

PROFILE = """
name = "decimal"
description = "a chip"
source = "made up"
[seconds]
inference = 1.0
perturbation = 10.0
write = 100.0
load = 1000.0
latency = 10000.0
"""
ENERGIES = """
[joules]
inference = 1.0
perturbation = 0.0
write = 0.0
load = 0.0
latency = 0.0
"""
SHIPPED = "example, hw1, hw2, hw3, silicon-photonic-2506.18041"


@pytest.fixture
def decimal(mgd_cli) -> Path:
    """A profile without energies, in the folder where commands run."""
    path = Path("decimal.toml")
    path.write_text(PROFILE, encoding="utf-8")
    return path


@pytest.fixture
def run(finished, mgd_cli) -> Path:
    """A copy of a finished run: 40 steps of XOR on two chips, τ_x = 3, τ_θ = 7, baseline measured once a hold."""
    shutil.copytree(finished[0], "run")
    return Path("run")


def _rows(out: str, after: str) -> list[list[str]]:
    """The rows of the table whose header has this word, cells cut at two spaces."""
    lines = out.splitlines()
    start = next(k for k, line in enumerate(lines) if after in line)
    return [[cell.strip() for cell in line.strip().split("  ") if cell.strip()] for line in lines[start:]]


def test_times_of_each_step_and_the_shares_of_the_last(run, decimal, mgd_cli):
    """Holds begin at 14 + 6 - 2 of 40 steps (multiples of 3, of 7, of both): 58 measurements, 57 changes of θ̃."""
    said = mgd_cli("time", run, "--profile", decimal)
    assert (said.code, said.err) == (0, "")
    metrics = xr.open_zarr(run / "metrics.zarr", consolidated=False)
    rows = _rows(said.out, "accuracy")
    assert rows[0] == ["step", "measurements", "accuracy", "time"]
    assert rows[1][0::3] == ["0", "0 s"]
    # 58 × 1 + 57 × 10 + 5 × 100 + 14 × 1000 + 58 × 10000 = 595128 s.
    last = next(row for row in rows if row[0] == "40")
    assert last == ["40", "58", f"{float(metrics.accuracy[:, -1].mean()):.1%}", "6.9 days"]
    assert _rows(said.out, "share of the time")[:6] == [
        ["event", "count", "each", "share of the time"],
        ["inference", "58", "1 s", "0.0%"],
        ["perturbation", "57", "10 s", "0.1%"],
        ["write", "5", "1.7 min", "0.1%"],
        ["load", "14", "17 min", "2.4%"],
        ["latency", "58", "2.8 h", "97.5%"],
    ]
    assert said.out.startswith("decimal: a chip\nsource: made up\n")
    assert said.out.endswith("no energies in this profile\n")
    assert "published" not in said.out


def test_energies_overlaps_and_the_published_formula(run, mgd_cli):
    text = 'idle_watts = 0.0\npublished_step_seconds = 0.5\noverlap = [["load", "write"]]\n' + PROFILE + ENERGIES
    Path("full.toml").write_text(text, encoding="utf-8")
    said = mgd_cli("time", run, "--profile", "full.toml")
    rows = _rows(said.out, "accuracy")
    assert rows[0] == ["step", "measurements", "accuracy", "time", "energy"]
    assert next(row for row in rows if row[0] == "40")[4] == "58 J"
    assert ["write", "5", "1.7 min", "0.0% (overlapped)"] in rows
    assert said.out.endswith("published formula: 40 steps × 500 ms = 20 s\n")
    assert "no energies" not in said.out


def test_json_has_every_logged_step(run, decimal, mgd_cli):
    said = mgd_cli("time", run, "--profile", decimal, "--profile", "hw1", "--json")
    answer = json.loads(said.out)
    metrics = xr.open_zarr(run / "metrics.zarr", consolidated=False)
    assert answer["run"] == "run"
    own, published = answer["profiles"]
    assert [row["step"] for row in own["steps"]] == metrics.step.values.tolist()
    assert own["steps"][-1] == {
        "step": 40,
        "cost_measurements": 58,
        "accuracy": pytest.approx(float(metrics.accuracy[:, -1].mean())),
        "seconds": 595128.0,
        "joules": None,
    }
    assert (own["profile"], own["seconds"], own["joules"], own["published_seconds"]) == (
        "decimal",
        595128.0,
        None,
        None,
    )
    assert own["shares"]["load"] == pytest.approx(14000 / 595128)
    assert published["published_seconds"] == pytest.approx(40 * 2e-3)
    assert published["seconds"] == pytest.approx(58 * 100e-9 + 57e-3 + 5e-3)


def test_several_profiles_have_a_line_each(run, decimal, mgd_cli):
    said = mgd_cli("time", run, "--profile", decimal, "--profile", "hw1", "--profile", "example")
    lines = said.out.splitlines()
    assert lines[0].startswith("step 40: 58 measurements, accuracy ")
    rows = _rows(said.out, "most of it")
    assert rows[1:4] == [
        ["decimal", "6.9 days", "no energies in this profile", "latency, 97%"],
        ["hw1", "62 ms", "no energies in this profile", "perturbation, 92%", "80 ms"],
        # 5.8 µs + 50 µs + 11.6 µs + the longer of 57 µs and 7 µs; 0.05 W of that, and 0.04 µJ for what is done.
        ["example", "124 µs", "6.3 µJ", "perturbation, 46%", "80 µs"],
    ]


def test_an_unfinished_run_is_timed_as_far_as_it_is(run, decimal, mgd_cli):
    (run / "summary.json").unlink()
    short = xr.open_zarr(run / "metrics.zarr", consolidated=False).load().isel(step=slice(0, 4))
    shutil.rmtree(run / "metrics.zarr")
    del short.attrs["sha256"]  # as one of before there were digests
    short.to_zarr(run / "metrics.zarr", zarr_format=3, consolidated=False)
    said = mgd_cli("time", run, "--profile", decimal, "--json")
    assert json.loads(said.out)["profiles"][0]["steps"][-1]["step"] == short.step.values[-1]


def test_png_and_svg(run, decimal, mgd_cli):
    for suffix in ("png", "svg", "PNG"):
        said = mgd_cli("time", run, "--profile", decimal, "--profile", "hw3", "--figure", f"picture.{suffix}")
        assert (said.code, said.err) == (0, "")
        assert said.out.endswith(f"picture: picture.{suffix}\n")
    from matplotlib import image

    for name in ("picture.png", "picture.PNG"):
        pixels = image.imread(name, format="png")
        assert pixels.shape[1] == 1040
        for color in ("#1f77b4", "#ff7f0e"):  # a line of each profile
            rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
            assert (abs(pixels[..., :3] - rgb).max(-1) < 0.01).sum() > 100, color
    assert ElementTree.parse("picture.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_list_has_a_line_for_each_profile(mgd_cli):
    said = mgd_cli("time", "--list")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == SHIPPED.split(", ")
    assert lines[1].endswith("  thermo-optic photonics (HW1 of McCaughan et al. 2023)")
    folder = lines[-1].removeprefix("They are in ").removesuffix(": copy example.toml for your own chip.")
    assert (Path(folder) / "example.toml").is_file()


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([0, 40], [0, 40]),
        (list(range(0, 1200, 100)), list(range(0, 1200, 100))),
        (list(range(0, 1301, 100)), [0, 100, 300, 1000, 1300]),
        ([0, *(round(10 ** (k / 8)) for k in range(57))], [0, 1, 10, 100, 1000, 10**4, 10**5, 10**6, 10**7]),
        ([0, *(round(10 ** (k / 8)) for k in range(7, 34))], [0, 7, 10, 32, 100, 316, 1000, 3162, 10**4, 13335]),
    ],
)
def test_about_ten_rows_are_shown(steps, kept):
    assert [steps[place] for place in thin(steps)] == kept


def _refused(said, line: str) -> None:
    assert (said.code, said.out, said.err) == (2, "", f"mgd: {line}\n")


def test_no_run(mgd_cli):
    line = "give a run directory, as in mgd time runs/parity-1 --profile hw1, or --list"
    _refused(mgd_cli("time", "--profile", "hw1"), line)


def test_no_profile(run, mgd_cli):
    _refused(mgd_cli("time", run), f"give --profile: {SHIPPED}, or the path of a TOML file")


def test_unknown_profile(run, mgd_cli):
    line = f"unknown profile 'hw9': did you mean 'hw3'?; choose {SHIPPED}, or give the path of a TOML file"
    _refused(mgd_cli("time", run, "--profile", "hw9"), line)


def test_the_same_name_twice(run, decimal, mgd_cli):
    shutil.copy(decimal, "other.toml")
    said = mgd_cli("time", run, "--profile", decimal, "--profile", "other.toml")
    _refused(said, "two profiles are named 'decimal': give each once, and each another name")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (PROFILE.replace("load = 1000.0\n", ""), "seconds.load is missing: give seconds (0 if it takes none)"),
        (PROFILE.replace("1000.0\n", "-1\n", 1), "seconds.load must be a number of seconds from 0 to 1e+30, got -1"),
        (PROFILE.replace("1000.0\n", "nan\n", 1), "seconds.load must be a number of seconds from 0 to 1e+30, got nan"),
        (PROFILE.replace("1000.0\n", "'1'\n", 1), "seconds.load must be a number of seconds from 0 to 1e+30, got '1'"),
        (
            PROFILE + ENERGIES.replace("write = 0.0\n", ""),
            "joules.write is missing: give joules (0 if it takes none)",
        ),
        (
            'overlap = [["load", "wait"]]\n' + PROFILE,
            "overlap: unknown event 'wait': did you mean 'write'?; "
            "choose inference, perturbation, write, load, latency",
        ),
    ],
)
def test_a_wrong_profile(text, line, run, mgd_cli):
    Path("wrong.toml").write_text(text, encoding="utf-8")
    _refused(mgd_cli("time", run, "--profile", "wrong.toml"), f"wrong.toml: {line}")


def test_samples_that_do_not_stay_for_their_measurements(run, mgd_cli):
    Path("brief.toml").write_text("presentation_seconds = 40_000.0\n" + PROFILE, encoding="utf-8")
    said = mgd_cli("time", run, "--profile", "brief.toml")
    assert said.err.startswith("mgd: the measurements of a presentation take "), said.err
    assert " s, and on decimal a sample stays for 4e+04 s (presentation_seconds): train with" in said.err
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)


def test_a_profile_that_is_not_toml(run, mgd_cli):
    Path("wrong.toml").write_text("name", encoding="utf-8")
    said = mgd_cli("time", run, "--profile", "wrong.toml")
    _refused(said, "wrong.toml is not TOML: Expected '=' after a key in a key/value pair (at end of document)")


def test_a_profile_that_is_not_there(run, mgd_cli):
    _refused(mgd_cli("time", run, "--profile", "none.toml"), "cannot read none.toml: No such file or directory")


def test_not_a_run(mgd_cli):
    _refused(mgd_cli("time", ".", "--profile", "hw1"), ". is not a run directory: it has no config.toml")
    _refused(mgd_cli("time", "none", "--profile", "hw1"), "none is not a run directory: it has no config.toml")


def test_a_run_without_metrics(run, mgd_cli):
    shutil.rmtree(run / "metrics.zarr")
    line = "run has no metrics yet: wait for its first checkpoint, or continue it: mgd resume run"
    _refused(mgd_cli("time", run, "--profile", "hw1"), line)


def test_damaged_metrics(run, mgd_cli):
    (run / "metrics.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    said = mgd_cli("time", run, "--profile", "hw1")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("mgd: run/metrics.zarr is damaged (")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        ("picture.pdf", "a figure is PNG or SVG: give a name that ends in .png or .svg, got picture.pdf"),
        ("picture", "a figure is PNG or SVG: give a name that ends in .png or .svg, got picture"),
        ("none/picture.png", "cannot write none/picture.png: there is no folder none"),
        ("folder.png", "cannot write folder.png: Is a directory"),
    ],
)
def test_a_figure_that_cannot_be(figure, line, run, mgd_cli):
    Path("folder.png").mkdir()
    _refused(mgd_cli("time", run, "--profile", "hw1", "--figure", figure), line)


def test_a_figure_of_no_time(run, mgd_cli):
    numbers = {"1000.0", "10000.0", "100.0", "10.0", "1.0"}
    text = "\n".join(
        line.split("=")[0] + "= 0" if line.split("= ")[-1] in numbers else line for line in PROFILE.splitlines()
    )
    Path("nothing.toml").write_text(text, encoding="utf-8")
    said = mgd_cli("time", run, "--profile", "nothing.toml", "--figure", "picture.png")
    _refused(said, "nothing to draw for decimal: no logged step takes time with this profile yet")
    assert not Path("picture.png").exists()
