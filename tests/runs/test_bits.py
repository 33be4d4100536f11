"""The same training on a wire and in simulation, to the bit."""

import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.as_shipped

PARITY = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
NIST = "name = 'nist'\n[chip]\ninputs = [49]\noutputs = 4\nhidden = [32]\n"


@pytest.mark.parametrize(
    ("text", "task", "more"),
    [
        (PARITY, "parity", ("--tau-x=1", "--tau-theta=1", "--optimizer=momentum")),
        (NIST, "nist7x7", ("--tau-x=64", "--tau-theta=64", "--batch=1")),
    ],
    ids=["every step", "batches"],
)
@pytest.mark.long
def test_a_served_chip_is_the_simulated_one_to_the_bit(serve_process, mgd, tmp_path, text, task, more):
    served = serve_process(text, "--seed=0")
    chip = tmp_path / "bench.toml"
    chip.write_text(f"{text}[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\nstart = 'network'\n")
    settings = ("train", task, "--chip", chip, *more, "--steps=512", "--learning-rate=0.1", "--seed=0", "--bitwise")
    real = mgd(*settings, "--out", tmp_path / "real")
    simulated = mgd(*settings, "--simulate", "--replicas=1", "--out", tmp_path / "simulated")
    assert (real.returncode, simulated.returncode) == (0, 0), real.stderr + simulated.stderr
    on_wire, in_simulation = (load_file(tmp_path / run / "theta.safetensors")["theta"] for run in ("real", "simulated"))
    assert on_wire.tobytes() == in_simulation.tobytes()


def test_what_cannot_be_the_same_bits_is_refused(mgd):
    for more, message in (
        ("--engine=sampled", "bitwise needs the measured engine on one device, got 'sampled': leave engine out"),
        ("--devices=2", "bitwise needs the measured engine on one device, got 2: leave devices out"),
        ("--algorithm=backprop", "backprop perturbs and measures nothing: leave out bitwise"),
    ):
        done = mgd("train", "parity", "--bitwise", more)
        assert (done.returncode, done.stderr) == (2, f"mgd: {message}\n")
