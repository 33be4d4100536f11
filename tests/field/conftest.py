"""What tests of whole benches share: a folder to work in, and a bench of three instruments."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .three import Bench, listening


@pytest.fixture
def own_locks(tmp_path, monkeypatch) -> None:
    """Chips are in use in this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def own_folder(own_locks, tmp_path, monkeypatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(own_folder) -> Iterator[Bench]:
    """A bench that listens, in an empty folder."""
    with listening() as made:
        yield made
