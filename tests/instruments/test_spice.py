"""Circuits in ngspice, against what is worked out by hand and against each other."""

import itertools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from scipy.special import lambertw

from mgd import HardwareError, LimitError
from mgd.instruments import Spice, opened

from .circuits import DIVIDER

pytestmark = pytest.mark.usefixtures("needs_ngspice")

# Voltage at 27 °C, with the constants that ngspice has.
THERMAL = 1.38064852e-23 * 300.15 / 1.6021766208e-19


def measured(chip: Spice, theta, x) -> np.ndarray:
    """The outputs of an open chip, a row for each sample."""
    x = np.asarray(x, np.float32)
    chip.set_parameters(np.asarray(theta, np.float32))
    chip.present(x, np.zeros((len(x), len(chip.settings.outputs)), np.float32))
    return chip.read_outputs()


def test_a_divider_divides(circuit):
    with circuit() as chip:
        for resistance in (10.0, 1e3, 3e3):
            found = measured(chip, [resistance], [[1.0], [-2.0], [0.0]])
            share = resistance / (resistance + 1e3)
            assert found.ravel() == pytest.approx([share, -2 * share, 0.0], rel=1e-6)


def test_a_diode_has_the_voltage_of_lamberts_function(circuit):
    """V = I R + n V_T ln(1 + I / I_s), solved for I by W."""
    saturation, emission = 2.52e-9, 1.752
    text = f"diode\nv1 in 0 0\nr1 in out 1k\nd1 out 0 dm\n.model dm d(is={saturation} n={emission})\n"
    text += ".options gmin=1e-15 reltol=1e-9 abstol=1e-18 vntol=1e-12\n"
    with circuit(text, parameters=["r1"]) as chip:
        for resistance, volts in itertools.product((100.0, 1e3, 1e5), (0.3, 1.0, 5.0)):
            scale = emission * THERMAL
            drop = resistance * saturation
            current = scale / resistance * lambertw(drop / scale * np.exp((volts + drop) / scale)).real - saturation
            found = measured(chip, [resistance], [[volts]])[0, 0]
            assert found == pytest.approx(volts - current * resistance, rel=1e-5)


def test_a_transistor_obeys_the_square_law_in_its_width(circuit):
    text = "square law\nv1 gate 0 0\nvd drain 0 3\nm1 drain gate 0 0 nch w=10u l=1u\n"
    text += ".model nch nmos(level=1 vto=0.7 kp=100u)\n"
    with circuit(text, parameters=["m1[w]"], outputs=["i(vd)"]) as chip:
        for width in (2e-6, 10e-6, 50e-6):
            found = measured(chip, [width], [[1.2], [1.7], [0.2]]).ravel()
            due = [-0.5 * 100e-6 * width / 1e-6 * over**2 for over in (0.5, 1.0, 0.0)]
            assert found == pytest.approx(due, rel=1e-5, abs=1e-10)


def test_outputs_are_voltages_differences_and_currents_scaled(circuit):
    outputs = ["v(out)", "v(in,out)", "v(in) - v(out) - v(in)", "i(v1)", "i(r1)"]
    with circuit(outputs=outputs, output_scale=10.0, output_offset=1.0, input_scale=2.0, input_offset=1.0) as chip:
        found = measured(chip, [3e3], [[1.5]])[0]  # 4 V
        assert found == pytest.approx([31.0, 11.0, -29.0, 1 - 0.01, 1 + 0.01], rel=1e-6)


def crossbar(rows: int, columns: int) -> tuple[str, dict]:
    """Pairs of conductances from each row to the two lines of each column, which a load of 100 ohms each ends."""
    lines = [f"v{i} in{i} 0 0" for i in range(rows)]
    for j in range(columns):
        lines += [f"rlp{j} p{j} 0 100", f"rlm{j} m{j} 0 100"]
        lines += [f"rp{i}_{j} in{i} p{j} 10k\nrm{i}_{j} in{i} m{j} 10k" for i in range(rows)]
    settings = {
        "parameters": [f"rp{i}_{j} - rm{i}_{j}" for i in range(rows) for j in range(columns)],
        "inputs": [f"v{i}" for i in range(rows)],
        "outputs": [f"v(p{j},m{j})" for j in range(columns)],
        "conductance_unit": 1e-3,
        "middle": 0.1,
        "limits": {"low": -0.15, "high": 0.15, "unit": "mS"},
    }
    return "\n".join(["crossbar", *lines, ""]), settings


