"""Plans: what they choose, what they say, and what is refused, word for word."""

import json
import re
import signal
import tomllib

import pytest

import mgd
from mgd.engines import Data
from mgd.planning import Problem, Simulator, Structure, chip_names, chip_of, gpu_of, on_gpu, operations_of
from mgd.timing import Profile


def profile(**given) -> Profile:
    seconds = {"inference": 1e-6, "perturbation": 0.0, "write": 1e-3, "load": 0.0, "latency": 0.0}
    seconds |= {name: given.pop(name) for name in list(given) if name in seconds}
    return Profile.of({"name": "a chip", "description": "a chip", "source": "made up", "seconds": seconds} | given)


CHIP = """
name = "slow writes"
[chip]
hidden = [3]
[profile.seconds]
inference = 1e-6
perturbation = 0.0
write = 1e-3
load = 0.0
latency = 0.0
"""


STRAIGHT_THROUGH = """
import jax, jax.numpy as jnp, mgd

def chip():
    def respond(theta, x):
        wanted = jax.nn.sigmoid(x @ theta[:2] + theta[2])[:, None]
        return wanted + jax.lax.stop_gradient(jnp.round(wanted) - wanted)

    def cost(theta, x, target):
        return jnp.mean((respond(theta, x) - target) ** 2)

    return mgd.chips.from_function(cost, init=lambda key: jax.random.normal(key, (3,)), respond=respond)
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A small plan in a folder, and what was told on the way."""
    folder, told = tmp_path_factory.mktemp("plans"), []
    path = folder / "chip.toml"
    path.write_text(CHIP, encoding="utf-8")
    settings = {"target": 0.8, "simulations": 6, "chips": 8, "init": "uniform"}
    made = mgd.plan("parity", path, out=folder / "plan", on_course=lambda c: told.append(c.simulations), **settings)
    again = []
    same = mgd.plan("parity", path, out=folder / "plan", on_course=lambda c: again.append(c.seconds), **settings)
    return made, folder / "plan", told, same


@pytest.mark.long
def test_a_plan_gets_to_its_target_within_its_budget(planned):
    made, _, told, _ = planned
    assert made.reached
    assert made.best >= 0.8
    assert told == list(range(made.simulations + 1))
    assert made.simulations <= 6
    low, middle, high = made.interval
    assert low <= middle <= high
    assert made.expected[0] < made.time.seconds < made.expected[1]
    assert made.time.seconds > 0
    assert sum(made.time.shares.values()) == pytest.approx(1)
    assert sum(made.error.values()) == pytest.approx(1)
    assert made.time.shares["write"] == pytest.approx(made.writes * 1e-3 / made.time.seconds, rel=0.01)


@pytest.mark.slow
def test_a_plan_is_the_settings_of_a_run_that_gets_there(planned):
    made, folder, _, _ = planned
    settings = tomllib.loads((folder / "plan.toml").read_text(encoding="utf-8"))
    assert settings == {key: list(v) if isinstance(v, tuple) else v for key, v in made.settings.items()}
    from mgd.runs import read_metrics, start

    start(mgd.runs.RunConfig.of(settings), folder / "run")
    history = read_metrics(folder / "run")
    assert float(history.accuracy[:, -1].mean()) >= 0.8
    seconds = float(mgd.timing.time_history(history, made.profile).seconds[-1])
    assert made.time.seconds * 0.7 < seconds < made.time.seconds * 1.5


@pytest.mark.long
def test_a_plan_that_is_made_again_simulates_nothing(planned):
    made, folder, _, same = planned
    assert len((folder / "simulations.jsonl").read_text(encoding="utf-8").splitlines()) == made.simulations
    assert same.as_dict() | {"backprop_seconds": 0} == made.as_dict() | {"backprop_seconds": 0}
    assert json.loads((folder / "plan.json").read_text(encoding="utf-8"))["settings"]["task"] == "parity"
    assert f"{made.time.shares['write']:.0%}" in mgd.report(folder).read_text(encoding="utf-8")


