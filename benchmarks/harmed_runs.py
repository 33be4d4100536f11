"""Harmed run directories: what commands answer where a file was cut, flipped or replaced.

`python benchmarks/harmed_runs.py` makes runs of five kinds (finished, half done, on a chip and half done, on a chip and
recorded, on a fleet and half done), a sweep, a plan and a calibration. It harms one file of a copy at a time, asks each
command in this process, and counts what must never be: a traceback, a hang, a complaint of several lines, and a number
that is another without a word. With `--quick` it takes 40 harms in place of 400; `--cases` gives another number,
`--seed` other ones, and `--kinds` names some of the kinds. It works as root or not; only root also tries files that
cannot be read and folders of another user.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

import mgd.cli
from mgd.runs import RunConfig, _execute, _hardware, resume, start

SECONDS = 30
NOBODY = 65534
_NUMBERS = itertools.count()
OF_RUNS = ("show", "time", "predict", "export", "report", "plot", "doctor", "resume")
# What is rebuilt by a command; all else must say the same as ever, or say what is wrong.
WRITTEN = {"export": "out.npz", "report": "out.html", "plot": "out.svg"}
FAULTS = ("traceback", "hang", "several lines", "silently other")
KINDS = ("finished", "half", "chip", "recorded", "fleet", "sweep", "plan", "calibration")
CHIP = """[chip]
hidden = [2]
inputs = [2]
outputs = 1
[imperfect]
cost-noise = 0.01
[instrument]
kind = "scpi"
resource = "TCPIP0::127.0.0.1::9::SOCKET"
[profile]
seconds = { inference = 1e-6, perturbation = 1e-6, write = 1e-6, load = 1e-6, latency = 1e-6 }
"""
PLANT = '''
import numpy as np
from mgd.instruments import Identity, Limits, from_callables

measured = 0

def chip(limit=4.0):
    """Two inputs, two neurons, one output: nine voltages, and no noise."""
    theta, delta, seen = np.zeros(9, np.float32), np.zeros(9, np.float32), {}
    def outputs():
        w = (theta + delta).astype(np.float64)
        hidden = 1 / (1 + np.exp(-(seen["x"] @ w[:4].reshape(2, 2) + w[4:6])))
        return (1 / (1 + np.exp(-(hidden @ w[6:8] + w[8]))))[:, None].astype(np.float32)
    def cost():
        global measured
        measured += 1
        return float(np.mean((outputs() - seen["target"]) ** 2))
    return from_callables(
        set_parameters=lambda new: np.copyto(theta, new), perturb=lambda new: np.copyto(delta, new),
        present=lambda x, target: seen.update(x=x, target=target), measure_cost=cost, read_outputs=outputs,
        identify=lambda: Identity("lab", "plant", "7", "1"), limits=Limits.uniform(9, -limit, limit, "V"),
    )
'''
SETTINGS = {
    "task": "parity",
    "bits": 2,
    "hidden": [2],
    "learning_rate": 0.5,
    "weight_decay": 3e-4,
    "optimizer": "momentum",
    "tau_x": 3,
    "tau_theta": 7,
    "steps": 120,
    "log_every": 20,
    "replicas": 2,
    "seed": 5,
}


class Killed(BaseException):
    """Stands for kill -9."""


class Late(BaseException):
    """It hangs."""


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes:
        name: of it.
        run: a whole directory.
        other: that of another run, whose files may be put in place of its own.
        whole: its parameters when it ends.
        recording: of the chip's answers, and of another run's.
        commands: what it is asked.
        settings: of a plan or a calibration, a file beside it that it needs.
    """

    name: str
    run: Path
    other: Path
    whole: bytes = b""
    recording: tuple[Path, Path] | None = None
    commands: tuple[str, ...] = OF_RUNS
    settings: Path | None = None


@dataclass
class Tally:
    """What came out.

    Attributes:
        faults: how many answers of each kind that must not be.
        answers: how many there were.
        examples: of the faults.
    """

    faults: Counter = field(default_factory=Counter)
    answers: int = 0
    examples: list[str] = field(default_factory=list)


