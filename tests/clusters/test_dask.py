"""What Dask is asked."""

import time
from pathlib import Path

import pytest

from mgd.clusters import not_wanted

distributed = pytest.importorskip("distributed", reason="Dask is not installed")


def run_until_it_is_not_wanted(folder: str) -> None:
    asked = not_wanted()
    assert not asked()
    Path(folder, "begun").touch()
    while not asked():
        time.sleep(0.01)
    Path(folder, "ended").touch()


@pytest.mark.long
def test_what_nobody_waits_for_ends(cluster, tmp_path):
    with distributed.Client(cluster[0]) as client:
        future = client.submit(run_until_it_is_not_wanted, str(tmp_path), pure=False)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        future.cancel()
        while not (tmp_path / "ended").exists():  # it hangs if that is never said
            time.sleep(0.01)
