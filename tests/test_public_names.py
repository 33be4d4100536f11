"""The names users may rely on: a name that comes or goes is a decision, and changes this file."""

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import pytest

NAMES = {
    "mgd": (
        *("Algorithm", "Backprop", "DataError", "DivergedError", "HardwareError", "Interrupted", "LimitError"),
        *("MgdError", "MgdWarning", "Result", "RunError", "TimeConstants", "__version__", "algorithm", "analog"),
        *(
            "calibration",
            "chips",
            "datasets",
            "discrete",
            "engines",
            "from_published",
            "instruments",
            "networks",
            "onchip",
            "perturbations",
            "plan",
            "planning",
        ),
        *(
            "load_run",
            "report",
            "reports",
            "reproduction",
            "results",
            "resume",
            "runs",
            "sweep",
            "sweeps",
            "theory",
            "timing",
            "to_published",
        ),
        *("train",),
    ),
    "mgd.algorithm": (
        *(
            "AbstractAlgorithm",
            "AbstractAskTell",
            "AbstractBaseline",
            "AbstractIntegrator",
            "Accumulate",
            "Algorithm",
            "Backprop",
        ),
        *("Clock", "Counts", "Defaults", "HighPass"),
        *("Info", "LowPass", "Ordinary", "Probe", "Published", "Remeasured", "Seeds", "State", "TimeConstants"),
        *("TwoSided", "Write", "analog", "defaults", "discrete", "fitted", "from_published", "retuned", "rows_of"),
        *("to_published", "write_exactly"),
    ),
    "mgd.bench": ("Bench", "Pending", "Slipped", "watchdog"),
    "mgd.calibration": ("Calibration", "Diagnostics", "Quantity", "calibrate"),
    "mgd.chips": (
        *("AbstractChip", "AbstractCost", "CrossEntropy", "FunctionChip", "MeanSquaredError", "NetworkChip", "Reading"),
        *("Traits", "applied_parameters", "cnn", "cost_named", "device_arrays", "device_from_arrays", "from_function"),
        *("from_module", "imperfect", "mlp"),
    ),
    "mgd.chips.imperfections": (
        *("ADC", "NUMBER", "AbstractDrive", "AbstractImperfection", "AbstractMemory", "AbstractReadout"),
        *("ActivationVariation", "CostNoise", "CrossTalk", "DAC", "Delay", "Drift", "FlickerNoise", "Imperfect"),
        *("ParameterRange", "PerturbationGain", "Settling", "SoftBoundsWrite", "StuckCells", "UpdateNoise"),
        *("imperfect", "inputs_of", "inside", "loss_of"),
    ),
    "mgd.cli": ("main",),
    "mgd.datasets": (
        *("Available", "DESCRIPTIONS", "Samples", "Scaling", "Task", "available", "cifar10", "digits"),
        *("fashion_mnist", "fetch", "from_arrays", "from_file", "load", "names", "nist7x7", "parity", "yin_yang"),
    ),
    "mgd.diagnosis": ("Finding",),
    "mgd.engines": (
        *("ENGINES", "AbstractEngine", "Backpropagated", "Data", "Fleet", "Fused", "Instrumented", "Measured"),
        *("Options", "Progress", "Sampled", "Told", "evaluate", "start_within"),
    ),
    "mgd.instruments": (
        *("AbstractInstrument", "Group", "Guarded", "Identity", "Kind", "Limits", "Recorder", "Replay", "Scpi"),
        *("Simulated", "Spice", "TorchModule", "available", "from_callables", "from_epics", "from_ophyd"),
        *("from_qcodes", "from_torch", "in_groups", "kinds", "leave_safely", "load_instrument", "opened"),
    ),
    "mgd.networks": ("ACTIVATIONS", "CNN", "ConvPool", "Dense", "Initialisation", "MLP", "Neurons", "cnn", "mlp"),
    "mgd.onchip": (
        *("AnalogSpec", "Area", "Circuit", "Clock", "FixedPointNetwork", "Spec", "Verilated", "area", "check", "clock"),
        *("generate", "generate_analog", "traffic"),
    ),
    "mgd.perturbations": (
        *("AbstractPerturbation", "Block", "Gaussian", "LFSR", "Rademacher", "Sequential", "SignalTraits"),
        *("Sinusoid", "Walsh"),
    ),
    "mgd.runs": (
        *("RunConfig", "TaskFacts", "calibrate", "read_config", "read_metrics", "read_summary", "replay", "resolve"),
        *("resume", "start"),
    ),
    "mgd.reports": ("report",),
    "mgd.reproduction": ("Row", "STUDIES", "reproduce"),
    "mgd.results": (
        *("Applied", "Assessment", "Described", "Exported", "LoadedRun", "Predictions"),
        *("apply", "describe", "diagnose", "export", "load_run", "plot", "predict"),
    ),
    "mgd.planning": ("Course", "Gain", "Plan", "chip_names", "plan"),
    "mgd.rows": (
        *("FAMILIES", "IMPERFECTIONS", "ImperfectionRow", "OPTIMIZERS", "Real", "Row", "Setting", "TASKS", "Table"),
        *("TaskRow", "Truth", "Whole"),
    ),
    "mgd.sweeps": (
        *("OnProgress", "Row", "Run", "Study", "Work", "execute", "load_sweep", "plot_sweep", "sweep", "yields"),
    ),
    "mgd.theory": (
        *("Choice", "Facts", "angle_after", "best_amplitude", "best_hold", "choose", "growth", "high_pass_noise"),
        *("hold_for", "perturbations_for", "share_seen", "white_gain"),
        *(
            "Landscape",
            "Late",
            "Windows",
            "WriteNoise",
            "error_of_signal",
            "events_of",
            "left_of_code",
            "noise_of_writes",
        ),
        *("late_of", "rate_of", "variance_of", "windows_to"),
    ),
    "mgd.timing": (
        *("EVENTS", "HardwareTime", "Profile", "format_joules", "format_seconds", "hardware_time", "load_profile"),
        *("profile_names", "time_history"),
    ),
}


