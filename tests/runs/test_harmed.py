"""A sample of harmed run directories: no traceback, no hang, and no other number without a word."""

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks/harmed_runs.py"


def test_each_harmed_file_is_one_line_or_the_right_thing(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("harmed_runs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    harmed_runs = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "harmed_runs", harmed_runs)
    spec.loader.exec_module(harmed_runs)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "runs").mkdir()
    tally = harmed_runs.campaign(tmp_path / "runs", 40, seed=1, say=lambda line: None)
    assert tally.answers >= 120
    assert not tally.examples, "\n".join(tally.examples)
