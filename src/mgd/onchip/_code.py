"""The codes of the circuit: from what state all signs are made, and which of its bits make the sign of a parameter."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt32

# By the number that the RTL has for them.
CODES = ("lfsr", "walsh", "sequential")
# Feedback taps of registers of maximal length, by their stages: of 16 and 24, Xilinx XAPP 052, table 3; of 32, its taps
# reversed, which leaves ten new bits that depend on old ones alone. A test proves each by its transition matrix.
REGISTERS: dict[int, tuple[int, ...]] = {16: (16, 15, 13, 4), 24: (24, 23, 22, 17), 32: (32, 31, 30, 10)}
# Stages that a register moves on with each perturbation: more than the largest group of taps, so that no products of
# two signs come again one perturbation later; and prime to every period.
LEAP = 19


@dataclass(frozen=True)
class Code:
    """The code of a circuit.

    A sign is the parity of those bits of the state that the parameter's mask selects; 1 is −Δ. Any product of three
    different signs must average to zero over a period, or a one-sided estimate has a bias of first order in Δ. So
    either all masks have an odd number of bits, or all share one.

    - "lfsr": the register is divided into an odd number of groups, and a mask has one tap in each. The bits of a
      parameter's number say which, so that parameters in memory need no memory for masks.
    - "walsh": the state is a counter, and the mask of parameter i is 2i + 1: row 2i + 1 of a Hadamard matrix.
    - "sequential": the state is the number of the one parameter that is perturbed, by +Δ.

    Args:
        name: one of `CODES`.
        parameters: P.
        register_bits: the stages of the shift register.
    """

    name: str
    parameters: int
    register_bits: int = 32

    @property
    def number(self) -> int:
        """What the RTL calls it."""
        return CODES.index(self.name)

    @property
    def state_bits(self) -> int:
        """Of the state: register, counter or token."""
        if self.name == "lfsr":
            return self.register_bits
        return self._index_bits + 1 if self.name == "walsh" else max(1, self._index_bits)

    @property
    def period(self) -> int:
        """Perturbations until the signs come again."""
        if self.name == "sequential":
            return self.parameters
        return 2**self.state_bits - (self.name == "lfsr")

    @cached_property
    def group_bits(self) -> tuple[int, ...]:
        """Of each group of taps, how many bits of a parameter's number select the tap; none if masks run out."""
        if self.name != "lfsr":
            return ()
        return next((bits for bits in _divisions(self.register_bits) if 2 ** sum(bits) >= self.parameters), ())

    @property
    def most_parameters(self) -> int:
        """For how many a register of this length has masks."""
        return max(2 ** sum(bits) for bits in _divisions(self.register_bits))

    @property
    def fewest_bits(self) -> int:
        """Of the shortest register that has masks for all parameters, but no shorter than this one."""
        if self.name != "lfsr" or self.group_bits:
            return self.register_bits
        return next(bits for bits in REGISTERS if Code(self.name, self.parameters, bits).group_bits)

    @cached_property
    def masks(self) -> UInt32[np.ndarray, " p"]:
        """The mask of each parameter; the number of each for the sequential code, which has no masks."""
        number = np.arange(self.parameters, dtype=np.uint32)
        if self.name == "walsh":
            return 2 * number + np.uint32(1)
        if self.name == "sequential":
            return number
        masks, base = np.zeros_like(number), 0
        for bits in self.group_bits:
            masks |= np.uint32(1) << (np.uint32(base) + number % np.uint32(2**bits))
            number, base = number >> np.uint32(bits), base + 2**bits
        return masks

    @property
    def taps(self) -> int:
        """The feedback taps of the register, as a mask of its state; bit 0 was shifted in last."""
        return sum(1 << (tap - 1) for tap in REGISTERS[self.register_bits])

    @property
    def _index_bits(self) -> int:
        return (self.parameters - 1).bit_length()


def _divisions(register_bits: int) -> list[tuple[int, ...]]:
    """Divisions of a register into groups of 2^bits taps: an odd number of groups, and most masks for that number."""
    found = []
    for number in range(3, register_bits // 2 + 1, 2):
        bits = [1] * number
        while 2 ** min(bits) + sum(2**one for one in bits) <= register_bits:
            bits[bits.index(min(bits))] += 1
        found.append(tuple(bits))
    return found
