"""`mgd train --onchip`: runs that the training circuit's twin makes."""

import dataclasses
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import mgd
from mgd.onchip import Circuit, FixedPointNetwork, Spec

XOR = "layers = [2, 2, 1]\nmerged = true\n"
OUTSIDE = "parameters = 9\nmerged = true\n"
OWN = """
import mgd

def chip():
    return mgd.chips.mlp((2, 2, 1))
"""


@pytest.fixture
def circuit(mgd_cli) -> str:
    Path("xor.toml").write_text(XOR)
    return "xor.toml"


@pytest.fixture
def outside(mgd_cli) -> str:
    Path("outside.toml").write_text(OUTSIDE)
    return "outside.toml"


def theta(run: str = "run") -> np.ndarray:
    return load_file(Path(run, "theta.safetensors"))["theta"]


@pytest.mark.long
def test_a_run_by_the_circuit_is_that_of_its_twin(mgd_cli, circuit):
    said = mgd_cli("train", "parity", "--onchip", circuit, "--steps=300", "--replicas=2", "--out=run")
    assert said.code == 0, said.err
    spec = Spec(layers=(2, 2, 1), merged=True)
    task = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")
    twin = mgd.train(
        *(FixedPointNetwork(spec), task, Circuit(spec)),
        n_steps=300,
        n_replicas=2,
        key=jax.random.key(0),
        progress=False,
    )
    np.testing.assert_array_equal(theta(), twin.theta)
    assert "training circuit, lfsr" in mgd_cli("show", "run").out


@pytest.mark.long
def test_a_run_that_is_continued_ends_as_one_that_never_stopped(mgd_cli, circuit):
    options = ("--onchip", circuit, "--replicas=2")
    assert mgd_cli("train", "parity", *options, "--steps=200", "--out=run").code == 0
    assert mgd_cli("resume", "run", "--steps=500").code == 0
    assert mgd_cli("train", "parity", *options, "--steps=500", "--out=whole").code == 0
    np.testing.assert_array_equal(theta("run"), theta("whole"))
    assert mgd_cli("train", "run/config.toml", "--steps=500", "--out=again").code == 0
    np.testing.assert_array_equal(theta("again"), theta("whole"))


@pytest.mark.long
def test_another_circuit_takes_the_place_of_a_files(mgd_cli, circuit):
    assert mgd_cli("train", "parity", "--onchip", circuit, "--steps=20", "--replicas=1", "--out=run").code == 0
    Path("wide.toml").write_text(XOR + "amplitude = 2\nshift = 4\n")
    said = mgd_cli("train", "run/config.toml", "--onchip", "wide.toml", "--out=wide")
    assert said.code == 0, said.err
    assert "amplitude = 0.125\n" in Path("wide/config.toml").read_text()


@pytest.mark.long
def test_a_circuit_trains_chips_beside_it_with_their_imperfections(mgd_cli, outside):
    imperfect = "--imperfect=cost-noise=0.05,activation-variation=0.1"
    options = ("--onchip", outside, "--steps=500", "--replicas=2")
    assert mgd_cli("train", "parity", *options, imperfect, "--out=run").code == 0
    assert mgd_cli("train", "parity", *options, "--out=perfect").code == 0
    steps = theta() * 16
    np.testing.assert_array_equal(steps, np.round(steps))
    assert (theta() != theta("perfect")).any()


@pytest.mark.long
def test_a_circuit_trains_a_chip_of_the_users_own(mgd_cli, outside):
    Path("my_lab.py").write_text(OWN)
    Path("chip.toml").write_text('[chip]\nbuild = "my_lab:chip"\n')
    said = mgd_cli(
        *("train", "parity", "--onchip", outside, "--chip", "chip.toml", "--steps=100", "--replicas=1", "--out=run")
    )
    assert said.code == 0, said.err
    steps = theta() * 16
    np.testing.assert_array_equal(steps, np.round(steps))
    assert len(np.unique(theta())) > 1


