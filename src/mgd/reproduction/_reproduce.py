"""Computes a published result."""

import importlib
from pathlib import Path

from .._input import nearest
from ..sweeps import OnProgress, Row, Run, Study, Work, execute
from ._names import STUDIES

# Studies that share a file; every other one has a file of its own name.
_HOMES = {
    "cost-noise": "noise",
    "update-noise": "noise",
    "defects": "noise",
    "fashion-mnist": "images",
    "cifar10": "images",
}


def study_named(name: str) -> Study:
    """The study of that name.

    Raises:
        ValueError: if there is none.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}{nearest(name, STUDIES)}; choose {', '.join(STUDIES)}")
    home = _HOMES.get(name, name.replace("-", "_"))
    module = importlib.import_module(f"._{home}", __package__)
    return module.STUDIES[name]


def reproduce(
    name: str,
    out: str | Path | None = None,
    *,
    quick: bool = False,
    data: str | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    on_progress: OnProgress = lambda done, total, share: None,
) -> tuple[Path, list[Row]]:
    """Computes a published result: data (Zarr), figure (PNG and SVG) and rows of the table.

    Results of an earlier call are used again, up to the last checkpoint.

    Args:
        name: the name of the study.
        out: folder; None for `reproductions/NAME` or `reproductions/NAME-quick`.
        quick: a small version, in about a minute.
        data: folder of the images.
        workers: cells computed at a time; None for one for each core. On a cluster, as of `mgd.sweep`.
        cluster: where cells are computed, as of `mgd.sweep`; by default this machine.
        on_progress: called about once a second with cells done, all cells, and the share of all work done.

    Returns:
        The folder, and the rows.

    Raises:
        ValueError: if there is no such study, or no such cluster.
        DataError: if its images are not available.
        RunError: if the folder contains something else, or cannot be written; or the cluster does not answer.
        Interrupted: if it was asked to stop.
    """
    study = study_named(name)
    folder = Path("reproductions", f"{name}-quick" if quick else name) if out is None else Path(out)
    cells = study.cells(quick)
    if data is not None:
        cells = {cell_name: _with_data(cell, data) for cell_name, cell in cells.items()}
    title = {"study": name, "quick": quick}
    return folder, execute(study, cells, folder, title=title, workers=workers, cluster=cluster, on_progress=on_progress)


def _with_data(cell: Run | Work, data: str) -> Run | Work:
    """The cell with the images in another folder; work that has images says so in its settings."""
    if isinstance(cell, Run):
        return Run({**cell.settings, "data": data})
    return Work(cell.function, {**cell.settings, "data": data}) if "data" in cell.settings else cell
