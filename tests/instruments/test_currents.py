"""Currents of elements as outputs, against a source of 0 V through which they flow; those that ngspice has not."""

import re

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import load_instrument, opened

pytestmark = pytest.mark.usefixtures("needs_ngspice")

# The element, its first node being n, into which its current flows; and for what it stands of it.
ELEMENTS = {
    "r1": ("r1 n 0 1k", 1),
    "r2": ("r2 n 0 r='1k+100*v(in)'", 1),
    "c1": ("c1 n 0 1u", 1),
    "l1": ("l1 n k 1u\nrl k 0 1k", 1),
    "v1": ("v1 n k 0.1\nrv k 0 1k", 1),
    "i1": ("i1 n 0 1m", 1),
    "e1": ("e1 n k in 0 0.1\nre k 0 1k", 1),
    "e2": ("e2 n k vol='v(in)/2'\nre k 0 1k", 1),
    "f1": ("f1 n 0 vin 2", 1),
    "g1": ("g1 n 0 in 0 1m", 1),
    "g2": ("g2 n 0 cur='v(in)*1m'", 1),
    "h1": ("h1 n k vin 100\nrh k 0 1k", 1),
    "b1": ("b1 n k v=v(in)/2\nrb k 0 1k", 1),
    "b2": ("b2 n 0 i=v(in)*1m", 1),
    "s1": ("s1 n 0 in 0 sx\n.model sx sw vt=0.5 ron=1k", 1),
    "w1": ("w1 n 0 vload wx\n.model wx csw it=-1 ron=1k", 1),
    "d1": ("d1 n 0 dx\n.model dx d rs=100", 1),
    "q1": ("q1 n b 0 qx\nrb in b 100k\n.model qx npn", 1),
    "q2": ("q2 n b up qx\nrb 0 b 100k\n.model qx pnp", 1),
    "j1": ("j1 n 0 0 jx\n.model jx njf", 1),
    "j2": ("j2 n up up jx\n.model jx pjf", -1),
    "z1": ("z1 n 0 0 zx\n.model zx nmf", 1),
    "m1": ("m1 n in 0 0 mx w=2u l=1u m=2\n.model mx nmos vto=0.5 kp=1m", 1),
    "m2": ("m2 n 0 up up mx w=2u l=1u\n.model mx pmos vto=-0.5 kp=1m", -1),
    "m3": ("m3 n in 0 mx\n.model mx vdmos vto=0.5 kp=1m", 1),
    "m4": ("m4 n in 0 0 mx w=2u l=1u\n.model mx nmos level=14", 1),
    "m.x1.m1": ("x1 n s\n.subckt s a\nm1 a in 0 0 mx w=2u l=1u\n.ends\n.global in\n.model mx nmos vto=0.5 kp=1m", 1),
    "d.x1.x2.d1": ("x1 n s\n.subckt s a\nx2 a t\n.ends\n.subckt t a\nd1 a 0 dx\n.model dx d rs=100\n.ends", 1),
    "r.x1.r1": ("x1 n s\n.subckt s a\nr1 a 0 r='1k+100*v(a)'\n.ends", 1),
    "v.x1.v1": ("x1 n s\n.subckt s a\nv1 a b 0.1\nr1 b 0 1k\n.ends", 1),
    "l.x1.l1": ("x1 n s\n.subckt s a\nl1 a b 1u\nr1 b 0 1k\n.ends", 1),
    "e.x1.e1": ("x1 n s\n.subckt s a\ne1 a b in 0 0.1\nr1 b 0 1k\n.ends\n.global in", 1),
}
SETTINGS = {"netlist": "chip.cir", "parameters": ["rload"], "inputs": ["vin"], "limits": {"low": 1.0, "high": 2.0}}


def measured(folder, element: str, outputs: list[str], **settings) -> np.ndarray:
    source = "0" if re.match(r"[mqj]2", element) else "in"
    text = f"currents\nvin in 0 0\nrload in 0 1k\nvload {source} f 0\nrf f n 10\nvup up 0 3\n{element}\n"
    text += ".options reltol=1e-6\n"
    (folder / "chip.cir").write_text(text)
    with opened(load_instrument("spice", SETTINGS | {"outputs": outputs} | settings, folder)) as chip:
        chip.present(np.array([[0.7], [1.2]], np.float32), np.zeros((2, len(outputs)), np.float32))
        return chip.read_outputs()


