"""A circuit for ngspice: a voltage divider, whose lower resistor is its parameter."""

DIVIDER = "divider\nv1 in 0 0\nr1 in out 1k\nr2 out 0 1k\n"
SETTINGS = {"parameters": ["r2"], "inputs": ["v1"], "outputs": ["v(out)"]}
