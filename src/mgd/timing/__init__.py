"""Hardware time: the seconds and joules that a run's counts would take on a chip described by a profile."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._figure import check_figure as check_figure
    from ._figure import draw_score as draw_score
    from ._figure import draw_times as draw_times
    from ._figure import mark_clock as mark_clock
    from ._format import format_joules as format_joules
    from ._format import format_seconds as format_seconds
    from ._hardware_time import HardwareTime as HardwareTime
    from ._hardware_time import are_presented as are_presented
    from ._hardware_time import hardware_time as hardware_time
    from ._hardware_time import presented_seconds as presented_seconds
    from ._hardware_time import seconds_of as seconds_of
    from ._hardware_time import time_history as time_history
    from ._profile import EVENTS as EVENTS
    from ._profile import Profile as Profile
    from ._shipped import load_profile as load_profile
    from ._shipped import profile_folder as profile_folder
    from ._shipped import profile_names as profile_names

_PUBLIC = {
    "EVENTS": "_profile",
    "HardwareTime": "_hardware_time",
    "Profile": "_profile",
    "format_joules": "_format",
    "format_seconds": "_format",
    "hardware_time": "_hardware_time",
    "load_profile": "_shipped",
    "profile_names": "_shipped",
    "time_history": "_hardware_time",
}
# For other parts of this library.
_INSIDE = {
    "are_presented": "_hardware_time",
    "check_figure": "_figure",
    "draw_score": "_figure",
    "draw_times": "_figure",
    "mark_clock": "_figure",
    "presented_seconds": "_hardware_time",
    "profile_folder": "_shipped",
    "seconds_of": "_hardware_time",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
