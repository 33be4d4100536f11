"""Imperfections of chips: wrappers along the signal's path, one in each file."""

from ..._numbers import NUMBER as NUMBER
from ._activation_variation import ActivationVariation as ActivationVariation
from ._adc import ADC as ADC
from ._cost_noise import CostNoise as CostNoise
from ._cross_talk import CrossTalk as CrossTalk
from ._dac import DAC as DAC
from ._delay import Delay as Delay
from ._drift import Drift as Drift
from ._flicker_noise import FlickerNoise as FlickerNoise
from ._imperfect import Imperfect as Imperfect
from ._imperfect import imperfect as imperfect
from ._imperfect import inputs_of as inputs_of
from ._imperfect import inside as inside
from ._imperfect import loss_of as loss_of
from ._kinds import AbstractDrive as AbstractDrive
from ._kinds import AbstractImperfection as AbstractImperfection
from ._kinds import AbstractMemory as AbstractMemory
from ._kinds import AbstractReadout as AbstractReadout
from ._parameter_range import ParameterRange as ParameterRange
from ._perturbation_gain import PerturbationGain as PerturbationGain
from ._settling import Settling as Settling
from ._soft_bounds_write import SoftBoundsWrite as SoftBoundsWrite
from ._stuck_cells import StuckCells as StuckCells
from ._update_noise import UpdateNoise as UpdateNoise
