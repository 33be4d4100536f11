"""Costs far beyond all that were seen: honest ones are not doubted, or cost one measurement more."""

import numpy as np

from mgd.bench._seen import Seen


def test_honest_costs_are_not_doubted():
    rng = np.random.default_rng(0)
    seen = Seen()
    assert all(seen.takes(cost) for cost in (1e-6, 1.0, -1e5))  # of the first eight, nothing is known
    for costs in (
        np.geomspace(1.0, 1e-6, 20_000),
        rng.normal(0.0, 1.0, 20_000),
        1e6 + rng.normal(0.0, 1e-3, 20_000),
        rng.exponential(1.0, 20_000) ** 2,
        np.zeros(200),
        np.concatenate([np.zeros(200), rng.normal(0.0, 1.0, 200)]),
    ):
        seen = Seen()
        assert all(map(seen.takes, costs.tolist()))
    seen, doubted = Seen(), 0
    for cost in np.geomspace(1e-15, 1e15, 20_000).repeat(2) * np.where(np.arange(40_000) % 1000, 1.0, 20.0):
        if not seen.takes(cost):
            doubted += 1
            seen.believe(cost)
    assert doubted <= 30
