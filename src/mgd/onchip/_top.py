"""The top module of a circuit: the parameters of the RTL as literals, from the same description as the twin."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ._code import LEAP
from ._spec import Spec

# What no generated top module with a bus has.
_LEFT_OUT = ("mgd_trainer", "mgd_samples", "mgd_pins")


def rtl() -> Path:
    """The folder of the modules."""
    return Path(str(files("mgd.onchip"))) / "rtl"


def template(name: str) -> str:
    """A file that is the same for every circuit."""
    return (rtl().parent / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def modules() -> list[Path]:
    """The modules of the RTL that a top module may use."""
    return [path for path in sorted(rtl().glob("*.sv")) if path.stem not in _LEFT_OUT]


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

    settings = f" #(\n{listed(parameters)}\n  )" if parameters else ""
    return f"  {module}{settings} {name} (\n{listed(ports)}\n  );\n"


def weights(spec: Spec) -> str:
    """What the network is driven with: `weights`, from `drive`, `perturb` and `sign` of the core."""
    if not spec.array_perturbs:
        return "\n  assign weights = drive;\n"
    theta, wide, parts = spec.theta_bits, spec.theta_bits + 1, []
    settings = {"WTheta": str(theta), "AmplitudeBits": str(spec.amplitude.bit_length() - 1)}
    for lane in range(spec.lanes):
        ports = {"theta_i": f"drive[{wide * lane} +: {theta}]", "perturb_i": f"perturb[{lane}]"}
        ports |= {"sign_i": f"sign[{lane}]", "drive_o": f"weights[{wide * lane} +: {wide}]"}
        parts.append(instance("mgd_drive", settings, ports, f"u_drive_{lane}"))
    return "\n" + "\n".join(parts)


def not_used(spec: Spec) -> list[str]:
    """Nets of the core that a network beside it does not use."""
    if not spec.array_perturbs:
        return ["perturb", "sign"]
    # The network here adds ±Δ, so the bit that it adds to θ is not used.
    wide = spec.theta_bits + 1
    return [f"drive[{wide * lane + spec.theta_bits}]" for lane in range(spec.lanes)]


def network(spec: Spec, others: Mapping[str, str]) -> str:
    """The network, which is driven with `weights`; other nets of its ports than those of `mgd_top`."""
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni", "x_i": "x_i", "target_i": "target_i", "drive_i": "weights"}
    ports |= {"req_i": "req", "ack_o": "valid_o", "cost_o": "cost_o", "y_o": "y_o", **others}
    if spec.depth == 1:
        return "\n  assign row = '0;\n\n" + instance("mgd_mlp", network_parameters(spec), ports, "u_network")
    return "\n" + instance("mgd_mlp_serial", network_parameters(spec), ports | {"row_o": "row"}, "u_network")


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
