"""From an estimate to new parameters."""

from ._lanes import below, floats, load, nearest, product, root, select, size_of, store, words
from ._math import inlined, less_one
from ._perturb import signed
from ._random import normal, part, row_under, uniform
from ._settings import (
    BOTTOM,
    CREDIT,
    DECAY,
    DESCENT,
    LOG_DOWN,
    LOG_UP,
    PER_PULSE,
    PULSE_NOISE,
    RATE,
    TOP,
    WRITE_NOISE,
)

_INFINITE = float("inf")


@inlined
def clamp(value, low, high):
    value = select(value < low, low, value)
    return select(high < value, high, value)


@inlined
def level(converter, value):
    """The level that is nearest to a value."""
    code = nearest((value - converter.low) / converter.step)
    return converter.low + clamp(code, 0.0, 2.0**converter.bits - 1.0) * converter.step


@inlined
def write_keys(update, converter, seed, step):
    """The keys of the converter's rounding, of the noise and of the pulses of the write that ends timestep `step`."""
    a, b = row_under(seed, step)
    k0, k1 = part(a, b, 0)
    r0, r1 = k0, k1
    if converter.bits and not converter.finer_copy:
        if converter.stochastic:
            r0, r1 = part(k0, k1, 0)
        k0, k1 = part(k0, k1, 1)
    p0, p1 = k0, k1
    if update.noisy:
        p0, p1 = part(k0, k1, 1)
        k0, k1 = part(k0, k1, 0)
    return r0, r1, k0, k1, p0, p1


@inlined
def _pulsed(update, group, theta, delta, p, keys):
    """The change of a cell that takes whole pulses, of which each goes a part of the way to its bound."""
    n_params = group.theta.shape[0]
    top, bottom = load(group.cells, TOP * n_params + p), load(group.cells, BOTTOM * n_params + p)
    a, b = part(keys[4], keys[5], 0)
    pulses = below(size_of(delta) * load(group.numbers, PER_PULSE) + uniform(a, b, p))
    up, inside = delta >= 0.0, clamp(theta, bottom, top)
    left = select(up, load(group.cells, LOG_UP * n_params + p), load(group.cells, LOG_DOWN * n_params + p))
    moved = inside - (select(up, top, bottom) - inside) * less_one(pulses * left)
    if update.pulses_noisy:
        a, b = part(keys[4], keys[5], 1)
        moved = moved + load(group.numbers, PULSE_NOISE) * normal(a, b, p) * root(pulses)
    return clamp(moved, bottom, top) - theta


@inlined
def _written(update, converter, group, theta, delta, p, keys, pulses):
    """θ_p after a change was asked for, from the converter inwards."""
    if converter.bits:
        if converter.finer_copy:
            delta = clamp(theta + delta, converter.low, converter.high) - theta
        else:
            steps = delta / converter.step
            draw = converter.stochastic
            steps = below(steps + uniform(keys[0], keys[1], p)) if draw else nearest(steps)
            code = clamp(nearest((theta - converter.low) / converter.step), 0.0, 2.0**converter.bits - 1.0)
            delta = converter.low + clamp(code + steps, 0.0, 2.0**converter.bits - 1.0) * converter.step - theta
    if update.noisy:
        delta = delta + load(group.numbers, WRITE_NOISE) * normal(keys[2], keys[3], p)
    if pulses:
        delta = _pulsed(update, group, theta, delta, p, keys)
    return clamp(theta + delta, update.low, update.high)


@inlined
def _updated(update, converter, group, p, gradient, keys, remembers, pulses):
    theta = load(group.theta, p)
    if remembers:
        rule, trace = update.rule, load(group.trace, p)
        delta = rule[3] * gradient + rule[5] * theta
        delta = delta + rule[4] * trace
        store(group.trace, p, rule[0] * gradient + rule[1] * trace + rule[2] * theta)
    else:
        delta = load(group.numbers, RATE) * gradient + load(group.numbers, DECAY) * theta
    store(group.theta, p, _written(update, converter, group, theta, delta, p, keys, pulses))


@inlined
def descend(group, factor):
    """An update every timestep, without noise or bounds or memory, of packed signs: θ ± factor."""
    packed, kept = load(group.signs, 0), load(group.numbers, DECAY)
    for p in range(group.theta.shape[0]):
        if p & 31 == 0:
            packed = load(group.signs, p >> 5)
        theta = load(group.theta, p)
        store(group.theta, p, theta + kept * theta + signed(factor, packed))
        packed = packed << 1


@inlined
def descend_with_memory(update, group, factor):
    """The same by a rule with a memory, of which `factor` is the estimate.

    Which product of a sum is rounded by itself is said, or it would differ between widths of vectors.
    """
    packed, rule = load(group.signs, 0), update.rule
    for p in range(group.theta.shape[0]):
        if p & 31 == 0:
            packed = load(group.signs, p >> 5)
        theta, trace, gradient = load(group.theta, p), load(group.trace, p), signed(factor, packed)
        delta = rule[3] * gradient + product(floats(rule[5]), theta)
        store(group.trace, p, rule[0] * gradient + product(floats(rule[1]), trace) + rule[2] * theta)
        store(group.theta, p, theta + (delta + rule[4] * trace))
        packed = packed << 1


@inlined
def integrate(signals, update, converter, group, modulation, step):
    """Takes the modulation of the timestep after which there are `step` of them."""
    due = step % update.interval == 0
    keeps = not (update.resets and update.interval == 1)
    is_exact = converter.bits == 0 and not update.noisy and not update.pulses and update.high == _INFINITE
    if signals.packed and is_exact and not keeps:
        if update.remembers:
            descend_with_memory(update, group, update.credit * modulation)
        else:
            descend(group, load(group.numbers, DESCENT) * modulation)
        return
    packed, credit = words(0), load(group.numbers, CREDIT) * modulation
    keys = packed, packed, packed, packed, packed, packed
    if due and not is_exact:
        keys = write_keys(update, converter, group.write_seed, step)
    # Three loops, because LLVM does not take these choices out of one.
    if update.pulses:
        if update.remembers:
            credit = modulation
        _integrate_each(signals, update, converter, group, modulation, credit, keys, keeps, due, update.remembers, True)
    elif update.remembers:
        _integrate_each(signals, update, converter, group, modulation, modulation, keys, keeps, due, True, False)
    else:
        _integrate_each(signals, update, converter, group, modulation, credit, keys, keeps, due, False, False)


@inlined
def _integrate_each(signals, update, converter, group, modulation, credit, keys, keeps, due, remembers, pulses):
    """What `integrate` does of each parameter, by a rule with a memory or without, by pulses or without."""
    packed = words(0)
    for p in range(group.theta.shape[0]):
        if signals.packed:
            if p & 31 == 0:
                packed = load(group.signs, p >> 5)
            gradient = signed(update.credit * credit, packed) if remembers else signed(credit, packed)
            packed = packed << 1
        else:
            scale = load(group.scale, p if group.scale.shape[0] > 1 else 0)
            gradient = product(scale * modulation, load(group.wiggle, p))
        if keeps:
            gradient = update.keep * load(group.gradient, p) + gradient
            store(group.gradient, p, floats(0.0) if due and update.resets else gradient)
        if due:
            _updated(update, converter, group, p, gradient, keys, remembers, pulses)
