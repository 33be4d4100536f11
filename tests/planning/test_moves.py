"""Structures beside a structure."""

import pytest

from mgd.planning import Structure
from mgd.planning._moves import COORDINATES, moves

HELD = Structure("rademacher", "remeasured", "sgd", held=15, shown=4, batch=1, tau_p=1, amplitude=0.03, rate=0.5)


def longest(problem, land, coordinates) -> int:
    """The most inferences of a sample, or batch, among all that is tried beside it."""
    tried = [one for name in coordinates for way in moves(problem, land, HELD, name) for one in way]
    measured = [one.held * one.tau_p for one in tried]
    sides = [(2 * n if one.baseline == "two-sided" else n + 1) for one, n in zip(tried, measured, strict=True)]
    return max(one.batch * n for one, n in zip(tried, sides, strict=True))


def test_no_move_makes_measurements_longer_than_a_sample_stays(problem, land):
    brief = problem(presentation_seconds=20e-6)
    for name in ("held", "batch", "tau_p", "baseline"):
        assert longest(problem(), land, [name]) > 20, name
    assert longest(brief, land, COORDINATES) <= 20


@pytest.mark.parametrize("delay", [1, 2])
def test_no_move_leads_to_where_nothing_is_seen(problem, land, delay):
    late = problem(imperfect={"delay": delay})
    structure = Structure("walsh", "remeasured", "sgd", 256, 1, 4, 3 * delay, 0.1, 1.0)
    holds = [one.tau_p for way in moves(late, land, structure, "tau_p") for one in way]
    assert holds[0] > 3 * delay
    assert delay < min(holds) < 3 * delay
    # Of an odd delay, what is read with plus belongs to minus.
    assert len(list(moves(late, land, structure, "baseline"))) == 1 - delay % 2
