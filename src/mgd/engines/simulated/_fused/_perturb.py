"""θ̃ of a group, each family as `mgd.perturbations` defines it."""

from ._lanes import bits_of, float_of, floats, load, ones_in, reversed_bits, store, to_float, words
from ._math import erf_inv, inlined, sine_of_turns
from ._random import permute, rotation, row_of, row_under, word
from ._settings import AMPLITUDE, GAUSSIAN, LFSR, RADEMACHER, SEQUENTIAL, SINUSOID, SPREAD, WALSH

SIGN = 0x80000000
_ALL = 0xFFFFFFFF


@inlined
def prepare_codes(signals, group):
    """What of a code stays for the whole run."""
    _choose_block(group, 0)
    if signals.family == WALSH:
        _prepare_walsh(signals, group)
    elif signals.family == SEQUENTIAL:
        for p in range(group.wiggle.shape[0]):
            store(group.wiggle, p, floats(0.0))


@inlined
def _choose_block(group, block):
    for row in range(2):
        store(group.block_seed, row, load(group.perturbation_seed, row) + block)


@inlined
def _prepare_walsh(signals, group):
    """The row of each parameter: a keyed bijection of 0 … rows − 1 that sends 0 to 0, and the bit that all share."""
    seed, rows = group.block_seed, signals.order - signals.shared
    start = 1 if signals.shared == 0 else 0
    a, b = row_of(load(seed, 0) ^ _ALL, load(seed, 1) ^ _ALL, 0)
    shift, bits = 1, 1
    while rows >> (bits + 1):
        bits += 1
    if bits // 2 > 1:
        shift = bits // 2
    first, second, third = word(a, b, 0xFFFFFFF0) | 1, word(a, b, 0xFFFFFFF1) | 1, word(a, b, 0xFFFFFFF2) | 1
    for p in range(signals.size):
        index = (first * (p + start)) & (rows - 1)
        index = ((index ^ (index >> shift)) * second) & (rows - 1)
        index = ((index ^ (index >> shift)) * third) & (rows - 1)
        store(group.codes, p, (index ^ (index >> shift)) | signals.shared)


@inlined
def perturb(signals, group, tables, index, first):
    """Puts perturbation `index` into `signs`, or into `wiggle`; number `first` is the first of a call."""
    n_blocks = signals.blocks.shape[0] - 1
    if n_blocks == 1:
        _perturb(signals, group, tables, index, 0, index == first)
        return
    turn, block = index // n_blocks, index % n_blocks
    for p in range(group.wiggle.shape[0]):
        store(group.wiggle, p, floats(0.0))
    _choose_block(group, block)
    if signals.family == WALSH:
        _prepare_walsh(signals, group)
    _perturb(signals, group, tables, turn, block, index - first < n_blocks)
    _move(group.wiggle, signals.size, signals.blocks[block], signals.blocks[block + 1])


@inlined
def _move(wiggle, size, start, end):
    """Moves the first values to a block, as many as it has; all others are zero."""
    for p in range(end - start, size):
        store(wiggle, p, floats(0.0))
    if start > 0:
        for p in range(end - start - 1, -1, -1):
            store(wiggle, start + p, load(wiggle, p))
            if p < start:
                store(wiggle, p, floats(0.0))


@inlined
def _perturb(signals, group, tables, index, block, is_first):
    """A block's own perturbation `index`, as if the block began with the first parameter."""
    n_params = signals.size
    if signals.family == RADEMACHER:
        a, b = row_under(group.block_seed, index)
        for q in range((n_params + 31) >> 5):
            store(group.signs, q, reversed_bits(word(a, b, q)))
    elif signals.family == WALSH:
        _walsh(signals, group, index)
    elif signals.family == LFSR:
        _shift_register(signals, group, tables, block, is_first)
    elif signals.family == GAUSSIAN:
        a, b = row_under(group.block_seed, index)
        for p in range(n_params):
            centred = (to_float(word(a, b, p) >> 9) + 0.5) * 2.0**-22 - 1.0
            store(group.wiggle, p, load(group.numbers, SPREAD) * erf_inv(centred))
    elif signals.family == SINUSOID:
        a, b = row_under(group.block_seed, 0)
        low_word = index & _ALL
        for p in range(n_params):
            frequency = (signals.frequency + p * signals.spacing) & _ALL
            phase = word(a, b, p) + ((frequency * low_word) & _ALL)
            store(group.wiggle, p, load(group.numbers, AMPLITUDE) * sine_of_turns(to_float(phase) * 2.0**-32))
    else:
        _next_parameter(signals, group, index)
    if signals.family <= LFSR and not signals.packed:
        _unpack(signals, group)


@inlined
def _walsh(signals, group, index):
    period, column = index // signals.order, index % signals.order
    a, b = row_under(group.block_seed, period)
    turn = word(a, b, _ALL) & (signals.order - 1)
    column_of_lane = permute(column, a, b, turn, signals.order, signals.split[0], signals.split[1])
    n_params = signals.size
    for q in range((n_params + 31) >> 5):
        packed, end = words(0), min(32 * q + 32, n_params)
        for p in range(32 * q, end):
            packed = (packed << 1) | (ones_in(load(group.codes, p) & column_of_lane) & 1)
        flips = reversed_bits(word(a, b, q))
        store(group.signs, q, (packed << (32 * q + 32 - end)) ^ flips)


@inlined
def _shift_register(signals, group, tables, block, is_first):
    state = load(group.codes, block)
    if not is_first:
        after = words(0)
        for r in range(tables.jump.shape[0]):
            after = after | ((ones_in(state & tables.jump[r]) & 1) << r)
        state = after
        store(group.codes, block, state)
    n_params = signals.size
    for q in range((n_params + 31) >> 5):
        packed, end = words(0), min(32 * q + 32, n_params)
        for p in range(32 * q, end):
            packed = (packed << 1) | (ones_in(state & tables.masks[p]) & 1)
        store(group.signs, q, packed << (32 * q + 32 - end))


@inlined
def _next_parameter(signals, group, index):
    n_params = signals.size
    a, b = row_under(group.block_seed, 0)
    for lane in range(group.chosen.shape[1]):
        group.wiggle[group.chosen[0, lane], lane] = 0.0
    turn = rotation(a, b, n_params)
    store(group.chosen, 0, permute(index % n_params, a, b, turn, n_params, signals.split[0], signals.split[1]))
    for lane in range(group.chosen.shape[1]):
        group.wiggle[group.chosen[0, lane], lane] = group.numbers[AMPLITUDE, lane]


@inlined
def _unpack(signals, group):
    for q in range((signals.size + 31) >> 5):
        packed = load(group.signs, q)
        for p in range(32 * q, min(32 * q + 32, signals.size)):
            store(group.wiggle, p, signed(load(group.numbers, AMPLITUDE), packed))
            packed = packed << 1


@inlined
def signed(value, packed):
    """A value, with its sign turned where the highest bit of a word is set."""
    return float_of(bits_of(value) ^ (packed & SIGN))
