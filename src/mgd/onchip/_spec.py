"""The one description of a training circuit: the twin, the RTL and its generated top are all made from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import gcd
from pathlib import Path
from typing import Any

from .._input import nearest
from ._code import CODES, LEAP, REGISTERS, Code
from ._tables import arguments, read

# The number of a parameter has 16 bits wherever the circuit carries it.
MOST_PARAMETERS = 2**16
# The twin computes in integers of 32 bits, one of which is left for a sum before it saturates.
_WIDEST = 30
# Costs, perturbed parameters and, where they fit, a neuron's products are numbers of float32 too, in the twin.
EXACT = 24


@dataclass(frozen=True)
class Spec:
    r"""A training circuit: its size, its widths in bits, and its timing. Numbers are two's complement.

    The parameter register of a synapse has `theta_bits` bits, of which `theta_fraction` are behind the point. The cost
    has no sign. With Δ the amplitude in steps of θ, one timestep's share of the learning rate is

    $$\eta = 2^{-\text{shift}} \, \Delta \, 2^{F_\text{cost} - 2 F_\theta}$$

    with F the fractions (twice that, two-sided); `learning_rate` is τ_θ times that, on the mean gradient of a window.

    Args:
        parameters: P; follows from `layers` if they are given.
        layers: neurons in each layer of the network on the chip, inputs first; none if the network is outside.
        lanes: how many parameters are processed in a clock; by default all, each in a synapse of its own. If fewer,
            a power of two, and the parameters are in memories.
        code: the family of signs: "lfsr", "walsh" or "sequential".
        register_bits: the stages of the shift register: 16, 24 or 32.
        two_sided: whether C̃ is C₊ − C₋, in place of C − C₀ with a re-measured C₀.
        merged: whether θ and the accumulator are one register, for windows of one perturbation.
        array_perturbs: whether the array adds ±Δ itself, and is given θ and signs.
        theta_bits: of a parameter.
        theta_fraction: of these, behind the point.
        amplitude: Δ, in steps of θ: a power of two.
        shift: the learning rate is a shift to the right by so many bits; what is shifted out is kept.
        accumulator_bits: of a synapse's accumulator, if it is not merged; by default as many as a window's sum needs.
        may_overflow: whether the accumulator may be too narrow for the largest sum of a window, and then saturates.
        modulation_bits: of C̃, which is clamped to them.
        cost_bits: of the cost: of an ADC, or of the network's sum of squares.
        cost_fraction: of these, behind the point; it may be more than there are.
        activation_bits: of the network's activations and inputs, all of them behind the point.
        tau_p: timesteps for which a perturbation is held.
        tau_x: timesteps for which a sample is held.
        tau_theta: timesteps between two updates.
        delay: the number of perturbations by which the cost comes late.

    Raises:
        ValueError: if the circuit cannot be built, or would not train; with the number that works.

    >>> spec = Spec(layers=(2, 2, 1), merged=True)
    >>> spec.parameters, spec.depth, spec.state_bits
    (9, 1, 11)
    """

    parameters: int = 0
    layers: tuple[int, ...] = ()
    lanes: int = 0
    code: str = "lfsr"
    register_bits: int = 32
    two_sided: bool = False
    merged: bool = False
    array_perturbs: bool = False
    theta_bits: int = 8
    theta_fraction: int = 4
    amplitude: int = 4
    shift: int = 3
    accumulator_bits: int = 0
    may_overflow: bool = False
    modulation_bits: int = 8
    cost_bits: int = 8
    cost_fraction: int = 8
    activation_bits: int = 6
    tau_p: int = 1
    tau_x: int = 1
    tau_theta: int = 1
    delay: int = 0

    def __post_init__(self):
        _check_types(vars(self))
        if self.layers:
            if len(self.layers) < 2 or min(self.layers) < 1:
                raise ValueError(
                    f"layers must be two or more numbers of neurons, each 1 or more, got {list(self.layers)}"
                )
            counted = sum((inputs + 1) * neurons for inputs, neurons in zip(self.layers, self.layers[1:], strict=False))
            if self.parameters not in (0, counted):
                raise ValueError(f"layers {self.layers} have {counted} parameters, got parameters = {self.parameters}")
            object.__setattr__(self, "parameters", counted)
        object.__setattr__(self, "lanes", self.lanes or self.parameters)
        for message in _wrong(self):
            raise ValueError(message)
        if not self.merged and self.accumulator_bits == 0:
            object.__setattr__(self, "accumulator_bits", self.needed_bits)
        for message in _too_narrow(self):
            raise ValueError(message)

    @staticmethod
    def read(path: str | Path) -> "Spec":
        """The circuit that a TOML file describes, with the arguments of this class as its settings.

        Raises:
            ValueError: if the file cannot be read, or a setting is wrong; the file is named.
        """
        return read(path, Spec.of)

    @staticmethod
    def of(table: Mapping[str, Any]) -> "Spec":
        """The circuit of a table, with the arguments of this class as its settings.

        Raises:
            ValueError: if a setting is unknown or wrong.

        >>> Spec.of({"layers": [2, 2, 1], "merged": True}).parameters
        9
        """
        given = arguments(Spec, table)
        _check_types(given)
        return Spec(**given)

    @property
    def table(self) -> dict[str, Any]:
        """Every setting, in types of TOML; `of` makes the same circuit of it."""
        return vars(self) | {"layers": list(self.layers)}

    @property
    def depth(self) -> int:
        """Parameters of a lane."""
        return -(-self.parameters // self.lanes)

    @property
    def signs(self) -> Code:
        """The code that gives all signs."""
        return Code(self.code, self.parameters, self.register_bits)

    @property
    def largest_modulation(self) -> int:
        """The limit at which C̃ is clamped, on both sides."""
        return 2 ** (self.modulation_bits - 1) - 1

    @property
    def sum_bits(self) -> int:
        """Of the sum of C̃ for as long as perturbation and parameters stay, which is broadcast to all synapses."""
        return _signed_bits(min(self.tau_p, self.tau_theta) * self.largest_modulation)

    @property
    def needed_bits(self) -> int:
        """Of an accumulator that holds the remainder and the largest sum of a window."""
        return _signed_bits(2**self.shift - 1 + self.tau_theta * self.largest_modulation)

    @property
    def kept_bits(self) -> int:
        """Of the accumulator, or of the remainder if it is merged with θ."""
        return self.shift if self.merged else self.accumulator_bits

    @property
    def state_bits(self) -> int:
        """Flip-flops, or bits of memory, of a parameter."""
        return self.theta_bits + self.kept_bits

    @property
    def counter_bits(self) -> int:
        """Of the counters of τ_p, τ_x and τ_θ."""
        return max(1, (max(self.tau_p, self.tau_x, self.tau_theta) - 1).bit_length())

    @property
    def learning_rate(self) -> float:
        """η of the same update of θ by the mean gradient of a window."""
        gain = self.tau_theta * (2 if self.two_sided else 1)
        return gain * self.amplitude * 2.0 ** (self.cost_fraction - 2 * self.theta_fraction - self.shift)


def _signed_bits(largest: int) -> int:
    """Bits of a number in two's complement that is at most this far from zero."""
    return 1 + largest.bit_length()


