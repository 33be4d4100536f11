"""The training circuit and its relatives in float32, a chip in each SIMD lane: for studies of many widths and chips.

A `Variant` has the widths of a `Spec`, any of which may be left out. With all of them its θ is the twin's to the bit;
with none it is the algorithm in float32, with the same signs, order of samples and starts. All τ are 1, and inputs and
targets are 0 or 1.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped, UInt32
from numba import njit

from mgd._counter import Counter
from mgd._train import Session
from mgd.algorithm import rows_of
from mgd.datasets import Samples, Task
from mgd.engines.simulated._fused._lanes import (
    BLOCK,
    LANES,
    below,
    bits_of,
    float_of,
    floats,
    gather_block,
    load,
    nearest,
    select,
    size_of,
    store,
    to_float,
)
from mgd.engines.simulated._fused._math import inlined, logistic
from mgd.engines.simulated._fused._random import mix
from mgd.onchip import Circuit, FixedPointNetwork, Spec

# Timesteps whose samples are chosen at a time.
_TOGETHER = 8192
_THREADS = 2
ROUNDINGS = ("remainder", "stochastic", "nearest", "none")
LOGISTICS = ("pieces", "exact")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A circuit, or a relative of it.

    Args:
        spec: the widths, the amplitude, the shift, and whether C̃ is two-sided; merged, all τ = 1.
        rounding: of θ. By "remainder", what the shift drops is kept, as in the circuit; "stochastic" and "nearest"
            forget it; by "none", θ is float32 within the same limits.
        whole_cost: whether the cost is cut to its bits.
        limited: whether C̃ is clamped to its bits.
        whole_activations: whether activations are cut to their bits, inputs and targets too.
        logistic: "pieces", four straight ones, or "exact".
        independent: whether signs are independent random ones, in place of those of the circuit's register.
    """

    spec: Spec
    rounding: str = "remainder"
    whole_cost: bool = True
    limited: bool = True
    whole_activations: bool = True
    logistic: str = "pieces"
    independent: bool = False

    @staticmethod
    def in_float(spec: Spec, logistic: str = "pieces", *, limited: bool = False) -> "Variant":
        """The algorithm of this circuit in float32."""
        return Variant(spec, "none", False, limited, False, logistic)

    @property
    def numbers(self) -> tuple[np.float32, ...]:
        """What the kernel needs, in its order."""
        spec, most = self.spec, 2.0 ** (self.spec.theta_bits - 1)
        above = {"remainder": 2.0**-spec.shift, "none": 0.0}.get(self.rounding, 1.0)
        scale = 2.0**spec.activation_bits
        numbers = (
            2.0**-spec.theta_fraction,
            -most,
            most - above,
            spec.amplitude * 2.0**-spec.theta_fraction,
            2.0**-spec.shift,
            2.0**spec.cost_fraction,
            2.0**spec.cost_bits - 1 if self.whole_cost else math.inf,
            spec.largest_modulation if self.limited else math.inf,
            scale,
            1 - 1 / scale if self.whole_activations else 1.0,
            -1.0 if spec.two_sided else 0.0,
        )
        return tuple(np.float32(number) for number in numbers)

    @property
    def kinds(self) -> tuple[int, bool, bool, bool, bool]:
        """Its kinds of arithmetic."""
        exact = self.logistic == "exact"
        return ROUNDINGS.index(self.rounding), self.whole_cost, self.whole_activations, exact, self.independent

    def start(self, theta: Float[np.ndarray, "chips p"]) -> Float[np.ndarray, "chips p"]:
        """These parameters in steps, as the variant holds them."""
        steps = theta * 2.0**self.spec.theta_fraction
        if self.rounding != "none":
            steps = np.round(steps)
        most = 2.0 ** (self.spec.theta_bits - 1)
        return np.clip(steps, -most, most - 1).astype(np.float32)