def test_a_crossbar_of_pairs_multiplies_by_its_matrix(circuit):
    rng = np.random.default_rng(0)
    text, settings = crossbar(5, 3)
    with circuit(text, **settings) as chip:
        for _ in range(3):
            theta, x = rng.uniform(-0.15, 0.15, 15).astype(np.float32), rng.normal(size=(4, 5)).astype(np.float32)
            found = measured(chip, theta, x)
            plus, minus = (0.1 + sign * theta.reshape(5, 3).astype(float) / 2 for sign in (1, -1))
            due = x @ plus / (plus.sum(0) + 10) - x @ minus / (minus.sum(0) + 10)
            assert found == pytest.approx(due, rel=1e-5, abs=1e-8)


EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Spice:
    from mgd.runs import read_chip_file

    chip = read_chip_file(EXAMPLES / name).load_instrument()
    assert isinstance(chip, Spice)
    return chip


def test_a_batch_gives_what_one_by_one_gives():
    rng = np.random.default_rng(1)
    with example("diode-xor.toml") as chip:
        theta = rng.uniform(chip.limits.low, chip.limits.high).astype(np.float32)
        x = rng.uniform(-0.5, 1.5, (300, 2)).astype(np.float32)
        together = measured(chip, theta, x)
        alone = [measured(chip, theta, row[None])[0] for row in x]
    assert together == pytest.approx(np.array(alone), abs=2e-5)
    assert together.std() > 0.01


def test_a_circuit_that_is_altered_is_that_which_is_loaded_so():
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, (5, 2)).astype(np.float32)
    with example("diode-xor.toml") as chip:
        wanted = rng.uniform(chip.limits.low, chip.limits.high).astype(np.float32)
        for _ in range(5):  # some stay, some change, all come back
            other = np.where(rng.random(chip.n_params) < 0.5, wanted, rng.uniform(chip.limits.low, chip.limits.high))
            measured(chip, other, x)
        altered = measured(chip, wanted, x)
    with example("diode-xor.toml") as chip:
        fresh = measured(chip, wanted, x)
        elsewhere = measured(chip, (chip.limits.low + chip.limits.high) / 2, x)
    assert altered == pytest.approx(fresh, abs=2e-5)
    assert np.abs(elsewhere - fresh).max() > 1e-3


def test_only_what_changed_is_sent(circuit, monkeypatch):
    sent: list[bytes] = []
    with circuit(parameters=["r1", "r2"]) as chip:
        spice = chip._open()
        carry_out = spice.commands
        monkeypatch.setattr(spice, "commands", lambda texts: (sent.extend(texts), carry_out(texts))[1])
        for theta in ([1e3, 2e3], [1e3, 2e3], [1e3, 5e3]):
            chip.set_parameters(np.array(theta, np.float32))
        assert sent == [b"alter r1=1000", b"alter r2=2000", b"alter r2=5000"]


RC = "low-pass\nv1 in 0 0\nr1 in out 1k\nc1 out 0 1n\n.options reltol=1e-5\n"


def followed(start: float, levels: list[float], tau: float, stop: float, rise: float) -> list[float]:
    """The voltage of a low-pass at the end of each level, reached by a ramp from the one before."""
    before, voltage, found = start, start, []
    for level in levels:
        lag = tau * (level - before) / rise
        voltage = level - lag + (voltage - before + lag) * np.exp(-rise / tau)
        voltage = level + (voltage - level) * np.exp(-(stop - rise) / tau)
        before = level
        found.append(voltage)
    return found


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_a_low_pass_settles_as_theory_has_it_and_goes_on_from_sample_to_sample(circuit, offset):
    times = {"analysis": "tran", "stop_seconds": 1.5e-6, "step_seconds": 2e-8}
    with circuit(RC, parameters=["r1"], input_offset=offset, **times) as chip:
        for resistance in (1e3, 200.0, 4e3):
            found = measured(chip, [resistance], [[1.0], [-1.0], [0.25]]).ravel()
            levels = [1.0 + offset, -1.0 + offset, 0.25 + offset]
            due = followed(offset, levels, resistance * 1e-9, 1.5e-6, 2e-8)
            assert found == pytest.approx(due, abs=1e-3)
            assert chip.read_outputs().ravel() == pytest.approx(found, abs=1e-9)  # from rest, each time
        assert abs(found[0] - levels[0]) > 0.3  # the last has not settled