@pytest.mark.parametrize(
    ("spec", "task", "options", "message"),
    [
        (
            XOR,
            "parity",
            ("--learning-rate=0.1",),
            "learning_rate is of the training circuit, which has 0.5: change onchip, or leave learning_rate "
            "out, got 0.1",
        ),
        (
            XOR,
            "parity",
            ("--imperfect=cost-noise=0.1",),
            "a training circuit with layers trains its own network, for which there is no imperfect: leave it out, or "
            "give the circuit parameters = 9 in place of layers",
        ),
        (
            XOR,
            "nist7x7",
            (),
            "the task has 49 inputs and 4 outputs, and the circuit layers = [2, 2, 1]: give layers = [49, 2, 4]",
        ),
        (
            "layers = [4, 4, 3]",
            "iris.csv",
            ("--scaling=standard",),
            "activations on the chip are from 0 to 1, and the inputs of iris from -1.34164 to 1.34164: scale them "
            "(a table of yours with scaling = 'min-max'), or leave layers out and train a network outside",
        ),
        (
            OUTSIDE,
            "parity",
            ("--imperfect=update-noise=0.1",),
            "parameters are in registers of the training circuit, which hold what is written: leave the imperfection "
            "UpdateNoise of writes out",
        ),
        ("parameters = 10", "parity", (), "the circuit trains 10 parameters, and the chip has 9"),
        ("shfit = 3", "parity", (), "spec.toml: unknown setting 'shfit': did you mean 'shift'?"),
        (None, "parity", (), "cannot read spec.toml: No such file or directory"),
    ],
)
def test_what_a_circuit_cannot_do_is_one_line(mgd_cli, spec, task, options, message):
    if spec is not None:
        Path("spec.toml").write_text(spec)
    rows = "".join(f"{a},{1 - a},{a},{1 - a},{kind}\n" for a in (0, 1) for kind in "abc" for _ in range(3))
    Path("iris.csv").write_text("a,b,c,d,kind\n" + rows)
    said = mgd_cli("train", task, "--onchip", "spec.toml", *options, "--out=run")
    assert (said.code, said.err.splitlines()[-1]) == (2, f"mgd: {message}")
    assert not Path("run").exists()


@pytest.mark.skipif(shutil.which("verilator") is None, reason="needs Verilator: apt-get install verilator")
@pytest.mark.long
def test_a_chip_file_trains_the_rtl_of_the_network(mgd_cli, circuit):
    Path("chip.toml").write_text(f'[instrument]\nkind = "rtl"\nspec = "{circuit}"\ncache = "compiled"\nstart = 1.0\n')
    options = ("--amplitude=0.25", "--learning-rate=0.5", "--steps=200")
    said = mgd_cli("train", "parity", "--chip", "chip.toml", *options, "--out=run")
    assert said.code == 0, said.err
    assert len(np.unique(theta())) == 9


def test_without_verilator_one_line_says_how_to_install_it(mgd_cli, circuit, monkeypatch):
    Path("chip.toml").write_text(f'[instrument]\nkind = "rtl"\nspec = "{circuit}"\ncache = "compiled"\n')
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    said = mgd_cli("train", "parity", "--chip", "chip.toml", "--steps=20", "--out=run")
    message = "the RTL needs verilator to be simulated, which is not installed: sudo apt-get install verilator g++"
    assert (said.code, said.err) == (4, f"mgd: {message}\n")


@pytest.mark.skipif(shutil.which("yosys") is None, reason="needs Yosys: apt-get install yosys")
@pytest.mark.long
def test_the_report_has_cells_by_module_and_what_backpropagation_needs(mgd_cli, circuit):
    lines = mgd_cli("onchip", "report", circuit, "--technology", "generic").out.splitlines()
    assert lines[0].startswith("core for 9 parameters in generic gates (Yosys ")
    assert [line.split()[:2] for line in lines if "mgd_synapse" in line] == [["mgd_synapse", "9"]]
    assert [line.split()[-1] for line in lines if line.startswith(("  this circuit", "  backpropagation"))] == [
        "12",
        "20",
    ]


def test_a_circuit_is_generated_once_and_a_folder_of_others_is_not_checked(mgd_cli, circuit):
    said = mgd_cli("onchip", "generate", circuit, "--out", "made")
    assert said.code == 0
    assert said.out.endswith("to check them: mgd onchip check made\n")
    again = mgd_cli("onchip", "generate", circuit, "--out", "made")
    assert (again.code, again.err) == (2, "mgd: made is not empty: give a new folder\n")
    other = mgd_cli("onchip", "check", ".")
    assert other.code == 2
    assert other.err == "mgd: . has no spec.toml: give a folder that mgd onchip generate has made\n"


def test_a_folder_that_cannot_be_written_is_one_line(mgd_cli, circuit):
    Path("file").write_text("")
    Path("analog.toml").write_text("parameters = 2\n")
    for command, spec in (("generate", circuit), ("analog", "analog.toml")):
        said = mgd_cli("onchip", command, spec, "--out", "file/made")
        line = "mgd: cannot write to file/made: Not a directory: give another folder, or make room\n"
        assert (said.code, said.err) == (2, line)


