"""Netlists and what settings say of them: understood, or refused with file, name and remedy; no simulator is needed."""

import re

import pytest

from mgd import HardwareError
from mgd.instruments import load_instrument
from mgd.instruments._netlist import Netlist, terms
from mgd.instruments._ngspice import VARIABLE, ngspice

CIRCUIT = """r9 this is the title, whatever it looks like
V1 in 0 DC 0 AC 1
R1 in out
+ 1k
* a comment
r2 out 0 1k
.control
run
print all
.endc
.tran 1n 1u
.options reltol=1e-4 ITL1 = 200
.end
"""
SETTINGS = {
    "netlist": "chip.cir",
    "parameters": ["r1", "R2"],
    "inputs": ["v1"],
    "outputs": ["v(out)"],
    "limits": {"low": 1.0, "high": 1e6},
}


@pytest.fixture
def load(tmp_path):
    """The circuit by these settings; None takes a setting away."""

    def make(text: str = CIRCUIT, **settings):
        (tmp_path / "chip.cir").write_text(text)
        given = {name: value for name, value in (SETTINGS | settings).items() if value is not None}
        return load_instrument("spice", given, tmp_path)

    return make


def test_only_the_circuit_is_kept_with_its_inputs_driven(load):
    netlist = load().netlist
    assert netlist.elements == ["v1", "r1", "r2"]
    assert netlist.driven(["v1"], "external", ["v(out)"]) == [
        "* chip.cir",
        "V1 in 0 external",
        "R1 in out 1k",
        "r2 out 0 1k",
        ".options reltol=1e-4 ITL1 = 200",
        "vmgdsweep vmgdsweep 0 0",
        ".save v(out)",
        ".end",
    ]


def test_options_are_read(load):
    netlist = load().netlist
    assert (netlist.option("itl1"), netlist.option("reltol"), netlist.option("itl2")) == (200, 1e-4, None)


def test_included_files_are_found_beside_the_netlist(load, tmp_path):
    (tmp_path / "models.lib").write_text(".model dm d\n")
    netlist = load(CIRCUIT.replace("* a comment", ".include 'models.lib'")).netlist
    assert f'.include "{tmp_path / "models.lib"}"' in netlist.lines


def test_what_subcircuits_hold_is_theirs(tmp_path):
    path = tmp_path / "deep.cir"
    path.write_text("t\n.subckt a x\nr1 x 0 1\n.subckt b y\nr2 y 0 1\n.ends\n.ends\nv1 n 0 1\nx1 n a\n")
    assert Netlist(path).elements == ["v1", "x1"]


@pytest.mark.parametrize(
    ("output", "due"),
    [
        ("v(Out)", [("v", "out", "")]),
        ("v(a,b)", [("v", "a", "b")]),
        (" v( a , b )-i(R1) ", [("v", "a", "b"), ("i", "r1", "")]),
    ],
)
def test_outputs_are_understood(output, due):
    assert terms(output) == due


@pytest.mark.parametrize("output", ["", "out", "v(a) + v(b)", "v(a)/2", "v()", "2*v(a)", "v(a) v(b)", "-v(a)"])
def test_other_outputs_are_refused(output):
    with pytest.raises(ValueError, match=re.escape(f'such as "v(out)", "v(a,b)", "i(v1)", got {output!r}')):
        terms(output)