def test_a_single_transient_sample_is_read_at_its_end(circuit):
    with circuit(RC, analysis="tran", stop_seconds=1e-6, step_seconds=1e-8, parameters=["r1"]) as chip:
        found = measured(chip, [1e3], [[1.0]])
        assert found.ravel() == pytest.approx(followed(0.0, [1.0], 1e-6, 1e-6, 1e-8), abs=1e-3)


def test_outside_its_limits_nothing_is_sent(circuit):
    limits = {"low": 100.0, "high": 2e3, "unit": "ohm"}
    with opened(circuit(limits=limits)) as chip:
        chip.set_parameters(np.array([1e3]))
        with pytest.raises(LimitError, match=r"parameter 0 would be set to 3000 ohm, outside its limits of 100 … 2000"):
            chip.set_parameters(np.array([3e3]))
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        assert chip.read_outputs()[0, 0] == pytest.approx(0.5)


# A node that is to be 1 where it is at most v(t), and 0 above: below t = 1 there is no such voltage.
TRAP = "trap\nva a 0 0\nvb b 0 0\nra a out 1k\nrb b out 1k\nvt t 0 2\nb1 u 0 v = v(u) > v(t) ? 0 : 1\nr1 u 0 1k\n"
TRAP_SETTINGS = {"parameters": ["vt"], "inputs": ["va", "vb"], "outputs": ["v(out)"], "limits": {"low": 0, "high": 2}}


@pytest.mark.parametrize("retries", [0, 2])
def test_what_does_not_converge_is_tried_again_counted_and_may_be_skipped(circuit, retries):
    with circuit(TRAP, **TRAP_SETTINGS, retries=retries) as chip:
        assert measured(chip, [1.5], [[0.5, 1.0]])[0, 0] == pytest.approx(0.75)
        with pytest.raises(
            HardwareError, match=rf"op did not converge, even after {retries} retries \(.*node"
        ) as raised:
            measured(chip, [0.5], [[0.5, 1.0]])
        assert raised.value.skip
        assert not raised.value.passing
        assert chip.not_converged == retries + 1
        assert measured(chip, [1.5], [[0.5, 2.0]])[0, 0] == pytest.approx(1.25)  # and it goes on


@pytest.fixture
def newton_alone(monkeypatch) -> None:
    """Takes from ngspice, for circuits of a test, all that it has beyond Newton's iterations, and much time."""
    opening = Spice.open

    def opened_so(chip: Spice) -> None:
        opening(chip)
        chip._open().command("optran 0 0 0 0 0 0")

    monkeypatch.setattr(Spice, "open", opened_so)


@pytest.mark.parametrize(("power", "tries"), [(21, 1), (51, 2)])
def test_a_retry_has_more_iterations(circuit, newton_alone, power, tries):
    """At a root of this multiplicity Newton's steps shrink only by 1 - 1/power."""
    slow = f"slow\nv1 in 0 0\nr1 in out 1k\nr2 out 0 1k\nb1 u 0 i = -pow(1-v(u),{power})\n.options reltol=1e-5\n"
    with circuit(slow, outputs=["v(u)", "v(out)"], retries=2) as chip:
        assert measured(chip, [1e3], [[1.0]])[0] == pytest.approx([1.0, 0.5], abs=1e-3)
        assert chip.not_converged == tries
        measured(chip, [1e3], [[1.0]])
        assert chip.not_converged == 2 * tries  # only a retry has them
    why = "Too many iterations without convergence"
    with circuit(slow, outputs=["v(u)"], retries=tries - 1) as chip, pytest.raises(HardwareError, match=why):
        measured(chip, [1e3], [[1.0]])


