"""From a chip and an algorithm to the numbers that the kernel is given, or what of them it does not cover."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from .... import perturbations
from ...._numbers import derived
from ...._permutation import factors
from ....algorithm import Algorithm, HighPass, Remeasured, TwoSided
from ....chips import AbstractChip, CrossEntropy, MeanSquaredError, NetworkChip
from ....chips.imperfections import (
    ADC,
    DAC,
    AbstractImperfection,
    ActivationVariation,
    CostNoise,
    Delay,
    Imperfect,
    ParameterRange,
    Settling,
    SoftBoundsWrite,
    UpdateNoise,
)
from ....networks import MLP
from ....perturbations import AbstractPerturbation
from ..._linear_rule import LinearRule, linear_rule
from . import _settings as codes
from ._settings import Converter, Network, Signals, Update

_COVERED = (ActivationVariation, Settling, CostNoise, ADC, Delay, UpdateNoise, SoftBoundsWrite, ParameterRange, DAC)
# Those that the kernel has code for. An engine must know which family it is; all else asks a family's traits.
_FAMILIES: dict[type[AbstractPerturbation], int] = {
    perturbations.Rademacher: codes.RADEMACHER,
    perturbations.Walsh: codes.WALSH,
    perturbations.LFSR: codes.LFSR,
    perturbations.Gaussian: codes.GAUSSIAN,
    perturbations.Sequential: codes.SEQUENTIAL,
    perturbations.Sinusoid: codes.SINUSOID,
}
_BASELINES = {Remeasured: codes.REMEASURED, TwoSided: codes.TWO_SIDED, HighPass: codes.HIGH_PASS}
_INFINITE = float("inf")


@dataclass(frozen=True)
class Plan:
    """What a kernel is given of a chip and an algorithm.

    Attributes:
        n_params: P.
        network: the chip's.
        signals: the algorithm's perturbation and baseline; the samples are not known yet.
        update: the algorithm's integrator and optimizer, the memory's noise and range.
        converter: the chip's converter, and how its cost is read.
        numbers: what replicas that are side by side in lanes may each have for themselves, by the rows of `_settings`.
        scale: what C̃ θ̃ is multiplied by to enter G; one number, or one for each parameter.
        rule: the optimizer's.
        path: the kinds of the imperfections from the outermost on, each of which has a part of a device.
    """

    n_params: int
    network: Network
    signals: Signals
    update: Update
    converter: Converter
    numbers: Float[np.ndarray, " numbers"]
    scale: Float[np.ndarray, " scales"]
    rule: LinearRule
    path: tuple[type[AbstractImperfection], ...]

    @property
    def structure(self) -> Hashable:
        """Equal for plans whose replicas can be side by side in lanes."""
        parts = *self.network, *self.signals, *self.update, *self.converter, len(self.scale)
        return tuple(part.tobytes() if isinstance(part, np.ndarray) else part for part in parts)

    @property
    def gathers(self) -> bool:
        """Whether G is kept from one timestep to the next."""
        return not (self.update.resets and self.update.interval == 1)

    def neurons(self, device: Any) -> tuple:
        """Of each layer, the neurons in a device of this chip, where they vary."""
        return self._parts(device, ActivationVariation)[1]

    def cells(self, device: Any) -> Any:
        """The bounds and pulses in a device of this chip, where it takes pulses."""
        return self._parts(device, SoftBoundsWrite)[0]

    def costs(self, device: Any) -> tuple[Any, Any]:
        """How far the last cost of a device of this chip has settled, and the costs on their way; None for none."""
        settled, pending = (self._parts(device, kind)[0] if kind in self.path else None for kind in (Settling, Delay))
        return settled, pending

    def _parts(self, device: Any, kind: type[AbstractImperfection]) -> tuple[Any, Any]:
        """What an imperfection of this kind has of a device, and what is inside."""
        for _ in range(self.path.index(kind)):
            _, device = device
        return device


def planned(chip: AbstractChip, algorithm: Algorithm, batch: int) -> Plan:
    """What a kernel is given, of this chip and algorithm.

    Raises:
        Uncovered: if it does not cover a part of the chip or of the algorithm, naming it.
    """
    around, network_chip = _imperfections(chip)
    found = {type(each): each for each in around}
    network = _network(network_chip, varied=ActivationVariation in found)
    converter = _converter(around, found)
    scale = np.atleast_1d(algorithm.scale(chip.n_params)).astype(np.float32)
    rule = _rule(algorithm, chip.n_params)
    return Plan(
        n_params=chip.n_params,
        network=network,
        signals=_signals(algorithm, chip.n_params, batch, values=converter.bits > 0),
        update=_update(algorithm, found, rule, scale),
        converter=converter,
        numbers=_numbers(algorithm, found, rule, scale),
        scale=scale,
        rule=rule,
        path=tuple(type(each) for each in around),
    )


def blocks_of(family: AbstractPerturbation, n_params: int) -> tuple[AbstractPerturbation, tuple[int, ...]]:
    """The family that perturbs a block, and the size of each; if all are perturbed at once, there is one block."""
    if isinstance(family, perturbations.Block):
        return family.inner, family.block_sizes(n_params)
    return family, (n_params,)


class Uncovered(ValueError):
    """What the fused engine is not made for; another engine is."""


def _refuse(what: str) -> Uncovered:
    return Uncovered(f"the fused engine does not cover {what}: use the measured engine, or leave engine out")


def _imperfections(chip: AbstractChip) -> tuple[list[AbstractImperfection], NetworkChip]:
    """Those around a chip, from the outermost on, and the network inside."""
    around = []
    while isinstance(chip, Imperfect):
        if type(chip.imperfection) not in _COVERED:
            raise _refuse(f"a chip with {chip.imperfection.name}")
        around.append(chip.imperfection)
        chip = chip.chip
    if not isinstance(chip, NetworkChip):
        raise _refuse(f"a {type(chip).__name__} (only layered perceptrons)")
    return around, chip


def _network(chip: NetworkChip, *, varied: bool) -> Network:
    network: Any = eqx.filter_eval_shape(chip.make, jax.random.key(0))
    if type(network) is not MLP:
        own = getattr(network, "module", network)  # one for single inputs is within one for batches
        raise _refuse(f"a {type(own).__name__} network (only layered perceptrons)")
    if not chip.whole:
        raise _refuse("a network with frozen arrays, or with types other than float32")
    if type(chip.loss) not in (MeanSquaredError, CrossEntropy):
        raise _refuse(f"a {type(chip.loss).__name__} cost")
    layers = network.layers
    if isinstance(chip.loss, CrossEntropy) and layers[-1].bias.size == 1:
        raise _refuse("the cross-entropy of one output")
    sizes = np.array([layers[0].weight.shape[1], *(layer.bias.size for layer in layers)], np.int64)
    lengths = [layer.weight.size + layer.bias.size for layer in layers]
    return Network(
        sizes=sizes,
        starts=np.cumsum([0, *lengths[:-1]]).astype(np.int64),
        activations=np.array([codes.ACTIVATIONS[layer.activation] for layer in layers], np.int64),
        varied=varied,
        cross_entropy=isinstance(chip.loss, CrossEntropy),
        smoothing=float(getattr(chip.loss, "smoothing", 0.0)),
    )


def _converter(around: list[AbstractImperfection], found: dict) -> Converter:
    noise, dac, adc = found.get(CostNoise), found.get(DAC), found.get(ADC)
    settling, delay = found.get(Settling), found.get(Delay)
    return Converter(
        bits=dac.bits if dac else 0,
        low=dac.low if dac else 0.0,
        step=dac.lsb if dac else 1.0,
        high=dac.high if dac else 0.0,
        stochastic=bool(dac and dac.stochastic),
        own_line=bool(dac and dac.own_line),
        finer_copy=bool(dac and dac.finer_copy),
        noisy=bool(noise and (noise.sigma > 0 or noise.relative > 0)),
        relative=bool(noise and noise.relative > 0),
        depth=around.index(noise) if noise else 0,
        read_bits=adc.bits if adc else 0,
        settles=bool(settling and settling.tau > 0),
        delay=delay.measurements if delay else 0,
    )


def _rule(algorithm: Algorithm, n_params: int) -> LinearRule:
    rule = linear_rule(algorithm.optimizer, n_params)
    if rule is None:
        raise _refuse("this optimizer (only gradient descent with momentum and weight decay)")
    family, _ = blocks_of(algorithm.perturbation, n_params)
    if rule.counts and isinstance(family, perturbations.LFSR):
        raise _refuse("a rate that changes with LFSR perturbations")
    return rule


def _update(algorithm: Algorithm, found: dict, rule: LinearRule, scale: Float[np.ndarray, " scales"]) -> Update:
    noise, ends, cells = found.get(UpdateNoise), found.get(ParameterRange), found.get(SoftBoundsWrite)
    return Update(
        interval=algorithm.interval,
        resets=algorithm.integrator.resets,
        keep=algorithm.integrator.weights(algorithm.time_constants)[0],
        rule=rule.first if rule.remembers else (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        credit=float(np.float32(float(scale[0]) * float(algorithm.perturbation.amplitude))) if rule.remembers else 0.0,
        remembers=rule.remembers,
        noisy=bool(noise and noise.sigma > 0),
        pulses=cells is not None,
        pulses_noisy=bool(cells and cells.dw_min_ctoc > 0),
        low=float(ends.low) if ends else -_INFINITE,
        high=float(ends.high) if ends else _INFINITE,
    )


def _numbers(
    algorithm: Algorithm, found: dict, rule: LinearRule, scale: Float[np.ndarray, " scales"]
) -> Float[np.ndarray, " numbers"]:
    """What each chip has for itself; products are taken in double precision."""
    amplitude, first = float(algorithm.perturbation.amplitude), float(scale[0])
    of_cost, of_writes = found.get(CostNoise), found.get(UpdateNoise)
    adc, cells, settling = found.get(ADC), found.get(SoftBoundsWrite), found.get(Settling)
    numbers = np.zeros(codes.NUMBERS)
    numbers[codes.AMPLITUDE], numbers[codes.SPREAD] = amplitude, amplitude * 2.0**0.5
    numbers[codes.CREDIT], numbers[codes.DESCENT] = first * amplitude, rule.first[3] * first * amplitude
    numbers[codes.COST_NOISE] = of_cost.sigma if of_cost else 0.0
    numbers[codes.RELATIVE_NOISE] = of_cost.relative if of_cost else 0.0
    numbers[codes.WRITE_NOISE] = of_writes.sigma if of_writes else 0.0
    if adc:
        levels = derived(adc)
        numbers[codes.READ_LOW] = adc.low
        numbers[codes.READ_STEP], numbers[codes.READ_PER_STEP] = levels["step"], levels["per_step"]
    if cells:
        pulses = derived(cells)
        numbers[codes.PER_PULSE], numbers[codes.PULSE_NOISE] = pulses["per_pulse"], pulses["noise"]
    if settling:
        numbers[codes.UNSETTLED] = derived(settling)["left"]
    numbers[codes.LIMIT] = algorithm.modulation_limit or _INFINITE
    numbers[codes.RATE], numbers[codes.DECAY] = rule.first[3], rule.first[5]
    return numbers.astype(np.float32)


def _signals(algorithm: Algorithm, n_params: int, batch: int, *, values: bool) -> Signals:
    times, (family, sizes) = algorithm.time_constants, blocks_of(algorithm.perturbation, n_params)
    size = max(sizes)
    if type(family) not in _FAMILIES:
        raise _refuse(f"{type(family).__name__} perturbations")
    if type(algorithm.baseline) not in _BASELINES:
        raise _refuse(f"a {type(algorithm.baseline).__name__} baseline")
    code = _FAMILIES[type(family)]
    order, shared = (family.period(size), family.shared(size)) if isinstance(family, perturbations.Walsh) else (1, 0)
    first, spacing = 0, 0
    if isinstance(family, perturbations.Sinusoid):
        first, spacing = (int(w) for w in family._words(size))
    return Signals(
        family=code,
        packed=code <= codes.LFSR and not values and len(sizes) == 1,
        blocks=np.cumsum([0, *sizes]).astype(np.int64),
        size=size,
        order=order,
        shared=shared,
        split=factors(order if code == codes.WALSH else size),
        frequency=first,
        spacing=spacing,
        baseline=_BASELINES[type(algorithm.baseline)],
        pole=float(HighPass.pole(times)),
        limited=algorithm.modulation_limit is not None,
        tau_p=times.tau_p,
        tau_x=times.tau_x,
        batch=batch,
        n_samples=0,
        samples_split=(0, 0),
    )
