"""Optimizers by name."""

from ._row import Row
from ._table import Table

_MOMENTUM = {"momentum": 0.9}

OPTIMIZERS = Table(
    "optimizer",
    "mgd.optimizers",
    Row,
    "optax:GradientTransformation",
    {
        "sgd": Row("plain gradient descent", "optax:sgd"),
        "momentum": Row("gradient descent with momentum 0.9", "optax:sgd", _MOMENTUM),
        "nesterov": Row("gradient descent with Nesterov momentum 0.9", "optax:sgd", _MOMENTUM | {"nesterov": True}),
        "adam": Row("Adam (Kingma and Ba 2015)", "optax:adam"),
        "rmsprop": Row("RMSProp (Tieleman and Hinton 2012)", "optax:rmsprop"),
        "adagrad": Row("AdaGrad (Duchi et al. 2011)", "optax:adagrad"),
        "lion": Row("Lion (Chen et al. 2023)", "optax:lion"),
    },
)
