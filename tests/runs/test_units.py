"""Parameters of one unit are not taken for those of another."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mgd.calibration import Calibration
from mgd.instruments import Identity, Limits, Units, other_meaning
from mgd.runs._after import check_fits, parameters_after
from mgd.runs._calibrated import check_calibration
from mgd.runs._hardware import _other_limits

MIXED = replace(Units.plain(("V", "mA", "mA"), ("heaters", "bias", "bias")), scale=np.array([1.0, 4.0, 4.0]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": ("V", "A", "A")}, "unit of bias was mA, and is now A"),
        ({"unit": ("V", "", "")}, ""),
        ({"scale": np.array([1.0, 4.0, 5.0])}, "scale of bias was 4, and is now 5"),
        ({"centre": np.array([0.5, 0.0, 0.0])}, "centre of heaters was 0, and is now 0.5"),
        ({"rate": np.array([1.0, 2.0, 2.0]), "amplitude": 0.1}, ""),
    ],
)
def test_what_is_otherwise_is_said(change, said):
    assert other_meaning(MIXED, replace(MIXED, **change)) == said


@pytest.mark.parametrize(
    ("unit", "group_units", "said"),
    [
        ("", ("V", "mA", "mA"), ""),
        ("", None, ""),
        ("", ("V", "A", "A"), "made in other units: unit of bias was A, and is now mA"),
        ("kV", None, "made in other units: unit of heaters was kV, and is now V"),
    ],
)
def test_a_calibration_in_other_units_is_refused(monkeypatch, unit, group_units, said):
    found = Calibration.model_construct(
        serial="A7", n_params=3, unit=unit, group_units=group_units, scale=(1.0, 4.0, 4.0)
    )
    monkeypatch.setattr(Calibration, "read", lambda path: found)
    limits = Limits(np.full(3, -1.0), np.full(3, 1.0), "", MIXED)
    identity = Identity("ACME", "chip", "A7", "1")
    if not said:
        assert check_calibration(Path("c.toml"), identity, limits) is found
        return
    with pytest.raises(ValueError, match=said):
        check_calibration(Path("c.toml"), identity, limits)


BIAS = {"name": "bias", "start": 1, "stop": 3}
LEFT = {
    "of the chip": ([0.5, 1.0, 2.0], [0.5, 4.0, 8.0], "mA", ""),
    "in amperes": (
        [0.5, 1.0, 2.0],
        [0.5, 4.0, 8.0],
        "A",
        "in other units than chip: unit of bias was A, and is now mA",
    ),
    "of another scale": (
        [0.5, 1.0, 2.0],
        [0.5, 1.0, 2.0],
        "mA",
        r"parameter 1 \(bias\) in .* was 1 on its chip, and would be 4 mA on chip: restore scale and centre",
    ),
    "beyond": (
        [0.5, 1.0, 1e300],
        None,
        "mA",
        r"parameter 2 \(bias\) in .*left.npz is 4e\+300 mA, outside its limits of -20 … 20 mA on chip: correct",
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_a_file_says_what_its_parameters_stand_for(case, tmp_path):
    theta, on_chip, unit, said = LEFT[case]
    about = {"format": "mgd export 1", "unit": "", "groups": [BIAS | {"unit": unit}]}
    more: dict[str, Any] = {} if on_chip is None else {"theta_on_chip": np.array([on_chip], np.float32)}
    np.savez(tmp_path / "left.npz", theta=np.array([theta]), about=np.array(json.dumps(about)), **more)
    limits = Limits(np.full(3, -5.0), np.full(3, 5.0), "", MIXED)
    chip: Any = SimpleNamespace(n_params=3, limits=limits, address="chip")
    left = parameters_after("left.npz", tmp_path)
    assert left is not None
    if not said:
        check_fits(left, chip)
        assert left.theta.tolist() == theta
        return
    with pytest.raises(ValueError, match=said):
        check_fits(left, chip)


def test_a_table_that_a_spreadsheet_wrote_is_read(tmp_path):
    (tmp_path / "left.csv").write_text("0.5\n1.0\n", encoding="utf-8-sig")
    left = parameters_after("left.csv", tmp_path)
    assert left is not None
    assert left.theta.tolist() == [0.5, 1.0]


def test_limits_that_changed_are_said_in_the_unit_of_the_group():
    before, now = (Limits(np.full(3, -5.0), np.array([5.0, 5.0, high]), "", MIXED) for high in (5.0, 2.5))
    same = {"own_line": False}
    said = _other_limits(before.as_dict() | same, now.as_dict() | same)
    assert said == "other limits: high of parameter 2 (bias) was 20 mA, and is now 10 mA"
    before, now = (Limits.uniform(1, 0.0, high) for high in (5.0, 2.5))
    assert _other_limits(before.as_dict(), now.as_dict()).endswith("high of parameter 0 was 5, and is now 2.5")
