"""When chips get to a target."""

import numpy as np

from mgd.planning._simulate import crossing


def test_a_target_is_crossed_where_it_is_first_reached():
    steps = np.array([10, 20, 40])
    assert crossing(steps, np.array([0.9, 0.1, 0.9]), 0.5) == 10
    assert crossing(steps, np.array([0.1, 0.3, 0.4]), 0.5) == np.inf
    assert crossing(steps, np.array([0.1, 0.4, 0.6]), 0.5) == 30
