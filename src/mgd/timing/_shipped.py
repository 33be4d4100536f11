"""The profiles that come with the package, and finding one by name or path."""

import os
from importlib import resources
from pathlib import Path

from .._input import nearest
from ._profile import Profile


def profile_folder() -> Path:
    """The folder of the shipped profiles."""
    return Path(str(resources.files("mgd.timing"))) / "profiles"


def profile_names() -> tuple[str, ...]:
    """The shipped profiles.

    >>> profile_names()
    ('example', 'hw1', 'hw2', 'hw3', 'silicon-photonic-2506.18041')
    """
    return tuple(sorted(path.name.removesuffix(".toml") for path in profile_folder().glob("*.toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """A shipped profile by its name, or the profile of a TOML file.

    Args:
        name_or_path: one of `profile_names()`, or the path of a TOML file.

    Raises:
        ValueError: if there is none of that name, or the file is wrong: one line.

    >>> load_profile("hw1").seconds.perturbation
    0.001
    """
    text = str(name_or_path)
    names = profile_names()
    if text in names and not isinstance(name_or_path, Path):
        return Profile.read(profile_folder() / f"{text}.toml")
    if isinstance(name_or_path, Path) or text.endswith(".toml") or os.path.lexists(text):
        return Profile.read(Path(name_or_path))
    raise ValueError(
        f"unknown profile {text!r}{nearest(text, names)}; choose {', '.join(names)}, or give the path of a TOML file"
    )
