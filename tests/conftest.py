"""Strict settings for every test: shapes and types checked, no silent promotion, warnings are errors.

What the suite costs is seen to here too: most of its time is compiling, and most of its memory what was compiled.
"""

import contextlib
import ctypes
import gc
import json
import mmap
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import jaxlib
import jaxtyping
import pytest
from jaxtyping import install_import_hook

# Machine code is made with less effort than as shipped, in a third of the time: XLA's older emitters and LLVM's first
# level. The programs are the same, and so were the bits wherever both were tried; the tests that are about bits are run
# as shipped too, by `make test-rest`.
AS_SHIPPED = os.environ.get("MGD_TESTS_COMPILE") == "as-shipped"
_QUICK = {"xla_cpu_use_fusion_emitters": "false", "xla_backend_optimization_level": "1"}
_QUICK |= {"xla_cpu_parallel_codegen_split_count": "1"}


def _is_known(flag: str) -> bool:
    """Whether this jaxlib has a flag of XLA; one that it does not know would end the process."""
    for library in Path(jaxlib.__file__).parent.glob("*.so"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(flag.encode()) >= 0:
                return True
    return False


if not AS_SHIPPED and "XLA_FLAGS" not in os.environ:  # in a worker, the first process has seen to it
    os.environ["XLA_FLAGS"] = " ".join(f"--{flag}={value}" for flag, value in _QUICK.items() if _is_known(flag))

os.environ["MGD_PROGRESS_SECONDS"] = "0"  # on a busy machine, runs would say how far they are

import jax  # noqa: E402 (XLA reads its flags once)

# What a shell starts in the background ignores these, and so would every process that a test starts and interrupts.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples on every run and machine, and nobody's clock in it.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("tests")

with install_import_hook("mgd", "beartype.beartype"):
    import mgd.algorithm
    import mgd.chips
    import mgd.datasets
    import mgd.engines
    import mgd.instruments
    import mgd.networks
    import mgd.onchip
    import mgd.perturbations

    for package in (
        mgd.datasets,
        mgd.engines,
        mgd.instruments,
        mgd.onchip,
    ):  # their modules load lazily, and must load under the hook
        for name in package.__all__:
            getattr(package, name)

# --- what is compiled, kept on disk for all processes and for the next run ---

_MOST_BYTES = 512 * 2**20


class Compiled:
    """A folder of compiled programs of this process's own, and one that all share.

    JAX writes an entry in place, so another process might read one half written. So each process has a folder of its
    own; entries that are whole go from one folder to the other as links, between two tests.
    """

    def __init__(self, shared: Path):
        shared.mkdir(parents=True, exist_ok=True)
        self.shared = shared
        self._own = tempfile.TemporaryDirectory(prefix="of-", dir=shared)
        self.own = Path(self._own.name)

    def exchange(self) -> None:
        """Gives what was compiled here, and takes what was compiled elsewhere."""
        self.link(self.own, self.shared)
        self.link(self.shared, self.own)

    @staticmethod
    def link(source: Path, target: Path) -> None:
        for name in {path.name for path in source.glob("*-cache")} - {path.name for path in target.glob("*-cache")}:
            with contextlib.suppress(OSError):  # another process was first, or this kind of disk has no links
                os.link(source / name, target / name)

    def end(self) -> None:
        self.exchange()
        self._own.cleanup()

    def make_room(self) -> None:
        """Removes the oldest programs if there are too many."""
        files = sorted(self.shared.glob("*-cache"), key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in files) - _MOST_BYTES
        while files and excess > 0:
            excess -= files[0].stat().st_size
            files.pop(0).unlink()


_COMPILED = pytest.StashKey[Compiled]()
_MEMORY = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    # JAX knows what a program depends on, but not that processors differ.
    name = f"{platform.node()}-{jaxlib.version.__version__}"
    compiled = Compiled(config.cache.mkdir("compiled") / name if config.cache else Path(tempfile.mkdtemp()))
    if not hasattr(config, "workerinput"):
        compiled.make_room()
    config.stash[_COMPILED] = compiled
    config.stash[_MEMORY] = {}
    config.pluginmanager.register(LetsGo())
    jax.config.update("jax_compilation_cache_dir", str(compiled.own))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_COMPILED].end()


@pytest.fixture(scope="module", autouse=True)
def exchanged(request) -> None:
    """Between two files, workers exchange what they have compiled."""
    request.config.stash[_COMPILED].exchange()


# --- what of it is kept in memory ---

# How much a process may grow before it lets go of what it has compiled: less of it where what stays for good, such as
# Numba's kernels, is much. Of pieces of memory that are mapped it may have 65,530, and LLVM ends it when there are no
# more; a compiled program has some ten. They are counted once in some tests, because that takes milliseconds.
_MOST_GROWN_MEGABYTES, _LEAST_GROWN_MEGABYTES, _MOST_MEGABYTES = 200, 80, 1_300
_MOST_MAPPED, _TESTS_BETWEEN_COUNTS = 20_000, 20
_AT_REST = pytest.StashKey[float]()
_PROCESS = Path("/proc/self")


