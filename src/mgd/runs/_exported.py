"""A trained run as one file that other programs can use: parameters, chips, and what it all means."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._errors import RunError
from .._version import __version__
from ..chips import AbstractChip, NetworkChip
from ..chips.imperfections import Imperfect
from ..datasets import Task
from ..networks import CNN, MLP, Dense
from ._assessed import class_names
from ._formats import check_export
from ._loaded import LoadedRun, load_run
from ._replace import replace_file

# Values of a text file: of more it would take gigabytes.
_MOST_LINES = 20_000_000
_NEURONS = ("alpha", "beta", "shift", "offset")
_DENSE_WEIGHT = "weights, one row a neuron, as (outputs, inputs)"
_DENSE_BIAS = "thresholds, which are subtracted: a = W x - b"
_KERNEL = "kernels, as (3, 3, inputs, outputs), not flipped and without padding"
_ADDED = "biases, which are added: a = K * x + b"
# What imperfections of the way to the parameters leave in a file, where it is not just in theta_applied.
_OF_WRITES = {
    "drift": "what memories lost or gained until the end of the run is in theta_applied, and what comes later is not",
    "perturbation-gain": "it scales perturbations alone, which outputs do not show",
    "soft-bounds-write": "its bounds are in theta_applied; how it takes a write, outputs do not show",
    "update-noise": "it is of writes alone, which outputs do not show",
    "activation-variation": "each neuron's alpha, beta, shift and offset are in the arrays layerN",
}


@dataclass(frozen=True)
class Exported:
    """What is written.

    Attributes:
        arrays: by name; those of replicas have a leading replica axis.
        about: what they mean, of plain JSON types.
    """

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]


def export(
    folder: str | Path,
    out: str | Path,
    *,
    replica: int | str = "all",
    chip: AbstractChip | None = None,
    task: Task | None = None,
) -> Exported:
    """Writes a trained run into one file, which can be used without this program.

    It has θ as the controller knows it and as each chip computes with it, what each chip is made of, how inputs are
    scaled, and in words what all of it means. docs/take-away.md has readers of a few lines.

    Args:
        folder: the run directory, finished or not.
        out: the file: .npz, .csv or .safetensors.
        replica: which chips: a number, "best" or "all".
        chip: as in `load_run`.
        task: likewise.

    Returns:
        What was written.

    Raises:
        RunError, ValueError: as `load_run`; also if the file cannot be written, or has another suffix.
    """
    out = Path(out)
    check_export(out)
    run = load_run(folder, chip=chip, task=task)
    found = exported(run, replica)
    write = {".npz": _npz, ".csv": _csv, ".safetensors": _safetensors}[out.suffix.lower()]
    try:
        replace_file(out, write(found))
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}") from error
    return found


def exported(run: LoadedRun, replica: int | str = "all") -> Exported:
    """What is written of a run."""
    if not run.on_bench:
        run.model()  # it may have been made in Python, and not given
    numbers = list(run.replicas(replica))
    network = None if run.chip is None else _network(run.chip)
    arrays = {"theta": run.theta[numbers]}
    if run.chip is not None:
        arrays["theta_applied"] = run.applied()[numbers]
        arrays |= _of_chips(run, numbers, network)
    arrays["input_offset"], arrays["input_scale"] = _scaling(run)
    arrays["replicas"] = np.array(numbers)
    groups, layers = _groups(run, network), _layers(run, network)
    facts, scores = run.task, run.scores if run.finished else None  # a checkpoint may be newer than its scores
    about = {
        "format": "mgd export 1",
        "mgd": __version__,
        "run": run.folder.name,
        "finished": run.finished,
        "step": run.step,
        "task": facts.name,
        "kind": facts.kind,
        "classes": list(class_names(facts)),
        "input_shape": list(facts.input_shape),
        "input_columns": None if facts.inputs is None else list(facts.inputs),
        "n_outputs": facts.n_outputs,
        "unit": run.unit,
        "cost": run.settings.cost,
        "one_output_is_split_at": _split_at(run),
        "score": None if scores is None else [_number(scores[number]) for number in numbers],
        "groups": groups,
        "layers": layers,
        "words": _words(run, layers),
    }
    return Exported(arrays, about)


def _network(chip: AbstractChip) -> Any:
    """The structure of the network within; None if the chip is no network."""
    while isinstance(chip, Imperfect):
        chip = chip.chip
    return eqx.filter_eval_shape(chip.make, jax.random.key(0)) if isinstance(chip, NetworkChip) else None


def _leaves(chip: AbstractChip) -> Any:
    while isinstance(chip, Imperfect):
        chip = chip.chip
    return chip.leaves if isinstance(chip, NetworkChip) else None


def _of_chips(run: LoadedRun, numbers: list[int], network: Any) -> dict[str, np.ndarray]:
    """What each chip is made of; of networks that we know, every neuron's own numbers, also where all are alike."""
    found, around = {}, "activation_variation."
    for name, values in run.device_arrays().items():
        found[name.removeprefix(around) if name.startswith(around) else f"device.{name}"] = values[numbers]
    if isinstance(network, MLP | CNN):
        for layer, n in enumerate(network.neuron_counts, 1):
            for name, value in zip(_NEURONS, (1.0, 1.0, 0.0, 0.0), strict=True):
                found.setdefault(f"layer{layer}.{name}", np.full((len(numbers), n), value, np.float32))
    return found


