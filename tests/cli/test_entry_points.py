"""Entry points of other packages that cannot be used: left out by `mgd list`, refused when asked for, in one line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tomli_w

from mgd.rows import FAMILIES, IMPERFECTIONS, OPTIMIZERS, TASKS

ODDS = """
import optax
from mgd.rows import ImperfectionRow, Real, Row, Setting, TaskRow

PLAIN = Row("plain descent again", optax.sgd)
NO_ROW = optax.sgd
NO_FAMILY = Row("makes a number", "math:hypot", {"y": 1.0})
NOT_MADE = Row("needs more than it is given", optax.sgd, {"no_such_argument": 1})
FOREIGN = ImperfectionRow((Setting("hum", Real(ge=0), "a hum"), Setting("buzz", Real(ge=0), "a buzz")), "math:sqrt")
HUM = ImperfectionRow((Setting("hum", Real(ge=0), "a hum"),), lambda hum: hum)
EMPTY = TaskRow("a task of nothing", lambda: None, inputs=(2,), samples=4)
NO_DEFAULTS = TaskRow("a task without settings", lambda: None, rule_steps=0)
"""


@pytest.fixture
def install(tmp_path, monkeypatch) -> Iterator[Callable[..., str]]:
    """Makes a distribution with these entry points, whose module is ODDS; returns the module's name."""
    module = f"odds_of_{tmp_path.name.replace('-', '_')}"

    def install(name: str = "odds-and-ends", **groups: str) -> str:
        site = tmp_path / name
        info = site / f"{name.replace('-', '_')}-2.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(ODDS)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
        lines = [f"[mgd.{group}]\n{points.replace('ODDS', module)}\n" for group, points in groups.items()]
        (info / "entry_points.txt").write_text("".join(lines))
        monkeypatch.syspath_prepend(site)
        return module

    yield install
    sys.modules.pop(module, None)


def train_refused(mgd_cli, **settings) -> str:
    """What `mgd train` says in its one line of a run with these settings."""
    Path("c.toml").write_text(tomli_w.dumps({"task": "parity", "steps": 5} | settings))
    said = mgd_cli("train", "c.toml", "--out=run")
    assert (said.code, said.out) == (2, ""), said
    assert said.err.startswith("mgd: ")
    assert said.err.count("\n") == 1
    assert not Path("run").exists()
    return said.err.removeprefix("mgd: ").removeprefix("c.toml: ").removesuffix("\n")