@contextlib.contextmanager
def short_pieces() -> Iterator[None]:
    """Runs in pieces of a few steps, that share what they compile, and draw no picture: that takes half of the time."""
    made, before = {}, {(_execute, "draw_curve"): _execute.draw_curve}
    _execute.draw_curve = lambda *history, **words: b""

    def once(build: Callable) -> Callable:
        def call(config, *rest):
            changes = {"steps": 1, "seed": 0, "replicas": 1, "log_every": None, "instrument": None, "record": None}
            key = build.__name__, config.model_copy(update=changes)
            if key not in made:
                made[key] = build(config, *rest)
            return made[key]

        return call

    def pace(self, n: int, seconds: float) -> None:
        self._chunk = 8

    for module, name in (
        (_execute, "build_chip"),
        (_execute, "build_algorithm"),
        (_execute, "build_task"),
        (_hardware, "build_algorithm"),
    ):
        before[module, name] = getattr(module, name)
        setattr(module, name, once(before[module, name]))
    paced, seconds = _execute.Session._pace, _execute.CHECKPOINT_SECONDS
    _execute.Session._pace = pace
    try:
        yield
    finally:
        for (module, name), original in before.items():
            setattr(module, name, original)
        _execute.Session._pace, _execute.CHECKPOINT_SECONDS = paced, seconds


def of_plant(folder: Path) -> dict:
    """Settings of a run on the chip of a module of its own name in a folder."""
    name = f"plant_{next(_NUMBERS)}_of_{os.getpid()}"
    (folder / f"{name}.py").write_text(PLANT)
    table = {"kind": "callables", "build": f"{name}:chip", "folder": str(folder), "at_limit": "saturate"}
    return SETTINGS | {"replicas": 1, "instrument": table | {"arguments": {"limit": 4.0}}}


def make_kinds(folder: Path, wanted: tuple[str, ...] = KINDS) -> list[Kind]:
    """Runs of every kind, and others whose files may take the place of theirs."""
    of_chip, kinds = of_plant(folder), []
    fleet = of_chip | {"instrument": (of_chip["instrument"], of_plant(folder)["instrument"]), "replicas": 2}
    for name, more, half in (
        ("finished", {}, False),
        ("half", {}, True),
        ("chip", of_chip, True),
        ("recorded", of_chip, False),
        ("fleet", fleet | {"fleet": "own"}, True),
    ):
        if name not in wanted:
            continue
        made: list[Path] = []
        for role, changes in (("run", {}), ("other", {"learning_rate": 0.25, "seed": 6})):
            settings = SETTINGS | more | changes
            if name == "recorded":
                settings["record"] = str(folder / f"{role}.recording")
            made.append(make_run(settings, folder / name / role, half=half))
        run, other = made
        whole = folder / name / "whole"
        shutil.copytree(run, whole)
        resume(whole)
        theta = load_file(whole / "theta.safetensors")["theta"].tobytes()
        kind = Kind(name, run, other, theta)
        if name == "recorded":
            recordings = folder / "run.recording", folder / "other.recording"
            kind = replace(kind, recording=recordings, commands=(*kind.commands, "replay"))
        kinds.append(kind)
    return kinds + make_others(folder, wanted)


def make_others(folder: Path, wanted: tuple[str, ...]) -> list[Kind]:
    """A sweep, a plan and a calibration, each with another."""
    found = []
    chip = folder / "virtual.toml"
    chip.write_text(CHIP)
    for name, commands in (
        ("sweep", ("show sweep", "plot", "report", "sweep again")),
        ("plan", ("report", "plan again", "train plan")),
        ("calibration", ("train calibrated", "plan calibrated")),
    ):
        if name not in wanted:
            continue
        kind = Kind(name, folder / name / "run", folder / name / "other", commands=commands, settings=chip)
        (folder / name).mkdir()
        for place, seed in ((kind.run, 1), (kind.other, 2)):
            if name == "calibration":
                place.mkdir()
            made = ask("calibrate" if name == "calibration" else f"{name} again", place, kind, seed=seed)
            assert made.code == 0, made
        found.append(kind)
    return found


