"""Families of perturbations by name."""

from ._row import Row
from ._table import Table

FAMILIES = Table(
    "perturbation",
    "mgd.perturbations",
    Row,
    "mgd.perturbations:AbstractPerturbation",
    {
        "rademacher": Row("independent random signs (SPSA)", "mgd.perturbations:Rademacher"),
        "walsh": Row("orthogonal sign codes, exact over one code period", "mgd.perturbations:Walsh"),
        "walsh-shared-bit": Row(
            "Walsh codes of twice the period, whose one-sided G is free of curvature",
            "mgd.perturbations:Walsh",
            {"shared_bit": True},
        ),
        "lfsr": Row("sign codes of a maximal-length shift register, which fits on a chip", "mgd.perturbations:LFSR"),
        "gaussian": Row("independent normal values", "mgd.perturbations:Gaussian"),
        "sequential": Row("one parameter at a time (finite differences)", "mgd.perturbations:Sequential"),
        "sinusoid": Row("a frequency for each parameter (lock-in)", "mgd.perturbations:Sinusoid"),
    },
)
