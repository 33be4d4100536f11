"""Imperfections of chips: wrappers along the signal's path, one a file."""

from ._activation_variation import ActivationVariation as ActivationVariation
from ._cost_noise import CostNoise as CostNoise
from ._imperfect import Imperfect as Imperfect
from ._imperfect import imperfect as imperfect
from ._kinds import AbstractDrive as AbstractDrive
from ._kinds import AbstractImperfection as AbstractImperfection
from ._kinds import AbstractMemory as AbstractMemory
from ._kinds import AbstractReadout as AbstractReadout
from ._update_noise import UpdateNoise as UpdateNoise
