"""Stops commands at random moments, and counts how they end: `python benchmarks/stops.py [TRIES] [SEED]`.

Ctrl-C goes to the whole group of processes, as from a terminal, once to three times; so does SIGHUP; SIGTERM goes to
the process alone. Right is one line on stderr and exit code 130, or to have ended before as ever.
"""

import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHIP = Path(__file__).parents[1] / "examples" / "virtual-chip.toml"
_LATEST, _LAST, _LONGEST_END = 3.0, 0.5, 45.0
_SETTINGS = ("--learning-rate=0.5", "--tau-theta=8", "--steps=1000000000")


def main(tries: int = 100, seed: int = 0) -> None:
    """Prints how many tries of each command ended how, and everything that is not right."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, the commands would be as well
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="mgd-stops-") as place:
        folder = Path(place)
        server, chip = _serve(folder)
        run = folder / "begun"
        _run("train", "parity", "--steps=3000000", "--out", run).communicate()
        (run / "summary.json").unlink()
        counted: collections.Counter[tuple[str, str]] = collections.Counter()
        for number in range(tries):
            commands = {
                "train": ("train", "parity", *_SETTINGS, "--out", folder / f"run-{number}"),
                "train --chip": ("train", "nist7x7", "--chip", chip, *_SETTINGS, "--out", folder / f"chip-{number}"),
                "resume": ("resume", run),
                "list": ("list",),
                "chip check": ("chip", "check", chip),
                "calibrate": ("calibrate", chip, "--out", folder / "calibration.toml"),
                "reproduce": ("reproduce", "angle", "--quick", "--out", folder / f"study-{number}"),
            }
            name = list(commands)[number % len(commands)]
            told, how, said = _try(commands[name], draw, latest=0.5 if name == "list" else _LATEST)
            counted[name, how] += 1
            if how not in ("130", "had ended"):
                print(f"{name}: {told}: {how}: {said[-300:]!r}", flush=True)
        server.terminate()
        server.wait()
    for (name, how), n in sorted(counted.items()):
        print(f"{name:<14} {how:<22} {n:>4}")
    print(f"{'all':<14} {dict(collections.Counter(how for _, how in counted.elements()))}")


def _run(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "mgd", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _serve(folder: Path) -> tuple[subprocess.Popen, Path]:
    """A chip on a free port, and its file."""
    server = _run("chip", "serve", CHIP, "--port=0")
    assert server.stdout is not None
    resource = server.stdout.readline().split()[-1]
    text = CHIP.read_text()
    chip = folder / "chip.toml"
    chip.write_text(text.replace("TCPIP0::127.0.0.1::5025::SOCKET", resource))
    return server, chip


def _try(arguments: tuple, draw: random.Random, latest: float) -> tuple[str, str, str]:
    """When which signal came, how it ended, and what it said."""
    wait, times = draw.uniform(0.06, latest), draw.choice((1, 1, 2, 3))
    number = draw.choice((signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    process, sent = _run(*arguments), 0
    time.sleep(wait)
    asked = time.monotonic()
    for _ in range(times):
        if process.poll() is None:
            sent += 1
            try:
                (os.kill if number == signal.SIGTERM else os.killpg)(process.pid, number)
            except ProcessLookupError:
                break
            time.sleep(draw.uniform(0.01, 0.4))
    told = f"{number.name} × {sent} after {wait:.2f} s"
    try:
        _, err = process.communicate(timeout=_LONGEST_END)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return told, "lost", process.communicate()[1]
    if "Traceback" in err or "Exception ignored" in err or "Fatal" in err:
        return told, "traceback", err
    lines = [line for line in err.splitlines() if line.startswith("mgd: ") and not line.startswith("mgd: warning")]
    if process.returncode == 130:
        return told, "130" if len(lines) == 1 else f"130, {len(lines)} lines", err
    if process.returncode == 0:
        # At its very end, all work done and said, a command is not undone.
        return told, "had ended" if time.monotonic() - asked < _LAST or not sent else "exit 0, though asked", err
    return told, f"code {process.returncode}", err


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
