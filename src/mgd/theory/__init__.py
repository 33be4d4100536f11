"""Laws in closed form, which predict properties of a run. They need only NumPy."""

from ._angle import angle_after as angle_after
from ._angle import growth as growth
from ._angle import perturbations_for as perturbations_for
from ._choose import Choice as Choice
from ._choose import Facts as Facts
from ._choose import best_amplitude as best_amplitude
from ._choose import choose as choose
from ._high_pass import high_pass_noise as high_pass_noise
from ._high_pass import white_gain as white_gain
from ._hold import best_hold as best_hold
from ._hold import hold_for as hold_for
from ._hold import share_seen as share_seen