def _scaling(run: LoadedRun) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from an input in the user's units, and what it is multiplied by after."""
    facts = run.task
    offset, spread = np.zeros(()), np.ones(())
    if facts.scaling is not None:
        offset, spread = facts.scaling.offset, facts.scaling.spread
    return np.asarray(offset + facts.offset * spread), np.asarray(facts.scale / spread)


def _groups(run: LoadedRun, network: Any) -> list[dict[str, Any]]:
    """Each group of parameters: its name, where it is in θ, its shape, and how it is meant."""
    leaves = None if run.chip is None else _leaves(run.chip)
    found = []
    for place, (name, piece) in enumerate(run.groups.items()):
        group: dict[str, Any] = {"name": name, "start": piece.start, "stop": piece.stop}
        if leaves is not None and tuple(leaves.names) == tuple(run.groups):
            group |= {"shape": list(leaves.shapes[place]), "type": str(leaves.dtypes[place])}
        group["says"] = _meaning(name, group.get("type", ""), network)
        found.append(group)
    return found


def _meaning(name: str, dtype: str, network: Any) -> str:
    if isinstance(network, MLP | CNN):
        weight = name.endswith(".weight")
        if name.startswith("convolutions"):
            return _KERNEL if weight else _ADDED
        return _DENSE_WEIGHT if weight else _DENSE_BIAS
    if dtype.startswith("complex"):
        return "an array of your module, in C order: first all real parts, then all imaginary parts"
    return "an array of your module, in C order" if dtype else "a group of the chip's parameters"


def _layers(run: LoadedRun, network: Any) -> list[dict[str, Any]]:
    """How the layers of a network that we know are computed, one after the other; empty for others."""
    if not isinstance(network, MLP | CNN):
        return []
    slices = {name: [piece.start, piece.stop] for name, piece in run.groups.items()}

    def layer(kind: str, name: str, sign: int, activation: str) -> dict[str, Any]:
        parts = {part: slices[f"{name}.{part}"] for part in ("weight", "bias")}
        return {"kind": kind, **parts, "bias_sign": sign, "activation": activation}

    def dense(name: str, of: Dense) -> dict[str, Any]:
        return layer("dense", name, -1, of.activation)

    if isinstance(network, MLP):
        return [dense(f"layers[{k}]", of) for k, of in enumerate(network.layers)]
    convolutions = [layer("convolution", f"convolutions[{k}]", 1, "relu") for k in range(len(network.convolutions))]
    return [*convolutions, dense("dense", network.dense)]