GONE = "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"
TWO = "uninstall one, or give its entry point another name"
# What an entry point names, how it is asked for, and what is said of it.
BROKEN = {
    "a family that is not there": (
        {"perturbations": "gone = no_such_module:ROW"},
        {"perturbation": "gone"},
        f"perturbation 'gone' of odds-and-ends 2.0 {GONE}",
    ),
    "an optimizer that is not there": (
        {"optimizers": "gone = no_such_module:ROW"},
        {"optimizer": "gone"},
        f"optimizer 'gone' of odds-and-ends 2.0 {GONE}",
    ),
    "a task that is not there": (
        {"tasks": "gone = no_such_module:ROW"},
        {"task": "gone"},
        f"task 'gone' of odds-and-ends 2.0 {GONE}",
    ),
    "an imperfection that is not there": (
        {"imperfections": "gone = no_such_module:ROW"},
        {"imperfect": {"gone": 1}},
        f"imperfect: imperfection 'gone' of odds-and-ends 2.0 {GONE}",
    ),
    "no row": (
        {"optimizers": "odd = ODDS:NO_ROW"},
        {"optimizer": "odd"},
        "optimizer 'odd' of odds-and-ends 2.0 cannot be used: ODDS:NO_ROW must be a mgd.rows.Row, and it is a function",
    ),
    "a name of ours": (
        {"perturbations": "walsh = ODDS:PLAIN"},
        {"perturbation": "walsh"},
        f"perturbation 'walsh' is claimed by mgd and odds-and-ends 2.0: {TWO}",
    ),
    "a name that settings of ours begin with": (
        {"imperfections": "dac = ODDS:HUM"},
        {"imperfect": {"dac-bits": 8}},
        f"imperfect: imperfection 'dac-bits' is claimed by mgd and odds-and-ends 2.0: {TWO}",
    ),
    "a setting with a name of its own": (
        {"imperfections": "hum = ODDS:FOREIGN"},
        {"imperfect": {"hum": 1}},
        "imperfect: imperfection 'hum' of odds-and-ends 2.0 cannot be used: its setting 'buzz' must be called 'hum', "
        "or 'hum-…'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_left_out_of_the_list_and_refused(name, install, mgd_cli):
    groups, asked, message = BROKEN[name]
    message = message.replace("ODDS", install(**groups))
    listed = mgd_cli("list")
    assert listed.code == 0
    assert listed.err == f"mgd: left out: {message.removeprefix('imperfect: ')}\n"
    assert "odds-and-ends" not in listed.out
    assert "rademacher" in listed.out
    assert train_refused(mgd_cli, **asked) == message


def test_files_of_a_task_that_is_not_there_are_refused(install, mgd_cli):
    install(tasks="gone = no_such_module:ROW")
    said = mgd_cli("data", "fetch", "gone")
    assert (said.code, said.err) == (2, f"mgd: task 'gone' of odds-and-ends 2.0 {GONE}\n")
    listed = mgd_cli("data", "list")
    assert (listed.code, listed.err, "gone" in listed.out) == (0, "", False)


def test_two_packages_that_claim_one_name(install, mgd_cli):
    install("one", optimizers="odd = ODDS:PLAIN")
    install("other", optimizers="odd = ODDS:PLAIN", instruments="rack = ODDS:PLAIN")
    said = f"optimizer 'odd' is claimed by one 2.0 and other 2.0: {TWO}"
    assert mgd_cli("list").err == f"mgd: left out: {said}\n"
    assert train_refused(mgd_cli, optimizer="odd") == said


def test_an_instrument_that_is_not_there_is_left_out_too(install, mgd_cli):
    install(instruments="rack = no_such_module:load")
    said = mgd_cli("list")
    assert said.err == f"mgd: left out: the kind of instrument 'rack' {GONE}\n"
    assert "rack" not in said.out


def test_what_is_not_asked_for_troubles_nobody(install, mgd_cli):
    install(perturbations="gone = no_such_module:ROW", imperfections="lost = no_such_module:ROW")
    words = ("--steps=5", "--replicas=2", "--imperfect=cost-noise=0.1", "--perturbation=walsh", "--out=run")
    assert mgd_cli("train", "parity", *words).code == 0


# Rows that can be loaded, and do not make what they should.
MADE = {
    "a family that is none": (
        {"perturbations": "odd = ODDS:NO_FAMILY"},
        {"perturbation": "odd"},
        "perturbation 'odd': making it raised TypeError: math.hypot() takes no keyword arguments",
    ),
    "an optimizer that takes other arguments": (
        {"optimizers": "odd = ODDS:NOT_MADE"},
        {"optimizer": "odd"},
        "optimizer 'odd': making it raised TypeError: sgd() got an unexpected keyword argument 'no_such_argument'",
    ),
    "an imperfection that is a number": (
        {"imperfections": "hum = ODDS:HUM"},
        {"imperfect": {"hum": 1}},
        "imperfection 'hum' must be a mgd.chips.imperfections.AbstractImperfection, got a float",
    ),
    "a task that is nothing": (
        {"tasks": "odd = ODDS:EMPTY"},
        {"task": "odd", "hidden": [2]},
        "task 'odd' must be a mgd.datasets.Task, got a NoneType",
    ),
    "a task without a network": (
        {"tasks": "odd = ODDS:EMPTY"},
        {"task": "odd", "learning_rate": 1.0},
        "the task 'odd' has no default of hidden for discrete: give it",
    ),
    "a task without a rate": (
        {"tasks": "odd = ODDS:NO_DEFAULTS"},
        {"task": "odd", "hidden": [2]},
        "the task 'odd' has no default of learning_rate for discrete: give it",
    ),
    "a setting out of range": (
        {"imperfections": "hum = ODDS:HUM"},
        {"imperfect": {"hum": -1}},
        "imperfect.hum: input should be greater than or equal to 0, got -1",
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_does_not_make_what_it_should_is_refused(name, install, mgd_cli):
    groups, asked, message = MADE[name]
    install(**groups)
    assert train_refused(mgd_cli, **asked) == message


@pytest.mark.parametrize("table", [FAMILIES, IMPERFECTIONS, OPTIMIZERS, TASKS], ids=lambda table: table.group)
def test_our_own_rows_make_what_they_say(table):
    """What each names is there; imperfections are made with all their settings in tests/runs/test_imperfect.py."""
    from mgd.rows import found

    assert all(callable(found(row.make)) for row in table.own.values())
    assert table.usable() == (dict(table.own), [])


@pytest.mark.parametrize("words", [("list",), ("--help",), ("train", "--help")], ids=" ".join)
def test_names_and_help_do_not_import_jax(words):
    code = (
        "import sys, click.testing, mgd.cli._main as main\n"
        f"assert click.testing.CliRunner().invoke(main.commands, {list(words)}).exit_code == 0\n"
        "print(sorted({'jax', 'equinox', 'optax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
