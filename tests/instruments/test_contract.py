"""What stands for an instrument passes on all that the contract names, and nothing of it by hand."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import numpy as np
import pytest

import mgd.instruments
from mgd.instruments import (
    Absent,
    AbstractInstrument,
    Group,
    Grouped,
    Guarded,
    Identity,
    Limits,
    Origin,
    Recorder,
    Replay,
    Simulated,
    Spice,
    Units,
    in_groups,
)
from mgd.instruments._circuits import Circuits

ATTRIBUTES = tuple(AbstractInstrument.__annotations__)
# Those of a recorded chip that a replay has no use for: it is another file, cannot be asked, and neither waits nor is
# left with care.
NOT_OF_A_REPLAY = {
    "address",
    "settle_seconds",
    "ramp_seconds",
    "leave_seconds",
    "may_slip",
    "reads_back",
    "parts",
    "origin",
    "declared",
    "no_number",
}
WRAPPERS = {"Guarded", "Grouped", "Recorder", "Replay", "Circuits", "Absent"}
DRIVERS = {"Callables", "Rtl", "Scpi", "Several", "Simulated", "Spice", "TorchModule"}


def unlike_any_default(chip: AbstractInstrument) -> AbstractInstrument:
    """The same chip, with another value of each attribute than the contract's own."""
    chip.start = np.array([0.25, -0.5, 1.0], np.float32)
    chip.groups = {"bank 1": slice(0, 2), "bank 2": slice(2, 3)}
    chip.settle_seconds, chip.leave_seconds, chip.believable = 0.125, 7.0, (-1.0, 3.0)
    chip.no_number = (99.0,)
    chip.ramp_seconds = 2.0
    chip.reads, chip.reads_together, chip.most_together = "both", "outputs", 5
    units = Units(("V", "V", "mA"), np.array([0.5, 0.5, 0.1]), np.zeros(3), ("", "", "bias"), np.ones(3), 0.05)
    chip.limits = Limits(np.array([-1.0, -0.3, 0.1]), np.array([2.0, 0.3, 1.1]), "", units)
    chip.parts, chip.origin = {"meter": chip}, Origin("rack", {"slot": 3}, "/lab")
    for name in ATTRIBUTES:
        default = getattr(AbstractInstrument, name, None)
        if isinstance(default, bool):
            setattr(chip, name, not default)
        elif hasattr(AbstractInstrument, name):
            assert not is_same(getattr(chip, name), default), f"give {name} another value here"
    return chip


def is_same(one: object, other: object) -> bool:
    if isinstance(one, Limits) and isinstance(other, Limits):
        return one.as_dict() == other.as_dict()
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    return one == other


def different(wrapper: AbstractInstrument, inner: AbstractInstrument) -> set[str]:
    return {name for name in ATTRIBUTES if not is_same(getattr(wrapper, name), getattr(inner, name))}


def of_this_package(kind: type = AbstractInstrument) -> Iterator[type]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("mgd."):
            yield each
        yield from of_this_package(each)


def test_every_instrument_of_this_package_is_in_these_tests():
    for package in (mgd.instruments, mgd.onchip):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    assert {each.__name__ for each in of_this_package()} == WRAPPERS | DRIVERS


@pytest.mark.parametrize("is_open", [False, True])
def test_a_guard_and_a_recorder_are_as_what_they_stand_for(make_chip, tmp_path, is_open):
    chip = unlike_any_default(make_chip())
    recorder = Recorder(chip, tmp_path / "recording")
    guarded = Guarded(recorder)
    if is_open:
        chip.start, chip.leave_seconds = np.array([1.0, 2.0, 3.0], np.float32), 9.0  # known when it opens
        guarded.open()
    assert different(recorder, chip) == different(guarded, chip) == set()
    guarded.close()


def test_an_instrument_in_groups_is_as_it_is_but_for_these(make_chip):
    chip = unlike_any_default(make_chip())
    chip.limits = Limits(np.array([-1.0, -0.3, 0.1]), np.array([2.0, 0.3, 1.1]))
    groups = {"heater": Group(first=0, last=1, unit="V"), "bias": Group(first=2, last=2, scale=0.1)}
    assert different(in_groups(chip, groups), chip) == set()  # limits are the open chip's to say
    chip.declared = True
    grouped = in_groups(chip, groups)
    grouped.open()
    assert different(grouped, chip) == {"limits", "groups", "start", "origin"}
    assert grouped.start is not None
    assert grouped.start.tolist() == pytest.approx([0.25, -0.3, 10.0])
    assert dict(grouped.groups) == {"heater": slice(0, 2), "bias": slice(2, 3)}
    assert grouped.origin == Origin("rack", {"slot": 3}, "/lab", groups)  # a guardian makes it so


def test_a_replay_is_as_what_was_recorded(make_chip, tmp_path):
    chip = unlike_any_default(make_chip())
    with Recorder(chip, tmp_path / "recording"):
        pass
    assert different(Replay(tmp_path / "recording"), chip) <= NOT_OF_A_REPLAY


def test_a_recording_of_before_starts_were_kept_is_read(make_chip, tmp_path):
    path = tmp_path / "recording"
    with Recorder(make_chip(), path):
        pass
    told = path.read_bytes()
    assert b', "start": null, "groups": {}' in told
    path.write_bytes(told.replace(b', "start": null, "groups": {}', b""))
    replay = Replay(path)
    assert (replay.start, dict(replay.groups)) == (None, {})


def test_circuits_are_as_the_circuit_in_them(monkeypatch, circuit):
    unlike = {"start": np.array([200.0], np.float32), "groups": {"r": slice(0, 1)}}
    unlike |= {"settle_seconds": 0.5, "leave_seconds": 3.0}
    for name, value in unlike.items():
        monkeypatch.setattr(Spice, name, value)
    circuits = circuit(limits={"low": 0.1, "high": 1e9}, processes=2)
    assert isinstance(circuits, Circuits)
    assert different(circuits, circuits._circuit) <= {"most_together", "reads_together", "origin"}


def test_a_chip_that_is_gone_is_as_it_was(make_chip):
    chip = unlike_any_default(make_chip())
    gone = Absent(
        *(Identity("", "", "S1"), chip.address, chip.limits),
        own_line=chip.own_line,
        start=chip.start,
        groups=chip.groups,
    )
    for name in ("address", "n_params", "limits", "own_line", "start", "groups"):
        assert is_same(getattr(gone, name), getattr(chip, name)), name


@pytest.mark.parametrize("wrapper", [Guarded, Recorder, Grouped])
def test_every_verb_is_passed_on(wrapper):
    verbs = {
        name
        for name, found in vars(AbstractInstrument).items()
        if inspect.isfunction(found) and not name.startswith("_") and name != "describe_as"
    }
    assert verbs - vars(wrapper).keys() == set()


def test_what_starts_from_parameters_of_its_own_says_so():
    import jax

    chip = mgd.chips.mlp((2, 2, 1))
    piece = Simulated(chip, key=jax.random.key(0))
    assert piece.start is not None
    assert piece.groups == chip.groups
