"""A guarded chip that is measured: retries, recovery, and what may be believed."""

from ._bench import Bench as Bench
from ._sure import Pending as Pending
from ._sure import Slipped as Slipped
from ._watchdog import watchdog as watchdog
