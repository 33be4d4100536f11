"""Whether anything was learnt in the last windows, or no more than noise alone teaches. Nothing here imports JAX."""

import math

import numpy as np
from jaxtyping import Float

# Windows, at least: one parameter alone must be able to show that it learns.
FEWEST_WINDOWS = 32
# ln(1/p) for p = 0.01, with which noise alone is taken for learning in a block; and standard errors of a mean.
_LOG_P, _SURELY = math.log(100.0), 3.0


class Learnt:
    r"""Looks for what windows have in common; noise alone has nothing.

    Without a signal the gradients $G_k$ of the windows are independent and of mean zero, so that with
    $z_i = \sum_k G_{ki} / \sqrt{\sum_k G_{ki}^2}$ of each parameter, $\chi^2 = \sum_i z_i^2$ is that of P degrees of
    freedom. It is beyond

    $$P + 2\sqrt{P x} + 2x, \qquad x = \ln 100,$$

    with a probability of less than 0.01 (and below $P - 2\sqrt{P x}$ as rarely). A gradient g that the windows share,
    in noise of relative power v, adds up to $N P / v$ to it. In N windows it moves θ by N‖g‖, and noise by √(N v)‖g‖,
    so what is not found, $N/v < 2\sqrt{x/P} + 2x/P$, has moved θ hardly farther than noise alone: a run that learns
    slowly, but farther than it strays, is not accused. The two halves of each window's G, where there are such, must
    be uncorrelated too; a gradient that is another in each window shows there.

    It looks at the last N windows, each time that half of these are new.

    Args:
        n_params: P.
        n_windows: N; at least 32.

    Attributes:
        nothing: the number of windows, up to the last look, in which nothing was learnt; 0 if something was.

    References:
        Laurent and Massart, Ann. Statist. 28, 1302 (2000), lemma 1: the bounds of χ².
    """

    def __init__(self, n_params: int, n_windows: int):
        self._half = (n_windows + 1) // 2
        self._n_params, self.nothing = n_params, 0
        self._before: _Sums | None = None
        self._now = _Sums(n_params)

    def take(self, whole: Float[np.ndarray, "k p"], products: Float[np.ndarray, " k"]) -> None:
        """Takes windows: G of each, and the product of its halves; zeros if there are no halves."""
        at = 0
        while at < len(whole):
            n = min(len(whole) - at, self._half - self._now.n)
            self._now.add(whole[at : at + n], products[at : at + n])
            at += n
            if self._now.n == self._half:
                self._look()

    def _look(self) -> None:
        before, self._before, self._now = self._before, self._now, _Sums(self._n_params)
        if before is None:
            return
        if before.and_then(self._before).has_signal():
            self.nothing = 0
        else:
            self.nothing += self._half if self.nothing else 2 * self._half


class _Sums:
    """Sums over windows."""

    def __init__(self, n_params: int):
        self.n, self._sum, self._squares = 0, np.zeros(n_params), np.zeros(n_params)
        self._product = self._product_squares = 0.0

    def add(self, whole: Float[np.ndarray, "k p"], products: Float[np.ndarray, " k"]) -> None:
        self.n += len(whole)
        self._sum += whole.sum(axis=0)
        self._squares += np.einsum("kp,kp->p", whole, whole)
        self._product += float(products.sum())
        self._product_squares += float(products @ products)

    def and_then(self, other: "_Sums") -> "_Sums":
        """The sums over the windows of both."""
        found = _Sums(len(self._sum))
        found.n, found._sum, found._squares = self.n + other.n, self._sum + other._sum, self._squares + other._squares
        found._product = self._product + other._product
        found._product_squares = self._product_squares + other._product_squares
        return found

    def has_signal(self) -> bool:
        moved = self._squares > 0
        degrees = int(moved.sum())
        if not degrees:
            return False
        chi2 = float((self._sum[moved] ** 2 / self._squares[moved]).sum())
        room = 2 * math.sqrt(degrees * _LOG_P)
        if not degrees - room <= chi2 <= degrees + room + 2 * _LOG_P:
            return True
        return abs(self._product) > _SURELY * math.sqrt(self._product_squares) > 0
