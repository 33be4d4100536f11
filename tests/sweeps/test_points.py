"""Points: settings, seeds and structures."""

import re

import pytest

from mgd.sweeps import plan_of
from mgd.sweeps._points import Plan, written

SETTINGS = {"task": "parity", "steps": 100, "replicas": 2}


def points_of(vary, design=None, **settings):
    return list(Plan.of(SETTINGS | settings, vary, design).points())


def test_a_point_is_a_run_with_a_seed_of_its_own():
    points = points_of({"dac-bits": "3..4", "tau-theta": "1,8"})
    assert [dict(point.values) for point in points[:2]] == [
        {"dac-bits": 3, "tau_theta": 1},
        {"dac-bits": 3, "tau_theta": 8},
    ]
    assert points[1].settings.imperfect["dac-bits"] == 3
    assert points[1].settings.tau_theta == 8
    assert len({point.settings.seed for point in points}) == 4
    assert len({point.digest for point in points}) == 4


def test_a_point_is_the_same_whatever_is_beside_it():
    few, many = points_of({"dac-bits": "3..4"}), points_of({"dac-bits": "2..9"})
    assert [point.digest for point in few] == [point.digest for point in many[1:3]]


def test_the_chips_of_a_point_are_the_same_in_any_number_and_on_any_engine():
    (one,), (other,) = (
        points_of({"dac-bits": [3]}, replicas=n, engine=engine) for n, engine in ((2, "measured"), (9, "fused"))
    )
    assert one.settings.seed == other.settings.seed
    assert one.digest != other.digest


def test_another_seed_makes_other_chips():
    (one,), (other,) = (points_of({"dac-bits": [3]}, seed=seed) for seed in (0, 1))
    assert one.settings.seed != other.settings.seed


def test_points_that_differ_in_real_numbers_are_one_program():
    def structures(vary):
        return len({point.structure for point in points_of(vary)})

    assert structures({"cost-noise": "0.1,0.2,0.3", "learning-rate": "0.1,0.2"}) == 1
    assert structures({"cost-noise": "0.0,0.1,0.2"}) == 2  # noise of size zero is not there
    assert structures({"tau-theta": "1,2", "cost-noise": "0.1,0.2"}) == 2


def test_settings_of_a_sweep_that_is_larger_are_those_of_the_same_sweep():
    one, more, other, seeded = (
        Plan.of(SETTINGS | more, vary).identity()
        for vary, more in (
            ({"dac-bits": "3..4"}, {}),
            ({"dac-bits": "1..9"}, {}),
            ({"adc-bits": "3..4"}, {}),
            ({"dac-bits": "3..4"}, {"seed": 1}),
        )
    )
    assert one == more
    assert len({one, other, seeded}) == 3


@pytest.mark.parametrize(
    ("vary", "settings", "said"),
    [
        ({"dac-bits": "3..4"}, {"imperfect": {"dac-bits": 3}}, "dac-bits is given and varied: leave one of them out"),
        ({"seed": "3..4"}, {"seed": 3}, "seed is given and varied"),
        (
            {"dac-bits": "0..4"},
            {},
            "the point dac-bits=0: imperfect.dac-bits: input should be greater than or equal to 1",
        ),
        ({"optimizer": "adm"}, {}, "the point optimizer=adm: unknown optimizer 'adm': did you mean 'adam'?"),
        ({"test-fraction": "0.1,0.2"}, {}, "the point test_fraction=0.1: test_fraction is of data of your own"),
        (
            {"chip.width": "1,2"},
            {},
            "the point chip.width=1: chip.width is of a function of yours: give [chip] with build",
        ),
        (
            {"dac-bits": "3..4"},
            {"patience": 3},
            "leave patience out: every point of a sweep is trained for all its steps",
        ),
        ({"dac-bits": "3..4"}, {"start": "runs/a"}, "leave start out: every chip of a sweep draws its own start"),
        ({"dac-bits": "3..4"}, {"tau_teta": 3}, "unknown setting 'tau_teta': did you mean 'tau_theta'?"),
    ],
)
def test_settings_that_cannot_be_are_one_line(vary, settings, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        points_of(vary, **settings)
    assert "\n" not in str(error.value)


def test_what_all_share_may_need_what_is_varied():
    points = points_of({"dac-bits": "3..4"}, imperfect={"dac-range": 5.0})
    found = [(one.settings.imperfect["dac-bits"], one.settings.imperfect["dac-range"]) for one in points]
    assert found == [(3, 5.0), (4, 5.0)]
    shared = [
        Plan.of(SETTINGS | {"imperfect": {"dac-range": end}}, {"dac-bits": "3..4"}).identity() for end in (4.0, 5.0)
    ]
    assert shared[0] != shared[1]


def test_tasks_may_vary():
    plan = Plan.of({"steps": 10}, {"task": "parity,nist7x7"}, None)
    assert [point.settings.task for point in plan.points()] == ["parity", "nist7x7"]


def test_a_range_of_tasks_is_one_line():
    with pytest.raises(ValueError, match=r"vary: task needs a list of tasks, got '1\.\.3'"):
        Plan.of({"steps": 10}, {"task": "1..3"})


def test_values_are_written_as_they_are_given():
    assert [written(value) for value in ((4, 2), True, 1e-4, 3, "adam")] == ["4x2", "true", "0.0001", "3", "adam"]


def test_settings_of_your_data_go_with_its_path(tmp_path):
    (tmp_path / "mine.csv").write_text("\n".join(["a,b", *(f"{k / 10},{k % 2}" for k in range(20))]))
    plan = plan_of(
        {"path": str(tmp_path / "mine.csv")}, {"batch": [1]}, None, {"task": {"test_fraction": 0.5}, "steps": 9}
    )
    (point,) = plan.points()
    task = point.settings.task
    assert not isinstance(task, str)
    assert (task.test_fraction, task.facts.samples) == (0.5, 10)