def _check_types(table: dict[str, Any]) -> None:
    """Raises: ValueError: if a setting is not of its kind; true is no number."""
    kinds = {int: "a whole number", bool: "true or false", str: "a word", tuple: "a list of whole numbers"}
    for field in fields(Spec):
        kind, value = type(field.default), table.get(field.name, field.default)
        inner = value if isinstance(value, tuple) else ()
        if type(value) is not kind or any(type(one) is not int for one in inner):
            raise ValueError(f"{field.name} must be {kinds[kind]}, got {value!r}")


def _wrong(spec: Spec) -> Iterator[str]:
    """What is wrong with size, code and timing."""
    if not 1 <= spec.parameters <= MOST_PARAMETERS:
        yield f"parameters must be from 1 to {MOST_PARAMETERS}, which is what addresses count to, got {spec.parameters}"
    if not 1 <= spec.lanes <= spec.parameters:
        yield f"lanes must be from 1 to the {spec.parameters} parameters, got {spec.lanes}"
    if spec.lanes < spec.parameters and spec.lanes & (spec.lanes - 1):
        below = 2 ** (spec.lanes.bit_length() - 1)
        yield f"lanes must be a power of two, or all {spec.parameters}: use {below}, got {spec.lanes}"
    if spec.code not in CODES:
        yield f"unknown code {spec.code!r}{nearest(spec.code, CODES)}; choose {', '.join(CODES)}"
    if spec.register_bits not in REGISTERS:
        yield f"register_bits must be one of {', '.join(map(str, REGISTERS))}, got {spec.register_bits}"
    limits = {"tau_p": 1, "tau_x": 1, "tau_theta": 1, "delay": 0, "shift": 1, "amplitude": 1, "theta_bits": 2}
    limits |= {"modulation_bits": 2, "cost_bits": 1, "activation_bits": 5, "accumulator_bits": 0, "theta_fraction": 0}
    for name, least in limits.items():
        if (value := getattr(spec, name)) < least:
            unit = " step of θ" if name == "amplitude" else ""
            yield f"{name} must be at least {least}{unit}, got {value}"
    if (fewest := spec.signs.fewest_bits) > spec.register_bits:
        yield (
            f"the masks of a register of {spec.register_bits} bits run out at {spec.signs.most_parameters} parameters: "
            f"use register_bits = {fewest} for {spec.parameters}"
        )
    if spec.code == "lfsr" and 3 * spec.tau_theta > spec.signs.period * spec.tau_p:
        yield (
            f"the period of a register of {spec.register_bits} bits, {spec.signs.period} perturbations, must be at "
            f"least three windows: use register_bits = 32, got tau_theta = {spec.tau_theta}"
        )
    turn = spec.tau_p * spec.signs.period
    if spec.code == "walsh" and spec.tau_x % turn:
        yield (
            f"Walsh codes in step with samples mix their costs: hold each sample for whole periods, with tau_x = "
            f"{-(-spec.tau_x // turn) * turn} in place of {spec.tau_x}, or use code = 'lfsr'"
        )
    if spec.merged and spec.tau_theta != spec.tau_p:
        yield f"merged needs tau_theta = tau_p = {spec.tau_p}, got tau_theta = {spec.tau_theta}"


