"""Which vectors of ngspice are the voltages and currents that outputs name. Nothing here imports JAX."""

from collections.abc import Set

_BRANCH = "{0}#branch", "@{0}[i]"
# The current of an element by its kind: the vector, and what it is called where no analysis has kept it.
CURRENTS = (
    dict.fromkeys("vle", _BRANCH)
    | dict.fromkeys("rcfghbsw", ("@{0}[i]",) * 2)
    | dict.fromkeys("dmj", ("@{0}[id]",) * 2)
    | {"i": ("@{0}[current]",) * 2, "q": ("@{0}[ic]",) * 2, "z": ("@{0}[cd]",) * 2}
)


def current(name: str, behavioural: Set[str]) -> tuple[str, str]:
    """The vector that is the current of an element, and its name where no analysis has kept it.

    Args:
        name: of the element.
        behavioural: which resistors are given by an expression: ngspice makes a source of each.

    >>> current("r.x1.r2", {"r.x1.r2"})
    ('@b.x1.br2[i]', '@b.x1.br2[i]')
    """
    if name in behavioural:
        within, dot, last = name.rpartition(".")
        name = f"b{within[1:]}{dot}b{last}" if dot else f"b{last}"
    vector, there = CURRENTS[name[0]]
    return vector.format(name), there.format(name)


def no_current(name: str) -> str:
    """Why there is no `i(name)`, and what there is."""
    return (
        f"outputs: ngspice has no current i({name}): it has those of R, C, L, V, I, E, F, G, H, B, S, W and D, of the "
        "drain of M, J and Z, and of the collector of Q, for most models; in subcircuits a name is like i(m.x1.m1): "
        "otherwise put a source of 0 V in series and name that"
    )


def vectors(term: tuple[str, str, str], behavioural: Set[str]) -> tuple[str, str]:
    """The names of the vectors whose difference a term is; "" for ground."""
    kind, first, second = term
    if kind == "i":
        return current(first, behavioural)[0], ""
    if kind == "@":
        return f"@{first}[{second}]", ""
    plus, minus = ("" if name in ("", "0", "gnd") else f"v({name})" for name in (first, second))
    return plus, minus
