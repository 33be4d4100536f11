"""The version, read by the build and by the run directory."""

__version__ = "0.1.0"
