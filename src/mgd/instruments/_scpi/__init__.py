"""Instruments that speak SCPI. Nothing here imports JAX."""

from ._driver import Scpi as Scpi
from ._load import load as load
