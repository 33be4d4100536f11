"""n-bit parity."""

import numpy as np

from ._task import Samples, Task


def parity(bits: int = 2) -> Task:
    """Is the number of ones odd? Every pattern of `bits` bits; two bits make XOR.

    The patterns are all there is, so training and test set are the same. Solved means that every
    output is on the right side of 0.5.

    Args:
        bits: inputs, 2 to 16.

    Returns:
        A task of 2^bits samples: inputs `[2^bits, bits]` in {0, 1}, most significant bit first, in
        counting order; targets `[2^bits, 1]`, 1 for odd.

    Raises:
        ValueError: if `bits` is not within 2 to 16.

    Example:
        >>> from mgd.datasets import parity
        >>> xor = parity(2)
        >>> xor.train.x.tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        >>> xor.train.y[:, 0].tolist()
        [0.0, 1.0, 1.0, 0.0]

    References:
        M. Minsky and S. Papert, Perceptrons, MIT Press, 1969 (no single layer computes it).
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must be 2 to 16 (2^bits patterns are held in memory), got {bits}")
    numbers = np.arange(2**bits)
    x = (numbers[:, None] >> np.arange(bits)[::-1] & 1).astype(np.float32)
    samples = Samples(x, x.sum(axis=1, keepdims=True) % 2)
    return Task("parity", samples, samples, ("even", "odd"), 1.0, f"all {2**bits} patterns of {bits} bits")
