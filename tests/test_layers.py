"""Who may use whom: the table of parts in docs/design.md, held to the code's imports."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "mgd"

# Modules of another part's own that are used all the same, each with its reason.
REASONS = {
    "perturbations._block": "an amplitude that varies may be that of a family within blocks",
    "algorithm._compiled": "ask and tell of every algorithm are compiled once, whoever calls them",
    "chips._pieces": "fresh pieces come from one program, whichever engine or instrument makes them",
    "networks._pieces": "networks that are too large to be there as a whole are read in pieces, by chips and engines",
}

# What is private and used by tests of something else, each with its reason. A test goes by what the package offers
# wherever that can show the same.
IN_TESTS = {
    "_counter": "what families, dropout and the hash draw at a step is asked for by the step's counter",
    "_hash": "permutations are drawn by a row of the hash",
    "_stops": "a signal that comes at an awkward moment, without a process for each",
    "_train": "a session is asked which engine it took, and goes on in pieces",
    "algorithm._rule": "an optimizer's rule beside what Optax does, without a chip",
    "calibration": "each statistic on series whose answer is known, without a chip",
    "cli._at_once": "what the command line sets before JAX is imported, which here it is already",
    "cli._main": "every command there is, walked through",
    "datasets._fashion_mnist": "a data set whose files are served from another address",
    "datasets._source": "how much memory there is, and how many rows are read at once",
    "datasets._files": "an archive that is there already",
    "engines.loop._chunk": "which kind of chunk an engine took",
    "engines.loop._host_chunk": "which kind of chunk an engine took",
    "engines.simulated._in_place": "the engine of very large chips, on a small one",
    "engines.simulated._fused": "how often it is compiled, and what with",
    "engines.simulated._laws": "where the sampled engine's errors lie, to choose cases at their edges",
    "instruments._circuits": "stands in the table of all instruments, with what a test needs",
    "instruments._failures": "what a lab's function raises that is no exception, without a run that ends",
    "instruments._harmless": "what a chip holds when it was opened",
    "instruments._line": "chips made of lines, whatever their system, are left in one way",
    "instruments._lines": "chips made of lines, whatever their system, are left in one way",
    "instruments._locks": "the places of an address, without opening a chip there",
    "instruments._netlist": "the circuit that ngspice reads beside it",
    "instruments._ngspice": "whether the library is there, and what it does by itself",
    "instruments._process": "a process that is told to die",
    "instruments._scpi": "a line that is scripted, or is PyVISA's, in place of a socket",
    "instruments._simulated": "how much it computes at once",
    "instruments._spice_settings": "a circuit with every way to say what is read",
    "instruments._virtual": "a chip served in this process, with faults and slips",
    "instruments._wire": "bytes as they go over the wire",
    "onchip._top": "modules of the RTL by themselves, in benches of a test's own",
    "planning._guess": "what the law makes of the structures that moves lead to, without a plan",
    "planning._kept": "a search that keeps nothing, without a plan",
    "planning._simulate": "what a simulation came to, without simulating",
    "planning._workers": "chips whose times are a formula, in place of simulations",
    "reproduction._reproduce": "studies of a test's own in place of the shipped",
    "reproduction._statistics": "each statistic beside tables",
    "reproduction._sweep": "one cell, smaller than any study has",
    "runs._after": "files of parameters of chips in other units, without such a chip",
    "runs._build": "what a run's settings stand for, without a run",
    "runs._calibrated": "calibrations of chips in other units, without such a chip",
    "runs._config": "settings that are resolved, as a type and with nothing looked up",
    "runs._directory": "writes that are cut short at every one of their steps",
    "runs._execute": "how often a checkpoint is written, and a failure in the midst of it",
    "runs._generations": "checkpoints that are cut short, or as an older version wrote them",
    "runs._hardware": "a failure between two measurements of a run",
    "runs._served": "what a chip file serves, in this process",
    "sweeps._design": "the values of an axis, as a grid has them",
    "sweeps._cell": "the files of a cell, as others will read them",
}


def ranks() -> dict[str, int]:
    """The row of each part in the table."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text[text.index("| part |") :].split("\n\n", 1)[0].splitlines()[2:]
    return {name: row for row, line in enumerate(table) for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def imports(*, for_types: bool = False) -> Iterator[tuple[str, str, str]]:
    """Every import of the package's own: the module it is in, the part that this is in, and what is imported."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        package = parts[:-1]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped: set[ast.AST] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
                skipped |= set(ast.walk(node))
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not node.level or node in skipped:
                continue
            base = package[: len(package) - node.level + 1]
            named = [tuple(node.module.split("."))] if node.module else [(alias.name,) for alias in node.names]
            for target in ((*base, *name) for name in named):
                yield ".".join(parts), parts[0], ".".join(target)


def test_every_part_is_in_the_table():
    there = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "__main__"} == set(ranks())


def test_parts_use_only_those_above_them():
    rank = ranks()
    wrong = [
        f"{module} uses {target}"
        for module, part, target in imports()
        if part not in ("__init__", "__main__") and target and (other := target.partition(".")[0]) != part
        if rank[other] >= rank[part]
    ]
    assert not wrong


def test_what_is_private_to_a_part_is_used_by_others_for_a_reason():
    used = {
        target: module
        for module, part, target in imports(for_types=True)
        if part not in ("__init__", "__main__")
        and target.partition(".")[0] != part
        and any(name.startswith("_") for name in target.split(".")[1:])
    }
    assert set(used) - set(REASONS) == set(), used
    assert set(REASONS) <= set(used), "a reason is not needed any more"


def private_in_tests() -> Iterator[tuple[Path, str]]:
    """Every private module, or name of one, that a test imports: the test's file, and what is imported."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                package, _, rest = name.partition(".")
                if package == "mgd" and re.search(r"(^|\.)_(?!_)", rest):
                    yield path, rest


def test_tests_use_what_is_private_where_it_is_their_subject_or_for_a_reason():
    """A test is named after its subject: test_fused after `_fused`, test_scpi_exchanges after `_scpi`."""
    used: dict[str, list[Path]] = {}
    for path, target in private_in_tests():
        stem = path.stem.removeprefix("test_")
        subjects = [part[1:] for part in target.split(".") if part.startswith("_")]
        if not any(stem.startswith(name) or name.startswith(stem) for name in subjects):
            reason = next((key for key in IN_TESTS if f"{target}.".startswith(f"{key}.")), target)
            used.setdefault(reason, []).append(path.relative_to(ROOT))
    assert set(used) - set(IN_TESTS) == set(), used
    assert set(IN_TESTS) <= set(used), "a reason is not needed any more"


def test_no_modules_import_in_a_circle():
    """Wherever the imports are, at the top or in a function; those for type checkers alone do not count."""
    files = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    graph: dict[str, set[str]] = {module: set() for module in files}
    for module, _, target in imports():
        known = next((name for name in (target, f"{target}.__init__") if name in files), None)
        if known and known != module:
            graph[module].add(known)
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle in it


@pytest.mark.parametrize("module", ["theory", "timing"])
def test_parts_that_are_numpy_alone_stay_so(module):
    heavy = {"jax", "equinox", "optax", "torch"}
    for path in (SOURCE / module).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.partition(".")[0] for name in names} & heavy, path
