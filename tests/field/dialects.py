"""Small servers that speak as the instruments of docs/dialects.md do, over a socket or a serial port."""

import functools
import os
import re
import select
import socket
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np


class Plant:
    """What the instruments have at their terminals.

    Attributes:
        v: what is set, by the channel's name.
        x: what is presented.
        on: the outputs that are switched on.
    """

    def __init__(self):
        self.v: dict[str, float] = {}
        self.x, self.on = np.zeros(2), set()

    def reading(self) -> float:
        return float(0.25 + 0.05 * sum(self.v.values()) + 0.5 * self.x[0] - 0.25 * self.x[1])


class Fake:
    """An instrument of SCPI; others differ from it in what they have of their own.

    Attributes:
        unknown: what it was sent and does not know.
        harmed: whether it refuses what it is sent.
    """

    ends, end, hello = b"\n", b"\n", b""
    who = "ACME,REST,R1,1.0"

    def __init__(self, plant: Plant):
        self.plant, self.unknown, self.harmed = plant, [], False

    def said(self, line: str) -> bytes:
        """Everything that a line is answered with."""
        replies = [self.answer(each.strip().lstrip(":")) for each in line.split(";")]
        found = [reply if isinstance(reply, bytes) else reply.encode() for reply in replies if reply is not None]
        return b";".join(found) + self.end if found else b""

    def answer(self, command: str) -> str | bytes | None:
        plant, known = self.plant, self.common(command)
        if known is not None:
            return known
        if found := self.match(r"VOLT (\S+)", command):
            plant.v = {str(k): float(each) for k, each in enumerate(found[1].split(","))}
        elif command == "VOLT?":
            return ",".join(f"{each:.9g}" for each in plant.v.values())
        elif found := self.match(r"INP (\S+)", command):
            plant.x = np.array(found[1].split(","), float)
        elif command == "READ?":
            return f"{plant.reading():.9E}"
        elif command == "SAFE":
            plant.v = {}
        else:
            self.unknown.append(command)
        return None

    def common(self, command: str) -> str | None:
        if command == "*IDN?":
            return self.who
        if command == "SYST:ERR?":
            return '-222,"Data out of range"' if self.harmed else '+0,"No error"'
        return None

    def match(self, pattern: str, command: str) -> re.Match | None:
        return re.fullmatch(pattern, command)

    def switch(self, command: str, *patterns: str) -> bool:
        """Whether a command switches an output: patterns of those on, and off."""
        for k, pattern in enumerate(patterns):
            if found := re.fullmatch(pattern, command):
                self.plant.on = self.plant.on - {found[1]} if k else self.plant.on | {found[1]}
                return True
        return False


class OneByOne(Fake):
    """An instrument that answers each command of a line with a line of its own."""

    def said(self, line: str) -> bytes:
        found = [self.answer(each.strip().lstrip(":")) for each in line.split(";") if each.strip()]
        return b"".join((x if isinstance(x, bytes) else x.encode()) + self.end for x in found if x is not None)


class Keithley2600B(Fake):
    who = "Keithley Instruments Inc., Model 2602B, 4012345, 3.3.5"

    def said(self, line: str) -> bytes:
        """A chunk of Lua: a line with ;: in it would be none."""
        assert ";:" not in line
        return super().said(line)

    def answer(self, command: str) -> str | None:
        if command == "*IDN?":
            return self.who
        if command == "print(errorqueue.next())":
            wrong = "-2.85000e+02\tTSP Syntax error\t2.00000e+01\t1.00000e+00"
            return wrong if self.harmed else "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00"
        if found := self.match(r"smu([ab])\.source\.levelv = (\S+)", command):
            self.plant.v[found[1]] = float(found[2])
        elif found := self.match(r"print\(smu([ab])\.source\.levelv\)", command):
            return f"{self.plant.v[found[1]]:.5e}"
        elif found := self.match(r"smu([ab])\.source\.output = ([01])", command):
            self.plant.on = self.plant.on | {found[1]} if found[2] == "1" else self.plant.on - {found[1]}
        else:
            self.unknown.append(command)
        return None


class Keithley2461(OneByOne):
    who = "KEITHLEY INSTRUMENTS,MODEL 2461,04301234,1.7.12b"
    set_up = ("*CLS", "FORM SRE", "FORM:BORD SWAP")

    def answer(self, command: str) -> str | bytes | None:
        if command == "READ?":
            return b"#0" + np.array(self.plant.reading(), "<f4").tobytes()
        return self.common(command) if command not in self.set_up else None


