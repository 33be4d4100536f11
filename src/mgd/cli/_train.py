"""`mgd train` and `mgd resume`."""

import json
from pathlib import Path
from typing import Any

import click

from .._metric import METRICS, written
from ._at_once import answer_at_once, have_devices
from ._settings import given_of, with_settings
from ._words import WholeNumber


@click.command(epilog="Example: mgd train parity --bits 2 --replicas 64 --out runs/xor")
@click.argument("task", metavar="TASK|DATA|CONFIG.toml")
@with_settings
@click.option(
    "--chip",
    "chips",
    multiple=True,
    type=click.Path(path_type=Path),
    help="TOML file of the chip: its network, or how to reach it. Give it several times for a fleet.",
)
@click.option(
    "--simulate", is_flag=True, help="Simulate the chip of the file, even if the file says how to reach a real one."
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Calibration that mgd calibrate wrote: it sets defaults. By default the one that the chip file names.",
)
@click.option("--record", type=click.Path(path_type=Path), help="Record all exchanges with the chip in this file.")
@click.option(
    "--after",
    "--at-end",
    "after",
    metavar="safe|keep|FILE",
    help="How a completed run leaves a real chip: safe, with what it learnt, or with the parameters of FILE.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; by default runs/TASK-N.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object, and nothing else.")
