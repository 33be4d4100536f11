"""The command line: one command, one library call."""

from ._main import main as main
