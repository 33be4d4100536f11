import numpy as np
import pytest

from mgd.datasets import parity


@pytest.mark.parametrize("bits", [2, 3, 4, 16])
def test_every_pattern_once_and_its_parity(bits):
    task = parity(bits)
    patterns = task.train.x.astype(int)
    numbers = patterns @ (1 << np.arange(bits)[::-1])
    assert numbers.tolist() == list(range(2**bits))
    assert task.train.y[:, 0].tolist() == [bin(n).count("1") % 2 for n in range(2**bits)]
    assert task.train.x.dtype == task.train.y.dtype == np.float32
    assert task.train is task.test
    assert task.solved_accuracy == 1.0


@pytest.mark.parametrize("bits", [-1, 0, 1, 17])
def test_bits_out_of_range(bits):
    with pytest.raises(ValueError, match=rf"bits must be 2 to 16 .*, got {bits}$"):
        parity(bits)
