"""The chip files of docs/dialects.md, each opened as it stands there, with a server that speaks as that instrument."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import mgd.cli
from mgd import HardwareError
from mgd.instruments import AbstractInstrument, opened
from mgd.runs import read_chip_file

from . import dialects
from .dialects import FAKES

PAGE = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text(encoding="utf-8")
TABLES = {
    next(iter(tomllib.loads(block)["instrument"])): block
    for block in re.findall(r"^```toml\n(\[instrument\..*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}
pytestmark = pytest.mark.usefixtures("own_locks")

HEAD = '[chip]\ninputs = [2]\noutputs = 1\n[instrument]\nkind = "scpi"\n'
X = np.array([[0.25, 1.0]], np.float32)


@contextmanager
def bench(name: str, folder: Path) -> Iterator[tuple[Any, AbstractInstrument]]:
    """The fake, and the chip of its table and of another instrument that does all that it does not do."""
    table, commands = TABLES[name], tomllib.loads(TABLES[name])["instrument"][name]["commands"]
    serial = 'resource = "ASRL' in table
    if serial:
        pytest.importorskip("serial", reason="pySerial is not installed")
    if serial or "GPIB" in table:
        pytest.importorskip("pyvisa", reason="PyVISA is not installed")
    plant = dialects.Plant()
    fake = FAKES[name](plant)
    with dialects.served(fake, serial=serial) as resource, dialects.served(dialects.Fake(plant)) as other:
        text = HEAD + re.sub(r'resource = "[^"]+"', f'resource = "{resource}"', table)
        text += f'[instrument.rest]\nresource = "{other}"\npresent = "each"\n' * ("input" not in commands)
        text += f'[instrument.rest]\nresource = "{other}"\n' * ("input" in commands)
        text += "n_params = 2\nlimits = { low = -1.0, high = 1.0 }\n" * ("set" not in commands)
        text += "[instrument.rest.commands]\n"
        text += 'set = "VOLT {data}"\nreadback = "VOLT?"\nsafe = "SAFE"\n' * ("set" not in commands)
        text += 'input = "INP {data}"\n' * ("input" not in commands)
        text += 'outputs = "READ?"\n' * ("outputs" not in commands)
        (folder / "chip.toml").write_text(text, encoding="utf-8")
        yield fake, read_chip_file(folder / "chip.toml").load_instrument()


def test_the_page_has_a_table_for_each_of_its_instruments():
    assert list(TABLES) == list(FAKES)
    assert len(re.findall(r"^\| (?!instrument|---|`)", PAGE.partition("## Thirteen")[2], re.M)) == len(TABLES) == 13


@pytest.mark.parametrize("name", FAKES)
def test_an_instrument_is_spoken_to_as_the_page_says(name, tmp_path):
    with bench(name, tmp_path) as (fake, chip):
        with opened(chip) as guarded:
            plant, low, high = fake.plant, guarded.limits.low, guarded.limits.high
            theta = (low + (high - low) * np.linspace(0.3123, 0.6789, guarded.n_params)).astype(np.float32)
            for _ in range(2):  # what is held is read before it is set again
                guarded.set_parameters(theta)
                guarded.present(X, np.zeros((1, 1), np.float32))
                found = guarded.read_outputs()
                np.testing.assert_allclose(list(plant.v.values()), theta, atol=7e-4)
                np.testing.assert_allclose(plant.x, X[0])
                assert found.item() == pytest.approx(plant.reading(), abs=3e-3 if name == "arduino" else 2e-6)
                theta = theta[::-1].copy()
            guarded.make_sure()
            assert bool(plant.on) == ("on" in tomllib.loads(TABLES[name])["instrument"][name]["commands"])
        assert not fake.plant.on
        assert not fake.unknown
        assert not any(plant.v.values()) or "output" in TABLES[name] or "OUTP" in TABLES[name] or "OPOF" in TABLES[name]


REFUSES = {
    "keithley-2600b": "was refused: .*Syntax error",
    "keysight-33500b": "was refused: -222,",
    "siglent-sdg": "was refused: -113 ",
    "rigol-dp832": "was refused: 16",
    "srs-sim928": "was refused: 1",
    "srs-sr830": "was refused: 32",
    "redpitaya-daq-server": "'true' was expected, and 'false' came",
    "arduino": "'ok' was expected, and 'err' came",
    "pico": "the echo was 'sat 1 .*', which is not what was sent",
}


@pytest.mark.quick("rigol-dp832", "redpitaya-daq-server", "pico")
@pytest.mark.parametrize("name", REFUSES)
def test_what_an_instrument_refuses_is_told_and_it_can_be_opened_again(name, tmp_path):
    with bench(name, tmp_path) as (fake, chip), opened(chip) as guarded:
        fake.harmed = True
        with pytest.raises(HardwareError, match=f"^{name}: .*{REFUSES[name]}"):
            set_and_read(guarded)
        fake.harmed = False
        guarded.open()
        set_and_read(guarded)


def set_and_read(chip: AbstractInstrument) -> None:
    chip.set_parameters(chip.limits.middle + np.float32(0.125))
    chip.present(X, np.zeros((1, 1), np.float32))
    chip.read_outputs()


def test_a_number_that_is_no_reading_is_not_within_what_is_believable(tmp_path):
    text = HEAD + 'believable = [-1.0, 2.0]\nresource = "TCPIP0::bench::5025::SOCKET"\nn_params = 1\nbinary = false\n'
    text += "limits = {low = 5.0, high = 6.0}\nreplies = {no_number = [0.0], scale = 0.5, offset = 1.0}\n"
    (tmp_path / "chip.toml").write_text(text)
    with pytest.raises(
        ValueError, match=r"instrument\.believable: 1 is within -1 … 2, and replies\.no_number says that"
    ):
        read_chip_file(tmp_path / "chip.toml").load_instrument()


@pytest.mark.long
def test_a_board_without_identity_is_said_to_have_none(tmp_path, capsys):
    with bench("redpitaya-daq-server", tmp_path):
        with pytest.raises(SystemExit) as exit_:
            mgd.cli.main(["chip", "check", str(tmp_path / "chip.toml")])
        assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "  redpitaya-daq-server: without identity at TCPIP0::127.0.0.1::" in said
    assert (
        "redpitaya-daq-server has no identity: only its parameters show that a reply belongs to another query" in said
    )


@pytest.mark.long
@pytest.mark.parametrize("name", ["redpitaya-daq-server", "pico"])
def test_a_wrong_acknowledgement_or_echo_is_got_over_and_nothing_else_is_learnt(name, tmp_path, caplog):
    """The line is opened again, and what was not confirmed is measured again."""
    learnt, sent = [], []
    for harmed_at in (0, 30):
        folder = tmp_path / f"harmed at {harmed_at}"
        folder.mkdir()
        with bench(name, folder) as (fake, _):
            said = fake.said

            def counting(line: str, fake=fake, said=said, at=harmed_at) -> bytes:
                sets = bool(re.match(r"set |RP:DAC:CH\d:OFF \S", line))
                sent.extend([line] * sets)
                fake.harmed = sets and len(sent) == at
                return said(line)

            sent.clear()
            fake.said = counting
            train = ("--tau-theta=4", "--batch=1", "--amplitude=0.05", "--learning-rate=0.2", "--steps=16", "--seed=3")
            with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
                mgd.cli.main(
                    ["train", "parity", "--chip", str(folder / "chip.toml"), *train, "--out", str(folder / "run")]
                )
            assert exit_.value.code == 0
            assert len(sent) > 30
        learnt.append(load_file(folder / "run" / "theta.safetensors")["theta"])
    np.testing.assert_array_equal(*learnt)
    assert f"opened again, time 1: {name}: " in caplog.text
