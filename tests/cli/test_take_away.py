"""What is taken away from a run, by the command line: predictions, pictures, files, and a chip on a bench."""

import csv
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
INSTRUMENT = "[instrument]\nkind = 'scpi'\nresource = '{resource}'\n{more}\n"


def refused(said, *words: str, code: int = 2) -> None:
    """Asserts that a command said one line with these words, and nothing else."""
    assert (said.code, said.out) == (code, ""), said
    assert said.err.startswith("mgd: "), said.err
    assert said.err.count("\n") == 1, said.err
    for word in words:
        assert word in said.err, said.err


@pytest.fixture
def run(finished) -> Path:
    """A finished run of two chips on parity; nobody may change it."""
    return finished[0]


@pytest.fixture
def unfinished(run, tmp_path) -> Path:
    """The same, before its end."""
    shutil.copytree(run, tmp_path / "unfinished")
    for name in ("summary.json", "theta.safetensors", "SHA256SUMS"):
        (tmp_path / "unfinished" / name).unlink()
    return tmp_path / "unfinished"


# --- predict


def test_predict_says_how_good_a_run_is(run, mgd_cli):
    said = mgd_cli("predict", run, "--replica=1")
    assert (said.code, said.err) == (0, "")
    score = json.loads((run / "summary.json").read_text())["accuracy_per_replica"][1]
    lines = said.out.splitlines()
    assert lines[0] == f"{run}: chip 1 of 2"
    assert lines[1] == f"accuracy {score:.1%} on 4 samples"
    told = json.loads(mgd_cli("predict", run, "--replica=1", "--json").out)
    (one,) = told["replicas"]
    assert (told["finished"], one["replica"], one["score"]) == (True, 1, score)
    assert np.sum(one["confusion"]) == 4
    assert np.trace(one["confusion"]) == 4 * score
    assert [entry["name"] for entry in one["classes"]] == ["even", "odd"]
    assert len(one["predictions"]) == len(one["raw"]) == 4


def test_predict_of_an_unfinished_run_says_so(run, unfinished, mgd_cli):
    said = mgd_cli("predict", unfinished)
    assert (said.code, said.err) == (0, "")
    assert "not finished: the parameters are those of step 40" in said.out.splitlines()[0]
    assert said.out.splitlines()[1:] == mgd_cli("predict", run).out.splitlines()[1:]


