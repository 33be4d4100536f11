"""Where the time of the fused engine goes, by kind of machine instruction: needs Linux, perf and objdump, x86.

`python benchmarks/instructions.py 49-4-4` samples five seconds of training and prints the shares; a variant of
`fused.py` may follow, as "cost noise, variation, momentum". A sample falls on the instruction after the one that was
waited for, so a share is that of a kind and its neighbours.
"""

import argparse
import os
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import jax

import mgd
from fused import VARIANTS, task_of
from mgd.engines import Data, Fused

SECONDS, REPLICAS = 5, 512
# What the instructions of a kind do here; the first that fits.
KINDS = {
    "picking samples": r"kxnor|vgather|vperm|vshuf|vunpck|vinsert|vextract|vpextr|vmovd",
    "division": r"vdiv",
    "hashing": r"vpmull|vpsrl|vpxor|vgf2p8|vpshufb",
    "sums, signs and updates": r"vfmadd231|vternlog|vpternlog|vpsll|vpadd|vaddps|vmulps|vsubps|vxor",
    "elementary functions": r"vfmadd|vfnmadd|vfmsub|vcvt|vrnd|vpsub|vpcmp|vcmp|vmin|vmax|vblend",
    "loads and stores": r"vmov|vpbroadcast|vbroadcast",
    "scalar control": r"(?!v)",
}


def sampled(sizes: tuple[int, ...], variant: str) -> Counter[int]:
    """How often each address was met in some seconds of training on one thread."""
    around, optimizer, _ = VARIANTS[variant]
    chip = mgd.chips.imperfect(mgd.chips.mlp(sizes, cost="mse", init="uniform"), *around)
    engine = Fused(chip, mgd.discrete(optimizer=optimizer), threads=1)
    data = Data.of(task_of(sizes).train)
    replicas = REPLICAS if sizes[0] < 100 else 64
    progress = engine.advance(data, engine.init(replicas, key=jax.random.key(0)), 1)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "perf.data")
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-p", str(os.getpid()), "-o", file]
        recorder = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        started = time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            progress = engine.advance(data, progress, 2_000_000 // engine.chip.n_params)
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
        printed = subprocess.run(["perf", "script", "-i", file, "-F", "ip"], capture_output=True, text=True).stdout
    return Counter(int(line, 16) for line in printed.split())


def disassembled(low: int, high: int) -> dict[int, str]:
    """The name of the instruction at each address of this process's memory."""
    with tempfile.NamedTemporaryFile() as file, Path("/proc/self/mem").open("rb") as memory:
        memory.seek(low)
        file.write(memory.read(high - low))
        file.flush()
        command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", f"--adjust-vma={low}", file.name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\t[^\t\n]*\t(\S+)", printed, re.MULTILINE)
    return {int(address, 16): name for address, name in found}


def main() -> None:
    """Prints the shares of the region that was met most, which is the kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", help="inputs and neurons of each layer, as 49-4-4")
    parser.add_argument("variant", nargs="?", default="plain", choices=VARIANTS)
    given = parser.parse_args()
    sizes, variant = tuple(map(int, given.network.split("-"))), given.variant
    met, regions = sampled(sizes, variant), Counter()
    maps = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()]
    bounds = [(int(low, 16), int(high, 16)) for low, high in maps]
    for address, times in met.items():
        regions.update({each: times for each in bounds if each[0] <= address < each[1]})
    (low, high), inside = regions.most_common(1)[0]
    names, kinds = disassembled(low, high), Counter()
    for address, times in met.items():
        if low <= address < high:
            name = names.get(address, "?")
            kinds[next((kind for kind, of in KINDS.items() if re.match(of, name)), "other")] += times
    print(f"{given.network}, {variant}: {inside / met.total():.0%} of {met.total():,} samples in the kernel; of these")
    for kind, times in kinds.most_common():
        print(f"  {kind:26}{times / inside:6.1%}")


if __name__ == "__main__":
    main()