@pytest.mark.long
def test_a_plan_gives_a_reason_for_every_choice(planned):
    made = planned[0]
    assert set(made.reasons) <= set(made.settings)
    assert all(any(letter.isdigit() for letter in why) for name, why in made.reasons.items() if name != "schedule")
    assert {gain.what for gain in made.gains} == {"half the time of inference", "half the time of write"}
    assert all(0 <= gain.share < 0.5 for gain in made.gains)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["measured", "sampled"])
def test_the_engine_that_was_asked_for_simulates(engine):
    problem = Problem.of({"task": "parity", "hidden": [3], "engine": engine}, profile(), 0.8)
    structure = Structure("rademacher", "remeasured", "sgd", 8, 2, 1, 1, 0.01, 0.5)
    passage = Simulator(problem, 2).passage(structure, seed=0, guess=50, most=0.1)
    assert passage.engine == engine
    assert passage.steps == 16 * 98  # with a write of a millisecond and 18 measurements for each window


@pytest.mark.long
def test_a_plan_for_chips_whose_cost_comes_late():
    given = {"hidden": [3], "init": "uniform", "imperfect": {"delay": 1, "settling": 0.5}}
    made = mgd.plan("parity", profile(), target=0.8, simulations=8, chips=32, **given)
    assert made.reached
    assert (made.engine, made.settings["imperfect"]) == ("fused", {"delay": 1, "settling": 0.5})
    assert made.settings["tau_p"] > 1
    assert "late costs" in made.error


@pytest.mark.long
def test_a_straight_through_gradient_is_no_plan(tmp_path, monkeypatch):
    (tmp_path / "straight.py").write_text(STRAIGHT_THROUGH)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"task": "parity", "chip": {"build": "straight:chip"}, "engine": "sampled"}
    problem = Problem.of(given, profile(), 0.8)
    structure = Structure("rademacher", "remeasured", "sgd", 8, 2, 1, 1, 0.01, 0.5)
    with pytest.raises(ValueError, match="the sampled engine would train another chip"):
        Simulator(problem, 2).passage(structure, seed=0, guess=50, most=0.1)


@pytest.mark.slow
def test_a_target_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="is out of reach for this chip: 8 chips without imperfections reach 0"):
        mgd.plan("parity", profile(), target=1.0, hidden=[1])


@pytest.mark.slow
def test_a_target_beyond_the_range_of_parameters_is_refused():
    with pytest.raises(ValueError, match=r"8 chips with parameters within ± 0.01, and no other imperfection, reach 0"):
        mgd.plan("parity", profile(), target=0.8, hidden=[3], imperfect={"dac-bits": 8, "dac-range": 0.01})


@pytest.mark.slow
def test_a_plan_that_is_stopped_says_so_and_one_without_time_is_made_of_what_there_is(tmp_path):
    def stop_at_once(course):
        if course.simulations == 1:
            signal.raise_signal(signal.SIGINT)

    given = {"target": 0.8, "chips": 8, "hidden": [3], "init": "uniform", "out": tmp_path / "plan"}
    with pytest.raises(mgd.Interrupted, match="stopped after 1 simulations; with the same folder, the same "):
        mgd.plan("parity", profile(), on_course=stop_at_once, **given)
    assert len((tmp_path / "plan" / "simulations.jsonl").read_text(encoding="utf-8").splitlines()) <= 1
    made = mgd.plan("parity", profile(), seconds=1e-9, **given)
    assert made.stopped
    assert 1 <= made.simulations <= 2


