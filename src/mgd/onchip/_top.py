"""The top module of a circuit: the parameters of the RTL as literals, from the same description as the twin."""

from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ._code import LEAP
from ._spec import Spec


def rtl() -> Path:
    """The folder of the modules."""
    return Path(str(files("mgd.onchip"))) / "rtl"


def core_parameters(spec: Spec) -> dict[str, str]:
    """The parameters of `mgd_core`, as literals."""
    code = spec.signs
    groups = code.group_bits or (1,)
    return {
        "Parameters": str(spec.parameters),
        "Lanes": str(spec.lanes),
        "Code": str(code.number),
        "WCode": str(code.state_bits),
        "Leap": str(LEAP),
        "Taps": f"32'h{code.taps:08X}",
        "Groups": str(len(groups)),
        "GroupBits": f"64'h{sum(bits << (4 * place) for place, bits in enumerate(groups)):016X}",
        "TwoSided": str(int(spec.two_sided)),
        "Merged": str(int(spec.merged)),
        "ArrayPerturbs": str(int(spec.array_perturbs)),
        "WTheta": str(spec.theta_bits),
        "AmplitudeBits": str(spec.amplitude.bit_length() - 1),
        "Shift": str(spec.shift),
        "WKept": str(spec.kept_bits),
        "WMod": str(spec.modulation_bits),
        "WSum": str(spec.sum_bits),
        "WCost": str(spec.cost_bits),
        "WTau": str(spec.counter_bits),
        "Delay": str(spec.delay),
    }


def trainer_parameters(spec: Spec, samples: int, file: str) -> dict[str, str]:
    """The parameters of `mgd_trainer`, as literals.

    Args:
        spec: a circuit with layers.
        samples: how many there are.
        file: where they are, as `memory_of` writes them.
    """
    widest = {"Widest": str(max(spec.layers)), "Samples": str(samples), "File": f'"{file}"'}
    return core_parameters(spec) | _network(spec) | widest


def network_parameters(spec: Spec) -> dict[str, str]:
    """The parameters of `mgd_mlp`, or with parameters in memories of `mgd_mlp_serial`, as literals."""
    common = _network(spec) | {"WDrive": str(spec.theta_bits + 1), "WCost": str(spec.cost_bits)}
    if spec.depth == 1:
        return common | {"Parameters": str(spec.parameters)}
    row_bits = (spec.depth - 1).bit_length()
    return common | {"Widest": str(max(spec.layers)), "Lanes": str(spec.lanes), "WRow": str(row_bits)}


def _network(spec: Spec) -> dict[str, str]:
    layers = ", ".join(f"16'd{neurons}" for neurons in reversed(spec.layers))
    return {
        "NLayers": str(len(spec.layers) - 1),
        "Layers": f"{{{layers}}}",
        "ThetaFraction": str(spec.theta_fraction),
        "CostFraction": str(spec.cost_fraction),
        "WAct": str(spec.activation_bits),
    }


def instance(module: str, parameters: dict[str, str], ports: dict[str, str], name: str) -> str:
    """An instance of a module, as text."""

    def listed(pairs: dict[str, str]) -> str:
        return ",\n".join(f"    .{name}({value})" for name, value in pairs.items())

    return f"  {module} #(\n{listed(parameters)}\n  ) {name} (\n{listed(ports)}\n  );\n"


def coded(spec: Spec, values: Float[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """Inputs or targets in the bits of an activation, as `FixedPointNetwork.coded` has them."""
    steps = 2**spec.activation_bits
    return np.clip(np.floor(np.asarray(values) * steps), 0, steps - 1).astype(np.int32)


def memory_of(spec: Spec, x: Int[np.ndarray, "n inputs"], target: Int[np.ndarray, "n outputs"]) -> str:
    """The words of the sample memory, in hexadecimal: inputs from the lowest bits on, and above them the targets.

    Args:
        spec: a circuit with layers.
        x: inputs in the bits of an activation, as `FixedPointNetwork.coded` gives them.
        target: targets, likewise.
    """
    bits = spec.activation_bits
    digits = -(-(x.shape[1] + target.shape[1]) * bits // 4)
    rows = np.concatenate([x, target], axis=1).tolist()
    words = (sum(value << (bits * place) for place, value in enumerate(row)) for row in rows)
    return "".join(f"{word:0{digits}x}\n" for word in words)
