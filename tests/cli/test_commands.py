"""What the commands say when all is well."""

import json
import shutil
import subprocess
import sys

import click
import pytest

import mgd
from mgd.cli._main import commands
from mgd.datasets import DESCRIPTIONS
from mgd.engines import ENGINES
from mgd.instruments import available
from mgd.rows import FAMILIES, IMPERFECTIONS, OPTIMIZERS
from mgd.runs import ALGORITHMS, BASELINES, SCHEDULES


def _all(command: click.Command, path: tuple[str, ...] = ()):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _all(below, (*path, name))


COMMANDS = dict(_all(commands))


def test_the_commands_are_these():
    assert set(COMMANDS) == {
        (),
        ("train",),
        ("resume",),
        ("plan",),
        ("sweep",),
        ("replay",),
        ("show",),
        ("doctor",),
        ("plot",),
        ("report",),
        ("predict",),
        ("apply",),
        ("export",),
        ("time",),
        ("reproduce",),
        ("chip",),
        ("chip", "check"),
        ("chip", "serve"),
        ("onchip",),
        ("onchip", "analog"),
        ("onchip", "check"),
        ("onchip", "generate"),
        ("onchip", "report"),
        ("calibrate",),
        ("instruments",),
        ("list",),
        ("data",),
        ("data", "fetch"),
        ("data", "list"),
    }


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(("mgd", *path)))
def test_help_has_an_example_that_parses(path, mgd_cli):
    said = mgd_cli(*path, "--help")
    assert (said.code, said.err) == (0, "")
    assert mgd_cli(*path, "-h") == said
    assert "None" not in said.out
    words = " ".join(said.out.split()).partition("Example: mgd ")[2].split()
    assert tuple(words[: len(path)]) == path
    command = commands
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context("mgd", words)  # raises on a wrong option


def test_every_option_is_a_setting_and_has_help():
    from mgd.runs import RunConfig, TaskTable

    options = {p.name: p for p in COMMANDS[("train",)].params if isinstance(p, click.Option)}
    assert set(options) - set(RunConfig.model_fields) - set(TaskTable.model_fields) == {
        *("chips", "simulate", "calibration", "out", "as_json", "after")
    }
    issue = (
        "bits hidden steps algorithm perturbation baseline amplitude learning_rate optimizer tau_p tau_x tau_theta "
        "tau_hp batch replicas engine seed out data"
    )
    assert set(issue.split()) <= set(options)
    for option in options.values():
        assert option.help
        assert option.help.endswith(".")