def make_run(settings: dict, out: Path, *, half: bool) -> Path:
    """A run; half done, it has checkpoints until step 60, and is killed at 88."""
    _execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE = (0.0, 0) if half else (1e9, 0)

    def on_progress(session) -> None:
        if session.snapshot.step >= 60:
            _execute.CHECKPOINT_SECONDS = 1e9
        if half and session.snapshot.step >= 88:
            raise Killed

    with contextlib.suppress(Killed):
        start(RunConfig.of(settings), out, on_progress=on_progress)
    _execute.CHECKPOINT_SECONDS = 1e9
    return out


def _cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _odd_bytes(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(max(40, path.stat().st_size)))


def _take_away(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _in_place(make: Callable[[Path], object]) -> Callable[[Path, random.Random], None]:
    def harm(path: Path, chance: random.Random) -> None:
        _take_away(path)
        make(path)

    return harm


HARMS: dict[str, Callable[[Path, random.Random], None]] = {
    "flip": _flip,
    "cut": _cut,
    "empty": _in_place(Path.touch),
    "odd bytes": _odd_bytes,
    "missing": _in_place(lambda path: None),
    "folder": _in_place(Path.mkdir),
    "pipe": _in_place(os.mkfifo),
    "loop": _in_place(lambda path: path.symlink_to(path.name)),
    "unreadable": lambda path, chance: path.chmod(0),
}
OF_FOLDERS = ("missing", "pipe", "loop", "file")
# Said once each: a bit flipped in each of some places tells more than two empty files.
SEVERAL = {"flip": 6, "cut": 2}


def harms_of(kind: Kind) -> list[tuple[str, str]]:
    """Every file of a run, with every harm."""
    found: list[tuple[str, str]] = []
    for path in sorted(kind.run.rglob("*")):
        name = str(path.relative_to(kind.run))
        if path.is_dir():
            found += [(name, harm) for harm in OF_FOLDERS]
        else:
            harms = [harm for harm in HARMS if harm != "unreadable" or os.geteuid() == 0]
            found += [(name, harm) for harm in harms for _ in range(SEVERAL.get(harm, 1)) if path.stat().st_size]
            if (kind.other / name).exists() and kind.name != "plan":  # a plan is all in one file
                found.append((name, "other run"))
    if kind.recording is not None:
        found += [("recording", harm) for harm in (*HARMS, "other run") for _ in range(SEVERAL.get(harm, 1))]
    if os.geteuid() == 0:
        found.append((".", "another user"))
    return found


def harm_file(kind: Kind, run: Path, name: str, harm: str, chance: random.Random) -> None:
    """Does it to a copy of the run."""
    path, other = run / name, kind.other / name
    if name == "recording" and kind.recording is not None:
        path, other = kind.recording
    if harm == "other run":
        _take_away(path)
        shutil.copy(other, path)
    elif harm == "another user":
        run.chmod(0o755)
    elif harm == "file":
        _take_away(path)
        path.write_text("no folder")
    else:
        HARMS[harm](path, chance)


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int | None
    out: str
    err: str
    fault: str = ""


def arguments_of(command: str, run: Path, kind: Kind, seed: int) -> list[str]:
    """What is written after `mgd`; no path has a space in it."""
    small = f"--bits 2 --hidden 2 --seed {seed}"
    planned = f"--simulations 4 --chips 4 --seconds 5 --seed {seed} --json"
    calibration, trained = run / "calibration.toml", f"--steps 8 --out {run.parent / 'trained'} --json"
    return {
        "show": f"show {run}",
        "time": f"time {run} --profile hw1 --json",
        "predict": f"predict {run} --replica all --json",
        "export": f"export {run} -o {run.parent / WRITTEN['export']}",
        "report": f"report {run} -o {run.parent / WRITTEN['report']}",
        "plot": f"plot {run} -o {run.parent / WRITTEN['plot']}",
        "doctor": f"doctor {run} --json",
        "resume": f"resume {run} --json",
        "replay": f"replay {run}",
        "show sweep": f"show {run} --json",
        "sweep again": f"sweep parity --vary amplitude=0.05,0.1 --replicas 2 --workers 1 --steps 40 "
        f"--learning-rate 0.5 --tau-theta 7 {small} --out {run} --json",
        "plan again": f"plan {kind.settings} parity --bits 2 --out {run} {planned}",
        "train plan": f"train {run / 'plan.toml'} {trained}",
        "calibrate": f"calibrate {kind.settings} --simulate --seed {seed} --out {calibration}",
        "train calibrated": f"train parity --chip {kind.settings} --simulate --calibration {calibration} {trained}",
        "plan calibrated": f"plan {kind.settings} parity --bits 2 --calibration {calibration} {planned} "
        f"--out {run.parent / 'planned'}",
    }[command].split()


def ask(command: str, run: Path, kind: Kind, *, nobody: bool = False, seed: int = 1) -> Answer:
    """Gives one command, in this process."""
    arguments = arguments_of(command, run, kind, seed)
    for name in ("trained", "planned"):
        shutil.rmtree(run.parent / name, ignore_errors=True)
    out, err = io.StringIO(), io.StringIO()
    code, fault = None, ""

    def late(number: int, frame: object) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            signal.alarm(SECONDS)
            locks = os.environ.get("XDG_STATE_HOME", "")
            if nobody:
                os.environ["XDG_STATE_HOME"] = _locks_of_nobody(run.parent)
                os.seteuid(NOBODY)
            try:
                mgd.cli.main(arguments)
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else 0
            except Late:
                fault = "hang"
            except BaseException:
                fault = "traceback"
                err.write(traceback.format_exc())
            finally:
                signal.alarm(0)
                if nobody:
                    os.seteuid(0)
                    os.environ["XDG_STATE_HOME"] = locks
    except Late:  # between the last line of the command and here
        pass
    finally:
        signal.signal(signal.SIGALRM, before)
    if fault == "hang":
        _let_go(run)
    said = out.getvalue()
    if command in WRITTEN and (path := run.parent / WRITTEN[command]).exists():
        said += path.read_bytes().decode("latin-1") if command != "export" else _arrays(path)
        path.unlink()
    said = said.replace(str(run), "RUN").replace(str(run.parent), "HERE")
    return Answer(code, said, err.getvalue(), fault)


def _arrays(path: Path) -> str:
    with np.load(path) as found:
        return "".join(f"{name}: {found[name].tobytes().hex()}\n" for name in found.files if name != "about")


def _locks_of_nobody(folder: Path) -> str:
    """Where another user keeps locks on chips."""
    place = folder / "state-of-nobody"
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    return str(place)


def _let_go(run: Path) -> None:
    """Ends whatever waits for a pipe."""
    for path in (*run.rglob("*"), *run.parent.glob("*.recording")):
        if path.is_fifo():
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def fault_of(kind: Kind, command: str, run: Path, answer: Answer, due: str) -> str:
    """What must not be, in an answer; empty if nothing."""
    if answer.fault:
        return answer.fault
    said = [
        line
        for line in answer.err.splitlines()
        if not line.startswith(("mgd: warning:", f"mgd: {run}/config.toml has this code"))
    ]
    if command == "replay" and answer.code == 1 and "parameters that differ" in answer.out:
        return ""
    if answer.code and (len(said) != 1 or answer.code not in (1, 2, 3, 4, 130)):
        return "several lines"
    if answer.code or "warning:" in answer.err:
        return ""
    if command == "resume":
        try:
            theta = load_file(run / "theta.safetensors")["theta"].tobytes()
        except (SafetensorError, OSError, KeyError):
            return "silently other"
        summaries = [{k: v for k, v in json.loads(text).items() if k != "seconds"} for text in (answer.out, due)]
        return "" if theta == kind.whole and summaries[0] == summaries[1] else "silently other"
    if command == "predict":  # by its last checkpoint, if the summary is gone
        answered = [json.loads(text)["replicas"] for text in (answer.out, due)]
        return "" if answered[0] == answered[1] else "silently other"
    if command in ("sweep again", "export", "report", "plot", "doctor", "show sweep"):
        told = "damaged" in answer.out or answer.out.count("unfinished") > due.count("unfinished")
        same = _plain(answer.out) == _plain(due)
        return "" if same or told else "silently other"
    if command == "show":
        found = answer.out.split("\n")[1].split()
        numbers = due.split("\n")[1].split()
        told = "damaged" in answer.out or ("unfinished" in answer.out and "finished" in due and "unfinished" not in due)
        return "" if found == numbers or told else "silently other"
    if command in ("plan again", "train plan"):  # it is made again in its time; its settings are for hands to change
        return ""
    same = _plain(answer.out) == _plain(due)
    return "" if same else "silently other"


# What is another each time: times, dates, and names that Matplotlib draws.
_VARIES = re.compile(r'"seconds": [\d.e-]+|\d\d\d\d-\d\d-\d\d[^<"]*|<svg.*?</svg>|[\d.]+ (s|min|bytes)\b', re.DOTALL)


def _plain(text: str) -> str:
    return _VARIES.sub("", text)


def campaign(
    folder: Path, cases: int, seed: int, say: Callable[[str], None] = print, wanted: tuple[str, ...] = KINDS
) -> Tally:
    """Harms so many files, one in a copy each, and asks every command of each."""
    chance, tally = random.Random(seed), Tally()
    with short_pieces():
        kinds = make_kinds(folder, wanted)
        due = {}
        for kind in kinds:
            for command in kind.commands:
                copy = folder / "due" / "copy"  # of the same name as those to come, which reports have in them
                shutil.copytree(kind.run, copy)
                due[kind.name, command] = ask(command, copy, kind).out
                shutil.rmtree(copy)
        every = [(kind, *harm) for kind in kinds for harm in harms_of(kind)]
        chance.shuffle(every)
        for number, (kind, name, harm) in enumerate(every[:cases]):
            if number % 20 == 19:
                say(f"{number} harmed files, {sum(tally.faults.values())} faults in {tally.answers} answers")
            for command in kind.commands:
                copy = folder / f"case-{number}" / "copy"
                shutil.copytree(kind.run, copy)
                with _kept(kind.recording if name == "recording" else None):
                    harm_file(kind, copy, name, harm, random.Random(f"{seed} {number}"))
                    answer = ask(command, copy, kind, nobody=harm in ("unreadable", "another user"))
                tally.answers += 1
                if fault := fault_of(kind, command, copy, answer, due[kind.name, command]):
                    tally.faults[fault] += 1
                    words = answer.err.strip().splitlines() or ["exit 0"]
                    tally.examples.append(f"{fault}: {kind.name} run, {name}, {harm}: mgd {command}: {words[-1]}")
                    say(tally.examples[-1])
                _open_again(copy)
                shutil.rmtree(copy)
    say(f"{min(cases, len(every))} harmed files of {len(every)}, {tally.answers} answers")
    return tally


@contextlib.contextmanager
def _kept(recording: tuple[Path, Path] | None) -> Iterator[None]:
    """Puts a recording back, which is no part of the directory."""
    before = None if recording is None else recording[0].read_bytes()
    yield
    if recording is not None and before is not None:
        _take_away(recording[0]) if os.path.lexists(recording[0]) else None
        recording[0].write_bytes(before)


def _open_again(run: Path) -> None:
    for path in run.rglob("*"):
        if not path.is_symlink() and not path.is_fifo():
            path.chmod(0o755)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 harms")
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        os.environ["XDG_STATE_HOME"] = folder + "/state"
        tally = campaign(Path(folder), 40 if given.quick else given.cases, given.seed, wanted=tuple(given.kinds))
    counts = {fault: tally.faults[fault] for fault in FAULTS}
    print(json.dumps(counts | {"seconds": round(time.monotonic() - began)}))
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
