"""Simulations that are kept: those that are whole, and no others."""

import os

import pytest

from mgd import RunError
from mgd.planning._kept import Kept
from mgd.planning._simulate import Passage
