"""A whole study by its command, workers and all."""

import json
import subprocess
import sys

import pytest
import xarray as xr


@pytest.mark.slow
def test_waveforms_by_command(tmp_path):
    out = tmp_path / "study"
    command = [sys.executable, "-m", "mgd", "reproduce", "waveforms", "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    rows = json.loads((out / "rows.json").read_text(encoding="utf-8"))
    assert done.stdout.splitlines() == [f"| {' | '.join(row.values())} |" for row in rows]
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    data = xr.open_zarr(out / "data.zarr", consolidated=False)
    assert dict(data.sizes) == {"kind": 2, "family": 4, "step": 240, "parameter": 3, "seed": 16}
    again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert again.stdout == done.stdout  # from what is there
