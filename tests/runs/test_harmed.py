"""A sample of harmed run directories: no traceback, no hang, and no other number without a word."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/harmed_runs.py"


@pytest.mark.slow
def test_each_harmed_file_is_one_line_or_the_right_thing(tmp_path, cache_env):
    """In a process of its own: as root it becomes another user, which one with many threads had better not."""
    # In the usual folder for what is temporary: where paths are long, `mgd show` breaks its lines.
    env = cache_env | {"XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, str(SCRIPT), "--cases", "40", "--seed", "1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    found = re.search(r"^40 harmed files of \d+, (\d+) answers$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    assert int(found[1]) >= 120
    tally = json.loads(done.stdout.splitlines()[-1])
    assert [tally[fault] for fault in ("traceback", "hang", "several lines", "silently other")] == [0] * 4, done.stdout
