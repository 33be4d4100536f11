"""The suffixes of files that can be written, checked before any computation. Nothing here imports JAX."""

import os
from collections.abc import Sequence
from pathlib import Path

PREDICTIONS, EXPORTS, PICTURES, TABLES, REPORTS = (
    (".csv", ".npz"),
    (".npz", ".csv", ".safetensors"),
    (".png", ".svg", ".pdf"),
    (".csv",),
    (".html",),
)


def check_predictions(path: Path) -> None:
    """Raises: ValueError: if predictions cannot be written to this file."""
    _check(path, PREDICTIONS, "predictions are written as CSV or NPZ")


def check_export(path: Path) -> None:
    """Raises: ValueError: if a run cannot be exported to this file."""
    _check(path, EXPORTS, "a run is exported to NPZ, CSV or safetensors")


def check_picture(path: Path) -> None:
    """Raises: ValueError: if curves cannot be drawn to this file."""
    _check(path, PICTURES, "a picture is PNG, SVG or PDF")


def check_table(path: Path) -> None:
    """Raises: ValueError: if curves cannot be written to this file."""
    _check(path, TABLES, "a table of curves is CSV")


def check_report(path: Path) -> None:
    """Raises: ValueError: if a report cannot be written to this file."""
    _check(path, REPORTS, "a report is HTML")


def _check(path: Path, suffixes: Sequence[str], said: str) -> None:
    if path.suffix.lower() not in suffixes:
        *others, last = suffixes
        known = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{said}: give a name that ends in {known}, got {path}")
    if not os.path.isdir(path.parent):
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}")
