"""`mgd calibrate`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..rows import TASKS
from ._words import WholeNumber

if TYPE_CHECKING:
    from ..calibration import Calibration
    from ..runs import ChipFile

_NAMED = 12


@click.command(epilog="Example: mgd calibrate examples/virtual-chip.toml")
@click.argument("file", metavar="CHIP.toml", type=click.Path(path_type=Path))
@click.option(
    "--task",
    metavar="TASK|DATA",
    help="Task, or your own data, whose samples are presented; by default the task with the file's inputs and outputs.",
)
@click.option("--bits", type=WholeNumber(), help="Bits of parity; by default as many as the chip has inputs.")
@click.option(
    "--batch", type=WholeNumber(), help="Samples over which a measurement is averaged; by default the task's."
)
@click.option(
    "--budget",
    type=WholeNumber(1, 2**31),
    help="Most measurements; by default 20,000 + 60 × a code's period, more if costs come late.",
)
@click.option("--seed", type=WholeNumber(0, 2**32 - 1), default=0, help="Seed of codes, samples and parameters.")
@click.option("--data", type=click.Path(path_type=str), help="Folder of the images.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; by default calibration-SERIAL.toml.")
@click.option("--simulate", is_flag=True, help="Measure a simulated chip, with the imperfections of the file.")
def calibrate(
    file: Path,
    task: str | None,
    bits: int | None,
    batch: int | None,
    budget: int | None,
    seed: int,
    data: str | None,
    out: Path | None,
    simulate: bool,
) -> None:
    """Measure the chip of CHIP.toml, choose the settings with which to train it, and say why.

    The command moves parameters within their limits, and leaves the chip in its safe state. It writes the calibration
    beside CHIP.toml, to a file with the chip's serial number in its name.
    """
    from ..runs import read_chip_file

    read = read_chip_file(file)  # what is wrong with it is said at once
    task = task or _task_of(read)
    from ..runs import calibrate as measure
    from ..runs import measuring

    with measuring() as on_progress:
        found, written = measure(
            file,
            task,
            bits=bits,
            data=data,
            batch=batch,
            budget=budget,
            seed=seed,
            out=out,
            simulate=simulate,
            on_progress=on_progress,
        )
    for line in report(found):
        click.echo(line)
    click.echo(f"written to {written}")
    if not simulate:
        click.echo(f"use it: mgd train {task} --chip {file} --calibration {written}")
        click.echo(f'or always: calibration = "{_beside(written, file)}" in [instrument] of {file}')


def _task_of(file: "ChipFile") -> str:
    """The task that the chip of a file is for, by its shape.

    Raises:
        ValueError: if there is none, or the file does not say.
    """
    if file.inputs is not None and len(file.inputs) == 1 and file.outputs == 1 and file.inputs[0] <= 16:
        return "parity"
    shape = file.inputs, file.outputs
    found = next((name for name, row in TASKS.own.items() if shape == (row.inputs, row.outputs)), None)
    if found is None:
        said = f"{list(file.inputs or ())} inputs and {file.outputs or 0} outputs"
        raise ValueError(f"{file.path}: no known task has {said} of [chip]: give --task, one of {', '.join(TASKS)}")
    return found


def report(found: "Calibration") -> list[str]:
    """What was measured, what was chosen and why, in lines for people."""
    unit = f" {found.unit}" if found.unit else ""
    each = f"{1e3 * found.seconds_per_measurement:.3g} ms"
    steps = "" if found.readout_step is None else f", readout in steps of {found.readout_step:.3g}"
    rows = [
        ("cost", f"{found.cost} at the start"),
        ("noise", f"{found.cost_noise} of one measurement, {found.slow_noise} slow in {found.noise_measurements:,}"),
        ("drift", f"{found.drift} a measurement"),
        ("floor", f"{found.float_floor:.2g} by float32{steps}"),
        ("delay", f"{found.delay.value:.0f} ± {found.delay.error:.0f} measurements"),
        ("settling", f"{found.settling} measurements, {_milliseconds(found)}"),
        ("gradient", f"{found.gradient_norm}, curvature along it {found.curvature}"),
        ("linear", f"to {found.linear_range}{unit}, smallest that shows {found.smallest_amplitude:.2g}{unit}"),
        ("levels", _levels(found, unit)),
        ("gain", _gain(found)),
        *_answers(found),
    ]
    chosen = found.settings() | {"batch": found.batch}
    width = max(len(name) for name, _ in rows)
    return [
        f"{found.maker} {found.model}, serial {found.serial}, at {found.address}",
        f"  {found.n_params:,} parameters, {found.task}, batch {found.batch}; "
        f"{found.measurements:,} measurements of {each} each",
        *(f"  {name:<{width}}  {text}" for name, text in rows),
        "chosen: " + ", ".join(f"{name} {_of(value)}" for name, value in chosen.items()),
        f"  expected: angle {found.expected_angle:.0f}°, SNR of C̃ {found.expected_snr:.3g}",
        *(f"  {line}" for line in found.why),
    ]


def _milliseconds(found: "Calibration") -> str:
    seconds = found.settling_seconds
    return f"{1e3 * seconds.value:.3g} ± {1e3 * seconds.error:.1g} ms"


def _of(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _levels(found: "Calibration", unit: str) -> str:
    """The levels of parameters, in one line."""
    even = "" if found.levels_even is None or found.levels_even else ", uneven; this is the widest seen"
    perturbed = "none seen" if found.level is None else f"{found.level:.3g}{unit} apart{even}"
    written = "" if found.written_level is None else f"; levels of writes {found.written_level:.3g}{unit} apart"
    return perturbed + written


def _gain(found: "Calibration") -> str:
    """The gain of all parameters in one line; each is in the file."""
    gains = sorted(
        (gain, error) for gain, error in zip(found.gain, found.gain_error, strict=True) if not math.isnan(gain)
    )
    if not gains:
        return "unknown: perturbations have no lines of their own, or no response stands out"
    middle, error = gains[len(gains) // 2]
    of = f"measured for {len(gains):,} of {found.n_params:,} parameters"
    return f"{middle:.3g} ± {error:.1g} in the middle, {gains[0][0]:.3g} … {gains[-1][0]:.3g}; {of}"


def _answers(found: "Calibration") -> list[tuple[str, str]]:
    """The parameters that do not respond as they should."""
    kinds = (
        ("dead", found.dead, "respond neither to a perturbation nor to a write"),
        ("unwiggled", found.no_perturbation, "respond only to a write"),
        ("stuck", found.no_write, "respond only to a perturbation"),
        ("unclear", found.unresolved, "need a larger budget"),
    )
    rows = [(name, f"{len(which)} {what}: {_indices(which)}") for name, which, what in kinds if which]
    return rows or [("dead", "none, and none stuck")]


def _indices(which: tuple[int, ...]) -> str:
    return ", ".join(map(str, which[:_NAMED])) + (", …" if len(which) > _NAMED else "")


def _beside(written: Path, file: Path) -> str:
    """The path as it stands in the chip file: relative to it if that is where it is."""
    written, folder = written.resolve(), file.parent.resolve()
    return str(written.relative_to(folder)) if written.is_relative_to(folder) else str(written)
