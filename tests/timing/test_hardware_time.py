"""Seconds and joules against numbers worked out by hand."""

import re

import numpy as np
import pytest
import xarray as xr

import mgd
from mgd.algorithm import Counts
from mgd.timing import Profile, hardware_time, load_profile, seconds_of, time_history

COUNTS = Counts(inferences=6, perturbations=5, parameter_writes=4, sample_loads=3, cost_measurements=2)
# Totals of the events: 6, 50, 400, 3000 and 20000 seconds.


def test_every_count_meets_its_own_time(fields):
    time = hardware_time(COUNTS, Profile.of(fields))
    assert time.seconds == 23456
    assert time.event_seconds == {"inference": 6, "perturbation": 50, "write": 400, "load": 3000, "latency": 20000}
    assert time.shares["load"] == pytest.approx(0.127899, abs=1e-6)  # 3000 / 23456
    assert sum(time.shares.values()) == pytest.approx(1)
    assert time.joules is None
    assert time.published_seconds is None


@pytest.mark.parametrize(
    ("overlap", "seconds", "hidden"),
    [
        ([["load", "perturbation"]], 23406, {"perturbation"}),
        ([["perturbation", "load", "write"]], 23006, {"perturbation", "write"}),
        ([["inference", "perturbation"], ["write", "load"]], 23050, {"inference", "write"}),
        (
            [["inference", "perturbation", "write", "load", "latency"]],
            20000,
            {"inference", "perturbation", "write", "load"},
        ),
    ],
)
def test_a_group_takes_as_long_as_its_longest_total(overlap, seconds, hidden, fields):
    time = hardware_time(COUNTS, Profile.of(fields | {"overlap": overlap}))
    assert time.seconds == seconds
    assert {event for event, share in time.shares.items() if share == 0} == hidden
    assert sum(time.shares.values()) == pytest.approx(1)
    assert time.event_seconds["perturbation"] == 50


def test_the_longest_is_by_total_not_by_one_event(fields):
    fields["seconds"]["perturbation"] = 900.0  # 5 × 900 s beside 3 loads of 1000 s
    time = hardware_time(COUNTS, Profile.of(fields | {"overlap": [["load", "perturbation"]]}))
    assert time.seconds == 6 + 4500 + 400 + 20000


def test_of_two_equal_totals_one_counts(fields):
    fields["seconds"]["perturbation"] = 600.0
    time = hardware_time(COUNTS, Profile.of(fields | {"overlap": [["load", "perturbation"]]}))
    assert time.seconds == 6 + 3000 + 400 + 20000


def test_a_batch_that_the_buffer_does_not_keep_is_loaded_at_every_measurement(fields):
    # A measurement has 6 / 2 = 3 samples.
    assert hardware_time(COUNTS, Profile.of(fields | {"buffer": 3})).seconds == 23456
    assert hardware_time(COUNTS, Profile.of(fields | {"buffer": 2})).event_seconds["load"] == 6000


def test_samples_that_do_not_stay_for_their_measurements_are_refused(fields):
    # A presentation of three samples: 6 + 50 + 20000 s, and 300 s for all writes but the one after it.
    assert hardware_time(COUNTS, Profile.of(fields | {"presentation_seconds": 20356.0})).seconds == 23456
    said = (
        "the measurements of a presentation take 2.036e+04 s, and on decimal a sample stays for 2.035e+04 s "
        "(presentation_seconds): train with a smaller tau_x or batch, or give a profile whose samples stay longer"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        hardware_time(COUNTS, Profile.of(fields | {"presentation_seconds": 20354.0}))


def test_samples_that_are_loaded_again_need_to_stay_for_one_measurement(fields):
    # 3 + 25 + 10000 s, and 200 s for the two writes that have no place between the two.
    hardware_time(COUNTS, Profile.of(fields | {"buffer": 2, "presentation_seconds": 10129.0}))
    with pytest.raises(ValueError, match=r"take 1\.013e\+04 s, and on decimal a sample stays for 1\.012e\+04 s"):
        hardware_time(COUNTS, Profile.of(fields | {"buffer": 2, "presentation_seconds": 10120.0}))


def test_parameters_that_take_turns_take_that_many_times_as_long(fields):
    profile = Profile.of(fields | {"one_by_one": ["write"], "joules": dict(fields["seconds"]), "idle_watts": 0.0})
    with pytest.raises(ValueError, match=r"the profile 'decimal' gives write of one parameter: take profile.whole"):
        hardware_time(COUNTS, profile)
    time = hardware_time(COUNTS, profile.whole(7))
    assert time.event_seconds["write"] == 7 * 400
    assert time.joules == 23456 + 6 * 400


def test_the_seconds_of_many_chips_are_those_of_each(fields):
    profile = Profile.of(fields | {"overlap": [["load", "perturbation"]], "buffer": 2})
    number = {"inference": 6, "perturbation": 5, "write": 4, "load": 3, "latency": 2}
    found = seconds_of({name: np.array([n, 10 * n]) for name, n in number.items()}, profile)
    one = hardware_time(COUNTS, profile).seconds
    np.testing.assert_allclose(found, [one, 10 * one])


def test_energies_do_not_overlap_and_idle_power_lasts_as_long_as_the_run(fields):
    joules = {"inference": 0.1, "perturbation": 0.2, "write": 0.3, "load": 0.4, "latency": 0.5}
    fields |= {"joules": joules, "idle_watts": 2.0, "overlap": [["load", "perturbation"]]}
    # 0.6 + 1.0 + 1.2 + 1.2 + 1.0 J for events, 2 W over 23406 s.
    assert hardware_time(COUNTS, Profile.of(fields)).joules == pytest.approx(46817.0)


def test_nothing_done_takes_no_time(fields):
    time = hardware_time(Counts(0, 0, 0, 0, 0), Profile.of(fields | {"published_step_seconds": 3.0}), n_steps=0)
    assert (time.seconds, time.published_seconds) == (0, 0)
    assert set(time.shares.values()) == {0}


def test_counts_past_64_bits_are_fine(fields):
    counts = Counts(inferences=10**20, perturbations=0, parameter_writes=0, sample_loads=0, cost_measurements=0)
    assert hardware_time(counts, Profile.of(fields)).seconds == pytest.approx(1e20)


@pytest.mark.parametrize(("name", "seconds"), [("hw1", 5.5556 * 3600), ("hw2", 0.2), ("hw3", 4e-3)])
def test_the_published_row_for_cifar10(name, seconds):
    time = hardware_time(COUNTS, load_profile(name), n_steps=10**7)
    assert time.published_seconds == pytest.approx(seconds, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "seconds"), [("hw1", 2 + 20000 + 10), ("hw2", 0.02 + 0.2 + 0.01), ("hw3", 200e-6 + 4e-3 + 2e-6)]
)
def test_ours_for_ten_million_steps(name, seconds):
    """A fresh baseline in each step and τ_θ = 1000: 2e7 samples shown, 2e7 perturbations, 1e4 writes."""
    counts = Counts(
        cost_measurements=2 * 10**7,
        inferences=2 * 10**7,
        perturbations=2 * 10**7,
        parameter_writes=10**4,
        sample_loads=10**7,
    )
    assert hardware_time(counts, load_profile(name)).seconds == pytest.approx(seconds, rel=1e-9)


