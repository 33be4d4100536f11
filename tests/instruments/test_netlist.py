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
c1 out 0 1n
vwave out b SIN(0 1 1k)
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
    assert netlist.elements == ["v1", "r1", "r2", "c1", "vwave"]
    assert netlist.driven(["v1"], "external", ["v(out)"]) == [
        "* circuit",
        "V1 in 0 external",
        "R1 in out",
        "+ 1k",
        "r2 out 0 1k",
        "c1 out 0 1n",
        "vwave out b SIN(0 1 1k)",
        ".options reltol=1e-4 ITL1 = 200",
        "vmgdsweep vmgdsweep 0 0",
        ".save v(out)",
        ".end",
    ]


def test_options_are_read(load):
    netlist = load().netlist
    assert (netlist.option("itl1"), netlist.option("reltol"), netlist.option("itl2")) == (200, 1e-4, None)


def test_included_files_are_in_the_place_of_the_card_and_in_the_digest(tmp_path):
    for name in ("my models.inc", "deep/b.inc", "deep/data.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("* as it was\n")
    (tmp_path / "deep/a.lib").write_text('.lib tt\n.inc b.inc\n.model m d_source(input_file="deep/data.txt")\n.endl\n')
    path = tmp_path / "chip.cir"
    path.write_text(CIRCUIT.replace("* a comment", ".include 'my models.inc'\n.LIB deep/a.lib TT"))
    first = Netlist(path).digest()
    digests = {first}
    for name in ("my models.inc", "deep/b.inc", "deep/data.txt", "deep/a.lib"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text + "* changed\n")
        digests.add(Netlist(path).digest())
        (tmp_path / name).write_text(text)
    assert len(digests) == 5
    assert Netlist(path).digest() == first


UNREADABLE = {
    "not there": ({"m.cir": "t\n.include no.inc\n"}, r"m.cir, line 2: Could not find include file 'no.inc' in "),
    "not there, with a space": ({"m.cir": "t\n.include 'no such.inc'\n"}, "Could not find include file 'no such.inc'"),
    "nested, not there": ({"m.cir": "t\n.inc a.inc\n", "a.inc": "* c\n.inc b.inc"}, "a.inc, line 2: Could not find"),
    "no name": ({"m.cir": "t\n.include\n"}, "m.cir, line 2: Could not find include file ''"),
    "a folder": ({"m.cir": "t\n.include d\n", "d/x": ""}, "Could not find include file 'd'"),
    "no library": ({"m.cir": "t\n.lib a.lib tt\n"}, "m.cir, line 2: Could not find library file 'a.lib'"),
    "no section": (
        {"m.cir": "t\n.lib a.lib\n", "a.lib": ""},
        "line 2: '.lib a.lib' must name a file, .* and a section",
    ),
    "section here": ({"m.cir": "t\n.lib tt\nr1 a 0 1\n.endl\n"}, "line 2: '.lib tt' must name a file"),
    "other section": ({"m.cir": "t\n.lib a.lib ff\n", "a.lib": ".lib tt\n.endl"}, "a.lib has no section 'ff'"),
    "section without end": (
        {"m.cir": "t\n.lib a.lib tt\n", "a.lib": ".lib tt\n"},
        "section 'tt' of .*a.lib has no .endl",
    ),
    "in a circle": (
        {"m.cir": "t\n.inc a.inc\n", "a.inc": ".inc b.inc\n", "b.inc": ".inc a.inc\n"},
        "includes it in turn",
    ),
    "of itself": ({"m.cir": "t\n.inc m.cir\n"}, "m.cir includes .*m.cir, which includes it in turn"),
    "section of itself": (
        {"m.cir": "t\n.lib a.lib tt\n", "a.lib": ".lib tt\n.lib a.lib tt\n.endl\n"},
        "section 'tt' of .*a.lib includes itself",
    ),
    "one of two": (
        {"m.cir": "t\n.inc d/a.inc\n", "d/a.inc": ".inc b.inc\n", "d/b.inc": "r1 a 0 1\n", "b.inc": "r1 a 0 2\n"},
        "'b.inc' could be .*d/b.inc or .*/b.inc, which differ: write the whole path",
    ),
    "unset variable": (
        {"m.cir": "t\n.inc $NOT_SET_AT_ALL/a\n"},
        "'.NOT_SET_AT_ALL/a' begins with a variable that is not",
    ),
    "title that is a card": ({"m.cir": ".param x=1\nr1 a 0 1\n"}, "m.cir: the first line must be a title, .* add one"),
    "title of a subcircuit": ({"m.cir": ".SUBCKT s a\n.ends\n"}, "which '.SUBCKT s a' is not to ngspice: add one"),
    "script": ({"m.cir": "*ng_script\necho hi\n"}, "m.cir: this is an ngspice script and not a circuit"),
    "lost with a comment": (
        {"m.cir": "t\nr1 a 0\n; c\n+ 1k\n"},
        r"line 4: '\+ 1k' continues '; c', which ngspice takes for a comment",
    ),
    "no utf-8": (
        {"m.cir": b"t\nr1 \xe9 0 1k\n"},
        "m.cir, line 2: 'r1 \ufffd 0 1k' is not UTF-8: save the file as UTF-8",
    ),
    "greek letter for micro": (
        {"m.cir": "t\nc1 a 0 4.7\u03bcF\n"},
        "m.cir, line 2: '4.7\u03bcF' has a Greek mu, which ngspice ignores: write u",
    ),
    "program": ({"m.cir": 't\n.model x d_process(process_file="p")\n'}, "line 2: a model of the kind d_process runs"),
    "data not there": (
        {"m.cir": 't\n.model x filesource(file="p.txt")\n'},
        "the model reads 'p.txt', .* it is not there",
    ),
    "data in capitals": (
        {"m.cir": 't\n.model x filesource(file="D/p.txt")\n', "D/p.txt": "1"},
        "the model reads 'D/p.txt', which must be a file with a path all in lower case",
    ),
}


@pytest.mark.parametrize(("files", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_as_ngspice_reads_it_is_refused_in_one_line(files, message, tmp_path):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as raised:
        Netlist(tmp_path / "m.cir")
    assert "\n" not in str(raised.value)


def test_a_path_may_begin_with_a_variable_and_have_spaces_without_quotes(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KIT", str(tmp_path / "my kit"))
    (tmp_path / "my kit").mkdir()
    (tmp_path / "my kit/a.lib").write_text(".lib tt\nr1 a 0 1\n.endl\n")
    (tmp_path / "my kit/b.inc").write_text("r2 a 0 1\n")
    cards = ".lib $MY_KIT/a.lib tt ; c\n.include my kit/b.inc $ c\n.lib my kit/a.lib tt\n.inc '$MY_KIT/b.inc'\n"
    (tmp_path / "m.cir").write_text("t\n" + cards)
    assert Netlist(tmp_path / "m.cir").elements == ["r1", "r2", "r1", "r2"]


TIMES = {"analysis": "tran", "stop_seconds": 1e-6, "step_seconds": 1e-9}


@pytest.mark.parametrize(
    ("cards", "settings", "message"),
    [
        (".tran 1n 1u\n+ UIC\nc2 out 0 1n IC=1\n", {}, "chip.cir sets initial states, .* or uic = false to ignore"),
        (".tran 1n 1u uic\n.ic v(out)=1\n", {}, "chip.cir sets initial states"),
        (".tran 1n 1u uic\n.tran 1n 2u\n", TIMES, "has transients with and without uic: set uic to true or false"),
    ],
)
def test_initial_states_that_nothing_would_begin_with_are_refused(load, cards, settings, message):
    text = CIRCUIT.replace(".tran 1n 1u\n", cards)
    with pytest.raises(ValueError, match=message):
        load(text, **settings)
    load(text, **settings, uic=False)


@pytest.mark.parametrize("source", ["I1 in 0 1m m=2", "V1 in 0 DC 1 portnum 1 z0 50", "V1 in"])
def test_a_source_that_cannot_be_driven_as_it_is_is_refused(load, source):
    text = CIRCUIT.replace("V1 in 0 DC 0 AC 1", source)
    with pytest.raises(ValueError, match=re.escape(f"inputs: {source!r}") + ".* must be a name, two nodes and a value"):
        load(text, inputs=[source.split()[0]])


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


@pytest.mark.parametrize(
    "output", ["", "out", "v(a) + v(b)", "v(a)/2", "v()", "2*v(a)", "v(a) v(b)", "-v(a)", "@m1", "m1[gm]", "#branch"]
)
def test_other_outputs_are_refused(output):
    with pytest.raises(ValueError, match=re.escape(f'as "@m1[gm]"; got {output!r}')):
        terms(output)


# A parameter that is compared, one that is not used, one that is given twice, and one of a subcircuit.
CARDS = """t
.param rr=1k spare=2 k={rr==2} ss=1 mine={spare2}
.param SS=2 spare2=3
V1 in 0 1
R1 in out {rr*k*ss}
R2 out 0 {mine}
D1 out 0 dx
.model dx d
.subckt s a
.param inner=3
Ra a 0 {inner}
.ends
"""
WRONG = {
    "no such .param": (
        {"text": CARDS, "parameters": [".param r"]},
        r"parameters: .*chip.cir has no .param 'r': did you mean 'rr'",
    ),
    "a .param of a subcircuit": ({"text": CARDS, "parameters": [".param inner"]}, "chip.cir has no .param 'inner'"),
    "a .param that is not used": (
        {"text": CARDS, "parameters": [".param spare"]},
        r"parameters: nothing in .*chip.cir uses the .param 'spare', so to set it does nothing",
    ),
    "a .param given twice": (
        {"text": CARDS, "parameters": [".param ss"]},
        "has several .param 'ss': leave all but one",
    ),
    "no such model": (
        {"text": CARDS, "parameters": [".model dy[is]"]},
        r"parameters: .*chip.cir has no model 'dy': did you mean 'dx'",
    ),
    "a model whole": ({"text": CARDS, "parameters": [".model dx"]}, r"parameters: '.model dx' must be an element"),
    "a .param in brackets": ({"text": CARDS, "parameters": [".param rr[r]"]}, r"'.param rr\[r\]' must be an element"),
    "another card": ({"text": CARDS, "parameters": [".options reltol"]}, r"'.options reltol' must be an element"),
    "unknown behaviour": ({"ngbehavior": "spectre"}, "ngbehavior must be of a, all, hs, ps, .*, got 'spectre'"),
    "a command for a behaviour": ({"ngbehavior": "ps; quit"}, "ngbehavior must be of a, all, .*, got 'ps; quit'"),
    "unreadable": ({"netlist": "chop.cir"}, r"cannot read netlist .*chop.cir: No such file"),
    "no netlist": ({"netlist": None}, "instrument.netlist"),
    "missing parameter": ({"parameters": ["r11"]}, r"parameters: .*chip.cir has no element 'r11': did you mean 'r1'"),
    "of the title": ({"parameters": ["r9"]}, r"parameters: .*chip.cir has no element 'r9'"),
    "half a pair": ({"parameters": ["r1 - r3"], "middle": 2.0}, r"parameters: .*chip.cir has no element 'r3'"),
    "missing input": ({"inputs": ["v2"]}, r"inputs: .*chip.cir has no source 'v2': did you mean 'v1'"),
    "input that is none": ({"inputs": ["r1"]}, r"inputs: 'r1' of .*chip.cir is not a voltage or current source"),
    "missing node": ({"outputs": ["v(oot)"]}, r"outputs: .*chip.cir has no node 'oot': did you mean 'out'"),
    "missing element": ({"outputs": ["i(r3)"]}, r"outputs: .*chip.cir has no element 'r3'"),
    "no output": ({"outputs": ["out"]}, r'outputs are voltages and currents, such as "v\(out\)".*got \'out\''),
    "none at all": ({"outputs": []}, "instrument.outputs"),
    "twice": ({"parameters": ["r1", "R1"]}, "parameters: 'r1' is named twice"),
    "input twice": ({"inputs": ["v1", "V1"]}, "inputs: 'v1' is named twice"),
    "no element": ({"parameters": ["r1=5"]}, r"parameters: 'r1=5' must be an element \(\"r1\"\), one of its"),
    "injection": ({"parameters": ["r1;quit"]}, "parameters: 'r1;quit' must be an element"),
    "injection by quotes": ({"parameters": ["r.x1.`shell touch pwned`"]}, "must be an element .* with letters, digits"),
    "injection by an input": (
        {"inputs": ["v`pwned`"]},
        "inputs: 'v`pwned`' must be the name of a source, with letters",
    ),
    "injection into a file": ({"parameters": ["r.x1.r2>pwned"]}, "must be an element"),
    "initial state without a transient": (
        {"parameters": ["c1[ic]"]},
        r'c1\[ic\] sets initial states, which a transient with uic uses .*: set analysis = "tran"$',
    ),
    "initial state without uic": (
        {"parameters": ["c1[ic]"], "analysis": "tran", "stop_seconds": 1e-6, "step_seconds": 1e-9},
        r"parameters: 'c1\[ic\]' is an initial state, which a transient uses only with uic = true",
    ),
    "uic of an operating point": ({"uic": True}, 'uic needs analysis = "tran"'),
    "uic that is no truth": ({"uic": "yes"}, "instrument.uic"),
    "parameter and input": ({"parameters": ["v1"]}, "parameters: 'v1' is also an input, which sets it"),
    "parameter with a waveform": (
        {"parameters": ["vwave"], "analysis": "tran", "stop_seconds": 1e-6, "step_seconds": 1e-9},
        "parameters: 'vwave' has a waveform in .*chip.cir, which a transient follows whatever its value is",
    ),
    "no such start": ({"spiceinit": "no.such"}, "spiceinit: cannot read .*no.such: No such file"),
    "a transistor whole": ({"parameters": ["m1"]}, r"parameters: 'm1' must be an element .* \(\"m1\[w\]\"\)"),
    "pair without middle": ({"parameters": ["r1 - r2"]}, "give middle if there are pairs of elements, and only then"),
    "middle without pair": ({"middle": 1.0}, "give middle if there are pairs of elements, and only then"),
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
    "time of no transient": ({"stop_seconds": 1e-6}, 'stop_seconds and step_seconds need analysis = "tran"'),
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


@pytest.mark.parametrize("name", [".param rr", ".PARAM  Rr", ".param mine", ".param spare2", ".model DX[is]"])
def test_what_is_in_the_netlist_can_be_a_parameter(load, name):
    load(CARDS, parameters=[name])


def test_a_chip_file_with_a_wrong_netlist_is_named(tmp_path):
    from mgd.runs import read_chip_file

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
