"""The page docs/ten-minutes.md, as a newcomer follows it: every command in its order, one of them stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "ten-minutes.md"
_BLOCKS = re.compile(r"^```(python|bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def followed(folder: Path, env: dict[str, str]) -> list[tuple[str, str, str]]:
    """Each block of commands, what it said, and what the page says that it says (nothing, if the page does not)."""
    blocks = [(match[1], match[2]) for match in _BLOCKS.finditer(PAGE.read_text(encoding="utf-8"))]
    found, stopped = [], False
    for (kind, block), (after, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "text":
            continue
        command = [sys.executable, "-c", block] if kind == "python" else ["bash", "-ec", f"exec {block}"]
        if kind == "bash" and block.count("\n") > 1:
            command[-1] = block
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if kind == "bash" and not stopped:
            # A first checkpoint is written as soon as the settings hold; the run then takes some seconds more.
            while not (folder / "runs" / "gas" / "checkpoint.safetensors").exists():
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            stopped = True
            said = process.communicate()[0]
            assert process.returncode == 130, said
        else:
            said = process.communicate()[0]
            assert process.returncode == 0, said
        found.append((block, said, shown if after == "text" else ""))
    return found


def without_numbers(text: str) -> list[str]:
    """The lines of a text without its numbers, which differ between machines, and without lines of progress."""
    lines = [re.sub(r"-?\d[\d.,]*", "#", line) for line in text.splitlines()]
    return [re.sub(r" +", " ", line).strip() for line in lines if line.strip() and not line.startswith("step ")]


@pytest.mark.long
def test_a_newcomer_trains_predicts_draws_and_takes_away(tmp_path, cache_env):
    bin_ = Path(sys.executable).parent
    env = cache_env | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "MGD_PROGRESS_SECONDS": "0"}
    pages = followed(tmp_path, env)
    for block, said, shown in pages:
        if shown:
            assert without_numbers(said) == without_numbers(shown), block
    assert [bool(shown) for *_, shown in pages].count(True) == 4
    # Numbers that the page gives are those of one machine; what they say holds on all.
    resumed = pages[2][1]
    assert float(re.search(r"accuracy ([\d.]+)%", resumed)[1]) > 85
    answers = pd.read_csv(tmp_path / "answers.csv")
    assert len(answers) == 4
    assert set(answers["prediction"]) <= {"air", "ammonia", "ethanol"}
    assert (tmp_path / "gas.png").read_bytes().startswith(b"\x89PNG")
    assert np.load(tmp_path / "gas.npz")["theta"].shape == (8, 243)