def test_a_sample_shown_is_not_counted_twice_in_the_published_profiles():
    for name in ("hw1", "hw2", "hw3"):
        seconds = load_profile(name).seconds
        assert seconds.load == 0
        assert seconds.inference > 0


@pytest.fixture
def history() -> xr.Dataset:
    counts = {
        "inferences": [0, 6, 60],
        "perturbations": [0, 5, 500],
        "parameter_writes": [0, 4, 40],
        "sample_loads": [0, 3, 3],
        "cost_measurements": [0, 2, 20],
    }
    coordinates = {"step": [0, 10, 100]} | {name: ("step", values) for name, values in counts.items()}
    return xr.Dataset({"accuracy": (("replica", "step"), [[0.1, 0.5, 0.9]])}, coordinates)


def test_a_history_gets_the_time_of_each_step(history, fields):
    joules = dict.fromkeys(fields["seconds"], 1.0)
    fields |= {
        "overlap": [["load", "perturbation"]],
        "joules": joules,
        "idle_watts": 0.0,
        "published_step_seconds": 7.0,
    }
    timed = time_history(history, Profile.of(fields))
    assert timed.seconds.values.tolist() == [0, 6 + 3000 + 400 + 20000, 60 + 5000 + 4000 + 200000]
    assert timed.joules.values.tolist() == [0, 20, 623]
    assert timed.published_seconds.values.tolist() == [0, 70, 700]
    # What hides what may change as the run goes on.
    np.testing.assert_allclose(timed.shares.sel(event="load"), [0, 3000 / 23406, 0])
    np.testing.assert_allclose(timed.shares.sel(event="perturbation"), [0, 0, 5000 / 209060])
    assert timed.accuracy.identical(history.accuracy.assign_coords(timed.accuracy.coords))
    assert timed.attrs["profile"] == "decimal"


def test_what_a_profile_does_not_know_is_not_in_the_history(history, fields):
    timed = time_history(history, Profile.of(fields))
    assert {"joules", "published_seconds"}.isdisjoint(timed)
    assert timed.seconds.attrs == {"units": "s"}


def test_a_history_without_steps_is_left_without(history, fields):
    timed = time_history(history.isel(step=slice(0)), Profile.of(fields))
    assert timed.seconds.shape == (0,)
    assert timed.shares.shape == (5, 0)


def test_a_dataset_that_is_no_history(history, fields):
    with pytest.raises(ValueError, match=r"^the history lacks the counts inferences, sample_loads: give that of a run"):
        time_history(history.drop_vars(["inferences", "sample_loads"]), Profile.of(fields))


def test_the_history_of_a_run_is_timed_by_its_counts(fields):
    import jax
    import optax

    task, chip = mgd.datasets.parity(bits=2), mgd.chips.mlp((2, 2, 1))
    algorithm = mgd.discrete(optimizer=optax.sgd(0.1))
    result = mgd.train(chip, task, algorithm, n_steps=20, key=jax.random.key(0))
    timed = time_history(result.history, Profile.of(fields))
    # All τ = 1: 40 measurements of one sample, the perturbation changed 39 times, 20 writes and loads.
    assert timed.seconds.values[-1] == 40 + 390 + 2000 + 20000 + 400000