def trained(
    variants: Sequence[Variant], task: Task, *, n_chips: int, n_steps: int, key: PRNGKeyArray, marks: Sequence[int]
) -> Iterator[tuple[int, list[np.ndarray], list[np.ndarray]]]:
    """Trains all variants side by side on the same samples; their parameters in steps, and accuracies, at each mark.

    Chip r of each variant starts where replica r of `mgd.train` does, rounded as its θ is, from the same code.

    Args:
        variants: of networks of the same layers.
        task: its inputs and targets are 0 or 1.
        n_chips: a multiple of the lanes.
        n_steps: timesteps.
        key: of all random numbers, as in `mgd.train`.
        marks: the timesteps at which the chips are looked at, in order.
    """
    spec = variants[0].spec
    theta, seeds, code = _begun(spec, task, n_chips, n_steps, key)
    shape, taps = np.array(spec.layers), _shifts(spec)
    train, test = _samples(task.train), _samples(task.test)
    labels = np.argmax(task.test.y, 1)
    noise = np.arange(n_chips, dtype=np.uint32) * np.uint32(2654435761)
    words = [_in_blocks(variant.start(theta)) for variant in variants]
    registers = [_in_blocks(np.stack([code, noise], 1)) for _ in variants]
    parts = [(number, block) for number in range(len(variants)) for block in range(n_chips // LANES)]

    def advance(part: tuple[int, int], rows: UInt32[np.ndarray, "block steps one lanes"]) -> None:
        (number, block), variant = part, variants[part[0]]
        own = words[number][block], registers[number][block]
        _advance(*own, train, rows[block], shape, taps, variant.numbers, variant.kinds)

    def correct(part: tuple[int, int]) -> Float[np.ndarray, " lanes"]:
        (number, block), variant = part, variants[part[0]]
        return _correct(words[number][block], test, labels, shape, variant.numbers, variant.kinds)

    step = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for mark in marks:
            while step < mark:
                size = min(_TOGETHER, mark - step)
                rows = np.asarray(_rows(seeds, step, len(train), task.order))[:size] * np.uint32(train.shape[1])
                rows = np.ascontiguousarray(rows.reshape(size, -1, 1, LANES).swapaxes(0, 1))
                list(pool.map(partial(advance, rows=rows), parts))
                step += size
            right = np.array(list(pool.map(correct, parts))).reshape(len(variants), n_chips)
            yield step, [_of_blocks(each) for each in words], list(right / len(test))


def _begun(
    spec: Spec, task: Task, n_chips: int, n_steps: int, key: PRNGKeyArray
) -> tuple[np.ndarray, Array, np.ndarray]:
    """The starts of `mgd.train`, without rounding; the seeds of samples; and the code."""
    run = {"n_steps": n_steps, "n_replicas": n_chips, "key": key, "engine": "measured"}
    circuit, chip = Circuit(spec), FixedPointNetwork(spec)
    twin = Session(chip, task, circuit, **run).snapshot.progress.state
    theta = Session(chip, task, circuit.reference, **run).snapshot.progress.state.theta
    return np.asarray(theta), twin.seeds.samples, np.array(twin.optimizer.code)


@partial(jax.jit, static_argnames=("n_samples", "order"))
def _rows(seeds: UInt32[Array, "chips 2"], first: int, n_samples: int, order: str) -> UInt32[Array, "steps chips"]:
    def one(step: Int[Array, ""], seed: UInt32[Array, " 2"]) -> Int[Array, ""]:
        counter = Counter(jnp.uint32(0), step.astype(jnp.uint32))
        return rows_of(counter, seed=seed, n_samples=n_samples, batch=1, order=order)[0]

    steps = first + jnp.arange(_TOGETHER)
    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(steps, seeds).astype(jnp.uint32)


def _samples(samples: Samples) -> Float[np.ndarray, "n numbers"]:
    """Inputs and after them targets, and zeros to a multiple of what is gathered at a time."""
    numbers = np.concatenate([np.asarray(part).reshape(len(samples), -1) for part in (samples.x, samples.y)], 1)
    if not np.isin(numbers, (0, 1)).all():
        raise ValueError("the lanes take inputs and targets of 0 and 1 alone")
    return np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % BLOCK))).astype(np.float32)


