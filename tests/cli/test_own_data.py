"""Data of one's own on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

N = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 12)).round(3)
SPECIES = np.array(["ash", "birch", "cedar tree"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]
QUICK = ("--hidden=2", "--steps=40", "--out=run")


@pytest.fixture
def table() -> Path:
    """Semicolons, decimal commas, and names with spaces."""
    path = Path("trees.csv")
    lines = [";".join([*(str(v).replace(".", ",") for v in x), label]) for x, label in zip(X, SPECIES, strict=True)]
    path.write_text("\n".join([";".join([*(f"leaf width {k}" for k in range(1, 13)), "species"]), *lines]) + "\n")
    return path


@pytest.mark.long
def test_a_table_of_three_classes_is_learnt_as_it_is(mgd_cli, table):
    said = mgd_cli("train", table, "--steps=20000", "--json")
    assert said.code == 0
    assert said.err.startswith(
        "trees.csv: 240 samples to train on, 60 to test on (test_fraction = 0.2, drawn with seed 0)"
    )
    summary = json.loads(said.out)
    assert summary["task"] == "trees"
    assert summary["accuracy"] > 0.85
    assert Path("runs/trees-1/task.json").exists()
    shown = mgd_cli("show", "runs/trees-1")
    assert "trees" in shown.out
    table.unlink()  # whatever is kept can be read without it
    assert mgd_cli("show", "runs/trees-1") == shown
    assert mgd_cli("time", "runs/trees-1", "--profile=hw1").code == 0


@pytest.mark.parametrize("name", ["mine.csv", "mine.npz"])
def test_the_cases_from_the_field(mgd_cli, name):
    """The last column is the class."""
    x, y = X[:, :4], (X[:, 0] * X[:, 1] > 0).astype(int)
    np.savetxt("mine.csv", np.column_stack([x, y]), delimiter=",", header="a,b,c,d,label")
    np.savez("mine.npz", x=x, y=y)
    said = mgd_cli("train", name, "--steps=30000")
    assert (said.code, said.err.splitlines()[0][-19:]) == (0, "4 inputs, 2 classes")
    assert float(said.out.split("accuracy ")[1].split("%")[0]) > 85


@pytest.mark.long
def test_options_are_those_of_the_table(mgd_cli, table):
    said = mgd_cli(
        *("train", table, *QUICK, "--inputs=leaf width 2, 4-6", "--scaling=standard", "--test-fraction=0.5"),
        *("--split-seed=3", "--order=sequential"),
    )
    assert said.code == 0, said.err
    facts = json.loads(Path("run/task.json").read_text())
    assert facts["inputs"] == ["leaf width 2", "leaf width 4", "leaf width 5", "leaf width 6"]
    assert facts["scaling"]["how"] == "standard"
    assert "150 to test on (test_fraction = 0.5, the last of them)" in said.err


@pytest.mark.long
def test_a_table_in_a_settings_file_and_options_over_it(mgd_cli, table):
    Path("settings.toml").write_text('steps = 40\nhidden = [2]\n\n[task]\npath = "trees.csv"\nscaling = "standard"\n')
    assert mgd_cli("train", "settings.toml", "--scaling=none", "--out=run").code == 0
    assert json.loads(Path("run/task.json").read_text())["scaling"] is None


def test_a_function_is_said_to_be_run(mgd_cli, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("own_data_task.py").write_text(
        "import numpy as np\nfrom mgd.datasets import from_arrays\n\n"
        "def make():\n    return from_arrays(np.eye(4), np.arange(4) % 2)\n"
    )
    said = mgd_cli("train", "own_data_task:make", "--batch=1", *QUICK)
    assert said.code == 0
    assert said.err.startswith("own_data_task:make, your own code, was run: 4 samples to train on, 4 to test on\n")


@pytest.mark.slow
def test_a_chip_is_calibrated_for_own_data(mgd_cli, table):
    Path("chip.toml").write_text("[chip]\ninputs = [12]\noutputs = 3\nhidden = [2]\n\n[imperfect]\ncost-noise = 1e-4\n")
    said = mgd_cli("calibrate", "chip.toml", "--simulate", "--task", table, "--budget=9000")
    assert said.code == 0, said.err
    assert "trees, batch" in said.out
    other = mgd_cli("calibrate", "chip.toml", "--simulate", "--task", "treees.csv")
    assert (other.code, other.out) == (2, "")
    assert "did you mean 'trees.csv'" in other.err


CALLS = {
    "not there": (("treees.csv",), "there is no file", "did you mean 'trees.csv'"),
    "unknown column": (("trees.csv", "--inputs=leaf widht 3"), "'leaf widht 3': did you mean 'leaf width 3'"),
    "batch": (("trees.csv", "--batch=1000"), "at most the 240 training samples of trees, got 1000"),
    "of a task by name": (("parity", "--scaling=standard"), "scaling is of data of your own"),
    "bits": (("trees.csv", "--bits=3"), "bits is of some tasks by name"),
    "test twice": (("trees.csv", "--test=b.csv", "--test-fraction=0.1"), "leave test_fraction out"),
    "text as values": (("trees.csv", "--kind=values"), "must be numbers, got text such as"),
    "a nan": (("nan.csv",), "nan.csv: line 4, column 'leaf width 2' is 'nan', and must be a finite number"),
    "empty": (("empty.csv",), "empty.csv is empty"),
    "binary": (("binary.csv",), "binary.csv is not text"),
    "one row": (("one.csv",), "1 sample cannot be split"),
    "one class": (("alike.csv",), "all 9 targets are of the class ash"),
    "classes of the test alone": (("trees.csv", "--test=oak.csv"), "class 'oak' of the test targets is not one of"),
    "no module": (("no_such_module:make",), "there is no module 'no_such_module'"),
}


@pytest.mark.parametrize(("arguments", "words"), [(a, w) for a, *w in CALLS.values()], ids=CALLS)
def test_bad_data_are_one_line(mgd_cli, table, monkeypatch, tmp_path, arguments, words):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lines = table.read_text().splitlines()
    cells = lines[3].split(";")
    others = {
        "nan.csv": [*lines[:3], ";".join([cells[0], "nan", *cells[2:]]), *lines[4:]],
        "one.csv": lines[:2],
        "alike.csv": [lines[0], *(line.rpartition(";")[0] + ";ash" for line in lines[1:10])],
        "oak.csv": [lines[0], *(line.rpartition(";")[0] + ";oak" for line in lines[1:10])],
    }
    for name, content in others.items():
        Path(name).write_text("\n".join(content) + "\n")
    Path("empty.csv").write_text("")
    Path("binary.csv").write_bytes(bytes(range(256)))
    said = mgd_cli("train", *arguments)
    assert (said.code, said.out) == (2, ""), said
    line = said.err.splitlines()[-1]
    assert line.startswith("mgd: ")
    for word in words:
        assert word in line, line
    assert "Traceback" not in said.err
    assert not Path("runs").exists()


MEASURED = """
import resource, sys
from mgd.cli import main
try:
    main(sys.argv[1:])
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def _peak(folder: Path, n: int, env: dict[str, str]) -> int:
    """The most memory that training on so many images of 1,000 bytes took, in bytes."""
    images = np.lib.format.open_memmap(folder / f"{n}.npy", mode="w+", dtype=np.uint8, shape=(n, 1000))
    for start in range(0, n, 10_000):
        images[start : start + 10_000] = np.arange(start, start + len(images[start : start + 10_000]))[:, None] % 251
    del images
    np.save(folder / "labels.npy", np.arange(n) % 2)
    arguments = (
        "train",
        f"{n}.npy",
        "--targets=labels.npy",
        "--hidden=2",
        "--steps=5",
        "--batch=2",
        "--algorithm=discrete",
    )
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("peak ")[2])


@pytest.mark.slow
def test_images_are_kept_once_as_they_lie(tmp_path, cache_env):
    """Each byte more of the file takes little more than a byte: none is made four, and none is there twice."""
    few, many = (_peak(tmp_path, n, cache_env) for n in (20_000, 170_000))
    assert (many - few) / 150e6 < 1.5