def test_the_analog_circuit_is_written_once_and_says_how_it_runs(mgd_cli):
    Path("spec.toml").write_text("layers = [2, 2, 1]\n")
    said = mgd_cli("onchip", "analog", "spec.toml", "--out", "made")
    assert (said.code, said.out) == (0, "made: 10 files; to let it learn: cd made && ngspice -b learn.cir\n")
    again = mgd_cli("onchip", "analog", "spec.toml", "--out", "made")
    assert (again.code, again.err) == (2, "mgd: made is not empty: give a new folder\n")
    Path("spec.toml").write_text("layers = [2, 2, 1]\nrate = 1\n")
    wrong = mgd_cli("onchip", "analog", "spec.toml", "--out", "other")
    assert wrong.code == 2
    assert wrong.err == "mgd: spec.toml: unknown setting 'rate': did you mean 'learning_rate'?\n"


@pytest.mark.long
def test_a_served_chip_is_trained_to_the_same_bits(serve_process, mgd_cli):
    network = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
    served = serve_process(network, "--seed=0")
    Path("chip.toml").write_text(
        f"{network}[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\nstart = 'network'\n"
    )
    Path("circuit.toml").write_text("parameters = 9\nmerged = true\n")
    settings = ("train", "parity", "--onchip", "circuit.toml", "--chip", "chip.toml", "--seed=0")
    for run, more in (("part", ()), ("simulated", ("--simulate", "--replicas=1"))):
        said = mgd_cli(*settings, *more, "--steps=150" if run == "part" else "--steps=300", "--out", run)
        assert said.code == 0, said.err
    # It goes on from its registers.
    assert mgd_cli("resume", "part", "--steps=300").code == 0
    real, simulated = (load_file(Path(run, "theta.safetensors"))["theta"] for run in ("part", "simulated"))
    assert real.tobytes() == simulated.tobytes()


CHIP = """
import mgd

def build():
    limits = mgd.instruments.Limits.uniform(9, float({low}), float({high}))
    verbs = {{"set_parameters": lambda theta: None, "present": lambda x, y: None, "measure_cost": lambda: 0.5}}
    return mgd.instruments.from_callables(limits=limits, **verbs)
"""


@pytest.mark.parametrize(
    ("spec", "chips", "limits", "more", "message"),
    [
        (
            "layers = [2, 2, 1]\n",
            1,
            (-9, 9),
            "",
            "a training circuit with layers trains its own network, for which there is no instrument: leave it out, or "
            "give the circuit parameters = 9 in place of layers",
        ),
        (
            "parameters = 9\n",
            1,
            (-2, 3),
            "",
            "θ ± Δ of the training circuit reaches from -8.25 to 8.1875, beyond the limits of parameter 0 of the chip, "
            "-2 … 3: give theta_fraction = 7",
        ),
        (
            "parameters = 9\n",
            1,
            (0, 3),
            "",
            "θ ± Δ of the training circuit reaches from -8.25 to 8.1875, beyond the limits of parameter 0 of the chip, "
            "0 … 3: widen them",
        ),
        (
            "parameters = 9\n",
            1,
            (-9, 9),
            'at_limit = "saturate"\n',
            "parameters are in registers of the training circuit, which stop at their own limits: leave at_limit out",
        ),
        ("parameters = 8\n", 1, (-9, 9), "", "the circuit trains 8 parameters, and the chip has 9"),
        (
            "parameters = 9\n",
            2,
            (-9, 9),
            "",
            "chips that share their parameters share their G, and a training circuit has its own: let each train its "
            'own, with fleet = "own"',
        ),
    ],
)
def test_a_real_chip_that_a_circuit_cannot_train_is_one_line(mgd_cli, monkeypatch, spec, chips, limits, more, message):
    monkeypatch.delitem(sys.modules, "my_lab", raising=False)
    Path("circuit.toml").write_text(spec)
    Path("my_lab.py").write_text(CHIP.format(low=limits[0], high=limits[1]))
    options = []
    for chip in range(chips):
        Path(f"chip{chip}.toml").write_text(
            f'[instrument]\nkind = "callables"\nbuild = "my_lab:build"\nstart = 1.0\n{more}'
        )
        options += ["--chip", f"chip{chip}.toml"]
    said = mgd_cli("train", "parity", "--onchip", "circuit.toml", *options, "--steps=20", "--out=run")
    assert (said.code, said.err.splitlines()[-1]) == (2, f"mgd: {message}")
