"""Networks: equinox modules that map a batch of inputs to a batch of outputs."""

from ._cnn import CNN as CNN
from ._cnn import ConvPool as ConvPool
from ._cnn import cnn as cnn
from ._initial import Initialisation as Initialisation
from ._mlp import ACTIVATIONS as ACTIVATIONS
from ._mlp import MLP as MLP
from ._mlp import Dense as Dense
from ._mlp import mlp as mlp
from ._neurons import Neurons as Neurons
