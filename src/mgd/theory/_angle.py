"""How far G is from the gradient."""

from typing import Any

import numpy as np


def growth(n_params: int, perturbations: Any) -> Any:
    r"""The mean square of G, over that of the gradient, for random signs.

    $$\frac{E\lVert G\rVert^2}{\lVert\nabla C\rVert^2} = 1 + \frac{P - 1}{T}$$

    The largest stable learning rate of plain descent is smaller by this factor.

    Args:
        n_params: P.
        perturbations: T, the perturbations in a window, without noise.

    >>> float(growth(220, 219))
    2.0
    """
    return 1 + (n_params - 1) / np.asarray(perturbations, float)[()]


def angle_after(n_params: int, perturbations: Any) -> Any:
    r"""The angle in degrees between G of random signs and the gradient, without noise.

    $$\cos\angle(G, \nabla C) = \frac{1}{\sqrt{1 + (P - 1)/T}}$$

    >>> float(angle_after(220, 219.0).round(6))
    45.0
    """
    return np.degrees(np.arctan(np.sqrt((n_params - 1) / np.asarray(perturbations, float))))


def perturbations_for(n_params: int, degrees: float) -> float:
    """The T after which G of random signs has this angle to the gradient: (P − 1)/tan².

    >>> round(perturbations_for(220, 45.0))
    219
    """
    return (n_params - 1) / float(np.tan(np.radians(degrees))) ** 2