@pytest.mark.long
def test_a_training_survives_points_that_do_not_converge(circuit, newton_alone, tmp_path):
    from mgd.runs import RunConfig, read_metrics, read_summary, resolve, start

    chip = circuit(TRAP, **TRAP_SETTINGS)
    own = TRAP_SETTINGS | {"limits": {"low": [0.5, 500.0], "high": [1.5, 1500.0]}, "parameters": ["vt", "ra"]}
    instrument = own | {"kind": "spice", "netlist": chip.netlist.path.name, "folder": str(tmp_path), "retries": 1}
    settings = {"steps": 60, "amplitude": 0.05, "learning_rate": 1e-6, "weight_decay": 0.0, "batch": 4}
    config = RunConfig.of({"task": "parity", "instrument": instrument | {"start": 0.0}} | settings)
    folder = start(resolve(config), tmp_path / "run")
    summary, metrics = read_summary(folder) or {}, read_metrics(folder)
    assert summary["steps"] == 60
    assert 15 <= summary["skipped"] <= 45  # of 60 perturbed measurements, where v(t) is below 1
    assert np.isfinite(metrics["cost"].values).any()


def test_a_process_has_one_circuit_at_a_time(circuit):
    first, second = circuit(), circuit()
    with opened(first) as chip:
        with pytest.raises(HardwareError, match="can have only one circuit: close that one first"), opened(second):
            pass
        chip.set_parameters(np.array([3e3]))
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        assert chip.read_outputs()[0, 0] == pytest.approx(0.75)  # as if nothing had been
    with second as chip:
        assert measured(chip, [1e3], [[1.0]])[0, 0] == pytest.approx(0.5)


def test_what_is_not_open_says_so(circuit):
    with pytest.raises(HardwareError, match=r"circuit0.cir, \d+ of process \d+ is not open: open it, or use it in"):
        circuit().read_outputs()


def test_it_is_known_by_its_netlist(circuit):
    first, same, other = circuit(), circuit(), circuit(DIVIDER.replace("r1 in out 1k", "r1 in out 2k"))
    identities = []
    for chip in (first, same, other):
        with chip:
            identities.append(chip.identify())
    assert [identity.maker for identity in identities] == ["ngspice"] * 3
    assert identities[0].serial == identities[1].serial != identities[2].serial
    assert identities[0].version