def _shifts(spec: Spec) -> Int[np.ndarray, "p 3"]:
    """How far each tap of a parameter's mask is from the register's last bit."""
    if spec.code != "lfsr" or spec.register_bits != 32:
        raise ValueError("the lanes have a shift register of 32 bits alone")
    return np.array([[31 - bit for bit in range(32) if mask >> bit & 1] for mask in spec.signs.masks.tolist()])


def _in_blocks(values: Shaped[np.ndarray, "chips rows"]) -> Shaped[np.ndarray, "blocks rows lanes"]:
    if len(values) % LANES:
        raise ValueError(f"the number of chips must be a multiple of {LANES}, got {len(values)}")
    return np.ascontiguousarray(values.reshape(-1, LANES, values.shape[1]).swapaxes(1, 2))


def _of_blocks(words: Float[np.ndarray, "blocks rows lanes"]) -> Float[np.ndarray, "chips rows"]:
    return words.swapaxes(1, 2).reshape(-1, words.shape[1]).copy()


@inlined
def _neuron(sums, scale, whole, exact):
    """The activation of a neuron, from its sum."""
    one = 1.0 if not whole else 1.0 - 1.0 / scale
    if exact:
        y = logistic(sums)
        if whole:
            y = below(y * scale) * (1.0 / scale)
            y = select(y < one, y, one)
        return y
    size = size_of(sums)
    quarter, eighth, rest = size * 0.25, size * 0.125, size * 0.03125
    if whole:
        size = below(size * scale) * (1.0 / scale)
        quarter = below(size * (0.25 * scale)) * (1.0 / scale)
        eighth = below(size * (0.125 * scale)) * (1.0 / scale)
        rest = below(size * (0.03125 * scale)) * (1.0 / scale)
    above = select(size < 5.0, rest + 0.84375, one)
    above = select(size < 2.3125, eighth + 0.625, above)
    above = select(size < 1.0, quarter + 0.5, above)
    return select(sums < 0.0, one - above, above)


@inlined
def _cut(cost, whole, most):
    cost = below(cost) if whole else cost
    return select(cost < most, cost, most)


@inlined
def _after(code):
    """The register 19 stages later: as many at a time as depend on old ones alone."""
    new = (code >> 22) ^ (code >> 21) ^ (code >> 20) ^ code
    code = (code << 10) | (new & 1023)
    new = (code >> 23) ^ (code >> 22) ^ (code >> 21) ^ (code >> 1)
    return (code << 9) | (new & 511)


