"""From counts to seconds and joules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._profile import EVENTS, Profile

if TYPE_CHECKING:
    import xarray as xr

    from ..algorithm import Counts

# Of sums of seconds, relative.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class HardwareTime:
    """The time and energy of a run on a chip.

    Attributes:
        seconds: the total time.
        joules: the total energy; None if the profile has no energies.
        event_seconds: the time of each event by itself, as if nothing overlapped.
        shares: the share of each event in `seconds`; their sum is 1. An event that a longer one of its group hides has
            0.
        published_seconds: the time by the profile's published formula; None if it has none.
    """

    seconds: float
    joules: float | None
    event_seconds: dict[str, float]
    shares: dict[str, float]
    published_seconds: float | None


def hardware_time(counts: "Counts", profile: Profile, *, n_steps: int | None = None) -> HardwareTime:
    r"""The time and energy that these counts take on a chip.

    With N measurements, inferences, perturbations, writes and loads, and the profile's times t,

    $$T = N_{meas} t_{latency} + N_{inf} t_{inference} + N_p t_{perturbation} + N_θ t_{write} + N_x t_{load},$$

    where each group of overlapping events contributes only its longest term. For energies e in place of t, all terms
    count, and the idle power times T is added.

    Args:
        counts: the counts of one chip.
        profile: the profile of the chip.
        n_steps: timesteps, for the published formula; without it the formula is not evaluated.

    Raises:
        ValueError: if the profile gives the seconds of one parameter (`one_by_one`), or samples do not stay long enough
            for their measurements (`presentation_seconds`).

    >>> from mgd.algorithm import Counts
    >>> from mgd.timing import load_profile
    >>> counts = Counts(
    ...     cost_measurements=2000, inferences=2000, parameter_writes=10, sample_loads=1000, perturbations=2000
    ... )
    >>> time = hardware_time(counts, load_profile("hw1"), n_steps=1000)
    >>> time.seconds, time.published_seconds
    (2.0102, 2.0)
    """
    return _evaluate({event: getattr(counts, name) for event, name in EVENTS.items()}, profile, n_steps)


def seconds_of(number: Mapping[str, Any], profile: Profile) -> Any:
    """The time that these numbers of events take; numbers may be arrays, of which each place is a chip's.

    Args:
        number: how often each event happens, by its name.
        profile: the profile of the chip, of the whole parameter vector.
    """
    return _total(as_loaded(number, profile), profile)


def _total(number: Mapping[str, Any], profile: Profile) -> Any:
    each = {event: np.asarray(number[event], float) * getattr(profile.seconds, event) for event in EVENTS}
    in_groups = {event for group in profile.overlap for event in group}
    total = sum(each[event] for event in EVENTS if event not in in_groups)
    return total + sum(np.max([each[event] for event in group], axis=0) for group in profile.overlap)


def as_loaded(number: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """The events of a chip that must be shown a batch again at every measurement, if its buffer does not keep it."""
    if profile.buffer is None:
        return dict(number)
    again = _batch(number) > profile.buffer
    return {**number, "load": np.where(again, number["inference"], number["load"])[()]}


def presented_seconds(number: Mapping[str, Any], profile: Profile) -> Any:
    """How long samples must stay for their measurements, in the mean over presentations; numbers may be arrays.

    A batch that the chip's buffer does not keep is presented anew at every measurement. Of writes, one fits between two
    presentations.

    Args:
        number: as for `seconds_of`.
        profile: likewise.
    """
    batch = np.maximum(_batch(number), 1)
    presentations = np.maximum(as_loaded(number, profile)["load"] / batch, 1)
    during = {**number, "load": 0 * batch, "write": np.maximum(number["write"] - presentations, 0)}
    return _total(during, profile) / presentations


def are_presented(number: Mapping[str, Any], profile: Profile) -> Any:
    """Whether samples stay long enough for their measurements; numbers as for `presented_seconds`."""
    if profile.presentation_seconds is None:
        return True
    return presented_seconds(number, profile) <= profile.presentation_seconds * (1 + _ROUNDING)


def _batch(number: Mapping[str, Any]) -> Any:
    return np.asarray(number["inference"], float) / np.maximum(number["latency"], 1)


def _evaluate(number: dict[str, int], profile: Profile, n_steps: int | None) -> HardwareTime:
    if profile.one_by_one:
        raise ValueError(
            f"the profile {profile.name!r} gives {' and '.join(profile.one_by_one)} of one parameter: take "
            "profile.whole(n_params)"
        )
    if not are_presented(number, profile):
        takes = presented_seconds(number, profile)
        raise ValueError(
            f"the measurements of a presentation take {takes:.4g} s, and on {profile.name} a sample stays for "
            f"{profile.presentation_seconds:.4g} s (presentation_seconds): train with a smaller tau_x or batch, or "
            "give a profile whose samples stay longer"
        )
    number = {event: int(n) for event, n in as_loaded(number, profile).items()}
    event_seconds = {event: number[event] * getattr(profile.seconds, event) for event in EVENTS}
    kept = event_seconds | {event: 0.0 for group in profile.overlap for event in group}
    for group in profile.overlap:
        longest = max(group, key=lambda event: event_seconds[event])
        kept[longest] = event_seconds[longest]
    seconds = sum(kept.values())
    joules = None
    if profile.joules is not None and profile.idle_watts is not None:
        spent = sum(number[event] * getattr(profile.joules, event) for event in EVENTS)
        joules = spent + profile.idle_watts * seconds
    published = None
    if n_steps is not None and profile.published_step_seconds is not None:
        published = n_steps * profile.published_step_seconds
    shares = {event: value / seconds if seconds else 0.0 for event, value in kept.items()}
    return HardwareTime(seconds, joules, event_seconds, shares, published)


def time_history(history: "xr.Dataset", profile: Profile) -> "xr.Dataset":
    """A run's history with the hardware time of each logged step.

    Args:
        history: the history over (replica, step), with the counts as coordinates: `Result.history`, or a run's metrics.
        profile: the profile of the chip.

    Returns:
        The history with `seconds` over step, `shares` over (event, step), and, if the profile has them, `joules` and
        `published_seconds` over step.

    Raises:
        ValueError: if the history has no counts, or as `hardware_time`.
    """
    missing = [name for name in EVENTS.values() if name not in history.coords]
    if missing:
        raise ValueError(f"the history lacks the counts {', '.join(missing)}: give that of a run, Result.history")
    times = []
    for k in range(history.sizes["step"]):
        number = {event: int(history[name][k]) for event, name in EVENTS.items()}
        times.append(_evaluate(number, profile, int(history.step[k])))
    shares = np.array([[time.shares[event] for time in times] for event in EVENTS])
    added: dict[str, Any] = {
        "seconds": ("step", np.array([time.seconds for time in times], float), {"units": "s"}),
        "shares": (("event", "step"), shares),
    }
    if profile.joules is not None:
        added["joules"] = ("step", np.array([time.joules for time in times], float), {"units": "J"})
    if profile.published_step_seconds is not None:
        published = np.array([time.published_seconds for time in times], float)
        added["published_seconds"] = ("step", published, {"units": "s"})
    return history.assign_coords(event=list(EVENTS)).assign(added).assign_attrs(profile=profile.name)
