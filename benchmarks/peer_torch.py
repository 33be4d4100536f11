"""The loop in PyTorch, eager or compiled, for several layouts: see `peer_loops` for what all loops do.

Eight signs are looked up in a table by a random byte, and it runs in inference mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from peer_loops import AMPLITUDE, CHANNELS, SHAPE, Problem, pieces

if TYPE_CHECKING:
    import torch  # pyright: ignore[reportMissingImports]

# Timesteps that are drawn for at once, and that a compiled program has in it, up to so many signs.
TOGETHER, MOST_SIGNS = 4, 500_000
CHUNK = 100  # images


def torch_bmm(theta: torch.Tensor, x: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """As `numpy_first`."""
    import torch  # pyright: ignore[reportMissingImports]

    x = x[:, :, None]
    for inputs, outputs, start, end, stop in pieces(sizes):
        w = theta[:, start:end].view(-1, outputs, inputs)
        x = torch.baddbmm(theta[:, end:stop, None], w, x, beta=-1).sigmoid_()
    return x[:, :, 0]


def torch_sum(theta: torch.Tensor, x: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """The same by multiplying and summing."""
    for inputs, outputs, start, end, stop in pieces(sizes):
        w = theta[:, start:end].view(-1, outputs, inputs)
        x = ((w * x[:, None]).sum(2) - theta[:, end:stop]).sigmoid()
    return x


def torch_last(theta: torch.Tensor, x: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """As `numpy_last`, by multiplying and summing."""
    for inputs, outputs, start, end, stop in pieces(sizes):
        w = theta[start:end].view(outputs, inputs, -1)
        x = ((w * x[None]).sum(1) - theta[end:stop]).sigmoid()
    return x


def _convolve(theta: torch.Tensor, x: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """Logits of one network, θ `[P]` in the order of its layout, for images `[batch, 1, 28, 28]`."""
    import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

    at, inputs = 0, SHAPE[2]
    for n in CHANNELS:
        w, at = theta[at : at + 9 * inputs * n], at + 9 * inputs * n
        w = w.view(n, 3, 3, inputs).permute(0, 3, 1, 2) if channels_last else w.view(n, inputs, 3, 3)
        x, at, inputs = F.conv2d(x, w, theta[at : at + n]), at + n, n
        x = F.max_pool2d(x, 2).relu_()
    return x.flatten(1) @ theta[at : at + 10 * inputs].view(10, inputs).T - theta[at + 10 * inputs :]


def _by_chunks(theta: torch.Tensor, x: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """The same for images by the hundred, as our engine has them: more do not stay in cache, and take much longer."""
    import torch  # pyright: ignore[reportMissingImports]

    return torch.cat([_convolve(theta, part, channels_last) for part in x.split(CHUNK)])


def torch_channels_last(theta: torch.Tensor, x: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """With images, and weights, whose channels are next to one another."""
    return _by_chunks(theta[0], x, True)


def torch_channels_first(theta: torch.Tensor, x: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """With PyTorch's own layout."""
    return _by_chunks(theta[0], x, False)


LAYOUTS: dict[str, Callable[..., Any]] = {
    "replicas first, baddbmm": torch_bmm,
    "replicas first, multiply and sum": torch_sum,
    "replicas last, multiply and sum": torch_last,
}
IMAGE_LAYOUTS: dict[str, Callable[..., Any]] = {
    "channels last": torch_channels_last,
    "channels first": torch_channels_first,
}


def order_of(layout: str) -> np.ndarray:
    """Which of our parameters stands at each place of the convolutional network's θ in a layout of PyTorch."""
    order, at, inputs = [], 0, SHAPE[2]
    for n in CHANNELS:
        ours = np.arange(at, at + 9 * inputs * n).reshape(3, 3, inputs, n)
        order += [ours.transpose(3, 0, 1, 2) if layout == "channels last" else ours.transpose(3, 2, 0, 1)]
        order += [np.arange(at + 9 * inputs * n, at + 9 * inputs * n + n)]
        at, inputs = at + 9 * inputs * n + n, n
    order.append(np.arange(at, at + 10 * inputs + 10))
    return np.concatenate([o.reshape(-1) for o in order])


