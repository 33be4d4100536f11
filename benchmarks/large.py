"""Peak memory of one very large chip, against the bytes of its parameters: `python benchmarks/large.py [HIDDEN]`.

Each run is a process of its own. What Python, JAX and the data take is that of a tiny run, and is taken off.
"""

import json
import resource
import subprocess
import sys

# The first with a hundred million parameters, the others with thirty.
HUNDRED_MILLION, THIRTY_MILLION = 9617, 5000
RUNS = {
    "plain, tau_theta = 1": {},
    "tau_theta = 4": {"tau_theta": 4},
    "momentum": {"optimizer": "momentum"},
}


def use_memory(hidden: int, optimizer: str = "sgd", tau_theta: int = 1, batch: int = 1, steps: int = 8) -> None:
    """Trains 784-HIDDEN-HIDDEN-10, and prints the peak."""
    import jax
    import numpy as np
    import optax

    import mgd

    rng = np.random.default_rng(0)
    targets = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 64)]
    task = mgd.datasets.from_arrays(rng.random((64, 784), np.float32), targets)
    update = {"sgd": optax.sgd(1e-9), "momentum": optax.sgd(1e-9, momentum=0.9), "adam": optax.adam(1e-9)}[optimizer]
    algorithm = mgd.discrete(optimizer=update, time_constants=mgd.TimeConstants(tau_theta=tau_theta))
    chip = mgd.chips.mlp((784, hidden, hidden, 10), cost="mse", init="glorot")
    result = mgd.train(chip, task, algorithm, n_steps=steps, batch=batch, key=jax.random.key(0), log_every=steps)
    assert np.isfinite(result.cost).all(), "a fast wrong answer"
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {"bytes": 1024 * kilobytes, "n_params": chip.n_params, "seconds": result.seconds}
    print(json.dumps(told))


def measured(hidden: int, **settings: object) -> dict:
    """What `use_memory` printed in a process of its own."""
    command = [sys.executable, __file__, json.dumps({"hidden": hidden, **settings})]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ratio(hidden: int, **settings: object) -> tuple[float, dict]:
    """Peak memory over the bytes of the parameters, what any run needs taken off; and what was printed."""
    tiny, large = measured(4, **settings), measured(hidden, **settings)
    return (large["bytes"] - tiny["bytes"]) / (4 * large["n_params"]), large


def main(hidden: int | None) -> None:
    for name, settings in RUNS.items():
        times, told = ratio(hidden or (THIRTY_MILLION if settings else HUNDRED_MILLION), **settings)
        print(
            f"{told['n_params']:,} parameters, {name}: peak {told['bytes'] / 2**20:,.0f} MB, {times:.2f} × the "
            f"parameters' bytes; 8 steps, start and two evaluations in {told['seconds']:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        use_memory(**json.loads(sys.argv[1]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else None)
