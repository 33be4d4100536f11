"""The chips in our rack."""

import numpy as np

from mgd.instruments import Limits, from_callables

_INPUTS, _NEURONS, _OUTPUTS = 2, 8, 2


def load(settings, folder):
    """A chip in the rack of our lab, by its slot.

    Args:
        settings: of the chip file's [instrument]: slot, a number.
        folder: the chip file's.
    """
    if set(settings) != {"slot"} or not isinstance(settings["slot"], int):
        raise ValueError(f"a chip of the rack has the setting slot, a whole number, got {dict(settings)}")
    chip = _Chip()
    return from_callables(
        set_parameters=chip.set_parameters,
        present=chip.present,
        read_outputs=chip.read_outputs,
        limits=Limits.uniform(chip.n_params, -8.0, 8.0, "V"),
        identify=lambda: f"rack {settings['slot']}",
    )


class _Chip:
    """Stands for the driver of a real chip: one layer of neurons, in NumPy."""

    n_params = (_INPUTS + 1) * _NEURONS + (_NEURONS + 1) * _OUTPUTS

    def set_parameters(self, volts):
        first, second = np.split(volts, [(_INPUTS + 1) * _NEURONS])
        self.first, self.second = first.reshape(_INPUTS + 1, -1), second.reshape(_NEURONS + 1, -1)

    def present(self, x, target):
        self.x = x

    def read_outputs(self):
        hidden = np.tanh(self.x @ self.first[1:] + self.first[0])
        return 1 / (1 + np.exp(-(hidden @ self.second[1:] + self.second[0])))
