"""One instrument of a bench, in a process of its own: `python -m field.part dac|generator|meter PORT PLANT`.

What the instruments do to the chip, and what is asked of them by a test, is in a file that all have mapped.
"""

import re
import socketserver
import sys
from contextlib import suppress

import numpy as np

from .three import WHO, outputs

# Places in the file: nine voltages, two inputs, the laser, the largest voltage there ever was, how many readings.
LASER, WORST, READINGS = 11, 12, 13
# What a test asks for: that the meter answers twice, that the DAC loses its supply for a moment.
SLIP, BROWN_OUT = 14, 15
SIZE = 16
# Each so many readings, the meter is over its range.
OVER = 41


def answer(name: str, command: str, plant: np.ndarray) -> list[str]:
    """What an instrument answers to a command."""
    if command == "*IDN?":
        return [WHO[name].decode()]
    if command == "SYST:ERR?":
        return ['+0,"No error"']
    if name == "dac":
        if plant[BROWN_OUT]:
            plant[:9], plant[BROWN_OUT] = 0, 0
        if found := re.fullmatch(r"CH(\d):VOLT (\S+)", command):
            plant[int(found[1]) - 1] = float(found[2])
            plant[WORST] = max(plant[WORST], abs(float(found[2])))
            return []
        if found := re.fullmatch(r"CH(\d):VOLT\?", command):
            return [f"{plant[int(found[1]) - 1]:.9g}"]
        if command == "OUTP:ALL OFF":
            plant[:9] = 0
            return []
    if name == "generator":
        if found := re.fullmatch(r"SOUR(\d):VOLT:OFFS (\S+)", command):
            plant[8 + int(found[1])] = float(found[2])
            return []
        if command in ("OUTP ON", "OUTP OFF"):
            plant[LASER] = command == "OUTP ON"
            return []
    if name == "meter" and command == "READ?":
        plant[READINGS] += 1
        light = plant[LASER] * outputs(plant[:9], plant[9:11])
        reading = "+9.90000000E+37" if plant[READINGS] % OVER == 0 else f"{light:+.8E}"
        twice, plant[SLIP] = bool(plant[SLIP]), 0
        return [reading, reading] if twice else [reading]
    return [f"{name} cannot know {command}"]


def serve(name: str, port: int, path: str) -> None:
    plant = np.memmap(path, np.float64, "r+", shape=(SIZE,))
    if name == "dac":
        plant[:9] = 0
    if name == "generator":
        plant[LASER] = 0

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                for line in self.rfile:
                    for one in line.decode().split(";"):
                        for reply in answer(name, one.strip().lstrip(":"), plant):
                            self.wfile.write(reply.encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Server(("127.0.0.1", port), Line) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
