"""Hardware time: what a run's counts would take, in seconds and joules, on a chip described by a profile."""

from ._format import format_joules as format_joules
from ._format import format_seconds as format_seconds
from ._hardware_time import HardwareTime as HardwareTime
from ._hardware_time import hardware_time as hardware_time
from ._hardware_time import time_history as time_history
from ._profile import EVENTS as EVENTS
from ._profile import Profile as Profile
from ._shipped import load_profile as load_profile
from ._shipped import profile_names as profile_names
