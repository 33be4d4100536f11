"""Strict settings for every test: shapes and types checked, no silent promotion, warnings are errors."""

import functools
import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Half of the suite's time is compiling, and many tests compile the same. Each process of it has a folder of its own: of
# JAX's cache, a file that another writes may be read half written.
_COMPILED = tempfile.TemporaryDirectory(prefix="mgd-tests-")
jax.config.update("jax_compilation_cache_dir", _COMPILED.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

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
    import mgd.perturbations

    for package in (mgd.datasets, mgd.instruments):  # their modules load lazily, and must load under the hook
        for name in package.__all__:
            getattr(package, name)

from mgd.runs import _execute  # noqa: E402 (after its parts are under the hook)

# Every compiled program maps memory, of which a process has 65,530 pieces: LLVM ends it when there are no more.
_MOST_MAPPED = 30_000


@pytest.fixture(scope="module", autouse=True)
def few_compiled_programs() -> Iterator[None]:
    """A process that has compiled much lets go of it between two files."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > _MOST_MAPPED:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real images; tests that need them are skipped, by name, where there is none."""
    named = os.environ.get("MGD_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no image data: set MGD_DATA (looked in {folder})")
    return folder


def _once_a_setting(build: Callable) -> Callable:
    """The same object for the same settings, so that what was compiled is used again; neither holds any state."""
    made = {}

    @functools.wraps(build)
    def call(config, *rest):
        key = config.model_copy(update={"steps": 1, "seed": 0, "replicas": 1, "log_every": None, "instrument": None})
        if key not in made:
            made[key] = build(config, *rest)
        return made[key]

    return call


_BUILDERS = {name: _once_a_setting(getattr(_execute, name)) for name in ("build_chip", "build_algorithm", "build_task")}


@pytest.fixture
def as_users_call():
    """Without the checks of shapes and types that these tests run under, and users do not."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def compiled_once(monkeypatch):
    """Runs of the same settings share what was compiled."""
    for name, build in _BUILDERS.items():
        monkeypatch.setattr(_execute, name, build)


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
def cache_env(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that shares what it compiles with the others of this session."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
