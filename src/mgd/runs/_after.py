"""What a chip is left with after a run: nothing, what it learnt, or parameters of a file. Nothing here imports JAX."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from .._input import nearest, read_file
from ..instruments import other_meaning

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument

SAFE, KEEP = "safe", "keep"
_SUFFIXES = (".npy", ".npz", ".csv", ".safetensors")


@dataclass(frozen=True)
class Left:
    """The parameters of a file.

    Attributes:
        path: the file.
        values: θ, as the file has it.
        on_chip: the values that a chip was set to for it, if the file says them.
        unit: the unit of each; empty where the file does not say it.
    """

    path: Path
    values: Float[np.ndarray, " p"]
    on_chip: Float[np.ndarray, " p"] | None = None
    unit: tuple[str, ...] = ()

    @property
    def theta(self) -> Float[np.ndarray, " p"]:
        """θ as it is sent; what float32 does not hold is infinite."""
        with np.errstate(over="ignore"):
            return self.values.astype(np.float32)


def check_after(after: str) -> str:
    """Raises: ValueError: if it is neither a word nor the name of a file that may have parameters."""
    if after not in (SAFE, KEEP) and Path(after).suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f'must be "safe", "keep" or a file of parameters ({", ".join(_SUFFIXES)}), got {after!r}'
            f"{nearest(after, (SAFE, KEEP))}"
        )
    return after


def parameters_after(after: str, folder: Path) -> Left | None:
    """The parameters of the file that is named; None if none is.

    Args:
        after: "safe", "keep" or the name of a file: numbers alone, or as `mgd export` and run directories have them.
        folder: to which a path is relative.

    Raises:
        ValueError: if the file cannot be read, has parameters of several chips, or has one that is not finite.
    """
    if after in (SAFE, KEEP):
        return None
    path = folder / after
    try:
        arrays, about = _read(path.suffix.lower(), read_file(path))
        found = _numbers(arrays["theta"])
        on_chip = _numbers(arrays["theta_on_chip"]).reshape(-1) if "theta_on_chip" in arrays else None
        unit = _units(about, found.size)
    except OSError as error:
        raise ValueError(f"after: cannot read {path}: {error.strerror}") from error
    except Exception as error:  # whatever NumPy and others raise of contents that are no numbers
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"after: {path} has no parameters that can be read: {why}") from error
    if found.ndim > 1 and max(found.shape) != found.size:
        raise ValueError(
            f"after: {path} has parameters of {found.shape[0]} chips: give a file with those of one, as "
            "mgd export --replica 0 writes it"
        )
    values = found.reshape(-1)
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"after: parameter {at} in {path} is {values[at]:g}: give a file of finite numbers")
    return Left(path, values, on_chip, unit)


def check_fits(left: Left, instrument: "AbstractInstrument") -> None:
    """Raises: ValueError: if an instrument has other parameters than the file, or does not take one of these."""
    theta, limits, address = left.theta, instrument.limits, instrument.address
    if theta.size != instrument.n_params:
        raise ValueError(
            f"after: {left.path} has {theta.size} parameters, and {address} {instrument.n_params}: give the file of "
            "such a chip"
        )
    meaning = limits.meaning
    if len(left.unit) == theta.size and (why := other_meaning(replace(meaning, unit=left.unit), meaning)):
        raise ValueError(f"after: {left.path} is of a chip in other units than {address}: {why}: give another file")
    with np.errstate(over="ignore", invalid="ignore"):
        outside = np.flatnonzero(~((theta >= limits.low) & (theta <= limits.high)))
        if outside.size:
            k = int(outside[0])
            raise ValueError(
                f"after: parameter {limits.name(k)} in {left.path} is {limits.said(k, float(left.values[k]))}, outside "
                f"its limits of {limits.ends(k)} on {address}: correct the file"
            )
    if left.on_chip is None:
        return
    due = meaning.on_chip(theta)
    if left.on_chip.shape != due.shape:
        raise ValueError(f"after: {left.path} has {left.on_chip.size} numbers in theta_on_chip: export it again")
    if (different := ~np.isclose(left.on_chip, due, rtol=1e-5, atol=1e-6 * float(np.abs(due).max()))).any():
        k = int(np.argmax(different))
        raise ValueError(
            f"after: parameter {limits.name(k)} in {left.path} was {left.on_chip[k]:.6g} on its chip, and would be "
            f"{limits.said(k, float(theta[k]))} on {address}: restore scale and centre of instrument.groups, or give "
            "the file of such a chip"
        )


def _numbers(found: Any) -> np.ndarray:
    """Raises: TypeError: if these are no real numbers."""
    found = np.asarray(found)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"it has numbers of the type {found.dtype}, and parameters are real")
    return found.astype(np.float64)


def _units(about: Mapping[str, Any], n: int) -> tuple[str, ...]:
    """The unit of each parameter, as an exported file says it."""
    unit = [str(about.get("unit") or "")] * n
    for group in about.get("groups") or ():
        if group.get("unit"):
            unit[group["start"] : group["stop"]] = [str(group["unit"])] * (group["stop"] - group["start"])
    return tuple(unit)


def _read(suffix: str, content: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The arrays of a file, one of them `theta`, and what it says of them."""
    if suffix == ".csv":
        return _of_text(content.decode("utf-8-sig"))
    if suffix == ".safetensors":
        from safetensors.numpy import load

        length = int.from_bytes(content[:8], "little")
        arrays = load(content)
        return arrays, _about((json.loads(content[8 : 8 + length]).get("__metadata__") or {}).get("about"))
    found = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(found, np.lib.npyio.NpzFile):
        return {"theta": found}, {}
    if "theta" not in found.files and len(found.files) == 1:
        return {"theta": found[found.files[0]]}, {}
    arrays = {name: found[name] for name in ("theta", "theta_on_chip") if name in found.files}
    return arrays, _about(found["about"] if "about" in found.files else None)


def _about(said: Any) -> Mapping[str, Any]:
    """What an exported file says of itself; nothing if it was not exported."""
    if said is None:
        return {}
    try:
        about = json.loads(str(said))
    except json.JSONDecodeError:
        return {}
    exported = isinstance(about, dict) and str(about.get("format", "")).startswith("mgd export")
    return about if exported else {}


def _of_text(text: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    said = next((line.removeprefix("# about: ") for line in text.splitlines() if line.startswith("# about: ")), None)
    rows = [row for row in csv.reader(line for line in text.splitlines() if not line.startswith("#")) if row]
    if not (rows and rows[0][0] == "array"):
        return {"theta": np.array([float(number) for row in rows for number in row])}, {}
    # as mgd export writes it
    named = {
        name: np.array([float(row[-1]) for row in rows[1:] if row[0] == name]) for name in ("theta", "theta_on_chip")
    }
    return {name: values for name, values in named.items() if values.size or name == "theta"}, _about(said)
