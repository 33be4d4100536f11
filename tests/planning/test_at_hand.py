"""A chip that is asked for the facts of its task: what it is told, what is kept, and what is refused, word for word."""

import json
import re
import sys

import numpy as np
import pytest

import mgd
from mgd import HardwareError
from mgd.planning import Problem, ask_chip, chip_of

CHIP = """
name = "bench"
[chip]
inputs = [2]
outputs = 1
hidden = [3]
init = "uniform"
{more}
[profile.seconds]
inference = 1e-6
perturbation = 0.0
write = 1e-3
load = 0.0
latency = 0.0
"""
IN_PROCESS = """
[instrument]
kind = "callables"
build = "facts_lab:chip"
[instrument.arguments]
"""
# A perceptron of 2-3-1 logistic neurons in NumPy, whose weights do `gain` times as much as they should.
LAB = """
import numpy as np
from mgd.instruments import Identity, Limits, from_callables

DONE = []

def chip(gain=1.0, noise=0.0, n_params=13, cost=1.0, sign=1.0, broken=10**9, limit=10.0, late=0, own_start=False):
    rng, state = np.random.default_rng(3), {"read": 0, "queue": []}

    def logistic(z):
        return 1 / (1 + np.exp(-z))

    def measure_cost(signal):
        state["read"] += 1
        if state["read"] > broken:
            return float("nan")
        theta = gain * (state["theta"] + sign * signal)
        hidden = logistic(state["x"] @ theta[:6].reshape(3, 2).T - theta[6:9])
        outputs = logistic(hidden @ theta[9:12] - theta[12])
        queue = state["queue"]
        queue.append(cost * float(np.mean((outputs[:, None] - state["y"]) ** 2)) + noise * rng.normal())
        return queue[max(0, len(queue) - 1 - late)]

    def measure_batch(signals):
        return np.array([measure_cost(signal) for signal in signals])

    def set_parameters(theta):
        DONE.append(("set", np.array(theta)))
        state.update(theta=np.array(theta, float))

    return from_callables(
        set_parameters=set_parameters,
        perturb=lambda signal: None,
        present=lambda x, y: state.update(x=x, y=y),
        measure_cost=lambda: measure_cost(np.zeros(n_params)),
        measure_batch=measure_batch,
        safe_state=lambda: DONE.append(("safe", None)),
        start=np.full(n_params, 0.1) if own_start else None,
        identify=lambda: Identity("lab", "bench", "D17", "1"),
        limits=Limits.uniform(n_params, -limit, limit),
    )
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Writes the file of a chip in this process, asks it, and gives what was set on it too."""
    (tmp_path / "facts_lab.py").write_text(LAB, encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delitem(sys.modules, "facts_lab", raising=False)

    def ask(n: int = 300, folder=None, imperfect: str = "", stop=lambda: False, seed: int = 0, **arguments):
        text = IN_PROCESS + "".join(f"{name} = {value}\n" for name, value in arguments.items()) + imperfect
        path = tmp_path / "chip.toml"
        path.write_text(CHIP.format(more=text), encoding="utf-8")
        planned = chip_of(path)
        problem = Problem.of({**planned.settings, "task": "parity"}, planned.profile, 0.8)
        found = ask_chip(problem, planned, n, seed=seed, folder=folder, stop=stop)
        return found, problem

    return ask


def done() -> list:
    return sys.modules["facts_lab"].DONE


@pytest.mark.long
def test_the_chip_of_the_model_has_its_facts_and_is_written_once_and_left(lab):
    found, problem = lab()
    facts = found.facts
    for one in (facts.cost, facts.spread, facts.gradient, facts.trace, facts.mixed):
        assert one.chip.value == pytest.approx(one.model, rel=2e-3)  # to the rounding of float32
    assert facts.likeness.value == pytest.approx(1, abs=1e-3)
    assert facts.noise.value < 1e-6
    assert facts.measurements <= 300
    assert found.noisy(problem) is problem
    # Opened, it is left alone but for one write, and then put in its safe state.
    kinds = [kind for kind, _ in done()]
    assert kinds[-2:] == ["set", "safe"]
    assert kinds.count("set") == 1
    assert np.any(done()[0][1])


def test_a_chip_with_noise_and_twice_the_gain_is_found_to_be_one(lab):
    found, problem = lab(gain=2.0, noise=0.002)
    assert abs(found.facts.spread.ratio.value - 4) < 2
    assert found.facts.spread.factor == found.facts.spread.ratio.value
    assert abs(found.facts.noise.value - 0.002) < 4.5 * found.facts.noise.error
    known = found.noisy(problem)
    assert known.imperfect["cost-noise"] == found.facts.noise.value
    assert found.lines(known)[-1] == f"its noise is {found.facts.noise} of a measurement: the simulations have it"


@pytest.mark.long
def test_costs_that_come_late_are_asked_for_so(lab):
    found, _ = lab(500, late=2, imperfect="[imperfect]\ndelay = 2\n")
    assert found.facts.measurements <= 500
    for one in (found.facts.spread, found.facts.trace):
        assert one.ratio.value == pytest.approx(1, abs=2e-3)


def test_what_was_measured_is_kept_and_read_again(lab, tmp_path):
    found, _ = lab(folder=tmp_path)
    path, n = tmp_path / "measured.json", found.facts.measurements
    assert found.told == f"the chip lab,bench,D17,1 was measured {n} times, which {path} keeps"
    writes = len(done())
    again, _ = lab(folder=tmp_path, imperfect="[imperfect]\ncost-noise = 0.1\n")  # which may be corrected afterwards
    assert again.facts == found.facts
    assert again.told == f"the chip lab,bench,D17,1 was measured {n} times: {path} of {found.facts.date}"
    assert len(done()) == writes
    said = "is of another chip, task, seed or number of measurements: give another --out, or remove it, and the chip"
    with pytest.raises(mgd.RunError, match=said):
        lab(folder=tmp_path, seed=1)
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["facts"]["amplitude"] = 7
    path.write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(mgd.RunError, match=r"is damaged .its digest is not that of its contents.: remove it, and"):
        lab(folder=tmp_path)


REFUSED = {
    "another number of parameters": (
        {"n_params": 14, "own_start": "true"},
        "has 14 parameters, and the network of the chip file has 13: correct",
    ),
    "another cost": ({"cost": 10.0}, r"has a cost of .* where its model has 0\.\d+: it reads another cost, or has"),
    "another network": ({"sign": -1.0}, r"are not those of its model .their correlation is -1 ± .*comes late, as mgd"),
    "no room": ({"limit": 1e-30}, "outside its limits of .*: nothing was sent; start within them, or widen them"),
    "too few": ({"n": 100}, r"the facts of a chip take \d+ measurements at least, got measure = 100"),
    "noise of another size": (
        {"noise": 0.002, "imperfect": "[imperfect]\ncost-noise = 0.01\n"},
        r"the chip's noise is 0.00.* of a measurement of 4 samples, and 0.01 by \[imperfect\]: correct cost-noise",
    ),
}


@pytest.mark.quick("another number of parameters", "another network", "too few")
@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_the_file_is_one_line_and_the_chip_is_left(lab, case):
    given, said = REFUSED[case]
    with pytest.raises(ValueError, match=said) as raised:  # noqa: PT012 (noise is compared by itself)
        found, problem = lab(**given)
        found.noisy(problem)
    assert "\n" not in str(raised.value)
    if case != "too few":
        assert done()[-1][0] == "safe"


def test_a_chip_that_gives_no_number_or_is_stopped_is_left(lab):
    with pytest.raises(
        HardwareError, match="1 of 1 measurements failed: begin at parameters where the chip can be measured"
    ):
        lab(broken=100)
    assert done()[-1][0] == "safe"
    asked = []
    with pytest.raises(
        mgd.Interrupted, match=r"stopped after \d+ of 300 measurements of the chip, which is in its safe"
    ):
        lab(stop=lambda: asked.append(0) or len(asked) > 20)
    assert done()[-1][0] == "safe"


def test_a_chip_that_cannot_be_reached_cannot_be_measured():
    profile = mgd.timing.load_profile("hw1")
    with pytest.raises(ValueError, match="measure = 600 is for a chip that can be reached: give a chip file with a"):
        mgd.plan("parity", profile, target=0.8, measure=600)


@pytest.mark.long
def test_a_plan_goes_by_a_chip_behind_a_socket_and_says_so(serve_process, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    served = serve_process(CHIP.format(more="[imperfect]\ncost-noise = 0.002\n[serve]\nseed = 3\nserial = 'A7'\n"))
    table = f'[instrument]\nkind = "scpi"\nresource = "{served.resource}"\n'
    # On a line of which one unit of θ is two of the chip's, its weights do twice as much.
    table += "[instrument.groups.all]\nfirst = 0\nlast = 12\nscale = 2.0\n"
    file, folder = tmp_path / "chip.toml", tmp_path / "plan"
    file.write_text(CHIP.format(more=table), encoding="utf-8")
    asked = {"target": 0.8, "simulations": 4, "chips": 8, "measure": 600, "out": folder}
    made = mgd.plan("parity", file, **asked)
    assert served.stop() == 0
    again = mgd.plan("parity", file, **asked)  # the chip is gone
    assert again.measured[1:] == made.measured[1:]
    assert re.fullmatch(r"the chip mgd,virtual chip,A7,\S+ was measured 5\d\d times, which .*keeps", made.measured[0])
    assert re.fullmatch(r"its S is [3-9]\.?\d* ± 0\.\d+ times the model's: the plan goes by it", made.measured[1])
    assert made.settings["imperfect"]["cost-noise"] == pytest.approx(0.002, rel=0.5)
    assert set(made.measured) < set(made.lines())
    kept = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    assert kept["asked"]["measure"] == 600
    assert made.measured[1] in mgd.report(folder).read_text(encoding="utf-8")
