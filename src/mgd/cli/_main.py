"""The group of commands, and how errors leave it."""

import errno
import os
import sys
import warnings

import click

from .._errors import DivergedError, HardwareError, Interrupted, MgdError, MgdWarning
from .._input import printable
from .._stops import GO_ON, STOPPED, EndAtOnce
from .._version import __version__
from ._apply import apply_run
from ._calibrate import calibrate
from ._chip import chip
from ._compiled import is_trouble, keep_compiled
from ._data import data
from ._doctor import doctor
from ._export import export
from ._instruments import instruments
from ._list import list_names
from ._onchip import onchip
from ._plan import plan
from ._plot import plot
from ._predict import predict
from ._replay import replay
from ._report import report
from ._reproduce import reproduce
from ._show import show
from ._sweep import sweep
from ._time import time
from ._train import resume, train
from ._words import unknown_option

# A disk that is full, out of quota, broken, or only to be read.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
UNREAD, BAD_INPUT, DIVERGED, CHIP_FAILED = 1, 2, 3, 4
_HELP = {"help_option_names": ["-h", "--help"]}


class _Commands(click.Group):
    """Lists commands in the order a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """As click does, but a Ctrl-C outside a run gets the same one line as all else that ends a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted(str(error) or GO_ON, step=0) from None


@click.group(
    cls=_Commands,
    context_settings={**_HELP, "max_content_width": 100},
    epilog="Example: mgd train nist7x7 --replicas 16",
)
@click.version_option(__version__, prog_name="mgd")
def commands() -> None:
    """Train hardware neural networks by multiplexed gradient descent."""


for _command in (
    *(
        train,
        resume,
        plan,
        sweep,
        show,
        doctor,
        plot,
        report,
        predict,
        apply_run,
        export,
        replay,
        time,
        reproduce,
        chip,
        calibrate,
        instruments,
        onchip,
    ),
    *(list_names, data),
):
    commands.add_command(_command)
for _command in (
    *commands.commands.values(),
    *chip.commands.values(),
    *data.commands.values(),
    *onchip.commands.values(),
):
    # click keeps the help option of a command's first use, which need not be below the group.
    _command.context_settings.update(_HELP)


def run(arguments: list[str] | None, handler: EndAtOnce | None) -> None:
    """Runs one command. Bad input gives one line on stderr and exit code 2; a run that diverged gives 3, an instrument
    that failed 4, a stop 130.

    Args:
        arguments: of the command.
        handler: the handler of signals, to be informed when the command has printed everything.
    """
    warnings.simplefilter("default", MgdWarning)
    warnings.showwarning = _show_warning
    keep_compiled()
    code, said = _outcome(arguments)
    if handler is not None and code == STOPPED:
        handler.code = code  # one line is enough
    try:
        if said is not None:
            _say(said)
        sys.stdout.flush()
    except OSError:  # nobody reads it
        code = code or UNREAD
        sys.stderr.close()
    if handler is not None:
        handler.code = code
    sys.exit(code)


def _outcome(arguments: list[str] | None) -> tuple[int, str | None]:
    """The exit code of a command, and what is to be said of how it ended."""
    try:
        # click answers --help and the like with an exit code; commands return nothing.
        return commands.main(arguments, standalone_mode=False) or 0, None
    except Interrupted as error:
        return STOPPED, str(error)
    except click.NoSuchOption as error:
        return BAD_INPUT, unknown_option(error)
    except click.ClickException as error:
        return BAD_INPUT, error.format_message()
    except (MgdError, ValueError) as error:
        return _exit_code(error), str(error)
    except MemoryError as error:
        return BAD_INPUT, f"this does not fit in memory ({str(error) or 'no more is available'}): use less"
    except BrokenPipeError:
        sys.stderr.close()
        return UNREAD, None
    except OSError as error:  # of a place that nobody can look at: its name is too long, or it is another user's
        if error.filename is None and error.errno in _DISK:
            return BAD_INPUT, f"cannot write: {error.strerror}"
        if error.filename is None:
            raise
        return BAD_INPUT, f"cannot use {os.fsdecode(error.filename)}: {error.strerror}"


def _exit_code(error: Exception) -> int:
    if isinstance(error, DivergedError):
        return DIVERGED
    return CHIP_FAILED if isinstance(error, HardwareError) else BAD_INPUT


def _say(message: str) -> None:
    click.echo("mgd: " + printable(" ".join(message.split())), err=True)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    if not is_trouble(str(message)):
        click.echo(f"mgd: warning: {printable(str(message))}", err=True)