WRONG = {
    "unreadable": ({"netlist": "chop.cir"}, r"cannot read netlist .*chop.cir: No such file"),
    "no netlist": ({"netlist": None}, "instrument.netlist"),
    "missing parameter": ({"parameters": ["r11"]}, r"parameters: .*chip.cir has no element 'r11': did you mean 'r1'"),
    "of the title": ({"parameters": ["r9"]}, r"parameters: .*chip.cir has no element 'r9'"),
    "half a pair": ({"parameters": ["r1 - r3"], "middle": 2.0}, r"parameters: .*chip.cir has no element 'r3'"),
    "missing input": ({"inputs": ["v2"]}, r"inputs: .*chip.cir has no source 'v2': did you mean 'v1'"),
    "input that is none": ({"inputs": ["r1"]}, r"inputs: 'r1' of .*chip.cir is no voltage or current source"),
    "missing node": ({"outputs": ["v(oot)"]}, r"outputs: .*chip.cir has no node 'oot': did you mean 'out'"),
    "missing element": ({"outputs": ["i(r3)"]}, r"outputs: .*chip.cir has no element 'r3'"),
    "no output": ({"outputs": ["out"]}, r'outputs are voltages and currents, such as "v\(out\)".*got \'out\''),
    "none at all": ({"outputs": []}, "instrument.outputs"),
    "twice": ({"parameters": ["r1", "R1"]}, "parameters: 'r1' is named twice"),
    "input twice": ({"inputs": ["v1", "V1"]}, "inputs: 'v1' is named twice"),
    "no element": ({"parameters": ["r1=5"]}, r"parameters: 'r1=5' must be an element \(\"r1\"\), one of its"),
    "injection": ({"parameters": ["r1;quit"]}, "parameters: 'r1;quit' must be an element"),
    "a transistor whole": ({"parameters": ["m1"]}, r"parameters: 'm1' must be an element .* \(\"m1\[w\]\"\)"),
    "pair without middle": ({"parameters": ["r1 - r2"]}, "middle is needed for pairs of elements, and for them alone"),
    "middle without pair": ({"middle": 1.0}, "middle is needed for pairs of elements, and for them alone"),
    "zero conductance": (
        {"conductance_unit": 1e-3, "limits": {"low": 0.0, "high": 1.0}},
        "limits: conductances must be above 0, and r1 could be 0",
    ),
    "pair through zero": (
        {"parameters": ["r1 - r2"], "middle": 1.0, "conductance_unit": 1e-3, "limits": {"low": -3.0, "high": 2.0}},
        "limits: conductances must be above 0, and r1 - r2 could be -0.5",
    ),
    "too few limits": ({"limits": {"low": [1.0], "high": 2.0}}, "limits.low has 1 values for 2 parameters"),
    "limits inverted": ({"limits": {"low": 2.0, "high": 1.0}}, "finite with low < high"),
    "transient without time": (
        {"analysis": "tran"},
        'analysis = "tran" needs step_seconds below stop_seconds, got None',
    ),
    "step above stop": (
        {"analysis": "tran", "stop_seconds": 1e-6, "step_seconds": 2e-6},
        "needs step_seconds below stop_seconds, got 2e-06 and 1e-06",
    ),
    "time of no transient": ({"stop_seconds": 1e-6}, 'stop_seconds and step_seconds are of analysis = "tran"'),
    "analysis": ({"analysis": "ac"}, "instrument.analysis"),
    "misspelt": ({"parametres": ["r1"]}, r"parametres.*did you mean 'parameters'"),
    "misspelt limit": ({"limits": {"low": 1.0, "hihg": 2.0}}, r"instrument.limits"),
    "infinite": ({"input_scale": float("inf")}, "instrument.input_scale"),
}


@pytest.mark.parametrize(("settings", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused_in_one_line(load, settings, message):
    with pytest.raises(ValueError, match=message) as raised:
        load(**settings)
    assert "\n" not in str(raised.value)


def test_a_chip_file_with_a_wrong_netlist_is_named(tmp_path):
    from mgd.runs._chip_file import read_chip_file

    (tmp_path / "chip.cir").write_text(CIRCUIT)
    table = 'kind = "spice"\nnetlist = "chip.cir"\nparameters = ["r5"]\ninputs = ["v1"]\noutputs = ["v(out)"]\n'
    (tmp_path / "chip.toml").write_text(f"[instrument]\n{table}limits = {{ low = 1.0, high = 2.0 }}\n")
    with pytest.raises(ValueError, match=r"chip.toml: parameters: .*chip.cir has no element 'r5'"):
        read_chip_file(tmp_path / "chip.toml").load_instrument()


@pytest.mark.parametrize("path", ["/nowhere/libngspice.so", __file__])
def test_without_the_library_it_is_said_what_to_install(monkeypatch, path):
    monkeypatch.setenv(VARIABLE, path)
    with pytest.raises(HardwareError, match=f"libngspice is not there .tried {path}.: `apt-get install libngspice0`"):
        ngspice.__wrapped__()
