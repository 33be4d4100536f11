"""A PyTorch module as a chip. Torch is imported where it is used; nothing here imports JAX."""

import fnmatch
import importlib
import itertools
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from .._input import nearest
from ._base import AbstractInstrument, Identity
from ._factory import build, check_names
from ._limits import Limits

_NEEDS = 'PyTorch, which cannot be imported: pip install "mgd[torch]"'
_TWO = [True, True]
_NUMBERS = itertools.count(1)
# Parameters, over all perturbations, that are vectorised at once: 64 MB.
_VECTORISED = 16_000_000

CostOf = Callable[[Any, Any], Any]
Range = Limits | tuple[float, float]


class TorchModule(AbstractInstrument):
    """A PyTorch module as a chip; made by `from_torch`, which documents the arguments.

    The module contains θ; θ̃ is added only during a measurement. When a training ends, the module is the trained one.

    Attributes:
        module: the module.
        names: of the parameters that are trained, as `named_parameters` has them.
        groups: the slice of θ that each of these is.
        start: θ as the module had it.
    """

    reads = "both"
    own_line = True
    most_together = 100_000

    def __init__(self, module: Any, *, limits: Range | None, names: Sequence[str] | None, cost: str | CostOf):
        torch = _torch()
        if not isinstance(module, torch.nn.Module):
            raise ValueError(f"a torch.nn.Module is needed, got a {type(module).__name__}")
        self.module, self._cost = module, _cost_named(cost)
        self._parameters = _chosen(module, names)
        self.names = tuple(self._parameters)
        ends = np.cumsum([parameter.numel() for parameter in self._parameters.values()]).tolist()
        self.groups = dict(zip(self.names, map(slice, [0, *ends], ends), strict=False))
        self.n_params = ends[-1]
        low_high = (-10.0, 10.0) if limits is None else limits
        self.limits = low_high if isinstance(low_high, Limits) else Limits.uniform(self.n_params, *low_high)
        if self.limits.low.size != self.n_params:
            raise ValueError(f"the module has {self.n_params} parameters and limits for {self.limits.low.size}")
        self.address = f"torch {type(module).__name__} {next(_NUMBERS)} of process {os.getpid()}"
        self.start = self.parameters()
        self.limits.check_start(self.start)
        self._perturbation: Any = None
        self._x = self._target = torch.zeros((1, 0))
        self._vectorises = True

    def open(self) -> None:
        """Puts the module in evaluation mode: a measurement must not depend on earlier ones."""
        self.module.eval()

    def close(self) -> None:
        """Nothing: it stays."""

    def identify(self) -> Identity:
        shapes = [(name, tuple(parameter.shape)) for name, parameter in self._parameters.items()]
        serial = f"{zlib.crc32(repr(shapes).encode()):08x}"
        return Identity("torch", type(self.module).__name__, serial, _torch().__version__)

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        torch = _torch()
        flat = torch.tensor(theta)
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(flat[self.groups[name]].view(parameter.shape))
        self._perturbation = None

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._perturbation = _torch().tensor(perturbation)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        first = next(iter(self._parameters.values()))
        self._x, self._target = (
            _torch().tensor(np.asarray(values, np.float32)).to(first.device, first.dtype) for values in (x, target)
        )

    def measure_cost(self) -> float:
        with self._computing():
            return float(self._cost_of(self._respond(self._perturbation)))

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        with self._computing():
            return self._respond(self._perturbation).float().cpu().numpy()

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        torch = _torch()
        rows = torch.tensor(signals)
        with self._computing():
            if self._vectorises:
                one = lambda row: self._cost_of(self._respond(row))  # noqa: E731
                together = max(1, _VECTORISED // self.n_params)
                try:
                    return torch.func.vmap(one, chunk_size=together)(rows).float().cpu().numpy()
                except RuntimeError:
                    self._vectorises = False  # not every module does; what is wrong with it otherwise shows below
            return np.array([float(self._cost_of(self._respond(row))) for row in rows], np.float32)

    def safe_state(self) -> None:
        """Does nothing: a program is safe. The module keeps its last parameters."""

    def parameters(self) -> Float[np.ndarray, " p"]:
        """θ in the module."""
        with _torch().no_grad():
            flat = [parameter.detach().float().cpu().reshape(-1).numpy() for parameter in self._parameters.values()]
        return np.concatenate(flat)

    def _respond(self, perturbation: Any) -> Any:
        if perturbation is None:
            outputs = self.module(self._x)
        else:
            moved = {
                name: parameter + perturbation[self.groups[name]].view(parameter.shape).to(parameter)
                for name, parameter in self._parameters.items()
            }
            outputs = _torch().func.functional_call(self.module, moved, (self._x,))
        # Without this, a vector would be compared with each column of the targets, silently.
        return outputs[:, None] if outputs.ndim == 1 else outputs

    def _cost_of(self, outputs: Any) -> Any:
        if outputs.shape != self._target.shape:
            raise ValueError(
                f"{self.address}: outputs have shape {tuple(outputs.shape)} and targets {tuple(self._target.shape)}: "
                "a module must return (batch, outputs), like its targets"
            )
        return self._cost(outputs, self._target).mean()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Without gradients; what the module itself raises is a failure of the chip."""
        try:
            with _torch().inference_mode():
                yield
        except RuntimeError as error:
            raise HardwareError(
                f"{self.address}: for inputs of shape {tuple(self._x.shape)} the module raised "
                f"{str(error).splitlines()[0]}: check that it takes such a batch"
            ) from error


def from_torch(
    module: Any,
    *,
    limits: Range | None = None,
    names: Sequence[str] | None = None,
    cost: str | CostOf = "mse",
) -> TorchModule:
    """A PyTorch module as a chip: trained without its gradients, like a real chip.

    Args:
        module: a `torch.nn.Module` from (batch, …) to (batch, outputs), on any device. It is put in evaluation mode.
        limits: the range of each parameter, or (lowest, highest) for all; by default −10 … 10.
        names: the parameters to train, with their names in `named_parameters`, or patterns ("layers.*.weight"); by
            default all that require a gradient. θ has them in the order of `named_parameters`.
        cost: "mse" or "cross-entropy", as in `mgd.chips`; or a function of tensors (outputs, target) that returns the
            cost of each sample.

    Raises:
        ValueError: if it is not a module, a name or the cost is unknown, or PyTorch is not installed.
        LimitError: if a parameter starts outside the limits.
    """
    return TorchModule(module, limits=limits, names=names, cost=cost)


def load(settings: Mapping[str, Any], folder: Path) -> TorchModule:
    """A PyTorch module that a function returns.

    Args:
        settings: `module`, the function as "package.module:function"; optionally its `arguments`, a table;
            `names`; `limits`, the lowest and highest value; `cost`.
        folder: the first folder in which to look for the Python module.

    Raises:
        ValueError: if a setting is wrong, or as from `from_torch`.
    """
    check_names(settings, ("module",), ("arguments", "names", "limits", "cost"), "torch")
    names, limits, cost = settings.get("names"), settings.get("limits"), settings.get("cost", "mse")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f'names must be a list of names or patterns, such as ["layers.*.weight"], got {names!r}')
    if limits is not None and not (
        isinstance(limits, list) and [type(end) in (int, float) for end in limits] == [True] * 2
    ):
        raise ValueError(f"limits must be the lowest and the highest value, such as [-3.0, 3.0], got {limits!r}")
    if not isinstance(cost, str):
        raise ValueError(f"cost must be mse or cross-entropy, got {cost!r}")
    _torch()
    module = build(settings["module"], settings.get("arguments", {}), folder, "module")
    return from_torch(
        module, names=names, cost=cost, limits=None if limits is None else (float(limits[0]), float(limits[1]))
    )


def missing() -> str:
    """What instruments of this kind need and is not installed; empty if nothing."""
    return "" if find_spec("torch") else f"needs {_NEEDS}"


def _torch() -> ModuleType:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ValueError(f"a torch module as a chip needs {_NEEDS}") from error


def _chosen(module: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """The parameters to train, by name.

    Raises:
        ValueError: if a name fits none, there are none, or one cannot be set to a float.
    """
    there = dict(module.named_parameters())
    for pattern in names or ():
        if not fnmatch.filter(there, pattern):
            raise ValueError(f"no parameter {pattern!r}{nearest(pattern, there)}; there are {', '.join(there)}")
    chosen = {
        name: parameter
        for name, parameter in there.items()
        if (parameter.requires_grad if names is None else any(fnmatch.fnmatchcase(name, each) for each in names))
    }
    if not chosen:
        raise ValueError(f"a {type(module).__name__} has no parameters to train: give other names")
    for name, parameter in chosen.items():
        if _torch().nn.parameter.is_lazy(parameter):
            raise ValueError(f"parameter {name!r} has no shape yet: pass a batch through the module first")
        if not parameter.is_floating_point():
            raise ValueError(f"parameter {name!r} is {parameter.dtype}: only real floats can be trained")
    return chosen


def _cost_named(cost: str | CostOf) -> CostOf:
    if callable(cost):
        return cost
    if cost == "mse":
        return lambda outputs, target: ((outputs - target) ** 2).mean(-1)
    if cost == "cross-entropy":
        return lambda outputs, target: -(target * outputs.log_softmax(-1)).sum(-1)
    raise ValueError(f"unknown cost {cost!r}: choose mse or cross-entropy")
