"""Measurements on a guarded chip: retries, recovery, and checks of readings."""

from ._bench import Bench as Bench
from ._sure import Pending as Pending
from ._sure import Slipped as Slipped
from ._watchdog import watchdog as watchdog