def _megabytes() -> float:
    """What this process has in memory now; 0 where that is not told."""
    status = _PROCESS / "statm"
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if status.exists() else 0.0


def _mapped() -> int:
    """Of how many pieces the memory of this process consists; 0 where that is not told."""
    maps = _PROCESS / "maps"
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


def _let_go() -> None:
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # where there is another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


# --- which tests `make test` leaves to `make test-rest` ---


def _named(item: pytest.Item, marker: str) -> set[str]:
    return {case for mark in item.iter_markers(marker) for case in mark.args}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Of a test whose quick cases are named, all others are long; of one whose long cases are, all others are slow."""
    quick, enough = _named(item, "quick"), _named(item, "enough")
    if not isinstance(item, pytest.Function) or not (quick or enough):
        return
    if quick and item.callspec.id not in quick:
        item.add_marker(pytest.mark.long)
    if enough and item.callspec.id not in quick | enough:
        item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begins with what takes longest, so that no worker is left with it at the end; and checks that named cases exist.

    One that is named quick must be there, or a name that was changed would leave a test without any.
    """
    items.sort(key=lambda item: "[types" not in item.name)
    named: dict[str, set[str]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and (cases := _named(item, "quick") | _named(item, "enough")):
            named.setdefault(item.nodeid.partition("[")[0], cases).discard(item.callspec.id)
    missing = {test: sorted(cases) for test, cases in named.items() if cases}
    if missing and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"no such cases as marks name: {missing}")


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[_AT_REST] = _megabytes()


class LetsGo:
    """A process that has compiled much lets go of it between two tests.

    It is no hook of this file, because those are not called for the examples in docstrings, which lie elsewhere.
    """

    tests = 0

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        at_rest = item.config.stash[_AT_REST]
        self.tests += 1
        room = max(_LEAST_GROWN_MEGABYTES, min(_MOST_GROWN_MEGABYTES, _MOST_MEGABYTES - at_rest))
        if _megabytes() - at_rest > room or (self.tests % _TESTS_BETWEEN_COUNTS == 0 and _mapped() > _MOST_MAPPED):
            _let_go()
            item.config.stash[_AT_REST] = _megabytes()


# --- how much memory that was, said at the end ---


def _most_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["megabytes"] = _most_megabytes()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    if "megabytes" in getattr(node, "workeroutput", {}):  # not of one that crashed
        node.config.stash[_MEMORY][node.gateway.id] = node.workeroutput["megabytes"]


def pytest_terminal_summary(terminalreporter) -> None:
    memory = terminalreporter.config.stash[_MEMORY] or {"this process": _most_megabytes()}
    terminalreporter.write_line(
        "most memory: " + ", ".join(f"{who} {much:,} MB" for who, much in sorted(memory.items()))
    )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real images; tests that need them are skipped, by name, where there is none."""
    named = os.environ.get("MGD_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no image data: set MGD_DATA (looked in {folder})")
    return folder


@pytest.fixture
def as_users_call():
    """Without the checks of shapes and types that these tests run under, and users do not."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@dataclass(frozen=True)
class Served:
    """A virtual chip in a process of its own."""

    resource: str
    announced: str
    process: subprocess.Popen
    file: Path

    def stop(self) -> int:
        """Ends it as a service is ended; its exit code."""
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture(scope="session")
def serve_process(tmp_path_factory) -> Iterator[Callable[..., Served]]:
    """Starts `mgd chip serve` for the text of a chip file, on a port that is free; ends it with the session."""
    started: list[subprocess.Popen] = []

    def start(text: str, *options: object, port: int = 0) -> Served:
        file = tmp_path_factory.mktemp("chip") / "chip.toml"
        file.write_text(text)
        command = [sys.executable, "-m", "mgd", "chip", "serve", str(file), "--port", str(port), *map(str, options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"TCPIP0::\S+::SOCKET$", line.strip())
        assert found, f"it said {line!r}"
        return Served(found[0], line.strip(), process, file)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def cache_env(request, tmp_path_factory) -> dict[str, str]:
    """The environment of a process that shares what it compiles with the others of this session."""
    folder = tmp_path_factory.mktemp("jax")
    Compiled.link(request.config.stash[_COMPILED].shared, folder)
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


@pytest.fixture
def cluster(cache_env, tmp_path):
    """The address of a scheduler, and the processes of it and two workers, on the loopback."""
    pytest.importorskip("distributed", reason="Dask is not installed")
    file = tmp_path / "scheduler.json"
    python = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": cache_env, "start_new_session": True}
    started = [
        subprocess.Popen(
            [*python, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file],
            **quiet,
        )
    ]
    while not file.exists() or not file.read_text():
        assert started[0].poll() is None, "the scheduler ended"
        time.sleep(0.05)
    for _ in range(2):
        started.append(
            subprocess.Popen(
                [
                    *python,
                    "worker",
                    "--scheduler-file",
                    file,
                    "--nthreads",
                    "1",
                    "--no-dashboard",
                    "--host",
                    "127.0.0.1",
                ],
                **quiet,
            )
        )
    yield json.loads(file.read_text())["address"], started
    for process in started:  # each with what it started, in the middle of whatever it computes
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
