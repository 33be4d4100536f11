"""Perturbation families: θ̃ as a pure function of (seed, index), one file each."""

from ._base import AbstractPerturbation as AbstractPerturbation
from ._base import SignalTraits as SignalTraits
from ._block import Block as Block
from ._gaussian import Gaussian as Gaussian
from ._lfsr import LFSR as LFSR
from ._rademacher import Rademacher as Rademacher
from ._sequential import Sequential as Sequential
from ._sinusoid import Sinusoid as Sinusoid
from ._walsh import Walsh as Walsh