class Keysight34465A(Fake):
    who = "Keysight Technologies,34465A,MY54505555,A.02.14-02.40"

    def answer(self, command: str) -> str | bytes | None:
        if command == "READ?":
            return b"#18" + np.array(self.plant.reading(), ">f8").tobytes()
        return self.common(command) if not command.startswith("FORM:") else None


class Hp3458A(OneByOne):
    end = b"\r\n"

    def answer(self, command: str) -> str | None:
        replies = {"ID?": "HP3458A", "ERRSTR?": '0,"NO ERROR"', "TARM SGL": f" {self.plant.reading():.9E}"}
        if command not in ("END ALWAYS", "TARM HOLD", *replies):
            self.unknown.append(command)
        return replies.get(command)


class Keysight33500B(Fake):
    who = "Agilent Technologies,33522B,MY52701234,2.09-1.19-2.00-52-00"

    def answer(self, command: str) -> str | None:
        if found := self.match(r"SOUR([12]):VOLT:OFFS (-?\d+\.\d{4})", command):
            self.plant.x[int(found[1]) - 1] = float(found[2])
        elif not self.switch(command, r"OUTP(\d) ON", r"OUTP(\d) OFF") and "FUNC DC" not in command:
            return self.common(command)
        return None


class SiglentSdg(OneByOne):
    who = "Siglent Technologies,SDG2042X,SDG2XCAD4R1234,2.01.01.38"

    def common(self, command: str) -> str | None:
        if command == "SYST:ERR?":
            return "-113  Undefined header" if self.harmed else "0  No Error"
        return super().common(command)

    def answer(self, command: str) -> str | None:
        if found := self.match(r"C([12]):BSWV OFST,(\S+)", command):
            self.plant.x[int(found[1]) - 1] = float(found[2])
        elif not self.switch(command, r"C(\d):OUTP ON", r"C(\d):OUTP OFF") and "WVTP,DC" not in command:
            return self.common(command)
        return None


class RigolDp832(OneByOne):
    who = "RIGOL TECHNOLOGIES,DP832,DP8C123456789,00.01.16"
    powered_on = 128

    def answer(self, command: str) -> str | None:
        if command == "*ESR?":
            status, self.powered_on = self.powered_on + 16 * self.harmed, 0
            return str(status)
        if found := self.match(r"SOUR(\d):VOLT (\d+\.\d{3})", command):
            self.plant.v[found[1]] = float(found[2])
        elif found := self.match(r"SOUR(\d):VOLT\?", command):
            return f"{self.plant.v[found[1]]:.3f}"
        elif not self.switch(command, r"OUTP CH(\d),ON", r"OUTP CH(\d),OFF"):
            return self.common(command)
        return None


class SrsSim928(OneByOne):
    end = b"\r\n"
    who = "Stanford Research Systems,SIM928,s/n003075,ver1.1"

    def answer(self, command: str) -> str | None:
        if command == "LEXE?":
            return "1" if self.harmed else "0"
        if found := self.match(r"VOLT (-?\d+\.\d{3})", command):
            self.plant.v["1"] = float(found[1])
        elif command == "VOLT?":
            return f"{self.plant.v['1']:+.3f}"
        elif command in ("OPON", "OPOF"):
            self.plant.on = {"1"} if command == "OPON" else set()
        elif command != "*CLS":
            return self.common(command)
        return None


class SrsSr830(OneByOne):
    end = b"\r"
    who = "Stanford_Research_Systems,SR830,s/n12345,ver1.07"

    def answer(self, command: str) -> str | None:
        if command == "*ESR?":
            return "32" if self.harmed else "64"  # a key was pressed
        if found := self.match(r"AUXV ([1-4]),(\S+)", command):
            self.plant.v[found[1]] = float(found[2])
        elif found := self.match(r"AUXV\? ([1-4])", command):
            return f"{self.plant.v[found[1]]:.3f}"
        elif command == "OUTP? 1":
            return f"{self.plant.reading():.6g}"
        elif command not in ("OUTX 0", "*CLS"):
            return self.common(command)
        return None


class RedpitayaDaqServer(OneByOne):
    def answer(self, command: str) -> str | None:
        if found := self.match(r"RP:DAC:CH([01]):OFF (\S+)", command):
            self.plant.v[found[1]] = float(found[2])
            return "false" if self.harmed else "true"
        if found := self.match(r"RP:DAC:CH([01]):OFF\?", command):
            return f"{self.plant.v[found[1]]:.6f}"
        self.unknown.append(command)
        return "false"