@njit(nogil=True)
def _advance(words, registers, samples, rows, layers, taps, numbers, kinds):
    """Timesteps of one block of lanes, in place.

    Args:
        words: θ and what is kept below it, in steps.
        registers: of the code, and of random numbers.
        samples: inputs and after them targets, in rows of a multiple of `BLOCK`.
        rows: of these, the one that each lane sees in each timestep, counted in numbers.
    """
    step, least, most, delta, rate, cost_scale, cost_most, clamp, scale, one, other = numbers
    rounding, whole_cost, whole, exact, independent = kinds
    n_layers, n_parameters, n_numbers = len(layers) - 1, len(words), layers[0] + layers[-1]
    n_all = layers.sum()
    theta = np.empty((n_parameters, LANES), np.float32)
    signs = np.empty((n_parameters, LANES), np.uint32)
    shown = np.empty((samples.shape[1], LANES), np.float32)
    # The activations of all layers after another, perturbed and as they are or perturbed the other way.
    first = np.empty((n_all, LANES), np.float32)
    second = np.empty((n_all, LANES), np.float32)
    flat = samples.reshape(-1)
    for p in range(n_parameters):
        w = load(words, p)
        store(theta, p, (below(w) if rounding == 0 else w) * step)
    for t in range(len(rows)):
        for k in range(0, n_numbers, BLOCK):
            gather_block(flat, load(rows[t], 0) + k, shown, k)
        for k in range(layers[0]):
            store(first, k, load(shown, k) * one)
            store(second, k, load(shown, k) * one)
        code, random = load(registers, 0), load(registers, 1)
        for p in range(n_parameters):
            if independent:
                minus = mix(random + ((p * 0x9E3779B9) & 0xFFFFFFFF))
            else:
                minus = (code << taps[p, 0]) ^ (code << taps[p, 1]) ^ (code << taps[p, 2])
            store(signs, p, minus & 0x80000000)
        p, begin, own = 0, 0, layers[0]
        for layer in range(n_layers):
            for _ in range(layers[layer + 1]):
                a, b = floats(0.0), floats(0.0)
                for k in range(begin, begin + layers[layer]):
                    weight, moved = load(theta, p), float_of(bits_of(floats(delta)) ^ load(signs, p))
                    a = a + (weight + moved) * load(first, k)
                    b = b + (weight + other * moved) * load(second, k)
                    p += 1
                weight, moved = load(theta, p), float_of(bits_of(floats(delta)) ^ load(signs, p))
                store(first, own, _neuron(a + (weight + moved), scale, whole, exact))
                store(second, own, _neuron(b + (weight + other * moved), scale, whole, exact))
                p += 1
                own += 1
            begin += layers[layer]
        plus, minus = floats(0.0), floats(0.0)
        for k in range(layers[-1]):
            target = load(shown, layers[0] + k) * one
            plus_error, minus_error = load(first, begin + k) - target, load(second, begin + k) - target
            plus = plus + plus_error * plus_error
            minus = minus + minus_error * minus_error
        change = _cut(plus * cost_scale, whole_cost, cost_most) - _cut(minus * cost_scale, whole_cost, cost_most)
        change = select(change < clamp, change, clamp)
        change = bits_of(select(change < 0.0 - clamp, 0.0 - clamp, change) * rate)
        for p in range(n_parameters):
            w = load(words, p) - float_of(change ^ load(signs, p))
            if rounding == 1:
                random = random * 1664525 + 1013904223
                w = below(w + to_float(random >> 8) * 2.0**-24)
            elif rounding == 2:
                w = nearest(w)
            w = select(w < least, least, select(w < most, w, most))
            store(words, p, w)
            store(theta, p, (below(w) if rounding == 0 else w) * step)
        store(registers, 0, _after(code))
        store(registers, 1, mix(random + 0x9E3779B9))


@njit(nogil=True)
def _correct(words, samples, labels, layers, numbers, kinds):
    """How many samples each lane has right; of outputs that are equal the first counts, as in `mgd`."""
    step, scale, one = numbers[0], numbers[8], numbers[9]
    rounding, _, whole, exact, _ = kinds
    values = np.empty((layers.sum(), LANES), np.float32)
    right = np.zeros((1, LANES), np.float32)
    for n in range(len(samples)):
        for k in range(layers[0]):
            store(values, k, floats(one * samples[n, k]))
        p, begin, own = 0, 0, layers[0]
        for layer in range(len(layers) - 1):
            for _ in range(layers[layer + 1]):
                total = floats(0.0)
                for k in range(begin, begin + layers[layer] + 1):
                    w = load(words, p)
                    w = (below(w) if rounding == 0 else w) * step
                    total = total + (w if k == begin + layers[layer] else w * load(values, k))
                    p += 1
                store(values, own, _neuron(total, scale, whole, exact))
                own += 1
            begin += layers[layer]
        best, largest = floats(0.0), load(values, begin)
        for k in range(1, layers[-1]):
            y = load(values, begin + k)
            best, largest = select(largest < y, floats(float(k)), best), select(largest < y, y, largest)
        label = floats(float(labels[n]))
        hit = select(best < label, 0.0, select(label < best, floats(0.0), 1.0))
        store(right, 0, load(right, 0) + hit)
    return right[0]
