"""docs/extending.md: a package outside the source tree adds one thing of each kind, by entry points alone."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tests" / "outside"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^\*\*`([\w/.]+)`\*\*\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
# What is written after each command, up to the next or the end of its block.
COMMANDS = re.findall(r"^\$ mgd ([^\n]+)\n(.*?)(?=^\$ |^```)", PAGE, re.MULTILINE | re.DOTALL)
ADDED = ("disc", "ternary", "clipped", "sag", "sag-full", "rack")


@pytest.fixture(scope="module")
def installed(tmp_path_factory, cache_env) -> dict[str, str]:
    """The environment of a process that finds the package as an installed one."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path_factory.mktemp("site")
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    named = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".format(**project)
    (info / "METADATA").write_text(named, encoding="utf-8")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in points.items()) for group, points in groups]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    path = [str(site), str(PACKAGE), os.environ.get("PYTHONPATH", "")]
    return cache_env | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def test_the_page_shows_the_files_of_the_package():
    shown = {name: text for name, text in FILES.items() if name != "rack.toml"}
    kept = [PACKAGE / "pyproject.toml", *sorted((PACKAGE / "wirelab").glob("[a-z]*.py"))]
    assert shown == {str(file.relative_to(PACKAGE)): file.read_text(encoding="utf-8") for file in kept}


@pytest.mark.parametrize(("words", "shown"), COMMANDS, ids=[words.partition(" --")[0] for words, _ in COMMANDS])
@pytest.mark.quick("list")
def test_a_command_of_the_page_says_what_the_page_shows(words, shown, installed, tmp_path):
    (tmp_path / "rack.toml").write_text(FILES["rack.toml"], encoding="utf-8")
    command = [sys.executable, "-m", "mgd", *words.split()]
    done = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    for line in shown.strip("\n").splitlines():
        assert any(each.startswith(line[:-1]) if line.endswith("…") else each == line for each in said), done.stdout


def test_every_addition_is_on_the_page():
    assert all(re.search(rf"^  {name} ", dict(COMMANDS)["list"], re.MULTILINE) for name in ADDED)
    assert len(COMMANDS) == 4


@pytest.mark.slow
def test_a_run_with_additions_is_taken_up_from_its_directory(installed, tmp_path):
    words = "train disc --imperfect sag=0.3 --perturbation ternary --optimizer clipped --learning-rate=1 --steps=300"
    for name in ("whole", "broken"):
        command = [sys.executable, "-m", "mgd", *words.split(), "--replicas=2", f"--out={name}"]
        subprocess.run(command, env=installed, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "broken" / "summary.json").unlink()
    command = [sys.executable, "-m", "mgd", "resume", "broken"]
    subprocess.run(command, env=installed, cwd=tmp_path, check=True, capture_output=True)
    theta = [(tmp_path / name / "theta.safetensors").read_bytes() for name in ("whole", "broken")]
    assert theta[0] == theta[1]
    # Without the package it is said what is missing.
    done = subprocess.run(command, env=os.environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "broken/config.toml: unknown imperfection 'sag'" in done.stderr


def test_nothing_in_the_source_knows_the_package():
    for file in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"wire.?lab", file.read_text(encoding="utf-8"), re.IGNORECASE), file


def test_names_need_neither_jax_nor_the_package(installed):
    code = (
        "import sys, click.testing, mgd.cli._main as main\n"
        "said = click.testing.CliRunner().invoke(main.commands, ['train', '--help']).output\n"
        "print('ternary' in said, 'clipped' in said, sorted({'jax', 'wirelab', 'optax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=True)
    assert done.stdout == "True True []\n"
