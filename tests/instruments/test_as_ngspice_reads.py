"""Netlists of many kinds: a circuit has at every node what `ngspice -b` has for the same file, or is refused."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mgd.instruments import Spice
from mgd.instruments._netlist import Netlist
from mgd.instruments._spice_settings import SpiceSettings

pytestmark = [
    pytest.mark.usefixtures("needs_ngspice"),
    pytest.mark.skipif(shutil.which("ngspice") is None, reason="the program ngspice is not there, only its library"),
]

IN = "Vin in 0 DC 1\n"
TOP = IN + "R1 in out 1k\n"
LOW = "R2 out 0 3k\n"
OP = ".op\n.end\n"
MOS = "Vdd dd 0 3\nR3 dd d 10k\nM1 d in 0 0 nx w=2u l=1u\n"
HUNG = "R4 d out 10k\n"
HALF = ".subckt half a b\nRa a b 1k\nRb b 0 1k\n.ends\n"
RC = "t\nVin in 0 PWL(0 0 1u 1)\nR1 in out 1k\nC1 out 0 20n"

# Operating points: the netlist, or the netlist and what else is beside it.
POINTS: dict[str, str | dict[str, str | bytes]] = {
    # what is left out goes with its continuations, and nothing else does
    "dc continued": "t\n" + TOP + LOW + ".dc vin 0 5\n+ 0.1\n" + OP,
    "tran continued": "t\n" + TOP + LOW + ".tran 1n\n+ 1u\n+ 0 1n\n" + OP,
    "tran continued after a source": "t\n" + TOP + LOW + "E1 e 0 out 0 2\n.tran 1u\n+ 2m\n" + OP,
    "ac continued": "t\n" + TOP + LOW + ".AC dec\n* between\n\n+ 10 1\n+ 1k\n" + OP,
    "measure continued": "t\n"
    + TOP
    + LOW
    + ".measure tran d\n+ TRIG v(in) VAL=0.5 RISE=1\n+TARG v(out) VAL=.5 RISE=1\n"
    + OP,
    "print and plot continued": "t\n" + TOP + LOW + ".print tran v(in)\n+ v(out)\n.plot tran v(in)\n+ v(out)\n" + OP,
    "save continued": "t\n" + TOP + LOW + ".save\n+ all\n" + OP,
    "op continued": "t\n" + TOP + LOW + ".op\n+ 2k\n.end\n",
    "noise, tf, sens, pz, disto": "t\n"
    + TOP
    + LOW
    + ".noise v(out) vin\n+ dec 1 1 10\n.tf v(out)\n+ vin\n.sens v(out)\n"
    ".pz in 0 out 0\n+ vol pz\n" + OP,
    "script": "t\n" + TOP + LOW + ".control\n* R9 out 0 1\nset foo = 3\n+ 1k\n.endc\n+ more\n" + OP,
    "script in capitals": "t\n" + TOP + ".CONTROL\nset foo\n  .EndC\n" + LOW + OP,
    "what follows .end": "t\n" + TOP + LOW + OP + "R4 out 0 1k\n",
    "continued after .end": "t\n" + TOP + ".op\nR2 out 0\n.end\n+ 3k\n",
    "no .end, no final newline": "t\n" + TOP + LOW + ".op",
    ".END and blanks": "t\n" + TOP + LOW + ".OP\n.END   \n\n\n",
    "what follows @": "t\n" + TOP + LOW + ".op\n@end\nR4 out 0 1k\n",
    # logical lines
    "comments between": "t\n" + TOP + "R2 out 0\n\n* c\n   \n$ c\n# c\n// c\n   * c\n\t\n+ 3k\n" + OP,
    "comments at ends": "t\n" + IN + "R1 in out 1k;c\nR2 out 0 $ c\n+ 3k // x ; y\nR4 out 0 $\n+ 9k ;\n" + OP,
    "dollar in a node": "t\n" + IN + "R1 in o$x 1k\nR2 o$x 0 1k\n" + OP,
    "continued by blanks and a plus": "t\n" + TOP + "R2 out 0\n \t +3k\n" + OP,
    "comment on a continuation": "t\n" + TOP + "R2 out 0\n+ $ nothing here\n+ 3k\n" + OP,
    "semicolon in quotes": "t\n" + TOP + "B1 b 0 V='v(in)*2' ; c\nRb b 0 1k\n" + OP,
    "backslashes": "t\n" + TOP + "R2 out 0 \\\\\n3k\nR4 out \\\\\n 0 \\\\\n 5k\n" + OP,
    "backslashes in the title": "t \\\\\nR9 out 0 1k\n" + TOP + LOW + OP,
    "continued title": "t\n+ R9 out 0 1k\n" + TOP + LOW + OP,
    "title is an element": "R9 out 0 1k\n" + TOP + LOW + OP,
    "title is a source": "Vin in 0 5\n" + TOP + LOW + OP,
    "title is a comment": "* circuit\n+ 3\n" + TOP + LOW + OP,
    "title is empty": "\n" + TOP + LOW + OP,
    "title is two empty lines": "\n\n" + TOP + LOW + OP,
    "title is .control": ".control\n" + TOP + LOW + OP,
    "title is .end": ".end\n" + TOP + LOW + OP,
    "title is .op": ".tran 1 2\n" + TOP + LOW + OP,
    "title is a model": ".model x d\n" + TOP + LOW + OP,
    "title is .title": ".title x\n+ y\n" + TOP + LOW + OP,
    "title within": "t\n" + TOP + "R2 out 0\n.title other\n+ 3k\n" + OP,
    "dos": ("t\n" + TOP + "R2 out 0\n+ 3k\n.tran 1u\n+ 1m\n" + OP).replace("\n", "\r\n"),
    "dos, no end": ("t\n" + TOP + LOW + ".op").replace("\n", "\r\n"),
    "tabs": "t\n\tVin\tin\t0\tDC\t1\n  R1\tin\tout\t1k\n\tR2\tout 0\n\t+\t3k\n" + OP,
    "capitals": ("t\n" + TOP + LOW + "X1 in b half\n" + HALF + OP).upper(),
    "mark of byte order": {"m.cir": b"\xef\xbb\xbf* t\n" + (TOP + LOW + OP).encode()},
    "mark of byte order, include first": {
        "m.cir": b"\xef\xbb\xbf.include a.inc\n" + (TOP + LOW + OP).encode(),
        "a.inc": "R4 in 0 1\n",
    },
    "latin-1 in comments": {
        "m.cir": b"t\xe9\n* r\xe9sistance\n" + (TOP + LOW).encode() + b"R4 out 0 1k ; \xe9\n" + OP.encode()
    },
    "micro sign": "t\n" + TOP + LOW + "I1 0 out 10µ\nC1 out 0 1µF\nR4 aµb 0 1k\nR5 out aµb 1k\n" + OP,
    "micro sign in latin-1": {
        "m.cir": ("t\n" + TOP + LOW + "I1 0 out 10µA ; é\nC1 out 0 1µF\n" + OP).encode("latin-1")
    },
    "utf-8 in names": "t\n" + IN + "R1 in né 1k\nRé né 0 1k\nR3 in ça 1k\nR4 ÇA 0 1k\n" + OP,
    "odd first letter": "t\n" + TOP + LOW + "; R4 out 0 1k\n= R5 out 0 1k\n" + OP,
    # included files
    "include first": {"m.cir": ".include a.inc\n" + IN + MOS + OP, "a.inc": ".model nx nmos vto=0.5\n+ kp=1m\n"},
    "include first, continued": {"m.cir": ".include a.inc\n+ 2k\n" + TOP + OP, "a.inc": "R2 out 0\n"},
    "lib first": {"m.cir": ".lib a.lib tt\n" + TOP + OP, "a.lib": ".lib tt\n" + LOW + ".endl\n"},
    "include after blanks is a title": {"m.cir": "  .include a.inc\n" + TOP + LOW + OP, "a.inc": "R4 out 0 1k\n"},
    "include indented": {"m.cir": "t\n" + TOP + " \t.INCLUDE a.inc\n" + OP, "a.inc": LOW},
    "include in quotes": {
        "m.cir": "t\n" + TOP + ".inc 'my a.inc' ; c\n.include\t\"my b.inc\"\n" + OP,
        "my a.inc": LOW,
        "my b.inc": "R4 out 0 9k\n",
    },
    "include and comment": {"m.cir": "t\n" + TOP + ".include a.inc $ hello\n" + OP, "a.inc": LOW},
    "include, more words": {"m.cir": "t\n" + TOP + ".include a.inc hello\n" + OP, "a.inc": LOW},
    "includes": {"m.cir": "t\n" + TOP + ".includes a.inc\n" + OP, "a.inc": LOW},
    "include nested": {
        "m.cir": "t\n" + TOP + ".include l/a.inc\n" + OP,
        "l/a.inc": ".inc 'k m/b.inc'",
        "l/k m/b.inc": LOW,
    },
    "include nested, of the first folder": {
        "m.cir": "t\n" + TOP + ".include l/a.inc\n" + OP,
        "l/a.inc": ".inc b.inc",
        "b.inc": LOW,
    },
    "include twice": {
        "m.cir": "t\n" + IN + ".include a.inc\n.include b.inc\n" + LOW + OP,
        "a.inc": ".param k=2\n",
        "b.inc": ".include a.inc\nR1 in out {k*1k}\n",
    },
    "include continued": {"m.cir": "t\n" + TOP + ".include a.inc\n+ 3k\n" + OP, "a.inc": "R2 out 0\n* c\n"},
    "include that continues": {
        "m.cir": "t\n" + TOP + "R2 out 0\n.include a.inc\n" + OP,
        "a.inc": "+ 3k\nR4 out 0 1k\n",
    },
    "include with .end": {
        "m.cir": "t\n" + TOP + ".include a.inc\nR4 out 0 1k\n" + OP,
        "a.inc": LOW + ".end\nR5 out 0 7k\n",
    },
    "include with a script": {
        "m.cir": "t\n" + TOP + ".include a.inc\n" + OP,
        "a.inc": LOW + ".control\nset foo\n.endc\nR4 out 0 1k\n",
    },
    "include in a subcircuit": {
        "m.cir": "t\n" + TOP + "X1 out s\n.subckt s a\n.include a.inc\n.ends\n" + OP,
        "a.inc": "R2 a 0 3k\n",
    },
    "include, dos": {"m.cir": "t\r\n" + TOP + ".include a.inc\r\n" + OP, "a.inc": LOW.replace("\n", "\r\n")},
    "lib": {
        "m.cir": "t\n" + TOP + ".lib a.lib TT\n" + OP,
        "a.lib": "* head\n.lib ff\nR2 out 0 9k\n.endl ff\n.LIB 'tt'\n" + LOW + ".ENDL tt\n",
    },
    "lib nested": {
        "m.cir": "t\n" + TOP + ".lib 'l/a.lib' \"tt\"\n" + OP,
        "l/a.lib": ".lib tt\n.lib b.lib rr\n.endl\n",
        "l/b.lib": ".lib rr\n.include c.inc\n.endl",
        "l/c.inc": LOW,
    },
    "lib of itself": {
        "m.cir": "t\n" + TOP + ".lib l/a.lib tt\n" + OP,
        "l/a.lib": ".lib tt\n.lib a.lib rr\n.endl\n.lib rr\nR2 out 0\n+ 3k\n.endl\n",
    },
    "lib twice": {
        "m.cir": "t\n" + IN + ".lib a.lib a\n.lib a.lib b\n" + OP,
        "a.lib": ".lib a\nR1 in out 1k\n.endl\n.lib b\nR2 out 0 3k\n.endl\n",
    },
    # cards of circuits
    "mos, continued model": "t\n" + IN + MOS + ".model nx nmos (kp=1m\n* c\n+ vto=0.5\n\n+ lambda=0.01)\n" + OP,
    "diode": "t\n" + TOP + "D1 out 0 dx area=2\n.model dx d(is=1f\n+ n=1.2 rs=3)\n" + OP,
    "bjt": "t\n" + TOP + "Vc c 0 3\nR5 c cc 1k\nQ1 cc out 0 qx\n.MODEL qx NPN(bf=80\n+ vaf=50)\n" + OP,
    "jfet": "t\n"
    + IN
    + "Vd d 0 3\nR5 d dd 1k\nJ1 dd 0 s jx\nRs s 0 500\n.model jx njf(vto=-2 beta=1m\n+ lambda=0.01)\n"
    + OP,
    "p channel": "t\n" + IN + "Vd d 0 3\nM1 o in d d px w=1u l=1u\nRo o 0 10k\n.model px pmos vto=-0.5 kp=1m\n" + OP,
    "sources that are controlled": "t\n"
    + TOP
    + LOW
    + "E1 e 0 out 0 2\nRe e 0 1k\nG1 0 g out 0 1m\nRg g 0 1k\nF1 0 f Vin 2\nRf f 0 1k\n"
    "H1 h 0 Vin 100\nRh h 0 1k\n",
    "polynomial": "t\n" + TOP + LOW + "E1 e 0 POLY(2) in 0 out 0\n+ 1 2 3\nRe e 0 1k\n",
    "behavioural": "t\n"
    + TOP
    + LOW
    + "B1 b 0 V=v(in)*v(out)\n+ +2\nRb b 0 1k\nB2 0 c I={1m*tanh(v(in))}\nRc c 0 1k\nE2 e 0 vol='v(b)*2'\nRe e 0 1k\n",
    "behavioural resistor": "t\n" + IN + "R1 in out r='1k+v(in)*100'\nR2 out 0 1k tc1=0.01\n.temp 50\n",
    "table": "t\n" + IN + "E1 out 0 table {v(in)} = (0,0) (2,5)\nR2 out 0 1k\n",
    "parameters": "t\n.param rr=1k k={2*rr}\n+ m='k+rr'\n" + IN + "R1 in out {rr}\nR2 out 0 'm/2'\n",
    "parameter after its use": "t\n" + IN + "R1 in out {z}\nR2 out 0 1k\n.PARAM Z = {2 * y}\n.param y=1k\n",
    "function": "t\n.func f(x,y) {x*2+y}\n" + IN + "R1 in out {f(500, 1)}\nR2 out 0 1k\n",
    "if": "t\n.param c=2\n"
    + IN
    + ".if (c == 1)\nR1 in out 1k\n.elseif (c == 2)\nR1 in out 2k\n.else\nR1 in out 3k\n.endif\n"
    + LOW,
    "global": "t\n.global vv\n" + IN + "Vv vv 0 2\nX1 out s\n.subckt s a\nR1 vv a 1k\nR2 a 0 1k\n.ends\nR3 out 0 1k\n",
    "gnd": "t\nVin in GND 1\nR1 in out 1k\nR2 out gnd 3k\n",
    "options": "t\n" + TOP + "D1 out 0 dx\n.model dx d\n.options temp=80 tnom=20\n+ reltol=1e-5\n",
    "temperature": "t\n" + TOP + "D1 out 0 dx\n.model dx d\n.temp 75\n",
    "nodeset": "t\n"
    + IN
    + "Vdd dd 0 3\nR1 dd a 10k\nR2 dd b 10k\nM1 a b 0 0 n w=10u l=1u\nM2 b a 0 0 n w=10u l=1u\nR3 in a 1meg\n"
    ".model n nmos(vto=0.7 kp=100u)\n.nodeset v(a)=0\n+ v(b)=3\n",
    "ic at an operating point": "t\n" + TOP + LOW + "C1 out 0 1n ic=2\n.ic v(out)=2\n",
    "transient with uic, nothing stored": "t\n" + TOP + LOW + ".tran 1u 1m uic\n",
    "inductor": "t\n" + TOP + "L1 out a 1u\nR2 a 0 1k\nL2 b 0 1u\nR4 b 0 1\nK1 L1 L2 0.5\n",
    "switches": "t\n" + TOP + "S1 out a in 0 sx\nR2 a 0 1k\n.model sx sw(vt=0.5\n+ ron=10 roff=1meg)\n"
    "W1 out b Vin wx\nR4 b 0 1k\n.model wx csw it=1m\n",
    "line": "t\n" + TOP + "T1 out 0 t 0 z0=50 td=1n\nR2 t 0 1k\n",
    "subcircuit": "t\n" + TOP + "X1 out b half\n.subckt half a b\nRa a b 1k\nRb b 0 1k\n.ends half\n",
    "subcircuits nested": "t\n" + TOP + ".subckt outer a\n.subckt inner b\nVin b c 0.1\nR1 c 0 1k\n.ends inner\n"
    "X1 a inner\nX2 a inner\n.ends outer\nX1 out outer\n",
    "source of the same name inside": "t\n" + TOP + LOW + "X1 out s\n.subckt s a\nVin b 0 0.5\nR1 a b 1k\n.ends\n",
    "macro": "t\n" + TOP + "X1 out s\n.macro s a\nVin b 0 0.5\nR1 a b 1k\n.eom\n",
    "subcircuit with parameters": "t\n.param g=2\n"
    + TOP
    + "X1 out b s r={g*1k}\n.subckt s a b params: r=5\n+ q={r/2}\nRa a b {r}\nRb b 0 {q}\n.ends\n",
    "subcircuit continued": "t\n"
    + TOP
    + "X1 out\n* c\n+ b\n+ half\n.subckt half a\n+ b\nRa a b 1k\nRb b 0 1k\n.ends\n",
    "model in a subcircuit": "t\n" + TOP + "X1 out s\n.subckt s a\nD1 a 0 dx\n.model dx d(is=1p)\n.ends\n",
    "nodes by numbers and signs": "t\nVin 1 0 1\nR1 1 n+1 1k\nR2 n+1 a-b 1k\nR3 a-b x#y 1k\nR4 x#y 0 1k\n",
    "source in brackets": "t\nVin (in, 0) DC 1\nR1 (in out) 1k\nR2 (out 0) 3k\n",
    "source continued": "t\nVin in 0\n+ DC 1\n+ AC 1 ; c\n+ SIN(0 1\n+ 1k)\n" + "R1 in out 1k\n" + LOW,
    "source with an expression": "t\n.param v=1\nVin in 0 {v}\nR1 in out 1k\n" + LOW,
    "multipliers": "t\n" + TOP + "R2 out 0 3k m=2\nI2 0 out 1m m=3\n",
    "unused subcircuit and model": "t\n" + TOP + LOW + HALF + ".model dx d\n",
    "xspice": "t\n" + TOP + LOW + "A1 in g gx\n.model gx gain(gain=3\n+ out_offset=0.5)\nRg g 0 1k\n",
}

TRANSIENTS: dict[str, str | dict[str, str | bytes]] = {
    "low-pass": RC + "\n.tran 1u 40u 0 1u\n",
    "state without uic": RC + " ic=0.7\n.tran 1u 40u 0 1u\n",
    "uic": RC + " ic=0.7\n.tran 1u 40u 0 1u UIC\n",
    "uic on a continuation": RC + "\n+ ic=0.7\n.tran 1u 40u\n* c\n+ 0 1u\n+ uic ; c\n",
    "ic": RC + "\n.ic v(out)=0.6\n.tran 1u 40u 0 1u\n",
    "ic and uic": RC + "\n.ic\n+ v(out)=0.6\n.tran 1u 40u 0 1u uic\n",
    "uic of a parameter, in a subcircuit": RC
    + "\n.param x=0.3\nX1 in s y={x}\n.subckt s a y=0.1\nR1 a b 1k\nC1 b 0 20n IC={y}\n"
    ".ends\n.tran 1u 40u 0 1u uic\n",
    "uic of an inductor": "t\nVin in 0 PWL(0 0 1u 1)\nR1 in out 1k\nL1 out 0 30m ic=0.5m\n.tran 1u 40u 0 1u uic\n",
    "nodeset": RC + "\n.nodeset v(out)=0.6\n.tran 1u 40u 0 1u\n",
    "method": RC + "\nL1 out b 1m\nR2 b 0 50\n.options method=gear\n+ maxord=3\n.tran 1u 40u 0 1u\n",
    "diode and its charge": RC + "\nD1 out b dx\nR2 b 0 1k\n.model dx d(cjo=5n\n+ tt=1u)\n.tran 1u 40u 0 1u\n",
    "other sources move": RC + "\nV2 p 0 pulse(0 1 5u 1u 1u\n+ 10u 25u)\nR2 p out 5k\n.tran 1u 40u 0 1u\n",
}


# Parameters of θ that are of the netlist or of a model: the netlist with VALUE in place of it, the parameter, and its
# value at first and then.
SET: dict[str, tuple[str | dict[str, str | bytes], str, float, float]] = {
    "of a resistor": ("t\n.param rr=VALUE\n" + IN + "R1 in out {rr}\n" + LOW, ".param rr", 1e3, 2500.0),
    "through another": (
        "t\n.param kk={2*rr} rr=VALUE r=7\n+ rrr='kk+rr'\n" + IN + "R1 in out {rrr}\n" + LOW,
        ".param rr",
        1e3,
        700.0,
    ),
    "in capitals, continued": (
        "t\n.PARAM A=1k\n+ RLOAD = VALUE\n" + IN + "R1 in out {a}\nR2 out 0 'RLoad'\n",
        ".param RLOAD",
        3e3,
        10.0,
    ),
    "given to a subcircuit": (
        "t\n.param q=VALUE\n" + TOP + "X1 out s r={2*q}\n.subckt s a r=5\nRa a b {r}\nRb b 0 {q}\n.ends\n",
        ".param q",
        1e3,
        4e3,
    ),
    "with a function, and a choice": (
        "t\n.param c=VALUE\n.func f(x) {x*x}\n"
        + IN
        + ".if (c > 2)\nR1 in out {f(c)*1k}\n.else\nR1 in out {c*1k}\n.endif\n"
        + LOW,
        ".param c",
        1.0,
        3.0,
    ),
    "of a source and an expression": (
        "t\n.param vb=VALUE\n" + TOP + LOW + "V2 b 0 {vb}\nB1 c 0 V=v(out)*vb\nRc c b 1k\n",
        ".param vb",
        0.5,
        -1.5,
    ),
    "in a library": (
        {"m.cir": "t\n.lib a.lib tt\n" + IN + "R1 in out {rr}\n" + LOW, "a.lib": ".lib tt\n.param rr=VALUE\n.endl\n"},
        ".param rr",
        1e3,
        50.0,
    ),
    "of a model by a parameter": (
        "t\n.param nn=VALUE\n" + TOP + "D1 out 0 dx\n.model dx d(is=1f n={nn})\n",
        ".param nn",
        1.0,
        1.7,
    ),
    "of what is drawn": (
        "t\n.param rr=VALUE\n.options seed=5\n"
        + IN
        + "R1 in out {agauss(rr, 100, 1)}\nR2 out 0 {agauss(1k, 100, 1)}\n",
        ".param rr",
        1e3,
        2e3,
    ),
    "diode": ("t\n" + TOP + "D1 out 0 dx\nD2 out 0 dx\n.model dx d(is=VALUE\n+ rs=3)\n", ".model dx[is]", 1e-15, 1e-10),
    "diode's emission": ("t\n" + TOP + "D1 out 0 dx\n.model dx d(n=VALUE)\n", ".model DX[N]", 1.0, 1.8),
    "mos": ("t\n" + IN + MOS + HUNG + ".model nx nmos(kp=1m vto=VALUE)\n", ".model nx[vto]", 0.5, 0.8),
    "mos, gain": ("t\n" + IN + MOS + HUNG + ".model nx nmos(level=1 kp=VALUE vto=0.5)\n", ".model nx[kp]", 1e-3, 1e-5),
    "bjt": (
        "t\n" + TOP + "R6 in out 500\nVc c 0 3\nR5 c cc 50\nQ1 cc out 0 qx\n.model qx npn(bf=VALUE vaf=50)\n",
        ".model qx[bf]",
        80.0,
        20.0,
    ),
    "jfet": (
        "t\n" + IN + "Vd d 0 3\nR5 d dd 1k\nJ1 dd 0 s jx\nRs s 0 500\nR4 s out 1k\n.model jx njf(vto=VALUE beta=1m)\n",
        ".model jx[vto]",
        -2.0,
        -1.2,
    ),
    "bsim3": ("t\n" + IN + MOS + HUNG + ".model nx nmos(level=8 vth0=VALUE)\n", ".model nx[vth0]", 0.5, 0.7),
    "bsim4": ("t\n" + IN + MOS + HUNG + ".model nx nmos(level=14 vth0=VALUE)\n", ".model nx[vth0]", 0.5, 0.7),
    "sheet resistance": (
        "t\n" + IN + "R1 in out rx w=1u l=10u\n" + LOW + ".model rx r(rsh=VALUE)\n",
        ".model rx[rsh]",
        100.0,
        300.0,
    ),
    "switch": (
        "t\n" + TOP + "S1 out 0 in 0 sx\n.model sx sw(vt=0.5 ron=VALUE roff=1meg)\n",
        ".model sx[ron]",
        10.0,
        1e3,
    ),
    "of a subcircuit": (
        "t\n" + TOP + "X1 out s\n.subckt s a\nD1 a 0 dx\n.model dx d(is=VALUE)\n.ends\n",
        ".model x1:dx[is]",
        1e-15,
        1e-10,
    ),
}

# Netlists of other programs, by `ngbehavior`.
OF_OTHERS: dict[str, tuple[str, str | dict[str, str | bytes]]] = {
    "library without a section": ("ps", {"m.cir": "t\n" + TOP + ".LIB a.lib ; c\n", "a.lib": LOW}),
    "temperatures of pspice": ("psa", "t\n" + IN + "R1 in out 1k TC=0.01,0.001\nR2 out 0 1k\n.temp 50\n"),
    "both": ("ltpsa", "t\n" + TOP + LOW + "E1 e 0 VALUE={if(v(in)>0.5, 2, 3)}\nRe e 0 1k\n"),
    "hspice": ("hs", "t\n.param rr='2*500'\n" + IN + "R1 in out 'rr' $ c\n" + LOW),
    "everything": ("all", "t\n" + TOP + "R2 out 0 3k m=2\nX1 out 0 s\n.subckt s a b\nRa a b 1k\n.ends\n"),
}


def test_a_library_that_is_a_link_includes_what_is_beside_the_file_itself(tmp_path):
    text = "t\n" + TOP + ".lib a.lib tt\n" + OP
    path = written(tmp_path, {"m.cir": text, "kit/b.lib": ".lib tt\n.inc c.inc\n.endl\n", "kit/c.inc": LOW})
    (tmp_path / "a.lib").symlink_to(tmp_path / "kit/b.lib")
    assert of_mgd(path, ["v(out)"]).item() == pytest.approx(of_ngspice(path)["v(out)"], rel=1e-6)


def written(folder: Path, files: str | Mapping[str, str | bytes]) -> Path:
    """The netlist of a folder in which these files are."""
    for name, content in ({"m.cir": files} if isinstance(files, str) else files).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / "m.cir"


def of_ngspice(path: Path, *options: str) -> dict[str, float]:
    """The last point of the operating point or transient that `ngspice -b` makes of a file, by its vectors."""
    raw = path.with_suffix(".raw")
    command = ["ngspice", "-n", "-b", *options, "-r", raw.name, path.name]
    environment = os.environ | {"SPICE_ASCIIRAWFILE": "1"}
    said = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, timeout=60, check=False)
    assert raw.exists(), said
    plots = re.split(r"^Plotname: ", raw.read_text(errors="replace"), flags=re.MULTILINE)
    plot = next(each for each in plots if each.startswith(("Operating Point", "Transient Analysis")))
    header, values = re.split(r"^Values:\n", plot.partition("\nTitle:")[0], flags=re.MULTILINE)
    names = re.findall(r"^\t\d+\t(\S+)\t", header, re.MULTILINE)
    return dict(zip(names, map(float, values.split()[-len(names) :]), strict=True))


def of_mgd(path: Path, outputs: list[str], **settings) -> np.ndarray:
    """Outputs of the circuit whose input is 1, its parameter as it is, by mgd."""
    as_pspice = "ps" in settings.get("ngbehavior", "")
    parameter = [name for name in Netlist(path, as_pspice=as_pspice).elements if name.startswith("r")][-1]
    given = {"netlist": path.name, "parameters": [parameter], "inputs": ["vin"], "outputs": outputs}
    read = SpiceSettings(**given, limits={"low": 0.0, "high": 1.0}, **settings)  # pyright: ignore
    with Spice(read, path.parent) as chip:
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, len(outputs)), np.float32))
        return chip.read_outputs()[0]


@pytest.mark.parametrize("files", POINTS.values(), ids=POINTS)
def test_an_operating_point_is_that_of_ngspice(files, tmp_path):
    if isinstance(files, str) and not re.search(r"^\s*\.op\s*$", files, re.IGNORECASE | re.MULTILINE):
        files += OP
    path = written(tmp_path, files)
    nodes = re.compile(r"v\((?!.*(_int\d|[:]|#)).*\)|i\(vin\)")  # not those that ngspice adds
    due = {name: value for name, value in of_ngspice(path).items() if nodes.fullmatch(name)}
    assert len(due) >= 3
    found = of_mgd(path, list(due))
    assert found == pytest.approx(list(due.values()), rel=2e-6, abs=1e-11), dict(zip(due, found, strict=True))


def with_value(files: str | Mapping[str, str | bytes], value: float) -> dict[str, str]:
    """The same files, with this value of the parameter."""
    files = {"m.cir": files} if isinstance(files, str) else files
    return {name: text.replace("VALUE", repr(value)) for name, text in files.items() if isinstance(text, str)}


def nodes_of(found: dict[str, float]) -> dict[str, float]:
    """The voltages of nodes that ngspice did not add."""
    return {name: value for name, value in found.items() if re.fullmatch(r"v\((?!.*([:]|#|_int)).*\)", name)}


@pytest.mark.parametrize(
    ("files", "name", "first", "then"),
    [pytest.param(*case, id=name, marks=pytest.mark.quick("through another", "diode")) for name, case in SET.items()],
)
def test_a_parameter_of_netlist_or_model_is_as_if_it_were_written_there(files, name, first, then, tmp_path):
    due = []
    for number, value in enumerate((first, then)):
        text = with_value(files, value)
        path = written(tmp_path / str(number), text | {"m.cir": f"{text['m.cir']}R99 out 0 2k\n{OP}"})
        due.append(nodes_of(of_ngspice(path)))
    assert any(due[0][node] != pytest.approx(due[1][node], rel=1e-3) for node in due[0])
    first_file = tmp_path / "0" / "m.cir"
    settings = {"netlist": first_file.name, "parameters": ["r99", name], "inputs": ["vin"], "outputs": list(due[0])}
    with Spice(SpiceSettings(**settings, limits={"low": -1e4, "high": 1e4}), first_file.parent) as chip:  # pyright: ignore
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, len(due[0])), np.float32))
        for value, nodes in ((then, due[1]), (first, due[0]), (then, due[1])):
            chip.set_parameters(np.array([500.0, value]))
            assert chip.read_outputs()[0].tolist() != pytest.approx(list(nodes.values()), rel=1e-6)
            chip.set_parameters(
                np.array([2000.0, value])
            )  # what is set of elements stays, when the circuit is made anew
            assert chip.read_outputs()[0] == pytest.approx(list(nodes.values()), rel=1e-5, abs=1e-11)


def test_a_parameter_of_the_netlist_is_so_in_transients_too(tmp_path):
    netlist = {
        "m.cir": "t\n.param cc=VALUE v0=0.7\n" + RC[2:].replace("20n", "{cc} ic={v0}") + "\n.tran 1u 40u 0 1u uic\n"
    }
    due = [
        of_ngspice(written(tmp_path / name, with_value(netlist, float(name))))["v(out)"] for name in ("2e-8", "5e-8")
    ]
    settings = {"netlist": "m.cir", "parameters": [".param cc", ".param v0"], "inputs": ["vin"], "outputs": ["v(out)"]}
    times = {"analysis": "tran", "stop_seconds": 40e-6, "step_seconds": 1e-6, "limits": {"low": -1.0, "high": 1.0}}
    with Spice(SpiceSettings(**settings, **times), tmp_path / "2e-8") as chip:  # pyright: ignore
        chip.present(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        for theta, expected in (
            ([2e-8, 0.7], due[0]),
            ([5e-8, 0.7], due[1]),
            ([5e-8, 0.1], None),
            ([2e-8, 0.7], due[0]),
        ):
            chip.set_parameters(np.array(theta))
            found = chip.read_outputs().item()
            assert found < min(due) if expected is None else found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("behavior", "files"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.quick("library without a section"))
        for name, case in OF_OTHERS.items()
    ],
)
def test_a_netlist_of_another_program_is_read_as_ngspice_reads_it_then(behavior, files, tmp_path):
    files = {"m.cir": files} if isinstance(files, str) else files
    path = written(tmp_path, files | {"m.cir": f"{files['m.cir']}{OP}"})
    due = nodes_of(of_ngspice(path, "-D", f"ngbehavior={behavior}"))
    assert of_mgd(path, list(due), ngbehavior=behavior) == pytest.approx(list(due.values()), rel=2e-6, abs=1e-11)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_netlist_of_ltspice_is_that_in_ascii(encoding, tmp_path):
    """ngspice does not read UTF-16: it has the same in its own encoding."""
    text = "* C:\\Drafts\\amp.asc\nVin in 0 1\nR1 in out 1k\nR2 out 0 3k\nI1 0 out 10µ\nC1 out 0 1µ\n.op\n.end\n"
    path = written(tmp_path, text.replace("µ", "u"))
    due = of_ngspice(path)
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert of_mgd(path, ["v(out)"]).item() == pytest.approx(due["v(out)"], rel=1e-6)


@pytest.mark.parametrize("files", TRANSIENTS.values(), ids=TRANSIENTS)
def test_a_transient_is_that_of_ngspice(files, tmp_path):
    path = written(tmp_path, files)
    due = {name: value for name, value in of_ngspice(path).items() if name != "time"}
    found = of_mgd(path, list(due), analysis="tran", stop_seconds=40e-6, step_seconds=1e-6)
    assert found == pytest.approx(list(due.values()), rel=1e-5, abs=1e-9), dict(zip(due, found, strict=True))
