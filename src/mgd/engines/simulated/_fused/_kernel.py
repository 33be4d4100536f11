"""The loop over timesteps of one group of chips; `_compiled` compiles it."""

from ._forward import alone, pair
from ._lanes import BLOCK, any_of, floats, gather, gather_block, load, select, size_of, store, words
from ._math import inlined
from ._perturb import perturb, prepare_codes
from ._random import permute, rotation, row_under
from ._readout import read_out
from ._settings import (
    AMPLITUDE,
    HIGH_PASS,
    LIMIT,
    REMEASURED,
    TWO_SIDED,
)
from ._write import clamp, integrate, level

_INFINITE = float("inf")


@inlined
def _begin_epoch(signals, group, epoch):
    """Keeps what the order of samples of an epoch depends on."""
    a, b = row_under(group.samples_seed, epoch)
    store(group.epoch, 0, a)
    store(group.epoch, 1, b)
    store(group.epoch, 2, rotation(a, b, signals.n_samples))


@inlined
def _present(network, signals, group, tables, epoch, start):
    """Puts the samples from `start` of an epoch on in front of each chip; the epoch and place to go on from."""
    n_inputs, n_outputs = network.sizes[0], network.sizes[-1]
    for sample in range(signals.batch):
        if start == signals.n_samples:
            start, epoch = 0, epoch + 1
            _begin_epoch(signals, group, epoch)
        row = words(start)
        if signals.n_samples > 1 and signals.samples_split[0] > 0:
            a, b, turn = load(group.epoch, 0), load(group.epoch, 1), load(group.epoch, 2)
            split = signals.samples_split
            row = permute(start, a, b, turn, signals.n_samples, split[0], split[1])
        first, k = row * n_inputs, 0
        while k + BLOCK <= n_inputs:
            gather_block(tables.x, first + k, group.x, sample * n_inputs + k)
            k += BLOCK
        while k < n_inputs:
            store(group.x, sample * n_inputs + k, gather(tables.x, first + k))
            k += 1
        for k in range(n_outputs):
            store(group.target, sample * n_outputs + k, gather(tables.y, row * n_outputs + k))
        start += 1
    return epoch, start


@inlined
def _apply(converter, group, multiple):
    """What a converter that θ̃ goes through makes of θ and of a multiple of θ̃."""
    for p in range(group.theta.shape[0]):
        theta = load(group.theta, p)
        base = level(converter, theta)
        store(group.base, p, base)
        if converter.own_line:
            store(group.applied, p, multiple * load(group.wiggle, p))
        else:
            store(group.applied, p, level(converter, theta + multiple * load(group.wiggle, p)) - base)


@inlined
def _measure(network, signals, converter, group, multiple):
    """The cost with a multiple of θ̃ on the parameters, averaged over the samples in front."""
    total, base, wiggle = floats(0.0), group.theta, group.wiggle
    if converter.bits:
        _apply(converter, group, multiple)
        base, wiggle, multiple = group.base, group.applied, 1.0
    for sample in range(signals.batch):
        total = total + alone(network, signals, group, base, wiggle, sample, multiple)
    return total * (1.0 / signals.batch)


@inlined
def _measure_both(network, signals, group, first, second):
    """The costs with two multiples of packed signs on the parameters."""
    total, other, amplitude = floats(0.0), floats(0.0), load(group.numbers, AMPLITUDE)
    for sample in range(signals.batch):
        a, b = pair(network, group, sample, first * amplitude, second * amplitude)
        total, other = total + a, other + b
    return total * (1.0 / signals.batch), other * (1.0 / signals.batch)


@inlined
def _measure_slots(network, signals, converter, group, step, due):
    """Measures what is due of a timestep: the cost of its last slot, and that of the one before if there is one."""
    before, cost = load(group.baseline, 0), floats(0.0)
    has_two = signals.baseline == TWO_SIDED or (signals.baseline == REMEASURED and due)
    first, last = (1.0, -1.0) if signals.baseline == TWO_SIDED else (0.0, 1.0)
    if has_two and signals.packed:
        before, cost = _measure_both(network, signals, group, first, last)
    else:
        for slot in range(0 if has_two else 1, 2):
            before = cost if slot == 1 and has_two else before
            cost = _measure(network, signals, converter, group, last if slot else first)
    a, b = words(0), words(0)
    if converter.noisy:
        a, b = row_under(group.measurement_seed, step)
    if has_two:
        before = read_out(converter, group, a, b, 0, before)
    cost = read_out(converter, group, a, b, 0 if signals.baseline == HIGH_PASS else 1, cost)
    return before, cost


@inlined
def _modulation(signals, group, before, cost, fresh):
    """C̃, from the costs of a timestep; the baseline remembers what it must."""
    if signals.baseline == HIGH_PASS:
        change = floats(0.0) if fresh else cost - before
        modulation = signals.pole * (load(group.baseline, 1) + change)
        store(group.baseline, 0, cost)
        store(group.baseline, 1, modulation)
    else:
        store(group.baseline, 0, before)
        modulation = cost - before
        if signals.baseline == TWO_SIDED:
            modulation = modulation * -0.5
    return modulation


@inlined
def _note_bad(group, cost, modulation, step):
    """Remembers the first timestep whose cost or modulation was not finite."""
    finite = (size_of(cost) < _INFINITE) & (size_of(modulation) < _INFINITE)
    bad = select(finite, words(0), words(1))
    if any_of(bad >= 1):
        high, low = load(group.bad, 0), load(group.bad, 1)
        fresh = select(high | low >= 1, words(0), bad)
        store(group.bad, 0, select(fresh >= 1, words((step + 1) >> 32), high))
        store(group.bad, 1, select(fresh >= 1, words((step + 1) & 0xFFFFFFFF), low))


def advance_group(network, signals, update, converter, tables, group, first_step, n_steps):
    """Makes `n_steps` timesteps of a group, the first of which is number `first_step`."""
    prepare_codes(signals, group)
    presentation = first_step // signals.tau_x
    epoch = presentation * signals.batch // signals.n_samples
    start = presentation * signals.batch - epoch * signals.n_samples
    first, since_p, since_x = first_step // signals.tau_p, first_step % signals.tau_p, first_step % signals.tau_x
    index = first
    since_update = first_step % update.interval
    _begin_epoch(signals, group, epoch)
    for step in range(first_step, first_step + n_steps):
        begins = step == first_step
        if since_p == signals.tau_p:
            since_p, index = 0, index + 1
        if since_p == 0 or begins:
            perturb(signals, group, tables, index, first)
        if since_x == signals.tau_x:
            since_x = 0
        if since_x == 0 or begins:
            epoch, start = _present(network, signals, group, tables, epoch, start)
        if since_update == update.interval:
            since_update = 0
        before, cost = _measure_slots(network, signals, converter, group, step, since_x == 0 or since_update == 0)
        modulation = _modulation(signals, group, before, cost, since_x == 0)
        _note_bad(group, cost, modulation, step)
        if signals.limited:
            limit = load(group.numbers, LIMIT)
            modulation = clamp(modulation, 0.0 - limit, limit)
        since_p, since_x, since_update = since_p + 1, since_x + 1, since_update + 1
        integrate(signals, update, converter, group, modulation, step + 1)