def train(
    task: str,
    chips: tuple[Path, ...],
    simulate: bool,
    calibration: Path | None,
    record: Path | None,
    after: str | None,
    out: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train simulated chips, or the chip of a file, on TASK, on your own DATA, or with the settings in CONFIG.toml.

    DATA is a table (.csv, .tsv, .txt), an .npz or .npy file, or a folder; or module:function, a function of yours that
    is called and returns the task.

    Settings that you leave out have defaults with which the task is learnt; mgd list names all choices. Options
    override the settings in files.
    """
    from ..runs import (
        RunConfig,
        chip_settings,
        merged,
        read_chip_file,
        simulated_as,
        task_given,
        use_calibration,
        with_after,
        with_calibration,
        with_facts,
    )

    files = [read_chip_file(chip) for chip in chips]
    described = chip_settings(files, simulate=simulate) if chips else None
    if described is not None and simulate:
        described |= simulated_as(files[0])
    described = use_calibration(described, calibration)
    given = given_of(settings)
    if record is not None:
        given["record"] = str(record.resolve())
    if task.endswith(".toml"):
        config = RunConfig.read(Path(task), given, described)
    else:
        config = RunConfig.of(merged({"task": task_given(task)}, given, described))
    from ..runs import resolve

    if config.instruments:
        answer_at_once()
    have_devices(config.devices or 1)
    config = resolve(with_calibration(with_after(with_facts(config), after)))
    if not isinstance(config.task, str):
        click.echo(config.task.summary, err=True)
    from ..runs import start

    with _progress(config.steps) as on_progress:
        folder = start(config, out, on_progress=on_progress)
    _report(folder, as_json)


@click.command(epilog="Example: mgd resume runs/parity-1")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--before",
    type=WholeNumber(min=1),
    metavar="STEP",
    help="Go back to the newest checkpoint before STEP, and discard what was learnt and measured after it.",
)
@click.option(
    "--steps",
    type=WholeNumber(min=1),
    metavar="N",
    help="Continue to N timesteps in all, past the planned end of RUN.",
)
@click.option("--run-code", is_flag=True, help="Run the code that RUN names, even if it was never run here.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object, and nothing else.")
def resume(run: Path, before: int | None, steps: int | None, run_code: bool, as_json: bool) -> None:
    """Continue RUN from its last checkpoint, to the bit as if it had never stopped.

    With --steps, a finished run is trained for longer; a falling learning rate then falls over all N timesteps.

    A run on a chip of the kind callables or torch, or on a chip or task that a function makes, names Python code. If
    the run directory comes from someone else, read that code before you give --run-code.
    """
    from ..runs import read_config

    config = read_config(run)
    if config.instruments:
        answer_at_once()
    have_devices(config.devices or 1)
    from ..runs import is_whole
    from ..runs import resume as go_on

    if run_code:
        from ..runs import said_to_run

        said_to_run(config.code)
    ran = before is not None or steps is not None or not is_whole(run)
    if not ran:
        click.echo(f"{run} is finished", err=True)
    else:
        with _progress(steps or config.steps) as on_progress:
            go_on(run, before=before, steps=steps, on_progress=on_progress)
    _report(run, as_json, ran=ran)


def _progress(steps: int | None):
    from ..runs import progress

    return progress(steps or 1)


def _diagnostics(folder: Path, *, ran: bool) -> str:
    """The last diagnostics of a run on a chip; empty for other runs. A run that ran now has already warned."""
    from ..runs import figures_of, read_diagnostics

    lines = read_diagnostics(folder, quiet=ran)
    return figures_of(lines[-1]) if lines else ""


# Failed measurements of a chip, and how often its line was opened again.
_TROUBLES = {
    "skipped": "measurements skipped, which gave no reading",
    "recoveries": "reopenings of the chip",
    "measured_again": "measurements repeated, which were uncertain",
    "unbelievable": "readings outside of what is believable, asked again",
    "far_beyond": "costs far beyond all before, asked again",
}


def _report(folder: Path, as_json: bool, *, ran: bool = True) -> None:
    """What the run came to, for a person or for a program."""
    from ..runs import CURVE, read_summary

    summary = read_summary(folder) or {}
    if as_json:
        click.echo(json.dumps(summary))
        return
    for line in _score_lines(summary):
        click.echo(line)
    counts = summary["counts"]
    click.echo(
        f"  {summary['n_params']:,} parameters, {summary['steps']:,} steps, "
        f"{counts['cost_measurements']:,} cost measurements and {counts['parameter_writes']:,} writes a chip"
    )
    if line := _diagnostics(folder, ran=ran):
        click.echo(f"  {line}")
    if troubles := [f"{words}: {summary[name]:,}" for name, words in _TROUBLES.items() if summary.get(name)]:
        click.echo(f"  {'; '.join(troubles)}")
    if ended := summary.get("ended_by"):
        click.echo(f"  ended at step {summary['steps']:,}: {ended}")
    for text in summary.get("warnings", ()):
        click.echo(f"  warning: {text}")
    if found := summary.get("diagnosis"):
        click.echo(f"  {found['problem']}: try {found['remedy']} (mgd doctor {folder} says all)")
    click.echo(f"  {summary['seconds']:.1f} s; picture: {folder / CURVE}")


def _score_lines(summary: dict[str, Any]) -> list[str]:
    """The lines with the score of a run's chips, by the measure that it names; old runs name none and have accuracy."""
    metric, task, n = summary.get("metric", "accuracy"), summary["task"], summary["replicas"]
    scores = [a for a in summary[f"{metric}_per_replica"] if a is not None] if metric else []
    if not scores:
        whose = "" if n == 1 else f" (mean of {n} chips)"
        return [] if summary["cost"] is None else [f"{task}: test cost {summary['cost']:.4g}{whose}"]
    worst, best = written(metric, min(scores)), written(metric, max(scores))
    whose = "" if n == 1 else f" (mean of {n} chips; worst {worst}, best {best})"
    lines = [f"{task}: test {METRICS[metric]} {written(metric, summary[metric])}{whose}"]
    shown, total = (summary.get(name) for name in ("test_samples", "test_samples_of"))
    if shown != total:
        lines.append(f"  measured on {shown:,} of {total:,} test samples, so no chip is called solved")
    elif (threshold := summary["solved_accuracy"]) is not None:
        solved = round(summary["solved_fraction"] * n)
        least = f"{threshold:g}" if metric == "r2" else f"{threshold:.0%}"
        lines.append(f"  solved ({METRICS[metric]} of {least} or more) by {solved} of {n} chips")
    held_out = [a for a in summary.get(f"held_out_{metric}_per_replica") or () if a is not None]
    if held_out:
        mean = written(metric, sum(held_out) / len(held_out))
        lines.append(f"  {METRICS[metric]} on the samples held out: {mean}")
    return lines