def _too_narrow(spec: Spec) -> Iterator[str]:
    """What does not fit in its bits."""
    if spec.amplitude & (spec.amplitude - 1):
        below = 2 ** (spec.amplitude.bit_length() - 1)
        yield f"amplitude must be a power of two steps of θ: use {below} or {2 * below}, got {spec.amplitude}"
    if spec.amplitude >= 2 ** (spec.theta_bits - 1):
        most = 2 ** (spec.theta_bits - 2)
        yield f"an amplitude of {spec.amplitude} steps is beyond θ of {spec.theta_bits} bits: use {most} or less"
    if spec.merged and spec.accumulator_bits:
        yield f"merged keeps {spec.shift} bits beside θ: leave accumulator_bits out, got {spec.accumulator_bits}"
    if not spec.merged and spec.shift >= spec.accumulator_bits:
        yield (
            f"a shift of {spec.shift} is beyond an accumulator of {spec.accumulator_bits} bits: use accumulator_bits = "
            f"{spec.needed_bits}, or a shift below {spec.accumulator_bits}"
        )
    if not spec.merged and not spec.may_overflow and spec.accumulator_bits < spec.needed_bits:
        yield (
            f"the largest sum of a window, {spec.tau_theta} · {spec.largest_modulation}, and the remainder need "
            f"accumulator_bits = {spec.needed_bits}, got {spec.accumulator_bits}: widen it, or give may_overflow"
        )
    for name, bits, most in (
        ("theta_bits", spec.theta_bits, EXACT - 1),
        ("cost_bits", spec.cost_bits, EXACT),
        ("modulation_bits", spec.modulation_bits, EXACT),
        ("theta_bits + shift", spec.theta_bits + spec.shift, _WIDEST),
        ("accumulator_bits", spec.accumulator_bits, _WIDEST),
        ("the bits of the sum of C̃ over a hold", spec.sum_bits, _WIDEST),
    ):
        if bits > most:
            yield f"{name} must be at most {most}, got {bits}: narrow the widths, or shorten the window"
    if spec.layers:
        fan_in = max(spec.layers[:-1]) + 1
        bits = spec.theta_bits + 1 + spec.activation_bits + fan_in.bit_length()
        squares = 2 * spec.activation_bits + spec.layers[-1].bit_length()
        if max(bits, squares) > _WIDEST:
            yield f"a neuron's sum must have at most {_WIDEST} bits, got {max(bits, squares)}: narrow the widths"
        if spec.cost_fraction > 2 * spec.activation_bits:
            most = 2 * spec.activation_bits
            yield f"cost_fraction must be at most {most}, as squares have no more bits, got {spec.cost_fraction}"


assert all(gcd(LEAP, 2**bits - 1) == 1 for bits in REGISTERS), "a leap must reach every state of a register"
