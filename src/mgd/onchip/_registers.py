"""The registers of a host's bus, `mgd_axil.sv`, for a circuit: as a page, a header of C and a module of Python."""

from typing import NamedTuple

from ._spec import Spec


class Register(NamedTuple):
    """A word of 32 bits.

    Attributes:
        name: its name.
        bits: how many of them are used.
        access: whether it is read (r), written (w) or both.
        about: what it is.
        fields: its single bits, by name.
    """

    name: str
    bits: int
    access: str
    about: str
    fields: tuple[tuple[str, int], ...] = ()


def registers(spec: Spec) -> list[Register]:
    """Every register, in the order of their addresses, four bytes apart."""
    control = (("run", 0), ("learn", 1), ("freeze", 2), ("restart", 3))
    status = (("theta_limited", 0), ("modulation_clamped", 1), ("sum_overflowed", 2), ("idle", 3), ("first", 4))
    tau = "timesteps, less one, for which {} is held"
    return [
        Register("control", 4, "rw", "run, learn, freeze; restart begins anew from the seed, and reads as 0", control),
        Register("status", 5, "rw", "bits 0 to 2 stay until 1 is written to them; 3 and 4 are only read", status),
        Register("step", 32, "r", "timesteps since the restart"),
        Register(
            "theta", spec.theta_bits, "rw", f"a parameter, signed, in 1/{2**spec.theta_fraction}; then the next one's"
        ),
        Register("seed", spec.signs.state_bits, "rw", "state of the signs, taken at a restart"),
        Register("tau_p", spec.counter_bits, "rw", tau.format("a perturbation")),
        Register("tau_x", spec.counter_bits, "rw", tau.format("a sample")),
        Register("tau_theta", spec.counter_bits, "rw", "timesteps, less one, between two updates"),
    ]


def markdown(spec: Spec) -> str:
    """The map as a page."""
    rows = []
    for number, one in enumerate(registers(spec)):
        fields = "; ".join(f"bit {bit} {name}" for name, bit in one.fields)
        about = one.about + (f" ({fields})" if fields else "")
        rows.append(f"| 0x{4 * number:02x} | `{one.name}` | {one.bits} | {one.access} | {about} |\n")
    return (
        f"# Registers of mgd_top\n\n{spec.parameters} parameters. A word is read and written as a whole; theta, "
        "seed and tau only while the circuit is idle.\n\n"
        "| address | register | bits | access | meaning |\n|---|---|---|---|---|\n" + "".join(rows)
    )


def header(spec: Spec) -> str:
    """The map as a header of C."""
    lines = [f"#define {name} {value}" for name, value in _named(spec)]
    return "// Registers of mgd_top, as offsets in bytes; bits of registers as masks.\n#pragma once\n\n" + _text(lines)


def module(spec: Spec) -> str:
    """The map as a module of Python."""
    lines = [f"{name} = {value}" for name, value in _named(spec)]
    return '"""Registers of mgd_top, as offsets in bytes; bits of registers as masks."""\n\n' + _text(lines)


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _named(spec: Spec) -> list[tuple[str, str]]:
    named = []
    for number, one in enumerate(registers(spec)):
        named.append((f"MGD_{one.name.upper()}", f"0x{4 * number:02x}"))
        named += [(f"MGD_{one.name.upper()}_{name.upper()}", f"0x{1 << bit:02x}") for name, bit in one.fields]
    named += [("MGD_PARAMETERS", str(spec.parameters)), ("MGD_THETA_BITS", str(spec.theta_bits))]
    return [*named, ("MGD_THETA_FRACTION", str(spec.theta_fraction))]
