"""A profile whose numbers show in any sum which of them it is made of."""

import pytest

EACH = {"inference": 1.0, "perturbation": 10.0, "write": 100.0, "load": 1000.0, "latency": 10000.0}


@pytest.fixture
def fields() -> dict:
    """The fields of a profile without energies."""
    return {"name": "decimal", "description": "a chip", "source": "made up", "seconds": dict(EACH)}
