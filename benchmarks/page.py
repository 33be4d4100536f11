"""Writes docs/benchmarks.md: every benchmark in turn, each in a process of its own (`make bench`).

A benchmark that fails, for it checks its outcome beside the time, fails the page, which is then left as it was. What
a script printed is kept in .benchmarks/: `python benchmarks/page.py --go-on` runs only those that printed nothing yet,
and `--kept` none, but says which are missing.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE.parent / ".benchmarks"
PAGE = HERE.parent / "docs" / "benchmarks.md"
# The scripts, and headings for those that print none. What is not a table is shown as it was printed.
SCRIPTS = {
    "fused.py": None,
    "yield_study.py": "## Yield study: 10,000 chips × 100,000 steps (`python benchmarks/yield_study.py`)",
    "measured.py": None,
    "gradients.py": "## Gradients of the published convolutional networks (`python benchmarks/gradients.py`)",
    "peers.py": None,
    "large.py": "## One very large chip (`python benchmarks/large.py`)",
    "startup.py": "## Start-up (`python benchmarks/startup.py`)",
    "bitwise.py": "## To the bit (`python benchmarks/bitwise.py`)",
    "instrument.py": "## Chip in the loop (`python benchmarks/instrument.py`)",
}


def printed_by(script: str) -> str:
    """What a script prints, kept for a page that is gone on with."""
    print(f"{script} …", file=sys.stderr, flush=True)
    printed = subprocess.run([sys.executable, str(HERE / script)], check=True, stdout=subprocess.PIPE, text=True).stdout
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{script}.txt").write_text(printed)
    return printed


def section(script: str, heading: str | None, how: str | None) -> str:
    """What a script printed, as a section of the page."""
    file = KEPT / f"{script}.txt"
    if how == "--kept" and not file.exists():
        return f"## Not run for this page\n\n`python benchmarks/{script}`"
    shown = (file.read_text() if how and file.exists() else printed_by(script)).strip()
    if heading is None:
        return shown
    return "\n\n".join([heading, shown if shown.startswith("|") else f"```text\n{shown}\n```"])


def processor() -> str:
    """Its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def main() -> None:
    """Writes the page once everything has run."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "numba", "numpy"))
    head = f"""# Benchmarks

Written by `make bench` ({time.strftime("%Y-%m-%d")}): {processor()}, {len(os.sched_getaffinity(0))} cores, Python
{platform.python_version()}, {versions}. Ratios are medians of pairs timed in turn, A B A B, in one
run. The machine is shared, so times are only for orientation. Outcomes are checked: a fast wrong answer fails.
"""
    how = sys.argv[1] if sys.argv[1:] else None
    if how not in (None, "--go-on", "--kept"):
        raise SystemExit(f"page.py takes --go-on or --kept, got {how}")
    sections = [section(script, heading, how) for script, heading in SCRIPTS.items()]
    PAGE.write_text("\n".join([head, *(f"{each}\n" for each in sections)]))
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
