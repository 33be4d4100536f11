"""Profiles: those that come with the package, and what is refused, word for word."""

import math
import re
import subprocess
import sys
import tomllib
from importlib import resources
from itertools import pairwise

import pytest
import tomli_w

from mgd.timing import EVENTS, Profile, load_profile, profile_names

ALL = "inference, perturbation, write, load, latency"
NAMES = ("example", "hw1", "hw2", "hw3", "silicon-photonic-2506.18041")


def test_the_shipped_profiles_are_these_and_lie_in_the_package():
    assert profile_names() == NAMES
    files = {path.name for path in (resources.files("mgd.timing") / "profiles").iterdir()}
    assert files == {f"{name}.toml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_is_named_as_its_file(name):
    assert load_profile(name).name == name


PUBLISHED = {
    "hw1": (100e-9, 1e-3, 1e-3, 2e-3),
    "hw2": (1e-9, 10e-9, 1e-6, 20e-9),
    "hw3": (10e-12, 200e-12, 200e-12, 400e-12),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_profiles_have_the_published_times_and_no_energies(name):
    profile = load_profile(name)
    seconds = profile.seconds
    found = (seconds.inference, seconds.perturbation, seconds.write, profile.published_step_seconds)
    assert found == PUBLISHED[name]
    assert (profile.joules, profile.idle_watts, profile.overlap) == (None, None, ())
    assert "026118" in profile.source
    assert "second-hand" in profile.source


def test_the_example_has_every_field_and_says_what_each_is():
    text = (resources.files("mgd.timing") / "profiles" / "example.toml").read_text(encoding="utf-8")
    fields = tomllib.loads(text)
    assert set(fields) == set(Profile.model_fields)
    assert set(fields["seconds"]) == set(fields["joules"]) == set(EVENTS)
    # Every line that sets something has its comment above it; those of [joules] are those of [seconds].
    lines = text.partition("[joules]")[0].splitlines()
    for above, line in pairwise(lines):
        if re.match(r"[a-z_]+ = |\[", line):
            assert above.startswith("# "), line


def test_a_profile_is_found_by_path(tmp_path, fields):
    path = tmp_path / "my.toml"
    path.write_text(tomli_w.dumps(fields), encoding="utf-8")
    assert load_profile(path) == load_profile(str(path)) == Profile.of(fields)


def test_whole_numbers_will_do_for_times(fields):
    fields["seconds"]["load"] = 3
    assert Profile.of(fields).seconds.load == 3.0


def test_a_power_of_ten_will_do_for_a_whole_number(fields):
    found = Profile.of(fields | {"endurance": 1e6, "buffer": 4.0})
    assert (found.endurance, found.buffer) == (10**6, 4)
    assert type(found.endurance) is int


def without(fields, *place):
    *tables, last = place
    for table in tables:
        fields = fields[table]
    del fields[last]


def with_(fields, value, *place):
    *tables, last = place
    for table in tables:
        fields = fields[table]
    fields[last] = value


NUMBER = "must be a number of seconds from 0 to 1e+30, got"
JOULES = dict.fromkeys(EVENTS, 1.0)
WRONG = {
    "missing time": (
        lambda f: without(f, "seconds", "load"),
        "seconds.load is missing: give seconds (0 if it takes none)",
    ),
    "missing table": (lambda f: without(f, "seconds"), f"seconds is missing: give the table [seconds] with {ALL}"),
    "missing source": (lambda f: without(f, "source"), "source is missing: give a text"),
    "empty source": (lambda f: with_(f, "", "source"), "source must be a text that is not empty, got ''"),
    "source a number": (lambda f: with_(f, 3, "source"), "source must be a text that is not empty, got 3"),
    "negative": (lambda f: with_(f, -1e-9, "seconds", "write"), f"seconds.write {NUMBER} -1e-09"),
    "nan": (lambda f: with_(f, math.nan, "seconds", "latency"), f"seconds.latency {NUMBER} nan"),
    "infinite": (lambda f: with_(f, math.inf, "seconds", "inference"), f"seconds.inference {NUMBER} inf"),
    "beyond all": (lambda f: with_(f, 1e31, "seconds", "inference"), f"seconds.inference {NUMBER} 1e+31"),
    "text for a time": (lambda f: with_(f, "1 ms", "seconds", "perturbation"), f"seconds.perturbation {NUMBER} '1 ms'"),
    "true for a time": (lambda f: with_(f, True, "seconds", "perturbation"), f"seconds.perturbation {NUMBER} True"),
    "seconds one number": (
        lambda f: with_(f, 1.0, "seconds"),
        f"seconds must be a table [seconds] with {ALL}, got 1.0",
    ),
    "published step": (lambda f: with_(f, -2, "published_step_seconds"), f"published_step_seconds {NUMBER} -2"),
    "unknown event's time": (
        lambda f: with_(f, 1.0, "seconds", "writes"),
        f"unknown field 'seconds.writes': did you mean 'write'?; choose {ALL}",
    ),
    "unknown field": (
        lambda f: with_(f, 1.0, "overlaps"),
        "unknown field 'overlaps': did you mean 'overlap'?; choose name, description, source, seconds, joules, "
        "idle_watts, overlap, published_step_seconds, one_by_one, buffer, "
        "presentation_seconds, noise_of, endurance",
    ),
    "no samples kept": (
        lambda f: with_(f, 0, "buffer"),
        "buffer must be a whole number of samples, 1 or more, got 0",
    ),
    "no time for a sample": (
        lambda f: with_(f, 0, "presentation_seconds"),
        "presentation_seconds must be a number of seconds above 0, at most 1e+30, got 0",
    ),
    "no writes": (
        lambda f: with_(f, 0.5, "endurance"),
        "endurance must be a whole number of writes, 1 or more, got 0.5",
    ),
    "noise of a batch": (
        lambda f: with_(f, "batch", "noise_of"),
        'noise_of must be "measurement" or "sample", got \'batch\'',
    ),
    "loads one by one": (
        lambda f: with_(f, ["load"], "one_by_one"),
        'one_by_one must be a list of "perturbation" and "write", got \'load\'',
    ),
    "unknown event in overlap": (
        lambda f: with_(f, [["load", "inferences"]], "overlap"),
        f"overlap: unknown event 'inferences': did you mean 'inference'?; choose {ALL}",
    ),
    "event in two groups": (
        lambda f: with_(f, [["load", "write"], ["load", "latency"]], "overlap"),
        "overlap: 'load' is named twice: an event may be in only one group, and only once",
    ),
    "event twice in a group": (
        lambda f: with_(f, [["load", "load"]], "overlap"),
        "overlap: 'load' is named twice: an event may be in only one group, and only once",
    ),
    "group of one": (
        lambda f: with_(f, [["load"]], "overlap"),
        "overlap: a group of one, ['load'], cannot overlap: name two events or more",
    ),
    "overlap without groups": (
        lambda f: with_(f, ["load", "write"], "overlap"),
        'overlap must be a list of groups such as [["load", "perturbation"]], got \'load\'',
    ),
    "joules in part": (
        lambda f: f.update(joules={k: v for k, v in JOULES.items() if k != "write"}, idle_watts=0.0),
        "joules.write is missing: give joules (0 if it takes none)",
    ),
    "joules without idle power": (
        lambda f: with_(f, JOULES, "joules"),
        "idle_watts is missing beside [joules]: give watts (0 if it draws none), or leave both out",
    ),
    "idle power without joules": (
        lambda f: with_(f, 1.0, "idle_watts"),
        "joules is missing beside idle_watts: give the table [joules], or leave both out",
    ),
    "negative joules": (
        lambda f: f.update(joules=JOULES | {"load": -1.0}, idle_watts=0.0),
        "joules.load must be a number of joules from 0 to 1e+30, got -1.0",
    ),
    "negative power": (
        lambda f: f.update(joules=JOULES, idle_watts=-1.0),
        "idle_watts must be a number of watts from 0 to 1e+30, got -1.0",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_profile_is_one_line_that_names_the_file(spoil, said, fields, tmp_path):
    spoil(fields)
    path = tmp_path / "wrong.toml"
    path.write_text(tomli_w.dumps(fields), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {said}')}$"):
        load_profile(path)


def test_a_number_that_no_float_holds(fields):
    fields["seconds"]["load"] = 10**400
    with pytest.raises(ValueError, match=r"^seconds.load must be a number of seconds from 0 to 1e\+30, got 10{400}$"):
        Profile.of(fields)


def test_what_is_not_toml(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text("seconds = = 3", encoding="utf-8")
    with pytest.raises(
        ValueError, match=rf"^{re.escape(str(path))} is not TOML: Invalid value \(at line 1, column 11\)$"
    ):
        load_profile(path)


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.toml"
    with pytest.raises(ValueError, match=rf"^cannot read {re.escape(str(path))}: No such file or directory$"):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("hw4", ": did you mean 'hw3'?"),
        ("silicon-photonics", ": did you mean 'silicon-photonic-2506.18041'?"),
        ("zzz", ""),
    ],
)
def test_an_unknown_name(name, near):
    said = f"unknown profile {name!r}{near}; choose {', '.join(NAMES)}, or give the path of a TOML file"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        load_profile(name)


def test_timing_a_history_does_not_import_jax():
    code = """
import sys, mgd.timing, xarray as xr
counts = {name: ("step", [4]) for name in mgd.timing.EVENTS.values()}
history = xr.Dataset(coords={"step": [2]} | counts)
print(mgd.timing.time_history(history, mgd.timing.load_profile("hw1")).seconds.item() > 0, "jax" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True False\n", done.stderr
