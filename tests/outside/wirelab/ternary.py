"""Perturbations that rest half of the time."""

from mgd.perturbations import AbstractPerturbation, Rademacher, SignalTraits
from mgd.rows import Row


class Ternary(AbstractPerturbation):
    """Each parameter moves by +√2 Δθ or −√2 Δθ, with a chance of a quarter each, or rests; ⟨θ̃²⟩ = Δθ².

    Args:
        amplitude: Δθ, in the parameter's unit.
    """

    amplitude: float = 1e-2

    def __call__(self, index, *, seed, n_params):
        signs = Rademacher(self.amplitude / 2**0.5)
        one, other = (signs(index, seed=words, n_params=n_params) for words in (seed, ~seed))
        return one + other

    def mean_square(self, n_params):
        return self.amplitude**2

    def period(self, n_params):
        return None

    def traits(self, n_params):
        return SignalTraits(largest=2**0.5, independent=True, zero_sum=False, turn=1)

    def high_pass_gain(self, pole, tau_p, n_params):
        return Rademacher(self.amplitude).high_pass_gain(pole, tau_p, n_params)  # it is white too

    def check(self, n_params, tau_p, window):
        pass  # it can perturb any number of parameters


ROW = Row("signs that rest half of the time", Ternary)
