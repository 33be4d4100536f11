"""Why a plan is as it is, in sentences."""

from mgd.planning import Structure
from mgd.planning._reasons import gains, reasons

HELD = Structure("rademacher", "remeasured", "sgd", held=15, shown=4, batch=1, tau_p=1, amplitude=0.03, rate=0.5)


def test_what_does_not_fit_in_a_sample_is_said_and_so_is_what_longer_ones_save(problem, land):
    free, brief = problem(load=1e-3), problem(load=1e-3, presentation_seconds=20e-6)
    for name in ("tau_p", "tau_x", "batch"):
        assert "twice that does not fit in the 20 µs for which a sample stays" in reasons(brief, land, HELD, 5)[name]
        assert "does not fit" not in reasons(free, land, HELD, 5)[name]
    said = "samples that stay twice as long"
    saved = {gain.what: gain.share for gain in gains(brief, land)}
    assert 0 < saved[said] < 0.6
    assert said not in {gain.what for gain in gains(free, land)}
