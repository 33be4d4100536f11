"""Every exception and warning of our own, drawn once.

    MgdError
    ├── DataError        a data file is missing, corrupt, or not what its checksum says
    ├── RunError         a run directory or checkpoint cannot be used as asked
    └── DivergedError    a measured cost was NaN or infinite

    Interrupted          a run was asked to stop, and its checkpoint is written

    MgdWarning           a setting that will run, but hardly do what was meant

A wrong argument is a plain `ValueError`: what is wrong, the value given, what to do.
"""


class MgdError(Exception):
    """Something outside the program is not as it must be; the message is one line and names the remedy."""


class DataError(MgdError):
    """A data file is missing, corrupt, or not what its checksum says."""


class RunError(MgdError):
    """A run directory or a checkpoint cannot be used as asked."""


class DivergedError(MgdError):
    """A measured cost was NaN or infinite.

    Attributes:
        step: the first timestep at which it was.
    """

    def __init__(self, message: str, *, step: int):
        super().__init__(message)
        self.step = step


class Interrupted(Exception):
    """A run was asked to stop (Ctrl-C, SIGTERM); its checkpoint is written.

    Attributes:
        step: timesteps made.
    """

    def __init__(self, message: str, *, step: int):
        super().__init__(message)
        self.step = step


class MgdWarning(UserWarning):
    """A setting that will run, but hardly do what was meant; the message says the number and the remedy."""