def _split_at(run: LoadedRun) -> float | None:
    """Where one output is split into two classes; None where it is not."""
    if (run.task.n_outputs > 1 and run.task.kind == "classes") or run.task.kind == "values":
        return None
    return 0.0 if run.is_logit or run.task.kind == "signs" else 0.5


def _words(run: LoadedRun, layers: list[dict[str, Any]]) -> list[str]:
    unit = f"in {run.unit}" if run.unit else "in the network's own units"
    said = [
        f"theta is over (replica, parameter), {unit}, as the controller knows it.",
        "groups says which parameters belong together: theta[:, start:stop] of that shape, in C order.",
        "An input x is shown to the chip as (x - input_offset) * input_scale.",
    ]
    if run.chip is None:
        return [*said, "What the chip on the bench makes of its parameters is its own affair."]
    said.append("theta_applied is what each chip computes with: compute outputs with it, and not with theta.")
    kinds = {layer["kind"] for layer in layers}
    if "dense" in kinds:
        said.append(
            "A dense layer is y = alpha f(beta (W x - b - shift)) + offset: its bias is a threshold and is subtracted. "
            "alpha, beta, shift and offset are each neuron's own, in the arrays layerN."
        )
    if "convolution" in kinds:
        said.append(
            "A convolution is a = K * x + b (its bias is added; 3 x 3, without padding, channels last), then the "
            "largest of each 2 x 2 places (an odd last row or column is left out), then "
            "y = alpha relu(beta (a - shift)) + offset."
        )
    if not layers:
        said.append("How outputs are computed is known to your own chip alone; the arrays are those of its module.")
    if run.settings.cost == "cross-entropy":
        said.append("Outputs are logits: the cost is cross-entropy.")
    chip = run.chip
    while isinstance(chip, Imperfect):
        name = chip.imperfection.name
        known = "it is of the measured cost alone, which outputs do not show"
        if chip.imperfection.side != "out":
            known = _OF_WRITES.get(name, "what it does to parameters is in theta_applied")
        said.append(f"{name}: {known}.")
        chip = chip.chip
    return said


def _npz(found: Exported) -> bytes:
    content = io.BytesIO()
    arrays: dict[str, Any] = found.arrays | {"about": np.array(json.dumps(found.about, ensure_ascii=False))}
    np.savez(content, **arrays)
    return content.getvalue()


def _safetensors(found: Exported) -> bytes:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(values) for name, values in found.arrays.items()}
    return save(arrays, {"about": json.dumps(found.about, ensure_ascii=False)})


def _csv(found: Exported) -> bytes:
    """A line a number, below comments that say what they mean.

    Raises:
        ValueError: if there are too many numbers.
    """
    n = sum(values.size for values in found.arrays.values())
    if n > _MOST_LINES:
        raise ValueError(f"{n:,} numbers are too many for a CSV file: export to .npz, or fewer replicas")
    text = io.StringIO()
    for line in found.about["words"]:
        text.write(f"# {line}\n")
    text.write(f"# about: {json.dumps(found.about, ensure_ascii=False)}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["array", "replica", "group", "index", "value"])
    numbers = found.arrays["replicas"].tolist()
    names = [group["name"] for group in found.about["groups"] for _ in range(group["start"], group["stop"])]
    for name, values in found.arrays.items():
        if name == "replicas":
            continue
        own = not name.startswith("input_")
        rows = values.reshape(len(numbers), -1) if own else values.reshape(1, -1)
        for replica, row in zip(numbers if own else [""], rows, strict=True):
            groups = names if name.startswith("theta") and len(names) == len(row) else [""] * len(row)
            table.writerows((name, replica, groups[k], k, f"{value:.17g}") for k, value in enumerate(row.tolist()))
    return text.getvalue().encode()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
