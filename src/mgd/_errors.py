"""Every exception and warning of our own, drawn once.

    MgdError
    ├── DataError        a data file is missing, corrupt, or not what its checksum says
    ├── RunError         a run directory or checkpoint cannot be used as asked
    ├── HardwareError    an instrument does not answer, answers wrongly, or is not the one that was meant
    └── DivergedError    a measured cost was NaN or infinite

    LimitError           a ValueError: a value is outside an instrument's limits; nothing was sent
    Interrupted          a run was asked to stop, and its checkpoint is written

    MgdWarning           a setting that will run, but hardly do what was meant

A wrong argument is a plain `ValueError`: what is wrong, the value given, what to do.
"""

from typing import Any


class MgdError(Exception):
    """Something outside the program is wrong; the message is one line and names the remedy."""


class DataError(MgdError):
    """A data file is missing, is corrupt, or does not match its checksum."""


class RunError(MgdError):
    """A run directory or a checkpoint cannot be used as requested."""


class HardwareError(MgdError):
    """An instrument does not answer, answers wrongly, or is not the expected one.

    The message has the address, the command, the reply and the remedy.

    Attributes:
        passing: whether opening the instrument again and asking again may help (a time-out, a lost line, a garbled
            reply), or not (a wrong identity, a chip that is in use).
        skip: whether this measurement failed but the next may succeed (a circuit that does not converge): it is
            counted, and taken as no change in cost.
    """

    def __init__(self, message: str, *, passing: bool = False, skip: bool = False):
        super().__init__(message)
        self.passing, self.skip = passing, skip


class DivergedError(MgdError):
    """A measured cost was NaN or infinite.

    Attributes:
        step: the first timestep at which it was.
    """

    def __init__(self, message: str, *, step: int):
        super().__init__(message)
        self.step = step


class LimitError(ValueError):
    """A value is outside an instrument's limits; nothing was sent."""


class Interrupted(Exception):
    """A run was asked to stop (Ctrl-C, SIGTERM, SIGHUP); its checkpoint is written.

    Attributes:
        step: timesteps made.
        result: the `mgd.Result` so far, if the run was made by `mgd.train` and has been evaluated; otherwise None.
    """

    def __init__(self, message: str, *, step: int, result: Any = None):
        super().__init__(message)
        self.step, self.result = step, result


class MgdWarning(UserWarning):
    """A setting runs, but will hardly do what is intended; the message has the number and the remedy."""