def _public(package) -> set[str]:
    """What a package says it has; where it has no `__all__`, what it re-exports."""
    if hasattr(package, "__all__"):
        return set(package.__all__)
    lines = Path(package.__file__).read_text(encoding="utf-8").splitlines()
    return {line.rpartition(" as ")[2] for line in lines if line.startswith("from .") and " as " in line}


@pytest.mark.parametrize("package", NAMES)
def test_the_public_names_are_these(package):
    assert _public(importlib.import_module(package)) == set(NAMES[package])


@pytest.mark.parametrize("package", NAMES)
def test_every_public_name_is_there_with_a_docstring(package):
    module = importlib.import_module(package)
    assert module.__doc__
    for name in NAMES[package]:
        value = getattr(module, name)
        if inspect.isclass(value):
            # Of its own; a dataclass that has none is given one by Python: "Name(field: type, …)".
            said = vars(value).get("__doc__")
            assert said, name
            assert not said.startswith(f"{value.__name__}("), name
        elif inspect.isroutine(value) or inspect.ismodule(value):
            assert value.__doc__, name


@pytest.mark.parametrize("package", NAMES)
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


def test_what_editors_complete_is_what_there_is():
    import mgd

    assert set(NAMES["mgd"]) <= set(dir(mgd))
    for package in ("mgd.calibration", "mgd.datasets", "mgd.engines", "mgd.instruments", "mgd.runs"):
        assert set(NAMES[package]) <= set(dir(importlib.import_module(package)))


def _imported_for_types(package) -> set[str]:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname for node in imports for alias in node.names if alias.asname is not None}


def test_type_checkers_see_the_names_that_load_lazily():
    """The imports under TYPE_CHECKING and the tables beside them must not part ways."""
    import mgd

    assert _imported_for_types(mgd) == set(NAMES["mgd"])
    for name in (
        "calibration",
        "datasets",
        "diagnosis",
        "engines",
        "instruments",
        "planning",
        "reproduction",
        "rows",
        "runs",
        "sweeps",
        "timing",
    ):
        package = importlib.import_module(f"mgd.{name}")
        assert set(package._PUBLIC) == set(NAMES[package.__name__])
        assert _imported_for_types(package) == {*package._PUBLIC, *getattr(package, "_INSIDE", ())}, name


LAZY = (
    *("mgd", "mgd.calibration", "mgd.datasets", "mgd.engines", "mgd.instruments", "mgd.runs", "mgd.reproduction"),
    *("mgd.reports", "mgd.sweeps", "mgd.timing", "mgd.rows", "mgd.cli", "mgd.diagnosis", "mgd.planning"),
)


@pytest.mark.parametrize("package", LAZY)
def test_importing_does_not_import_jax(package):
    heavy = {"jax", "equinox", "optax", "xarray", "sklearn", "matplotlib"}
    code = f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    import mgd

    assert mgd.__version__ == version("mgd")


@pytest.mark.parametrize("package", NAMES)
def test_a_path_may_be_text(package):
    """Of every public function and method; what the library makes itself may hold only paths."""
    module = importlib.import_module(package)
    for name in NAMES[package]:
        value = getattr(module, name)
        functions = [value] if inspect.isfunction(value) else []
        if inspect.isclass(value):
            made = {"__init__"} if dataclasses.is_dataclass(value) or issubclass(value, eqx.Module) else set()
            functions = [each for key, each in vars(value).items() if inspect.isfunction(each) and key not in made]
        for function in functions:
            for parameter in inspect.signature(function).parameters.values():
                said = str(parameter.annotation)
                assert "Path" not in said or "str" in said, (name, str(parameter))