def test_predict_answers_for_a_file_and_writes_what_it_says(run, mgd_cli):
    Path("new.csv").write_text("a,b\n0,1\n1,1\n0,0\n")
    said = mgd_cli("predict", run, "new.csv", "-o", "answers.csv", "--replica=all")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1] == "written: answers.csv"
    with Path("answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["replica"], row["sample"]) for row in rows] == [(str(r), str(n)) for r in range(2) for n in range(3)]
    told = json.loads(mgd_cli("predict", run, "new.csv", "--replica=all", "--json").out)
    for replica, one in enumerate(told["replicas"]):
        of_one = rows[3 * replica : 3 * replica + 3]
        assert [row["prediction"] for row in of_one] == one["predictions"]
        np.testing.assert_allclose([float(row["output_0"]) for row in of_one], np.ravel(one["raw"]), rtol=1e-6)
        assert "score" not in one
    assert mgd_cli("predict", run, "new.csv", "-o", "answers.npz").code == 0
    with np.load("answers.npz") as file:
        assert file["outputs"].shape == (1, 3, 1)
        assert file["predictions"].shape == (1, 3)


BAD = {
    "no run": (("predict", "nowhere"), ("nowhere is not a run directory", "config.toml")),
    "no such replica": (("predict", "RUN", "--replica=2"), ("has replicas 0 to 1", "got 2")),
    "replica by a word": (("predict", "RUN", "--replica=last"), ("'last' is not a replica",)),
    "no data": (("predict", "RUN", "none.csv"), ("cannot read none.csv", "No such file")),
    "data of another kind": (("predict", "RUN", "data.xlsx"), ("the format of data.xlsx is unknown", ".csv")),
    "another shape": (("predict", "RUN", "wide.csv"), ("wide.csv has 5 columns", "trained on 2 inputs")),
    "a suffix that cannot be written": (("predict", "RUN", "-o", "a.txt"), (".csv or .npz, got a.txt",)),
    "no folder to write to": (("predict", "RUN", "-o", "no/a.csv"), ("there is no folder no",)),
    "export to another suffix": (("export", "RUN", "-o", "a.h5"), ("NPZ, CSV or safetensors", "got a.h5")),
    "export of no run": (("export", "nowhere", "-o", "a.npz"), ("nowhere is not a run directory",)),
    "export of no such replica": (("export", "RUN", "-o", "a.npz", "--replica=7"), ("replicas 0 to 1", "got 7")),
    "plot to another suffix": (("plot", "RUN", "-o", "a.gif"), ("PNG, SVG or PDF", "got a.gif")),
    "plot to no folder": (("plot", "RUN", "-o", "no/a.png"), ("there is no folder no",)),
    "plot of no run": (("plot", "RUN", "nowhere"), ("nowhere is not a run directory",)),
    "plot along time alone": (("plot", "RUN", "--x=time"), ("profile",)),
    "plot along no profile": (("plot", "RUN", "--profile=hw9"), ("unknown profile 'hw9'", "hw1")),
    "curves to another suffix": (("plot", "RUN", "--csv=a.txt"), ("ends in .csv, got a.txt",)),
    "report of no run": (("report", "nowhere"), ("nowhere is not a run directory",)),
    "report to another suffix": (("report", "RUN", "-o", "a.pdf"), ("ends in .html, got a.pdf",)),
    "report to no folder": (("report", "RUN", "-o", "no/a.html"), ("there is no folder no",)),
    "report with no such profile": (("report", "RUN", "--profile=hw9"), ("unknown profile 'hw9'", "hw1")),
    "report with a profile twice": (("report", "RUN", "--profile=hw1", "--profile=hw1"), ("two profiles",)),
    "apply without a chip file": (("apply", "RUN", "--chip=none.toml"), ("cannot read none.toml",)),
    "apply on a simulated chip": (("apply", "RUN", "--chip=chip.toml"), ("chip.toml: there is no [instrument] table",)),
    "apply of all": (("apply", "RUN", "--chip=chip.toml", "--replica=all"), ("'all' is not a replica",)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, run, mgd_cli):
    Path("wide.csv").write_text("1,2,3,4,5\n")
    Path("data.xlsx").write_text("?")
    Path("chip.toml").write_text(CHIP)
    arguments, words = BAD[name]
    before = sorted(Path().iterdir())
    refused(mgd_cli(*(run if word == "RUN" else word for word in arguments)), *words)
    assert sorted(Path().iterdir()) == before


def test_a_report_says_where_it_is(run, unfinished, mgd_cli):
    said = mgd_cli("report", unfinished)
    assert (said.code, said.out, said.err) == (0, f"written: {unfinished / 'report.html'}\n", "")
    assert "report.html" in mgd_cli("show", unfinished).out
    said = mgd_cli("report", run, "-o", "a.html", "--profile=hw1")
    assert (said.code, said.out, said.err) == (0, "written: a.html\n", "")
    assert "hw3" not in Path("a.html").read_text()


def test_a_run_of_before_its_first_checkpoint(run, mgd_cli):
    Path("begun").mkdir()
    shutil.copy(run / "config.toml", "begun")
    refused(mgd_cli("predict", "begun"), "begun has no checkpoint yet", "mgd resume begun")
    refused(mgd_cli("plot", "begun"), "begun has no metrics yet")
    refused(mgd_cli("report", "begun"), "begun has no metrics yet")
    said = mgd_cli("plot", run, "begun", "-o", "both.png")
    assert (said.code, said.err) == (0, "mgd: warning: begun was not evaluated yet, and is left out\n")


@pytest.mark.parametrize("command", [("predict", "RUN"), ("export", "RUN", "-o", "a.npz"), ("show", "RUN")])
def test_a_harmed_file_is_one_line(command, run, mgd_cli):
    shutil.copytree(run, "harmed")
    Path("harmed/summary.json").write_text("{}")
    refused(mgd_cli(*("harmed" if word == "RUN" else word for word in command)), "harmed/summary.json is damaged")


# --- show and plot


def test_show_has_the_settings_that_differ(run, train_small, mgd_cli):
    assert train_small("--learning-rate=0.25", "--seed=3", "--out=other").code == 0
    shutil.copytree(run, "one")
    said = mgd_cli("show", "one", "other")
    header, one, other = (line.split() for line in said.out.splitlines())
    assert header[:6] == ["run", "task", "algorithm", "learning_rate", "seed", "replicas"]
    assert [row[:6] for row in (one, other)] == [
        ["one", "parity", "discrete,", "rademacher", "0.5", "0"],
        ["other", "parity", "discrete,", "rademacher", "0.25", "3"],
    ]


def test_show_of_one_run_has_all_there_is(run, mgd_cli):
    lines = mgd_cli("show", run).out.splitlines()
    for title in ("settings", "results", "files"):
        assert title in lines
    assert any(line.split()[:2] == ["learning_rate", "0.5"] for line in lines)
    assert any(line.split()[:1] == ["theta.safetensors"] for line in lines)
    (told,) = json.loads(mgd_cli("show", run, "--json").out)
    assert told["summary"] == json.loads((run / "summary.json").read_text())
    assert told["settings"]["learning_rate"] == 0.5
    assert told["files"]["summary.json"] == (run / "summary.json").stat().st_size


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_plot_draws_what_the_suffix_says(suffix, begins, run, unfinished, mgd_cli):
    said = mgd_cli("plot", run, unfinished, "-o", f"both.{suffix}", "--x=steps")
    assert (said.code, said.err, said.out) == (0, "", f"written: both.{suffix}\n")
    assert Path(f"both.{suffix}").read_bytes().startswith(begins)


def test_plot_writes_the_curves(run, train_small, mgd_cli):
    import xarray as xr

    assert train_small("--learning-rate=0.25", "--out=other").code == 0
    said = mgd_cli("plot", run, "other", "--csv=curves.csv", "--profile=hw1")
    assert (said.code, said.out) == (0, "written: curves.csv\n")
    with Path("curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["run"], row["setting.learning_rate"]) for row in rows} == {(str(run), "0.5"), ("other", "0.25")}
    history = xr.open_zarr(run / "metrics.zarr", consolidated=False).load()
    of_one = [row for row in rows if row["run"] == str(run)]
    for name in ("accuracy", "cost"):
        values = np.array([float(row[name]) for row in of_one]).reshape(history[name].shape)
        np.testing.assert_allclose(values, history[name].values, rtol=1e-6)
    assert [int(row["step"]) for row in of_one] == 2 * history.step.values.tolist()
    assert float(of_one[-1]["seconds"]) > 0


@pytest.mark.long
def test_show_and_plot_do_without_jax(run, unfinished):
    code = """
import contextlib, io, json, sys
from mgd.cli import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as left:
            assert not left.code, arguments
    heavy = [name for name in ("jax", "equinox", "optax") if name in sys.modules]
    assert not heavy, (arguments, heavy)
print("light")
"""
    both, out = [str(run), str(unfinished)], str(unfinished.parent / "both.png")
    arguments = [["show", *both], ["show", both[0]], ["plot", *both, "-o", out], ["predict", "--help"]]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("light\n", "")


# --- export


def test_export_writes_one_file(run, unfinished, mgd_cli):
    said = mgd_cli("export", run, "-o", "xor.npz")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == f"xor.npz: 9 parameters of 2 chips of {run}"
    with np.load("xor.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["theta"], load_file(run / "theta.safetensors")["theta"])
        assert json.loads(str(file["about"]))["finished"] is True
    said = mgd_cli("export", unfinished, "-o", "part.safetensors", "--replica=0")
    assert "9 parameters of one chip" in said.out
    assert "not finished: as of step 40" in said.out


# --- apply, over a real socket


def chip_file(resource: str, more: str = "") -> Path:
    path = Path("bench.toml")
    path.write_text(CHIP + INSTRUMENT.format(resource=resource, more=more))
    return path


def held_by(resource: str) -> list[float]:
    """The parameters that a served chip holds."""
    with socket.create_connection(("127.0.0.1", int(resource.split("::")[2]))) as line, line.makefile() as reply:
        line.sendall(b"PAR:DATA?\n")
        return [float(value) for value in reply.readline().split(",")]


def test_apply_puts_parameters_on_a_chip_and_leaves_it_as_asked(serve_process, run, unfinished, mgd_cli):
    served = serve_process(CHIP)
    theta = load_file(run / "theta.safetensors")["theta"]
    score = json.loads((run / "summary.json").read_text())["accuracy_per_replica"]
    said = mgd_cli("apply", run, "--chip", chip_file(served.resource), "--replica=1")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{run}, chip 1 of 2, on mgd,virtual chip,0,")
    assert lines[1] == "  9 parameters, read back as they were set"
    own = f"{score[1]:.1%}"  # the served chip is perfect, as those of the run are
    assert lines[2] == f"  accuracy {own} on the test samples; the run's own chip had {own}"
    assert lines[-1] == "  left in its safe state"
    assert held_by(served.resource) == [0.0] * 9
    kept = mgd_cli("apply", unfinished, "--chip", "bench.toml", "--replica=0", "--keep", "--test-samples=2", "--json")
    told = json.loads(kept.out)
    assert (told["finished"], told["shown"], told["samples"], told["kept"], told["read_back"]) == (
        False,
        2,
        4,
        True,
        True,
    )
    np.testing.assert_allclose(held_by(served.resource), theta[0], rtol=1e-6)


@pytest.mark.long
def test_apply_refuses_what_does_not_fit_before_anything_is_sent(serve_process, run, train_small, mgd_cli):
    served = serve_process(CHIP)
    assert train_small("--hidden=3", "--steps=5", "--out=larger").code == 0
    chip = chip_file(served.resource)
    refused(mgd_cli("apply", "larger", "--chip", chip), "larger has 13 parameters", "chip of bench.toml has 9")
    shutil.copytree(run, "far")
    theta = load_file(run / "theta.safetensors")["theta"]
    theta[0, 2] = 99.0
    save_file({"theta": theta}, "far/theta.safetensors")
    Path("far/SHA256SUMS").unlink()
    refused(
        mgd_cli("apply", "far", "--chip", chip, "--replica=0"),
        "parameter 2 of chip 0 of far is 99, outside the limits -10 … 10 of the chip of bench.toml (1 of 9",
    )
    assert held_by(served.resource) == [0.0] * 9
    chip.write_text(chip.read_text().replace("inputs = [2]", "inputs = [3]"))
    refused(mgd_cli("apply", run, "--chip", chip), "chip.inputs is [3], and parity has [2]")
    chip_file(served.resource, more="serial = 'D17'")
    refused(mgd_cli("apply", run, "--chip", chip), "serial '0' answers", "'D17'", code=4)


@pytest.mark.long
def test_a_run_on_a_bench_has_no_model_to_predict_with(serve_process, mgd_cli):
    served = serve_process(CHIP)
    chip = chip_file(served.resource, more="at_limit = 'saturate'")
    settings = ("--steps=32", "--tau-x=8", "--tau-theta=8", "--learning-rate=0.1", "--out=bench")
    assert mgd_cli("train", "parity", "--chip", chip, *settings).code == 0
    refused(mgd_cli("predict", "bench"), "a run on a real chip", "mgd apply bench --chip FILE")
    assert mgd_cli("export", "bench", "-o", "bench.npz").code == 0
    with np.load("bench.npz") as file:
        about = json.loads(str(file["about"]))
        assert "theta_applied" not in file
    assert any("a real one" in line for line in about["words"])
    said = mgd_cli("apply", "bench", "--chip", chip)
    assert said.code == 0, said
    assert "read back as they were set" in said.out