@pytest.mark.parametrize("settings", [{}, {"analysis": "tran", "stop_seconds": 10e-6, "step_seconds": 1e-7}])
@pytest.mark.parametrize(("name", "element", "sign"), [(n, *element) for n, element in ELEMENTS.items()], ids=ELEMENTS)
def test_the_current_of_an_element_is_what_flows_into_its_first_node(name, element, sign, settings, tmp_path):
    found = measured(tmp_path, element, [f"i({name.upper()})", "i(vload)", f"i({name}) - i(vload)"], **settings)
    assert found[:, 0] == pytest.approx(sign * found[:, 1], rel=1e-4, abs=1e-9)
    assert found[:, 2] == pytest.approx(found[:, 0] - found[:, 1], abs=1e-9)
    if name != "c1" or settings:
        assert np.all(np.abs(found[:, 1]) > 1e-7)


@pytest.mark.parametrize("settings", [{}, {"analysis": "tran", "stop_seconds": 10e-6, "step_seconds": 1e-7}])
@pytest.mark.parametrize(
    ("element", "outputs"),
    [
        ("m1", ["@M1[id]", "i(m1)"]),
        ("m.x1.m1", ["@m.x1.m1[id]", "i(m.x1.m1)"]),
        ("v.x1.v1", ["V.X1.V1#branch", "@v.x1.v1[i]"]),
        ("l1", ["l1#branch", "@l1[i]"]),
        ("e.x1.e1", ["e.x1.e1#branch", "i(e.x1.e1)"]),
        ("d1", ["@d1[id]", "i(vload)"]),
        ("q1", ["@q1[ic] - @q1[ib]", "i(q1) - @q1[ib]"]),
        ("r1", ["@r1[i]", "vload#branch"]),
    ],
)
def test_a_current_has_every_name_that_ngspice_takes(element, outputs, settings, tmp_path):
    found = measured(tmp_path, ELEMENTS[element][0], outputs, **settings)
    assert found[:, 0] == pytest.approx(found[:, 1], rel=1e-3, abs=1e-9)
    assert np.all(np.abs(found) > 1e-7)


def test_another_reading_of_an_element_is_that_of_the_element(tmp_path):
    """The transconductance, kp w/l m (v - vto), in which the first factors are 4 mS/V; and what there is not."""
    found = measured(tmp_path, ELEMENTS["m1"][0] + "\nvd n 0 3", ["@m1[gm]"])
    assert found[:, 0] == pytest.approx([4e-3 * 0.2, 4e-3 * 0.7], rel=1e-3)
    with pytest.raises(HardwareError, match=re.escape("the circuit has no @m1[nothing]: correct outputs")):
        measured(tmp_path, ELEMENTS["m1"][0], ["v(n)", "@m1[nothing]"])


@pytest.mark.parametrize("name", ["x1", "t1", "a1", "k1", "o1", "x1.r1"])
def test_what_has_no_current_is_refused_by_name(name, tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"ngspice has no current i({name}): it has those of R, C, L, V")):
        measured(tmp_path, "x1 n s\n.subckt s a\nr1 a 0 1k\n.ends", [f"i({name})"])


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("e1", "e1 n k poly(1) in 0 0 0.1\nre k 0 1k"),
        ("c1", "c1 n 0 c='1n*(1+v(in))'"),
        ("m1", "m1 n in 0 0 mx w=2u l=1u\n.model mx nmos level=5"),
        ("m.x1.m9", "x1 n s\n.subckt s a\nr1 a 0 1k\n.ends"),
        ("v.x1.v9", "x1 n s\n.subckt s a\nr1 a 0 1k\n.ends"),
    ],
)
@pytest.mark.parametrize("more", [[], ["i(rload)"]])
def test_a_current_that_ngspice_turns_out_not_to_have_is_refused_at_opening(name, element, more, tmp_path):
    with pytest.raises(HardwareError, match=re.escape(f"ngspice has no current i({name})")) as raised:
        measured(tmp_path, element, [f"i({name})", *more])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["d1[id]", "q1[gm]", "m1[gm]", "d1[widht]"])
def test_what_is_no_parameter_of_an_element_does_not_end_the_process(name, tmp_path):
    text = "t\nvin in 0 0\nd1 in 0 dx\nq1 in in 0 qx\nm1 in in 0 0 mx\n.model dx d\n.model qx npn\n.model mx nmos\n"
    (tmp_path / "chip.cir").write_text(text)
    given = SETTINGS | {"parameters": [name], "outputs": ["v(in)"]}
    with pytest.raises(HardwareError, match=re.escape(name)), opened(load_instrument("spice", given, tmp_path)):
        pass
