"""Multiplexed gradient descent as perturbation × baseline × integrator × update × time constants."""

from ._algorithm import Algorithm as Algorithm
from ._backprop import Backprop as Backprop
from ._base import AbstractAlgorithm as AbstractAlgorithm
from ._baselines import AbstractBaseline as AbstractBaseline
from ._baselines import HighPass as HighPass
from ._baselines import Remeasured as Remeasured
from ._baselines import TwoSided as TwoSided
from ._counts import Counts as Counts
from ._integrators import AbstractIntegrator as AbstractIntegrator
from ._integrators import Accumulate as Accumulate
from ._integrators import LowPass as LowPass
from ._presets import Ordinary as Ordinary
from ._presets import Published as Published
from ._presets import analog as analog
from ._presets import discrete as discrete
from ._presets import from_published as from_published
from ._presets import to_published as to_published
from ._state import Clock as Clock
from ._state import Info as Info
from ._state import Probe as Probe
from ._state import Seeds as Seeds
from ._state import State as State
from ._state import rows_of as rows_of
from ._time_constants import TimeConstants as TimeConstants
from ._write import Write as Write