WRONG = {
    "a target above 1": ({"target": 90.0}, "target must be above 0 and at most 1, got 90.0: 0.9 stands for 90 %"),
    "what it chooses": ({"tau_theta": 4}, "a plan chooses tau_theta: leave it out"),
    "few simulations": ({"simulations": 1}, "simulations must be a whole number of at least 4, got 1"),
    "half a chip": ({"chips": 2.5}, "chips must be a whole number of at least 2, got 2.5"),
    "a seed below 0": ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    "no time": ({"seconds": 0.0}, "seconds must be above 0, got 0.0"),
    "a time in words": ({"seconds": "fast"}, "seconds must be above 0, got 'fast'"),
    "a folder that is none": ({"out": 7}, "out must be a name or a path, got 7"),
    "a GPU that is none": ({"gpu": 3}, "gpu must be a name or a path, got 3"),
    "a cluster that is none": (
        {"cluster": 5},
        "cluster takes the address of a scheduler (tcp://10.0.0.5:8786), ssh:HOST,HOST, slurm or pbs, got 5",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_refused_in_a_line(wrong):
    given, said = WRONG[wrong]
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        mgd.plan("parity", profile(), **given)


def test_a_gpu_is_compared_by_its_figures(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nflops = 1e9\nsource = "made up"\n', encoding="utf-8")
    found = on_gpu(gpu_of(str(path)), updates=100, operations=1e6)
    assert (found.least_seconds, found.launched_seconds) == (pytest.approx(0.1), None)
    assert "at least 100 ms, 0.5 times the chip's time" in found.said(0.2)
    with pytest.raises(
        ValueError, match=r"^unknown GPU 'a10': did you mean 'a100'\?; choose v100, a100, h100, or give"
    ):
        mgd.plan("parity", profile(), gpu="a10")
    path.write_text('name = "mine"\nflops = 0.0\nsource = "made up"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine.toml: flops: input should be greater than 0, got 0.0$"):
        gpu_of(str(path))


def test_operations_of_a_gradient_are_about_six_for_each_parameter_and_sample():
    task = mgd.datasets.nist7x7()
    chip, data = mgd.chips.mlp((49, 4, 4)), Data.of(task.train, task.kind)
    assert 4 * 64 * 220 < operations_of(chip, data, 64) < 10 * 64 * 220


def test_profiles_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="takes no time at all: give the seconds of its events"):
        mgd.plan("parity", profile(inference=0.0, write=0.0))
    with pytest.raises(ValueError, match='noise_of = "sample" says whose noise it is, and there is none'):
        mgd.plan("parity", profile(noise_of="sample"))


def test_a_chip_is_a_file_or_has_a_name(tmp_path):
    path = tmp_path / "chip.toml"
    path.write_text(CHIP, encoding="utf-8")
    assert chip_of(path).profile.seconds.write == 1e-3
    assert chip_of(path).settings["hidden"] == (3,)
    assert all(chip_of(name).profile.seconds.inference > 0 for name in chip_names())
    with pytest.raises(ValueError, match=r"unknown chip 'hw0': did you mean 'hw\d'"):
        chip_of("hw0")
    path.write_text('name = "bare"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"chip.toml: there is no \[profile\]: give profile = \"hw1\""):
        chip_of(path)
    path.write_text(CHIP.replace("latency = 0.0", ""), encoding="utf-8")
    with pytest.raises(ValueError, match=r"chip.toml: profile: seconds.latency is missing: give seconds"):
        chip_of(path)
    path.write_text(CHIP.replace("write = 1e-3", "write = -1.0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"profile: seconds.write must be a number of seconds from 0"):
        chip_of(path)
    path.write_text(CHIP.replace("[profile.seconds]", "[profile]\nendurance = 0\n[profile.seconds]"), encoding="utf-8")
    with pytest.raises(ValueError, match="profile: endurance must be a whole number of writes, 1 or more, got 0"):
        chip_of(path)
    path.write_text(CHIP.replace("[profile.seconds]", "[seconds]"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"chip.toml has \[chip\], so it is a chip file: write \[profile.seconds\] in"):
        chip_of(path)
    path.write_text("profile = 3\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"chip.toml: profile is a table \[profile\], or a name .* \"hw1\", got 3$"):
        chip_of(path)
    path.write_text('profile = "hw1"\n[chip]\nhidden = [3]\n', encoding="utf-8")
    assert chip_of(path).profile.name == "hw1"
