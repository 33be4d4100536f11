"""NIST7x7 on the chip: the circuit against the algorithm in float32, and what it may cost in bits.

`nist7x7` and `widths` of `python benchmarks/onchip.py` are here. Chips are those of `mgd.train` with key 0, trained by
`circuit_lanes`; before anything is printed, the first timesteps of some are compared with the twin's, to the bit. All
τ are 1, samples are shuffled, and chips of the same number have the same start, signs and samples in every row.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import mgd
from circuit_lanes import LANES, ROUNDINGS, Variant, trained
from mgd.onchip import Circuit, FixedPointNetwork, Spec

OF_LETTERS = Spec(layers=(49, 4, 4), merged=True, modulation_bits=6, cost_fraction=6)
KEY = jax.random.key(0)
# At each rate, how many chips are looked at when.
RATES = {7: (400_000,), 8: (400_000, 1_000_000), 9: (400_000, 1_000_000, 2_000_000)}
CHIPS = 128
# Of the study of widths. Its η is that of a shift of 8.
CHIPS_OF_WIDTHS, STEPS_OF_WIDTHS, SHIFT = 96, 400_000, 8
NARROW = (400_000, 1_000_000)
# Timesteps that are compared with the twin.
_COMPARED = 1000
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "onchip-widths.png"


def nist7x7() -> None:
    """The table of accuracies of the circuit and of the algorithm in float32, at three learning rates."""
    task = mgd.datasets.nist7x7()
    print(
        f"| η, timesteps ({CHIPS} chips) | circuit | float32 | circuit − float32 | circuit − its network in float32 |"
    )
    print("|---|---|---|---|---|")
    independent = []
    for shift, marks in RATES.items():
        spec = replace(OF_LETTERS, shift=shift)
        check(Variant(spec))
        exact = Variant.in_float(spec, "exact")
        variants = [Variant(spec), exact, Variant.in_float(spec), replace(exact, independent=True)]
        for step, _, (circuit, whole, same, random) in trained(
            variants, task, n_chips=CHIPS, n_steps=max(marks), key=KEY, marks=marks
        ):
            shares = f"{100 * circuit.mean():.1f} % | {100 * whole.mean():.1f} %"
            row = f"2^{int(np.log2(spec.learning_rate))}, {step:,}"
            print(f"| {row} | {shares} | {points(circuit - whole)} | {points(circuit - same)} |", flush=True)
            independent.append((row, f"{100 * random.mean():.1f} %", points(circuit - random), points(whole - random)))
    print("\n| η, timesteps | float32, independent signs | circuit − this | float32, the register's signs − this |")
    print("|---|---|---|---|")
    for row in independent:
        print("| " + " | ".join(row) + " |")


def widths() -> None:
    """The table of accuracies by bits and by how θ is rounded, and its figure."""
    task, rows = mgd.datasets.nist7x7(), dict(_varied())
    check(rows[("", "")])
    peer = Variant.in_float(replace(OF_LETTERS, shift=SHIFT), "exact")
    run = {"n_chips": CHIPS_OF_WIDTHS, "n_steps": STEPS_OF_WIDTHS, "key": KEY, "marks": (STEPS_OF_WIDTHS,)}
    ((_, _, found),) = trained([peer, *rows.values()], task, **run)
    accuracy = dict(zip(rows, found[1:], strict=True))
    print(f"float32: {100 * found[0].mean():.1f} %\n")
    print("| changed | value | accuracy | − float32 | − recommended |\n|---|---|---|---|---|")
    for (what, value), shares in accuracy.items():
        against = [points(shares - other) for other in (found[0], accuracy["", ""])]
        print(f"| {what or 'nothing'} | {value} | {100 * shares.mean():.1f} % | {' | '.join(against)} |")
    draw({name: shares - found[0] for name, shares in accuracy.items()}, FIGURE)
    narrow()


def narrow() -> None:
    """The table of circuits that are narrow in everything, which are trained for longer too."""
    widths = {"activation_bits": 5, "theta_fraction": 2, "amplitude": 1}
    several = {"recommended": _circuit()}
    for theta, fraction in ((6, 4), (6, 3), (6, 2), (5, 3)):
        of = {"theta_bits": theta, "cost_bits": fraction + 2, "cost_fraction": fraction, "modulation_bits": fraction}
        name = f"θ {theta} bits (±{2 ** (theta - 3)}), C̃ {fraction}, cost {fraction + 2}, activations 5"
        several[name] = _circuit(**widths, **of)
    check(several[name])
    variants = [Variant.in_float(replace(OF_LETTERS, shift=SHIFT), "exact"), *several.values()]
    rows = {name: [name] for name in several}
    for _, _, (peer, *others) in trained(
        variants, mgd.datasets.nist7x7(), n_chips=CHIPS_OF_WIDTHS, n_steps=NARROW[-1], key=KEY, marks=NARROW
    ):
        for name, shares in zip(several, others, strict=True):
            rows[name] += [f"{100 * shares.mean():.1f} %", points(shares - peer)]
    print(
        "\n| widths | "
        + " | ".join(f"{steps:,} timesteps | − float32" for steps in NARROW)
        + " |\n|---|---|---|---|---|"
    )
    for row in rows.values():
        print("| " + " | ".join(row) + " |")


def _varied() -> Iterator[tuple[tuple[str, str], Variant]]:
    """What is changed of the recommended circuit, with the shift by which η stays."""
    yield ("", ""), _circuit()
    for rounding in ROUNDINGS[:3]:
        for bits in (6, 7, 8, 10, 12):
            if (rounding, bits) != ("remainder", 8) and (rounding == "remainder" or bits != 7):
                of = _circuit(theta_bits=bits, theta_fraction=bits - 4, amplitude=2 ** (bits - 6))
                yield (f"θ, bits of ±8, {rounding}", str(bits)), replace(of, rounding=rounding)
    for bits in (6, 7, 9):
        yield ("θ, limit", f"±{2 ** (bits - 5)}"), _circuit(theta_bits=bits)
    for fraction in (1, 2, 3, 4, 5, 8):
        of = _circuit(cost_bits=fraction + 2, cost_fraction=fraction, modulation_bits=max(2, fraction))
        yield ("cost, bits behind the point", str(fraction)), of
    for bits in (3, 4, 5, 8):
        yield ("C̃, bits", str(bits)), _circuit(modulation_bits=bits)
    for bits in (5, 7, 8):
        yield ("activations, bits", str(bits)), _circuit(activation_bits=bits)
    for amplitude in (1, 2, 8):
        yield ("Δ", f"1/{16 // amplitude}"), _circuit(amplitude=amplitude)
    yield ("two-sided", ""), _circuit(two_sided=True)


def _circuit(**changed: int) -> Variant:
    """A circuit with other widths, whose shift makes its η that of the recommended one."""
    wanted = replace(OF_LETTERS, shift=SHIFT).learning_rate
    of_one = replace(OF_LETTERS, **changed, shift=1).learning_rate
    return Variant(replace(OF_LETTERS, **changed, shift=1 + int(np.log2(of_one / wanted))))


def check(variant: Variant) -> None:
    """Ends the program if the lanes are not what the twin is, to the bit."""
    task, spec = mgd.datasets.nist7x7(), variant.spec
    ((_, (words,), (accuracy,)),) = trained(
        [variant], task, n_chips=LANES, n_steps=_COMPARED, key=KEY, marks=(_COMPARED,)
    )
    run = {"n_steps": _COMPARED, "n_replicas": LANES, "key": KEY, "progress": False, "engine": "measured"}
    twin = mgd.train(FixedPointNetwork(spec), task, Circuit(spec), **run)
    steps = np.asarray(twin.theta) * 2.0**spec.theta_fraction
    if not np.array_equal(steps, np.floor(words)) or not np.allclose(accuracy, twin.accuracy):
        sys.exit("the lanes do not compute what the twin does: their figures would not be the circuit's")


def points(differences: Float[np.ndarray, " chips"]) -> str:
    """The mean in points, with the interval of 95 % of a normal mean."""
    half = 1.96 * differences.std(ddof=1) / len(differences) ** 0.5
    return f"{100 * differences.mean():+.1f} ± {100 * half:.1f}"


def draw(differences: Mapping[tuple[str, str], Float[np.ndarray, " chips"]], path: Path) -> None:
    """Differences from float32 against bits: of θ by its rounding, and of the rest."""
    from matplotlib import pyplot as plt

    recommended = ("", "")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for rounding, label in zip(ROUNDINGS, ("remainder kept (the circuit)", "stochastic", "nearest"), strict=False):
        of = {value: shares for (what, value), shares in differences.items() if what == f"θ, bits of ±8, {rounding}"}
        _line(left, of | ({"8": differences[recommended]} if rounding == "remainder" else {}), label)
    labels = {"cost, bits behind the point": "cost, and with it C̃", "C̃, bits": "C̃", "activations, bits": "activations"}
    for what, label in labels.items():
        of = {number: shares for (name, number), shares in differences.items() if name == what}
        _line(right, of | {"6": differences[recommended]}, label)
    left.set(xlabel="bits of θ, for ±8", ylabel="accuracy − float32 (points)")
    right.set(xlabel="bits (of the cost: behind the point)")
    for axes, place in ((left, "center left"), (right, "lower right")):
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set_yscale("symlog", linthresh=5)
        axes.set_ylim(-80, 4)
        axes.set_yticks([-50, -20, -10, -5, -2, 0, 2], ["−50", "−20", "−10", "−5", "−2", "0", "2"])
        axes.minorticks_off()
        axes.legend(frameon=False, loc=place)
    figure.savefig(path, dpi=130)


def _line(axes: Any, by_bits: Mapping[str, Float[np.ndarray, " chips"]], label: str) -> None:
    """The mean differences with their intervals, by bits."""
    bits = sorted(by_bits, key=int)
    means = [100 * by_bits[one].mean() for one in bits]
    halves = [196 * by_bits[one].std(ddof=1) / len(by_bits[one]) ** 0.5 for one in bits]
    axes.errorbar([int(one) for one in bits], means, halves, fmt="o-", markersize=4, capsize=2, label=label)