class TorchLoop:
    """The loop in PyTorch.

    Args:
        problem: what it trains.
        layout: one of `LAYOUTS`, or for images of `IMAGE_LAYOUTS`.
        compiled: whether `torch.compile` makes the program.
        threads: that PyTorch may use.
    """

    def __init__(self, problem: Problem, layout: str, compiled: bool, threads: int):
        import torch  # pyright: ignore[reportMissingImports]

        self.problem, self.layout = problem, layout
        self.threads = threads
        self.name = f"{layout}{f', {threads} threads' if compiled and threads > 1 else ''}"
        self.last = layout == "replicas last, multiply and sum"
        self.order = None if problem.sizes else order_of(layout)
        start = problem.theta if self.order is None else problem.theta[:, self.order]
        self.theta = torch.tensor(start.T if self.last else start).contiguous()
        self.x, self.y = torch.tensor(problem.x), torch.tensor(problem.y)
        if not problem.sizes:
            memory = torch.channels_last if layout == "channels last" else torch.contiguous_format
            self.x = self.x.permute(0, 3, 1, 2).contiguous(memory_format=memory)
        self.together = max(1, min(TOGETHER, MOST_SIGNS // self.theta.numel(), CHUNK // problem.batch))
        self.table = torch.tensor([[2.0 * ((k >> j) & 1) - 1 for j in range(8)] for k in range(256)])
        self.step = _steps(self.last, LAYOUTS.get(layout) or IMAGE_LAYOUTS[layout], problem)
        self.advance = torch.compile(self.step, dynamic=False) if compiled else self.step
        torch.manual_seed(0)

    def run(self, steps: int) -> None:
        """Makes timesteps; a multiple of `together`."""
        import torch  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(self.threads)
        problem, k = self.problem, self.together
        n, drawn = self.theta.numel(), problem.batch if not problem.sizes else len(problem.theta)
        words = torch.empty(math.ceil(k * n / 64), dtype=torch.int64)
        with torch.inference_mode():
            for _ in range(math.ceil(steps / k)):
                bits = words.random_(-(2**63), None).view(torch.uint8).int()
                rows = torch.randint(0, len(self.x), (k, drawn))
                self.advance(self.theta, bits, self.table, self.x, self.y, rows)

    def parameters(self) -> np.ndarray:
        """θ `[replicas, P]` in our order."""
        theta = self.theta.numpy()
        if self.order is not None:
            ours = np.empty_like(theta)
            ours[:, self.order] = theta
            return ours
        return theta.T if self.last else theta


def _steps(last: bool, forward: Callable[..., Any], problem: Problem) -> Callable[..., None]:
    """A function that makes as many timesteps as it is given rows for; θ is changed in place."""
    import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

    sizes, scale, axis = problem.sizes, problem.rate / AMPLITUDE, 0 if last else 1

    def cost(theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        outputs = forward(theta, x, sizes)
        return (outputs - y).square().mean(axis) if sizes else F.cross_entropy(outputs, y)[None]

    def advance(theta, bits, table, x, y, rows) -> None:
        k, n = len(rows), theta.numel()
        every = F.embedding(bits, table).view(-1)[: k * n].view(k, *theta.shape)
        for signs, chosen in zip(every.unbind(), rows.unbind(), strict=True):
            xs, ys = x[chosen], y[chosen]
            if last:
                xs, ys = xs.T, ys.T
            difference = cost(theta.add(signs, alpha=AMPLITUDE), xs, ys) - cost(theta, xs, ys)
            theta.addcmul_(signs, difference.unsqueeze(axis), value=-scale)

    return advance
