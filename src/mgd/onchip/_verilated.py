"""The RTL itself, compiled by Verilator into a library of this process, which runs it in batches of clocks."""

import ctypes
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from .._errors import HardwareError
from ._bench import CONTROL, Layout, bench, samples_of
from ._build import compiled
from ._spec import Spec
from ._top import rtl

_HARNESS = rtl().parent / "harness.cpp"


class Verilated:
    """A circuit with its network and samples, as its RTL.

    Args:
        spec: a circuit with layers.
        x: inputs of the samples, which come in turn.
        target: their targets.
        cache: the folder for compiled circuits; by default one of the user's.

    Raises:
        HardwareError: if Verilator or a compiler is missing, or refuses the circuit.
    """

    def __init__(
        self,
        spec: Spec,
        x: Float[np.ndarray, "n *features"],
        target: Float[np.ndarray, "n outputs"],
        *,
        cache: str | Path | None = None,
    ):
        self.spec, self._layout = spec, Layout(spec)
        self._library = ctypes.CDLL(str(built(spec, x, target, cache) / "circuit.so"))
        self._library.mgd_new.restype = ctypes.c_void_p
        self._library.mgd_until.restype = ctypes.c_uint64
        self._circuit = ctypes.c_void_p(self._library.mgd_new())
        self._control = np.zeros(len(CONTROL), np.uint32)
        self._control[CONTROL.index("learn")] = 1
        self.hold(spec.tau_p, spec.tau_x, spec.tau_theta)

    def hold(self, tau_p: int, tau_x: int, tau_theta: int) -> None:
        """Sets the time constants, between two runs.

        Raises:
            ValueError: if one is not from 1 to the largest that the circuit's counters hold.
        """
        times, most = {"tau_p": tau_p, "tau_x": tau_x, "tau_theta": tau_theta}, 2**self.spec.counter_bits
        for name, value in times.items():
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be from 1 to {most}, to which the circuit counts, got {value}")
        self._set(**{name: value - 1 for name, value in times.items()})

    def close(self) -> None:
        """Lets go of the circuit."""
        self._library.mgd_free(self._circuit)

    def start(self, theta: Int[np.ndarray, " p"], seed: int) -> None:
        """Loads parameters, in steps, and begins anew from this seed of the signs, whatever the circuit is doing."""
        self._set(run=0, restart=1)
        self.clocks(1)
        self._set(restart=0)
        for steps in theta:
            self._set(scan=1, scan_load=1, scan_theta=int(steps))
            self.clocks(1)
        self._set(scan=0, scan_load=0, restart=1, seed=seed)
        self.clocks(1)
        self._set(restart=0)

    def scanned(self) -> Int[np.ndarray, " p"]:
        """The parameters as read out by the circuit itself, which goes on as if they had not been."""
        read = []
        for _ in range(self.spec.parameters):
            if self.spec.depth > 1:  # a memory's word is there one clock later
                self.clocks(1)
            read.append(self.registers()["scan_theta"])
            self._set(scan=1)
            self.clocks(1)
            self._set(scan=0)
        return np.array(read)

    def run(self, step: int, *, most_clocks: int) -> int:
        """Runs until so many timesteps are made, and stops there; the clocks that it took.

        Raises:
            HardwareError: if they are not made in that many clocks.
        """
        self._set(run=1)
        clocks = int(self._library.mgd_until(self._circuit, ctypes.c_uint32(step), ctypes.c_uint64(most_clocks)))
        self._set(run=0)
        if clocks == most_clocks:
            raise HardwareError(f"the circuit did not reach timestep {step} in {most_clocks} clocks")
        return clocks

    def clocks(self, number: int) -> None:
        """So many clocks, with the control as it is."""
        self._library.mgd_clocks(self._circuit, ctypes.c_uint64(number))

    def control(self, **values: int) -> None:
        """Sets inputs of the circuit by name: run, learn, freeze, …"""
        self._set(**values)

    def registers(self) -> Mapping[str, Int[np.ndarray, "..."]]:
        """Every register, by name."""
        words = np.zeros(self._layout.words, np.int32)
        self._library.mgd_registers(self._circuit, words.ctypes.data_as(ctypes.c_void_p))
        return self._layout.named(words)

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            self._control[CONTROL.index(name)] = np.uint32(value & 0xFFFFFFFF)
        self._library.mgd_control(self._circuit, self._control.ctypes.data_as(ctypes.c_void_p))


def built(
    spec: Spec,
    x: Float[np.ndarray, "n *features"],
    target: Float[np.ndarray, "n outputs"],
    cache: str | Path | None = None,
) -> Path:
    """The folder of a compiled circuit; if it is not there, it is compiled.

    Raises:
        HardwareError: as `Verilated`.
    """
    text = bench(spec, len(x), "@FOLDER@/samples.mem")
    return compiled("mgd_bench", text, _HARNESS, files={"samples.mem": samples_of(spec, x, target)}, cache=cache)
