"""`mgd predict`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._metric import METRICS, written
from ._replica import replica_option

if TYPE_CHECKING:
    from ..results import Assessment, Predictions

_MOST_CLASSES, _MOST_ROWS = 20, 10


@click.command(epilog="Example: mgd predict runs/parity-1 -o answers.csv")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@replica_option("best", "all")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write outputs and predictions to a .csv or .npz.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with -o, without the outputs.")
def predict(run: Path, data: Path | None, replica: int | str, out: Path | None, as_json: bool) -> None:
    """Predict the test samples of RUN, or those of DATA, and show the scores.

    DATA is a CSV, TSV, NPZ or NPY file with the same inputs as in training, in the same units, and with their targets,
    if they are known. If RUN is not finished, the parameters are those of its last checkpoint.
    """
    if out is not None:
        from ..results import check_predictions

        check_predictions(out)
    from ..results import predict as answer

    found = answer(run, data, replica=replica)
    if out is not None:
        found.save(out)
    if as_json:
        click.echo(json.dumps(found.as_dict(outputs=out is None)))
        return
    _print(found, named=replica)
    if out is not None:
        click.echo(f"written: {out}")


def _print(found: "Predictions", *, named: int | str) -> None:
    run = found.run
    so_far = "" if run.finished else f", not finished: the parameters are those of step {run.step:,}"
    best = " (the best)" if named == "best" and run.n_replicas > 1 else ""
    which = f"chip {found.replicas[0]} of {run.n_replicas}" if len(found.replicas) == 1 else f"{run.n_replicas} chips"
    click.echo(f"{run.folder}: {which}{best}{so_far}")
    if not found.assessments:
        _print_answers(found)
        return
    if len(found.assessments) > 1:
        _print_replicas(found)
        return
    for assessed in found.assessments:
        click.echo(f"{_score(assessed)} on {assessed.samples:,} samples")
        if assessed.confusion is not None:
            _print_confusion(assessed)
        _print_figures(assessed)


def _score(assessed: "Assessment") -> str:
    value = "unknown" if assessed.score is None else written(assessed.metric, assessed.score)
    return f"{METRICS[assessed.metric]} {value}"


def _print_replicas(found: "Predictions") -> None:
    rows = [(str(number), _score(one)) for number, one in zip(found.replicas, found.assessments, strict=True)]
    _table(("chip", "score"), rows)
    click.echo(f"on {found.outputs.shape[1]:,} samples; --replica N shows the classes or outputs of one chip")


def _print_confusion(assessed: "Assessment") -> None:
    assert assessed.confusion is not None
    if len(assessed.confusion) > _MOST_CLASSES:
        click.echo(f"confusion matrix of {len(assessed.confusion)} classes: --json prints it")
        return
    names = [one.name for one in assessed.classes]
    click.echo("confusion matrix: rows are targets, columns are predictions")
    counts = [[f"{n:,}" for n in row] for row in assessed.confusion.tolist()]
    _table(("", *names), [(name, *row) for name, row in zip(names, counts, strict=True)])


def _print_figures(assessed: "Assessment") -> None:
    if assessed.outputs:
        rows = [(one.name, "–" if one.r2 is None else f"{one.r2:.3f}", f"{one.rmse:.4g}") for one in assessed.outputs]
        _table(("output", "R²", "RMSE"), rows)
        return
    shares = [(one.name, one.precision, one.recall, one.f1, one.samples, one.predicted) for one in assessed.classes]
    rows = [(name, *map(_share, figures), f"{n:,}", f"{taken:,}") for name, *figures, n, taken in shares]
    what = "class" if assessed.confusion is not None else "label"
    _table((what, "precision", "recall", "F1", "samples", "predicted"), rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _print_answers(found: "Predictions") -> None:
    """The first predictions, for samples without targets."""
    n, answers = found.outputs.shape[1], found.answers
    rows = []
    for place, number in enumerate(found.replicas):
        for row in range(min(n, _MOST_ROWS)):
            said = answers[place][row]
            said = str(said) if said.ndim == 0 else ", ".join(f"{value:.4g}" for value in said.astype(float))
            raw = ", ".join(f"{value:.4g}" for value in found.outputs[place][row])
            rows.append((str(number), str(row), said, raw))
    _table(("chip", "sample", "prediction", "outputs"), rows)
    if n > _MOST_ROWS:
        click.echo(f"{n - _MOST_ROWS:,} more samples: -o FILE.csv writes all of them")


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None)
    for place, title in enumerate(titles):
        table.add_column(escape(title), justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    # In a pipe, lines are not cut to a width.
    Console(width=None if Console().is_terminal else 200, highlight=False).print(table)