WRONG = {
    "unknown model": ("d1 out 0 nomodel\n", "'d1 out 0 nomodel': could not find a valid modelname"),
    "twice the same": ("r2 out 0 5k\n", "'r2 out 0 5k': device already exists"),
    "no such card": (".modle dm d\n", "'.modle dm d': unimplemented control card"),
    "undefined": ("r3 out 0 {load}\n", r"Undefined parameter \[load\]"),
    "no such subcircuit": ("x1 out 0 amplifier\n", "unknown subckt: x1 out 0 amplifier"),
    "no number": ("r3 out 0 many\n", "'r3 out 0 many': unknown parameter"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_netlist_is_named_and_leaves_ngspice_as_it_was(circuit, line, message):
    for _ in range(2):
        with pytest.raises(HardwareError, match=rf"circuit\d.cir.*: .*{message}") as raised, circuit(DIVIDER + line):
            pass
        assert "\n" not in str(raised.value)
    with circuit() as chip:
        assert measured(chip, [1e3], [[1.0]])[0, 0] == pytest.approx(0.5)


INNER = "inner\n.subckt half in out\nr1 in out 1k\nr2 out 0 1k\n.ends\nv1 in 0 0\nx1 in out half\n"
INNER += "d1 out 0 dm\n.model dm d\n"


def test_what_is_in_a_subcircuit_is_found_in_it(circuit):
    with circuit(INNER, parameters=["r.x1.r2"], outputs=["v(out)"]) as chip:
        assert measured(chip, [1e3], [[0.1]])[0, 0] == pytest.approx(0.05, rel=1e-4)
        assert measured(chip, [250.0], [[0.1]])[0, 0] == pytest.approx(0.02, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parameters": ["r.x1.r9"]}, "the circuit has no parameter 'r.x1.r9'.*correct parameters"),
        ({"parameters": ["d1[widht]"]}, r"the circuit has no parameter 'd1\[widht\]'.*correct parameters"),
    ],
)
def test_what_only_ngspice_knows_is_checked_at_opening(circuit, settings, message):
    with pytest.raises(HardwareError, match=message), circuit(INNER, **settings):
        pass


@pytest.mark.parametrize("outputs", [["v(x1.middle)"], ["v(out)", "v(x1.middle)"]])
def test_an_output_that_only_ngspice_knows_is_checked_too(circuit, outputs):
    why = r"the circuit has no v\(x1.middle\): correct outputs"
    with circuit(INNER, parameters=["d1[area]"], outputs=outputs) as chip, pytest.raises(HardwareError, match=why):
        measured(chip, [1.0], [[1.0]])


def test_samples_that_do_not_fit_are_refused(circuit):
    with circuit() as chip:
        with pytest.raises(ValueError, match="has 1 inputs, but a sample has 3"):
            chip.present(np.zeros((1, 3), np.float32), np.zeros((1, 1), np.float32))
        with pytest.raises(ValueError, match="has 1 outputs, but a sample has 2"):
            chip.present(np.zeros((1, 1), np.float32), np.zeros((1, 2), np.float32))


def test_an_interrupt_in_the_midst_of_an_analysis_arrives_and_harms_nothing(circuit):
    with circuit() as chip:
        measured(chip, [1e3], [[1.0]])
        spice = chip._open()
        values = itertools.chain([0.0] * 50, (os.kill(os.getpid(), signal.SIGINT) or 0.0 for _ in range(1)))

        class Interrupting(list):
            def __getitem__(self, point):  # pyright: ignore[reportIncompatibleMethodOverride]
                return next(values, 0.0)

        with pytest.raises(KeyboardInterrupt):
            spice.analyse("dc vmgdsweep 0 99 1", {"v1": Interrupting()})
        assert measured(chip, [1e3], [[1.0]])[0, 0] == pytest.approx(0.5)


@pytest.mark.long
def test_memory_does_not_grow_with_measurements(circuit):
    """A plot that is kept is 8 bytes a point and vector; thousands of them would show."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("no /proc: the memory of a process is not told here")
    with circuit() as chip:
        x = np.linspace(0, 1, 1000, dtype=np.float32)[:, None]
        for _ in range(30):
            measured(chip, [1e3], x)
        before = int(status.read_text().split()[1])
        for _ in range(200):
            measured(chip, [1e3], x)
        grown = (int(status.read_text().split()[1]) - before) * os.sysconf("SC_PAGE_SIZE")
    assert grown < 1e6  # kept, they are 3.6 MB


def documented(name: str) -> list[str]:
    """The arguments of the command in the comment at the top of an example."""
    lines = [line[1:].strip() for line in (EXAMPLES / name).read_text().splitlines() if line.startswith("#   ")]
    words = " ".join(lines).replace("\\", " ").split()
    assert words[:2] == ["mgd", "train"]
    return [str(EXAMPLES.parent / word) if word.startswith("examples/") else word for word in words[1:]]


@pytest.mark.parametrize("name", ["diode-xor.toml", pytest.param("cmos-xor.toml", marks=pytest.mark.slow)])
@pytest.mark.long
def test_a_circuit_learns_xor_by_the_command_that_its_file_gives(name, tmp_path, capsys):
    import jax
    from safetensors.numpy import load_file

    import mgd.cli

    with pytest.raises(SystemExit) as left, jax.numpy_dtype_promotion("standard"):
        mgd.cli.main([*documented(name), "--out", str(tmp_path / "run"), "--json"])
    assert not left.value.code, capsys.readouterr().err
    (theta,) = load_file(tmp_path / "run" / "theta.safetensors").values()
    with example(name) as chip:
        patterns = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        found = measured(chip, theta.ravel(), patterns).ravel()
    assert found == pytest.approx([0, 1, 1, 0], abs=0.3)
