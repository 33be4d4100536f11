"""Laws in closed form, which predict properties of a run. They need only NumPy."""

from ._angle import angle_after as angle_after
from ._angle import growth as growth
from ._angle import perturbations_for as perturbations_for
from ._choose import Choice as Choice
from ._choose import Facts as Facts
from ._choose import best_amplitude as best_amplitude
from ._choose import choose as choose
from ._descent import Landscape as Landscape
from ._descent import Windows as Windows
from ._descent import WriteNoise as WriteNoise
from ._descent import error_of_signal as error_of_signal
from ._descent import events_of as events_of
from ._descent import left_of_code as left_of_code
from ._descent import noise_of_writes as noise_of_writes
from ._descent import rate_of as rate_of
from ._descent import variance_of as variance_of
from ._descent import windows_to as windows_to
from ._high_pass import high_pass_noise as high_pass_noise
from ._high_pass import white_gain as white_gain
from ._hold import best_hold as best_hold
from ._hold import hold_for as hold_for
from ._hold import share_seen as share_seen
from ._late import Late as Late
from ._late import late_of as late_of
