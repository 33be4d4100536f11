"""Settings of the kind "spice". Nothing here imports JAX."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ._currents import CURRENTS, no_current
from ._netlist import spelt, terms

Number = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False, strict=True)]
Above0 = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
# What `alter` sets of an element that is named alone, and how it is asked for.
MAIN = {"r": "resistance", "c": "capacitance", "l": "inductance", "v": "dc", "i": "dc", "e": "gain", "g": "gain"}
# Of what names may be of, nothing has a meaning in ngspice's commands, which could be those of a shell.
_ELEMENT = re.compile(r"[a-z][\w.:#%@+/-]*(\[[a-z]\w*\])?", re.ASCII)
_CARD = re.compile(r"\.param [a-z_]\w*|\.model [\w.:#%@+/-]+\[[a-z]\w*\]", re.ASCII)
# What ngspice knows by `set ngbehavior`, of which a netlist may need several.
_BEHAVIOR = re.compile("(all|a|hs|ps|lt|ki|va|eg|s3|spe|mc|xs|ll)+")


class SpiceLimits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Number | tuple[Number, ...]
    high: Number | tuple[Number, ...]
    unit: Annotated[str, Field(strict=True)] = ""


class SpiceSettings(BaseModel):
    """A circuit, as it stands in the `[instrument]` table of a chip file. Names are as in the netlist, in any case.

    Attributes:
        netlist: path of the file.
        parameters: what θ sets: an element ("r1", "vb2": its resistance, its voltage); one of its parameters, as
            SPICE writes it ("m1[w]"); a parameter of the netlist (".param vb"), or of a model (".model nx[vto]"); or a
            pair of these ("rp1 - rm1") set to `middle` ± θ/2.
        inputs: voltage or current sources, one for each feature.
        outputs: one for each output: "v(out)", "v(a,b)", "v(a) - v(b)", "i(vload)", "i(m.x1.m1)" (of a
            transistor the current of the drain or collector, else into the first node), "v1#branch", "@m1[gm]".
        limits: of θ: low and high, of each or of all, and their unit.
        conductance_unit: θ of a resistor is then a conductance, in so many siemens: 1e-3 for millisiemens.
        middle: of pairs, in the unit of θ.
        analysis: "op", an operating point for each sample; or "tran", where the circuit starts at rest (inputs at
            x = 0) and each sample is applied in turn for `stop_seconds`, at whose end outputs are read.
        uic: whether transients begin with the initial states that elements are given (IC=) instead of an operating
            point; if None, as the transients of the netlist do.
        ngbehavior: whose netlists ngspice is to read: of PSpice ("ps"), LTspice ("lt"), HSPICE ("hs"), and others;
            several in one word, such as "ltpsa".
        spiceinit: path of a file of commands that ngspice carries out before it reads the netlist. No other
            .spiceinit is read.
        stop_seconds: how long a sample is applied.
        step_seconds: the rise time of inputs, and the longest time step.
        input_scale: an input is at input_scale · x + input_offset.
        input_offset: the same.
        output_scale: an output is output_scale · (volts or amperes) + output_offset.
        output_offset: the same.
        retries: of an analysis that does not converge, each with five times the iterations.
        processes: each with the circuit in it, among which measurements are shared out; if None, it is in this one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    netlist: Name
    parameters: Names
    inputs: Names
    outputs: Names
    limits: SpiceLimits
    conductance_unit: Above0 | None = None
    middle: Number | None = None
    analysis: Literal["op", "tran"] = "op"
    uic: Annotated[bool, Field(strict=True)] | None = None
    ngbehavior: Name | None = None
    spiceinit: Name | None = None
    stop_seconds: Above0 | None = None
    step_seconds: Above0 | None = None
    input_scale: Number = 1.0
    input_offset: Number = 0.0
    output_scale: Number = 1.0
    output_offset: Number = 0.0
    retries: Annotated[int, Field(ge=0, le=10, strict=True)] = 2
    processes: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "SpiceSettings":
        for each in self.parameters:
            for name in pair(each):
                element = _ELEMENT.fullmatch(name) and ("[" in name or name[0] in MAIN)
                if not element and not _CARD.fullmatch(name):
                    raise ValueError(
                        f'parameters: {each!r} must be an element ("r1"), one of its parameters ("m1[w]"), one of the '
                        'netlist (".param vb") or of a model (".model nx[vto]"), or a pair ("rp1 - rm1"), with '
                        "letters, digits and _.:#%@+/-"
                    )
        for name in self.inputs:
            if not _ELEMENT.fullmatch(spelt(name)) or "[" in name:
                raise ValueError(f"inputs: {name!r} must be the name of a source, with letters, digits and _.:#%@+/-")
        names = [name for each in self.parameters for name in pair(each)]
        for what, given in (("parameters", names), ("inputs", [spelt(name) for name in self.inputs])):
            if len(set(given)) < len(given):
                raise ValueError(f"{what}: {next(name for name in given if given.count(name) > 1)!r} is named twice")
        for output in self.outputs:
            for kind, name, _ in terms(output):
                if kind == "i" and name[0] not in CURRENTS:
                    raise ValueError(no_current(name))
        if self.ngbehavior and not _BEHAVIOR.fullmatch(self.ngbehavior):
            raise ValueError(
                f'ngbehavior must be of a, all, hs, ps, lt, ki, va, ..., such as "ltpsa", got {self.ngbehavior!r}'
            )
        pairs = any(len(pair(each)) == 2 for each in self.parameters)
        if pairs != (self.middle is not None):
            raise ValueError("give middle if there are pairs of elements, and only then")
        times = self.stop_seconds, self.step_seconds
        if self.analysis == "tran" and not (times[0] and times[1] and times[1] < times[0]):
            raise ValueError(f'analysis = "tran" needs step_seconds below stop_seconds, got {times[1]} and {times[0]}')
        if self.analysis == "op" and times != (None, None):
            raise ValueError('stop_seconds and step_seconds need analysis = "tran"')
        if self.analysis == "op" and self.uic:
            raise ValueError('uic needs analysis = "tran": an operating point has no initial states')
        return self


def pair(parameter: str) -> tuple[str, ...]:
    """What a parameter sets, as ngspice writes it."""
    return tuple(spelt(" ".join(part.split())) for part in re.split(r"\s+-\s+", parameter))