class RedpitayaScpi(OneByOne):
    ends = end = b"\r\n"
    who = "REDPITAYA,INSTR2024,0,01-02"

    def answer(self, command: str) -> str | None:
        if found := self.match(r"ANALOG:PIN AOUT([0-3]),(\S+)", command):
            self.plant.v[found[1]] = float(found[2])
        elif command == "ANALOG:PIN? AIN0":
            return f"{self.plant.reading():.6f}"
        elif command == "ANALOG:RST":
            self.plant.v = {}
        else:
            return self.common(command)
        return None


class Arduino(OneByOne):
    """What comes before it has started is lost; a line is of 64 bytes, and an exponent is not known."""

    hello, end = b"\r\nmgd dac v2 ready\r\n", b"\r\n"

    def answer(self, command: str) -> str | None:
        assert len(command) < 64
        if found := self.match(r"D(\d) (\d+)", command):
            self.plant.v[found[1]] = int(found[2]) * 5 / 4095
            return "err" if self.harmed else "ok"
        if found := self.match(r"D(\d)", command):
            return str(round(self.plant.v[found[1]] * 4095 / 5))
        if command == "OFF":
            self.plant.v = {}
            return "ok"
        return {"ID": "mgd dac8 A7", "A0": str(round(self.plant.reading() * 1023 / 5))}[command]


class Pico(OneByOne):
    ends, end = b"\r", b"\r\n"

    def said(self, line: str) -> bytes:
        echo = line.replace("set", "sat") if self.harmed else line
        return echo.encode() + b"\r\n" + super().said(line)

    def answer(self, command: str) -> str | None:
        if found := self.match(r"set (\d) (\d\.\d+)", command):
            self.plant.v[found[1]] = float(found[2])
            return None
        if command == "off":
            self.plant.v = {}
            return None
        if found := self.match(r"get (\d)", command):
            return f"{self.plant.v[found[1]]:.4f}"
        return {"who": "Raspberry Pi,Pico,E6614,1.22", "read": str(self.plant.reading())}[command]


FAKES: dict[str, type[Fake]] = {
    "keithley-2600b": Keithley2600B,
    "keithley-2461": Keithley2461,
    "keysight-34465a": Keysight34465A,
    "hp-3458a": Hp3458A,
    "keysight-33500b": Keysight33500B,
    "siglent-sdg": SiglentSdg,
    "rigol-dp832": RigolDp832,
    "srs-sim928": SrsSim928,
    "srs-sr830": SrsSr830,
    "redpitaya-daq-server": RedpitayaDaqServer,
    "redpitaya-scpi": RedpitayaScpi,
    "arduino": Arduino,
    "pico": Pico,
}


@contextmanager
def served(fake: Fake, *, serial: bool = False) -> Iterator[str]:
    """The fake behind a socket or a serial port; the resource that it is reached at."""
    with (_on_a_port if serial else _on_a_socket)(fake) as resource:
        yield resource


def _talk(fake: Fake, read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    received = b""
    while chunk := read():
        received += chunk
        while fake.ends in received:
            line, _, received = received.partition(fake.ends)
            if reply := fake.said(line.decode().strip()):
                write(reply)


@contextmanager
def _on_a_socket(fake: Fake) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                with line:
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    try:
                        line.sendall(fake.hello)
                        _talk(fake, functools.partial(line.recv, 4096), line.sendall)
                    except ConnectionError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"TCPIP0::127.0.0.1::{listening.getsockname()[1]}::SOCKET"
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def _on_a_port(fake: Fake) -> Iterator[str]:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    os.close(theirs)
    ended, ends = os.pipe()
    greeted = [False]

    def read() -> bytes:
        while True:
            ready, _, _ = select.select([ours, ended], [], [], 0.005)
            if ended in ready:
                return b""
            if ready:
                try:
                    return os.read(ours, 4096)
                except OSError:  # nobody has it open
                    _set_speed(ours, termios.B9600)
                    greeted[0] = False
                    select.select([ended], [], [], 0.005)
            elif not greeted[0] and termios.tcgetattr(ours)[4] == termios.B115200:  # whoever opened it is ready to hear
                greeted[0] = True
                os.write(ours, fake.hello)

    thread = threading.Thread(target=_talk, args=(fake, read, lambda reply: os.write(ours, reply)))
    thread.start()
    try:
        yield f"ASRL{name}::INSTR"
    finally:
        os.close(ends)
        thread.join()
        for each in (ours, ended):
            os.close(each)


def _set_speed(port: int, speed: int) -> None:
    attributes = termios.tcgetattr(port)
    attributes[4] = attributes[5] = speed
    termios.tcsetattr(port, termios.TCSANOW, attributes)
