"""Kinds of instruments by entry points: this package's, and those of packages that others make."""

import sys

import numpy as np
import pytest

import mgd.cli
from mgd import HardwareError
from mgd.instruments import available, kinds, load_instrument

LAB = """
from mgd.instruments import Limits, from_callables

class Glitch(Exception):
    pass

def fails(x, target):
    raise Glitch("hm")

def chip(**settings):
    if settings.get("wrong"):
        raise settings["wrong"]("why")
    return from_callables(
        set_parameters=lambda theta: None,
        measure_cost=lambda: 0.5,
        present=fails,
        limits=Limits.uniform(settings.get("n", 2), -1.0, 1.0),
        address="lab",
    )

def load(settings, folder):
    return chip(n=settings["n"])

def missing():
    return "needs a licence: ask for one"

def number():
    return 3

VALUE = 4
"""


@pytest.fixture
def lab(write_module) -> str:
    return write_module(LAB)


@pytest.fixture
def installed(tmp_path, lab, monkeypatch):
    """A distribution that brings two kinds, one of which is broken."""
    info = tmp_path / "bench_tools-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-tools\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(f"[mgd.instruments]\nrack = {lab}:load\nshelf = no_such_module:load\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_function_of_a_lab_builds_an_instrument(tmp_path, lab):
    made = load_instrument("callables", {"build": f"{lab}:chip", "arguments": {"n": 5}}, tmp_path)
    assert (made.address, made.n_params) == ("lab", 5)
    assert made.measure_cost() == 0.5


def test_what_is_worth_another_try_is_named_in_its_settings(tmp_path, lab):
    names = ["TimeoutError", "json.JSONDecodeError", f"{lab}:Glitch"]
    made = load_instrument("callables", {"build": f"{lab}:chip", "retry_on": names}, tmp_path)
    assert [each.__name__ for each in getattr(made, "retry_on", ())] == ["TimeoutError", "JSONDecodeError", "Glitch"]
    with pytest.raises(HardwareError, match="raised Glitch: hm") as told:
        made.present(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    assert told.value.passing


WRONG = {
    "no build": ({}, "kind 'callables' needs the setting 'build', which was not given"),
    "a misspelt setting": ({"biuld": "LAB:chip"}, "unknown setting 'biuld': did you mean 'build'?"),
    "no function named": ({"build": "LAB"}, 'must name a module and a function in it, as "my_lab:chip"'),
    "a number": ({"build": 3}, "build = 3 must name a module and a function"),
    "no such module": ({"build": "no_such_lab:chip"}, "there is no module 'no_such_lab': looked in FOLDER"),
    "no such function": ({"build": "LAB:chipp"}, "has no function 'chipp': did you mean 'chip'?"),
    "no function": ({"build": "LAB:VALUE"}, "has no function 'VALUE'"),
    "no instrument": ({"build": "LAB:number"}, "must return an instrument, such as from_callables makes, got a int"),
    "arguments that are no table": (
        {"build": "LAB:chip", "arguments": [1]},
        r"arguments must be a table .*, got \[1\]",
    ),
    "exceptions that are no list": ({"build": "LAB:chip", "retry_on": "TimeoutError"}, "retry_on is a list of names"),
    "no such exception": (
        {"build": "LAB:chip", "retry_on": ["TimeoutEror"]},
        "retry_on: Python has no exception 'TimeoutEror': did you mean 'TimeoutError'?",
    ),
    "a function for an exception": (
        {"build": "LAB:chip", "retry_on": ["json.dumps"]},
        "retry_on: 'json.dumps' is not a class of exceptions: name one",
    ),
    "an exception of no module": ({"build": "LAB:chip", "retry_on": ["nowhere.Late"]}, "there is no module 'nowhere'"),
    "arguments it has not": ({"build": "LAB:number", "arguments": {"a": 1}}, "it raised TypeError: .*'a'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused(tmp_path, lab, name):
    settings, words = WRONG[name]
    settings = {key: value.replace("LAB", lab) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises(ValueError, match=words.replace("FOLDER", str(tmp_path))):
        load_instrument("callables", settings, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import no_such_driver", "there is no module 'no_such_driver': which it imports"),
        ("1 / 0", "importing it raised ZeroDivisionError"),
        ("def chip(:", "importing it raised SyntaxError"),
    ],
)
def test_a_lab_module_that_cannot_be_imported_is_told_with_its_reason(tmp_path, lab, content, words):
    (tmp_path / f"{lab}.py").write_text(content)
    with pytest.raises(ValueError, match=words):
        load_instrument("callables", {"build": f"{lab}:chip"}, tmp_path)


def test_a_module_that_has_the_name_of_another_is_not_taken_for_it(tmp_path):
    (tmp_path / "json.py").write_text(LAB)
    with pytest.raises(ValueError, match=r"another module named json is loaded .*: give .*json.py another name"):
        load_instrument("callables", {"build": "json:chip"}, tmp_path)


def test_what_the_function_raises_about_the_chip_is_passed_on(tmp_path, lab):
    arguments = {"wrong": mgd.HardwareError}
    with pytest.raises(mgd.HardwareError, match="why"):
        load_instrument("callables", {"build": f"{lab}:chip", "arguments": arguments}, tmp_path)


def test_kinds_of_other_packages_are_loaded_as_the_built_in_are(tmp_path, installed):
    assert {"callables", "torch", "rack", "shelf"} <= set(kinds())
    assert load_instrument("rack", {"n": 7}, tmp_path).n_params == 7


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown kind of instrument 'torhc': did you mean 'torch'\?; choose call"):
        load_instrument("torhc", {}, tmp_path)


def test_a_kind_whose_module_is_not_there_is_refused(tmp_path, installed):
    with pytest.raises(
        ValueError, match=r"'shelf' of bench-tools 3\.1 cannot be loaded: ModuleNotFoundError: No module"
    ):
        load_instrument("shelf", {}, tmp_path)


def test_it_says_what_each_kind_lacks_and_who_brings_it(installed):
    found = {kind.name: kind for kind in available()}
    assert (found["callables"].distribution, found["callables"].version) == ("mgd", mgd.__version__)
    assert found["callables"].missing == ""
    assert (found["rack"].distribution, found["rack"].version) == ("bench-tools", "3.1")
    assert found["rack"].missing == "needs a licence: ask for one"
    assert found["shelf"].missing == "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("mgd.instruments._torch.find_spec", lambda name: None)
    said = {kind.name: kind.missing for kind in available()}["torch"]
    assert said == 'needs PyTorch, which cannot be imported: pip install "mgd[torch]"'
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r'needs PyTorch, .* pip install "mgd\[torch\]"'):
        load_instrument("torch", {"module": "lab:net"}, tmp_path)


def test_the_command_lists_them(installed, capsys):
    with pytest.raises(SystemExit) as left:
        mgd.cli.main(["instruments"])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["callables"].split() == ["callables", "mgd", mgd.__version__, "ready"]
    assert lines["rack"].endswith("bench-tools 3.1  needs a licence: ask for one")
    assert "cannot be loaded: ModuleNotFoundError" in lines["shelf"]
