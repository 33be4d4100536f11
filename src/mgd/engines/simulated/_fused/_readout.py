"""What becomes of a cost on its way out of a chip: it settles, has noise, is read by a converter, and comes late."""

from ._lanes import load, nearest, root, store
from ._math import inlined
from ._random import normal, part
from ._settings import (
    ARRIVED,
    COST_NOISE,
    OLDEST,
    READ_LOW,
    READ_PER_STEP,
    READ_STEP,
    RELATIVE_NOISE,
    SETTLED,
    UNSETTLED,
    WAITING,
)
from ._write import clamp


@inlined
def _settle(group, cost):
    """A cost as far as it has come from the one that was measured before."""
    if group.arrived[ARRIVED, 0]:
        cost = cost + (load(group.costs, SETTLED) - cost) * load(group.numbers, UNSETTLED)
    store(group.costs, SETTLED, cost)
    return cost


@inlined
def _noise(converter, group, a, b, slot, cost):
    """Of a cost that is measured in a slot, from the row of its timestep."""
    k0, k1 = part(a, b, slot)
    for _ in range(converter.depth):
        k0, k1 = part(k0, k1, 1)
    k0, k1 = part(k0, k1, 2)
    sigma = load(group.numbers, COST_NOISE)
    if converter.relative:
        part_of_it = load(group.numbers, RELATIVE_NOISE) * cost
        sigma = root(sigma * sigma + part_of_it * part_of_it)
    return sigma * normal(k0, k1, 0)


@inlined
def _read(converter, group, cost):
    """The level that is nearest to a cost."""
    low, step = load(group.numbers, READ_LOW), load(group.numbers, READ_STEP)
    code = nearest((cost - low) * load(group.numbers, READ_PER_STEP))
    return low + clamp(code, 0.0, 2.0**converter.read_bits - 1.0) * step


@inlined
def _wait(converter, group, cost):
    """Puts a cost at the end of those on their way, and takes the oldest."""
    if not group.arrived[ARRIVED, 0]:
        for k in range(converter.delay):
            store(group.costs, WAITING + k, cost)
    oldest = group.arrived[OLDEST, 0]
    late = load(group.costs, WAITING + oldest)
    store(group.costs, WAITING + oldest, cost)
    oldest += 1
    store(group.arrived, OLDEST, 0 if oldest == converter.delay else oldest)
    return late


@inlined
def read_out(converter, group, a, b, slot, cost):
    """A cost as it is read, of the measurement in a slot of the timestep with a row of noise; in order of time."""
    if converter.settles:
        cost = _settle(group, cost)
    if converter.noisy:
        cost = cost + _noise(converter, group, a, b, slot, cost)
    if converter.read_bits:
        cost = _read(converter, group, cost)
    if converter.delay:
        cost = _wait(converter, group, cost)
    if converter.settles or converter.delay:
        store(group.arrived, ARRIVED, 1)
    return cost
