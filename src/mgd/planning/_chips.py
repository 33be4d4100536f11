"""The chip that a plan is for: a chip file, a profile, or one that comes with the package."""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from .._input import check_path, nearest, read_toml
from ..calibration import Calibration
from ..runs import ChipFile, chip_settings, read_chip_file
from ..timing import Profile, load_profile, profile_names
from ._calibrated import calibration_of, check_parameters, with_calibration

# Tables that profiles do not have.
_OF_CHIPS = {"chip", "imperfect", "instrument", "profile"}


@dataclass(frozen=True)
class PlannedChip:
    """A chip as a plan needs it.

    Attributes:
        settings: its network and imperfections, by their names in a run's settings.
        profile: what it takes.
        calibration: the path and the contents of its calibration, if its file names one; `settings` and `profile` have
            what it measured.
        file: the chip file; None for a profile alone.
    """

    settings: dict[str, Any]
    profile: Profile
    calibration: tuple[Path, Calibration] | None = None
    file: ChipFile | None = None

    def check(self, n_params: int) -> None:
        """Raises: ValueError: if its calibration is of a chip with another number of parameters."""
        if self.calibration is not None:
            check_parameters(*self.calibration, n_params)


def chip_folder() -> Path:
    """The folder of the chips that come with the package."""
    return Path(str(resources.files("mgd.planning"))) / "chips"


def chip_names() -> tuple[str, ...]:
    """The chips that come with the package: chip files, and profiles.

    >>> chip_names()[:3]
    ('example', 'fpga', 'hw1')
    """
    own = (path.name.removesuffix(".toml") for path in chip_folder().glob("*.toml"))
    return tuple(sorted({*own, *profile_names()}))


def chip_of(given: str | os.PathLike | Profile) -> PlannedChip:
    """The chip of a file, or of a name.

    Args:
        given: one of `chip_names()`, the path of a chip file or of a profile, or a profile.

    Raises:
        ValueError: if there is none, or its file is wrong or does not say what it takes.
    """
    if isinstance(given, Profile):
        return PlannedChip({}, given)
    check_path(chip=given)
    text = os.fspath(given)
    if (chip_folder() / f"{text}.toml").exists():
        return _of_file(chip_folder() / f"{text}.toml")
    if text in profile_names():
        return PlannedChip({}, load_profile(text))
    if not text.endswith(".toml") and not os.path.lexists(text):
        names = chip_names()
        raise ValueError(
            f"unknown chip {text!r}{nearest(text, names)}; choose {', '.join(names)}, or give the path of a chip file"
        )
    path = Path(text)
    fields = read_toml(path).keys()
    if "seconds" not in fields:
        return _of_file(path)
    if of_chip := sorted(fields & _OF_CHIPS):
        raise ValueError(
            f"{path} has [{of_chip[0]}], so it is a chip file: write [profile.seconds] in place of [seconds]"
        )
    return PlannedChip({}, load_profile(path))


def _of_file(path: Path) -> PlannedChip:
    file = read_chip_file(path)
    if file.profile is None:
        raise ValueError(
            f'{path}: there is no [profile]: give profile = "hw1" or another shipped one, or the table '
            "[profile.seconds] of inference, perturbation, write, load and latency"
        )
    settings, profile = chip_settings([file], simulate=True), file.profile
    calibration = calibration_of(file)
    if calibration is not None:
        imperfect, profile = with_calibration(settings.get("imperfect") or {}, profile, *calibration)
        settings = settings | ({"imperfect": imperfect} if imperfect else {})
    return PlannedChip(settings, profile, calibration, file)
