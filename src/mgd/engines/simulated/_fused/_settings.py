"""What the kernel is given: plain numbers and arrays, in named tuples that compiled code can read."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt32

# Codes of what a setting may be, as the kernel compares them.
LINEAR, LOGISTIC, TANH, RELU = range(4)
REMEASURED, TWO_SIDED, HIGH_PASS = range(3)
RADEMACHER, WALSH, LFSR, GAUSSIAN, SEQUENTIAL, SINUSOID = range(6)
# Rows of the numbers that each chip has for itself: Δθ, and that times √2; what a sign adds by C̃ to G, and to θ where
# an update is that and no more; standard deviations of the noise on each cost and on each write; the clamp on C̃; r₃ and
# r₅ of an update rule without a memory; the cost's noise in parts of it; the lowest level of a cost that is read, from
# one level to the next, and its inverse; the inverse of a pulse, and the noise of one; how much of the way to a cost is
# left when it is read.
AMPLITUDE, SPREAD, CREDIT, DESCENT, COST_NOISE, WRITE_NOISE, LIMIT, RATE, DECAY, RELATIVE_NOISE = range(10)
READ_LOW, READ_STEP, READ_PER_STEP, PER_PULSE, PULSE_NOISE, UNSETTLED = range(10, 16)
NUMBERS = 16
# Of each cell that takes pulses, by blocks of P rows: its bounds, and the logarithm of what a pulse leaves of the way.
TOP, BOTTOM, LOG_UP, LOG_DOWN = range(4)
# Of costs that chips remember: the last one as far as it had settled, and then those on their way. Which of these is
# the oldest, and whether there has been a cost yet, in all lanes the same.
SETTLED, WAITING = range(2)
OLDEST, ARRIVED = range(2)
ACTIVATIONS = {"linear": LINEAR, "logistic": LOGISTIC, "tanh": TANH, "relu": RELU}


class Network(NamedTuple):
    """A layered perceptron.

    Attributes:
        sizes: inputs, and neurons of each layer.
        starts: where the weights of each layer start among the parameters; its biases follow.
        activations: of each layer.
        varied: whether neurons have gains and offsets of their own.
        cross_entropy: whether the cost is that of logits, or the mean squared error.
        smoothing: of its labels.
    """

    sizes: Int[np.ndarray, " sizes"]
    starts: Int[np.ndarray, " layers"]
    activations: Int[np.ndarray, " layers"]
    varied: bool
    cross_entropy: bool
    smoothing: float


class Signals(NamedTuple):
    """The perturbation, the baseline, and the order of samples.

    Attributes:
        family: of the perturbation.
        packed: whether θ̃ is kept as the signs of an amplitude, 32 to a word, or as a value for each parameter.
        blocks: where each block of parameters starts that is perturbed by itself, and the end; of one, all of them.
        size: parameters of the largest block.
        order: the period of Walsh codes.
        shared: the bit that all rows of Walsh codes share, as a number; 0 for none.
        split: the two factors of the permutation of a code: of its period, or of a block's parameters.
        frequency: of the first sinusoid, in cycles·2³².
        spacing: between two sinusoids, likewise.
        baseline: what a perturbed cost is compared with.
        pole: of a high-pass.
        limited: whether the modulation is clamped.
        tau_p: timesteps that a perturbation is held.
        tau_x: timesteps that a sample is held.
        batch: samples over which a measurement is averaged.
        n_samples: of the training set.
        samples_split: the two factors of the permutation of samples; zeros where they come as they lie.
    """

    family: int
    packed: bool
    blocks: Int[np.ndarray, " blocks"]
    size: int
    order: int
    shared: int
    split: tuple[int, int]
    frequency: int
    spacing: int
    baseline: int
    pole: float
    limited: bool
    tau_p: int
    tau_x: int
    batch: int
    n_samples: int
    samples_split: tuple[int, int]


class Update(NamedTuple):
    """What an estimate becomes.

    Attributes:
        interval: timesteps between two updates.
        resets: whether G starts again after each.
        keep: what is kept of G at each timestep.
        rule: of G, the optimizer's memory m and θ: m ← r₀ G + r₁ m + r₂ θ, and then Δ = r₃ G + r₄ m + r₅ θ, with the m
            before. Of six vectors for it, large chips would take a fifteenth longer, so all chips of a group have it.
        credit: what a sign adds by C̃ to G, by a rule with a memory: one number is faster there than one for each chip.
        remembers: whether the rule has a memory; if not, it is with the numbers that each chip has for itself.
        noisy: whether each write has noise.
        pulses: whether the memory takes whole pulses, between bounds of each cell.
        pulses_noisy: whether each pulse has noise.
        low: lower end of the memory's range.
        high: upper end.
    """

    interval: int
    resets: bool
    keep: float
    rule: tuple[float, float, float, float, float, float]
    credit: float
    remembers: bool
    noisy: bool
    pulses: bool
    pulses_noisy: bool
    low: float
    high: float


class Converter(NamedTuple):
    """The converter that sets the parameters, if there is one, and how the cost is read.

    Attributes:
        bits: of the converter; 0 for none.
        low: the lowest level.
        step: from one level to the next.
        high: the highest level.
        stochastic: whether writes are rounded stochastically.
        own_line: whether the perturbation goes past it.
        finer_copy: whether θ itself is kept elsewhere.
        noisy: whether each cost has noise.
        relative: whether a part of it is proportional to the cost.
        depth: how many imperfections are around the one of the noise.
        read_bits: of the converter that reads the cost; 0 for none.
        settles: whether a cost is read before it has settled.
        delay: how many measurements later it is read; 0 if at once.
    """

    bits: int
    low: float
    step: float
    high: float
    stochastic: bool
    own_line: bool
    finer_copy: bool
    noisy: bool
    relative: bool
    depth: int
    read_bits: int
    settles: bool
    delay: int


class Group(NamedTuple):
    """What is one group of chips' own; the last axis is the lanes. What a setting has no use for has one row.

    Attributes:
        theta: the parameters.
        gradient: G.
        trace: the optimizer's memory.
        baseline: what the baseline remembers.
        perturbation_seed: of θ̃.
        block_seed: of θ̃ in the block that is perturbed.
        samples_seed: of the order of samples.
        measurement_seed: of the cost's noise.
        write_seed: of the noise of writes.
        neurons: gains and offsets (α, β, a₀, b) of each neuron, one neuron after the other.
        cells: of cells that take pulses, in the blocks `TOP` … .
        signs: of θ̃, 32 to a word, the first in the highest bit.
        wiggle: θ̃.
        base: the parameters as they are applied, where that is not θ.
        applied: what θ̃ adds to them, where that is not θ̃.
        codes: row of each parameter's Walsh code; or the shift register of each block.
        chosen: which parameter the last perturbation was of.
        epoch: the row and the rotation of the epoch's order of samples.
        x: inputs in front, sample by sample.
        target: targets.
        outputs: of neurons of two layers, twice.
        numbers: what a chip may have for itself, in the rows `AMPLITUDE` … .
        scale: what C̃ θ̃ is multiplied by to enter G; one row, or one for each parameter.
        costs: that the chip remembers, in the rows `SETTLED` and from `WAITING` on.
        arrived: what is known of them, in the rows `OLDEST` and `ARRIVED`.
        bad: high and low word of the first timestep, counted from one, whose cost was not finite; 0 for none.
    """

    theta: Float[np.ndarray, "p lanes"]
    gradient: Float[np.ndarray, "p lanes"]
    trace: Float[np.ndarray, "p lanes"]
    baseline: Float[np.ndarray, "2 lanes"]
    perturbation_seed: UInt32[np.ndarray, "2 lanes"]
    block_seed: UInt32[np.ndarray, "2 lanes"]
    samples_seed: UInt32[np.ndarray, "2 lanes"]
    measurement_seed: UInt32[np.ndarray, "2 lanes"]
    write_seed: UInt32[np.ndarray, "2 lanes"]
    neurons: Float[np.ndarray, "neuron_numbers lanes"]
    cells: Float[np.ndarray, "cell_numbers lanes"]
    signs: UInt32[np.ndarray, "words lanes"]
    wiggle: Float[np.ndarray, "p lanes"]
    base: Float[np.ndarray, "p lanes"]
    applied: Float[np.ndarray, "p lanes"]
    codes: UInt32[np.ndarray, "p lanes"]
    chosen: UInt32[np.ndarray, "1 lanes"]
    epoch: UInt32[np.ndarray, "3 lanes"]
    x: Float[np.ndarray, "shown lanes"]
    target: Float[np.ndarray, "wanted lanes"]
    outputs: Float[np.ndarray, "outputs lanes"]
    numbers: Float[np.ndarray, "numbers lanes"]
    scale: Float[np.ndarray, "scales lanes"]
    costs: Float[np.ndarray, "costs lanes"]
    arrived: UInt32[np.ndarray, "2 lanes"]
    bad: UInt32[np.ndarray, "2 lanes"]


class Tables(NamedTuple):
    """What all groups share.

    Attributes:
        x: inputs of the training set, one sample after the other.
        y: targets.
        masks: of a shift register's output bits.
        jump: rows of its transition matrix, from one perturbation to the next.
    """

    x: Float[np.ndarray, " inputs"]
    y: Float[np.ndarray, " outputs"]
    masks: UInt32[np.ndarray, " p"]
    jump: UInt32[np.ndarray, " width"]
