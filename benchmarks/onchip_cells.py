"""Draws the cells of a parameter against the number of parameters: python benchmarks/onchip_cells.py

The numbers are those of the table in docs/on-chip.md, which `python benchmarks/onchip.py area` prints.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
SHAPES = {
    "a synapse for each": r"core, merged, a synapse for each of (\d+)",
    "one lane": r"core, merged, one lane for (\d+)",
}


def main() -> None:
    """Reads the table, and draws the figure."""
    from matplotlib import pyplot as plt

    lines = (DOCS / "on-chip.md").read_text().splitlines()
    (tool,) = (line.split("|")[1].strip() for line in lines if re.match(r"\| Yosys .*flip-flops", line))
    figure, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    for (shape, row), color in zip(SHAPES.items(), ("C0", "C1"), strict=True):
        found = [re.match(rf"\| {row} \| ([\d,]+) \| ([\d,]+) \|", line) for line in lines]
        numbers = [[int(number.replace(",", "")) for number in one.groups()] for one in found if one]
        counts = [number[0] for number in numbers]
        for kind, name, style in ((1, "LUT4", "o-"), (2, "flip-flops", "s--")):
            each = [number[kind] / number[0] for number in numbers]
            axes.plot(counts, each, style, color=color, markersize=4, label=f"{shape}, {name}")
    axes.set(xscale="log", yscale="log", xlabel="parameters P", ylabel="cells of a parameter", title=f"iCE40, {tool}")
    axes.legend(frameon=False)
    figure.savefig(DOCS / "figures" / "onchip-area.png", dpi=130)


if __name__ == "__main__":
    main()
