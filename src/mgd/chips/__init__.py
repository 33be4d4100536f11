"""Simulated chips, which JAX can trace: a network, or any cost, with the same methods as a real chip."""

from ._base import AbstractChip as AbstractChip
from ._base import Reading as Reading
from ._base import Traits as Traits
from ._costs import AbstractCost as AbstractCost
from ._costs import CrossEntropy as CrossEntropy
from ._costs import MeanSquaredError as MeanSquaredError
from ._costs import cost_named as cost_named
from ._function import FunctionChip as FunctionChip
from ._function import from_function as from_function
from ._network import NetworkChip as NetworkChip
from ._network import cnn as cnn
from ._network import from_module as from_module
from ._network import mlp as mlp
from .imperfections import imperfect as imperfect
from .imperfections._export import applied_parameters as applied_parameters
from .imperfections._export import device_arrays as device_arrays
from .imperfections._export import device_from_arrays as device_from_arrays