def test_version(mgd_cli):
    said = mgd_cli("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"mgd, version {mgd.__version__}\n"


def test_list_has_every_name_with_a_line(mgd_cli):
    said = mgd_cli("list")
    assert (said.code, said.err) == (0, "")
    lines = [line.split(None, 1) for line in said.out.splitlines() if line.startswith("  ")]
    expected = []
    families, optimizers, imperfections = (table.lines()[0] for table in (FAMILIES, OPTIMIZERS, IMPERFECTIONS))
    kinds = {kind.name: kind.line for kind in available()}
    for table in (
        *(DESCRIPTIONS, ALGORITHMS, families, BASELINES, optimizers, SCHEDULES, ENGINES, imperfections),
        kinds,
    ):
        expected += [[name, line] for name, line in table.items()]
    assert lines == expected


def test_data_list_says_where_files_are(mgd_cli, monkeypatch, tmp_path):
    folder = tmp_path / "images" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(b"")
    monkeypatch.setenv("MGD_DATA", str(tmp_path / "images"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = mgd_cli("data", "list")
    assert (said.code, said.err) == (0, "")
    places = dict(line.split(None, 1) for line in said.out.splitlines())
    assert list(places) == list(DESCRIPTIONS)
    assert places["parity"] == "needs no files"
    assert places["fashion-mnist"] == str(folder)
    assert places["cifar10"].startswith("not here: mgd data fetch cifar10 downloads ")


def test_show_has_a_row_a_run(finished, mgd_cli, tmp_path):
    run, told = finished
    summary = json.loads(told.out)
    shutil.copytree(run, "done")
    shutil.copytree(run, "stopped")
    shutil.copytree(run, "begun")
    (tmp_path / "here/stopped/summary.json").unlink()
    for name in ("summary.json", "checkpoint.safetensors"):
        (tmp_path / "here/begun" / name).unlink()
    said = mgd_cli("show", "done", "stopped", "begun")
    assert (said.code, said.err) == (0, "")
    header, done, stopped, begun = (line.split() for line in said.out.splitlines())
    assert header == ["run", "task", "algorithm", "replicas", "steps", "accuracy", "solved", "measurements", "state"]
    measurements = f"{summary['counts']['cost_measurements']:,}"
    assert done[:6] == ["done", "parity", "discrete,", "rademacher", "2", "40"]
    assert done[6:] == [f"{summary['accuracy']:.1%}", f"{summary['solved_fraction']:.0%}", measurements, "finished"]
    assert stopped[4:] == ["2", "40", "of", "40", "unfinished:", "mgd", "resume"]
    assert begun[4:8] == ["2", "0", "of", "40"]


def test_show_says_names_as_they_are(finished, mgd_cli):
    shutil.copytree(finished[0], "[bold]run")
    assert "[bold]run" in mgd_cli("show", "[bold]run").out


def test_resume_of_a_finished_run_says_so_and_what_it_came_to(finished, mgd_cli):
    run, told = finished
    said = mgd_cli("resume", run, "--json")
    assert (said.code, said.out) == (0, told.out)
    assert said.err == f"{run} is finished\n"


def test_train_says_what_it_came_to(train_small):
    said = train_small("--out=run")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("parity: test accuracy ")
    assert "by " in lines[1]
    assert " of 2 chips" in lines[1]
    assert "9 parameters, 40 steps" in lines[2]
    assert lines[3].endswith("picture: run/curve.png")


def test_json_is_the_summary_and_nothing_else_is_on_stdout(finished):
    run, told = finished
    assert told.code == 0
    assert told.out.count("\n") == 1
    assert json.loads(told.out) == json.loads((run / "summary.json").read_text())
    assert "Traceback" not in told.err


@pytest.mark.long
def test_runs_without_a_directory_are_numbered(train_small, tmp_path):
    for number in (1, 2):
        assert train_small("--steps=5", "--replicas=1").code == 0
        assert (tmp_path / f"here/runs/parity-{number}/summary.json").is_file()
    assert len(list((tmp_path / "here/runs").iterdir())) == 2


def test_options_go_before_the_config(finished, mgd_cli, tmp_path):
    assert mgd_cli("train", finished[0] / "config.toml", "--steps=5", "--out=run").code == 0
    config = (tmp_path / "here/run/config.toml").read_text()
    assert config == (finished[0] / "config.toml").read_text().replace("steps = 40", "steps = 5")


LIGHT = [("--help",), ("train", "--help"), ("--version",), ("list",), ("train", "pairity"), ("train", "none.toml")]
LIGHT += [("show", "none"), ("plot", "none"), ("report", "none"), ("plot", "--help"), ("export", "none", "-o", "a.txt")]
LIGHT += [("time", "--list"), ("time", "none", "--profile=hw1"), ("time", "none", "--profile=none")]


def test_help_and_lists_and_errors_do_not_wait_for_jax():
    code = """
import contextlib, io, json, sys
from mgd.cli import main
heavy = ("jax", "equinox", "optax", "matplotlib", "sklearn")
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(arguments)
        except SystemExit:
            pass
    assert not [name for name in heavy if name in sys.modules], (arguments, [n for n in heavy if n in sys.modules])
print("light")
"""
    arguments = json.dumps(LIGHT)
    done = subprocess.run([sys.executable, "-c", code, arguments], capture_output=True, text=True, check=False)
    assert done.stdout == "light\n", done.stderr.splitlines()[-1]


def test_a_closed_pipe_is_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m mgd list | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
