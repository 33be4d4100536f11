"""Every Python block of the documentation runs, and every command in it is one that there is."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mgd.cli._main import commands
from mgd.runs import task_given

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")])
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *([\w+-]*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_SHELL = ("bash", "console", "sh", "shell")


def _blocks(languages: tuple[str, ...]) -> list:
    """Every block in one of these languages, named by file and number.

    README's Python is run by `make test`, that of other pages by `make test-rest`.
    """
    found = []
    for page in PAGES:
        of_page = [match for match in _FENCE.finditer(page.read_text(encoding="utf-8")) if match[3] in languages]
        for number, match in enumerate(of_page, 1):
            indent = len(match[1])
            code = "\n".join(line[indent:] for line in match[4].splitlines()) + "\n"
            marks = [pytest.mark.long] if "python" in languages and page.name != "README.md" else []
            found.append(pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}", marks=marks))
    return found


PYTHON, SHELL = _blocks(("python", "pycon", "py")), _blocks(_SHELL)


def test_no_block_is_overlooked():
    opened = {"python": 0, "shell": 0}
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            opened["python"] += bool(re.match(r"\s*[`~]{3,} *(python|pycon|py)\b", line))
            opened["shell"] += bool(re.match(r"\s*[`~]{3,} *(bash|console|sh|shell)\b", line))
    assert (len(PYTHON), len(SHELL)) == (opened["python"], opened["shell"])


# A process that has imported what nearly all blocks import, which takes longer than most of them, and computed nothing;
# for each block it becomes two, one of which runs it.
READERS = """
import doctest, json, os, sys, traceback
import jax, equinox, optax, mgd, mgd.engines, mgd.runs

def read(code):
    if ">>>" in code:
        test = doctest.DocTestParser().get_doctest(code, {}, "block", None, 0)
        return doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed
    exec(compile(code, "block", "exec"), {"__name__": "__main__"})
    return 0

for line in sys.stdin:
    code, folder, said = json.loads(line)
    reader = os.fork()
    if not reader:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        try:
            left = read(code)
        except SystemExit as error:
            left = error.code
        except BaseException:
            traceback.print_exc()
            left = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(bool(left))
    print(os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def read_block(cache_env) -> Iterator[Callable[[str, Path], tuple[int, str]]]:
    """Runs a block in a process of its own; its exit code and what it said."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", READERS], stdin=pipe, stdout=pipe, text=True, env=cache_env
    ) as readers:
        assert readers.stdin is not None
        assert readers.stdout is not None
        sent, answers = readers.stdin, readers.stdout

        def read(code: str, folder: Path) -> tuple[int, str]:
            said = folder / "said"
            print(json.dumps([code, str(folder), str(said)]), file=sent, flush=True)
            return int(answers.readline()), said.read_text()

        yield read
        sent.close()


@pytest.mark.parametrize("code", PYTHON)
def test_python_block_runs(code, tmp_path, read_block):
    """As a reader runs it: without the strict settings of these tests."""
    left, said = read_block(code, tmp_path)
    if "libngspice is not there" in said or "No module named 'torch'" in said:
        pytest.skip(said.splitlines()[-1])
    assert left == 0, said[-2000:]


def commands_in(code: str) -> list[list[str]]:
    """The arguments of each mgd command in a block; lines without a prompt are output where others have one."""
    lines = code.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):  # MGD_DATA=… mgd …
            words.pop(0)
        if words and words[0].rpartition("/")[2] == "mgd":
            stops = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";", "&", "2>")]
            found.append(words[1 : stops[0] if stops else None])
    return found


def check_command(words: list[str]) -> None:
    """Raises if these are not the arguments of a command, parsed by click but not run."""
    try:
        with commands.make_context("mgd", list(words), resilient_parsing=False) as context:
            command, rest = commands, context._protected_args + context.args
            while isinstance(command, click.Group) and rest:
                name, command, rest = command.resolve_command(context, rest)
                context = command.make_context(name, list(rest), parent=context)
                rest = getattr(context, "_protected_args", []) + context.args
        if command.name == "train" and not context.params["task"].endswith(".toml"):
            task_given(context.params["task"])
    except click.exceptions.Exit:  # --help, --version
        return


@pytest.mark.parametrize("code", SHELL)
def test_commands_in_a_block_parse(code):
    for words in commands_in(code):
        check_command(words)


@pytest.mark.parametrize(
    "line",
    [
        "train parity --tau-teta 3",
        "trian parity",
        "train pairity",
        "train parity --steps x",
        "data fetsch cifar10",
    ],
)
def test_a_wrong_command_would_be_seen(line):
    (words,) = commands_in(f"$ mgd {line}  # comment\noutput\n")
    with pytest.raises((click.ClickException, ValueError)):
        check_command(words)


@pytest.mark.parametrize(
    "line",
    [
        "train parity --tau-theta 3 --out runs/xor",
        "data fetch cifar10",
        "--version",
        "train --help",
        "train my.toml",
        "train my.csv",
    ],
)
def test_a_right_command_is_let_through(line):
    (words,) = commands_in(f"MGD_DATA=/x .venv/bin/mgd {line} | cat\n")
    check_command(words)
