"""The same training on a wire and in simulation, to the bit, where XLA compiles without fused multiply-adds."""

import platform

import pytest
from safetensors.numpy import load_file

PARITY = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
NIST = "name = 'nist'\n[chip]\ninputs = [49]\noutputs = 4\nhidden = [4]\n"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="XLA's flag is of x86 processors")
@pytest.mark.parametrize(
    ("text", "task", "more"),
    [
        (PARITY, "parity", ("--tau-x=1", "--tau-theta=1")),
        (NIST, "nist7x7", ("--tau-x=4", "--tau-theta=4")),
        (NIST, "nist7x7", ("--tau-x=64", "--tau-theta=64", "--batch=8")),
    ],
    ids=["every step", "images", "batches of images"],
)
def test_a_served_chip_is_the_simulated_one_to_the_bit(
    serve_process, mgd, trainer_env, monkeypatch, tmp_path, text, task, more
):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    monkeypatch.setitem(trainer_env, "XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    served = serve_process(text, "--seed=0")
    chip = tmp_path / "bench.toml"
    chip.write_text(f"{text}[instrument]\nkind = 'scpi'\nresource = '{served.resource}'\nstart = 'network'\n")
    settings = ("train", task, "--chip", chip, *more, "--steps=512", "--learning-rate=0.1", "--seed=0")
    real = mgd(*settings, "--out", tmp_path / "real")
    simulated = mgd(*settings, "--simulate", "--engine=measured", "--replicas=1", "--out", tmp_path / "simulated")
    assert (real.returncode, simulated.returncode) == (0, 0), real.stderr + simulated.stderr
    on_wire, in_simulation = (load_file(tmp_path / run / "theta.safetensors")["theta"] for run in ("real", "simulated"))
    assert on_wire.tobytes() == in_simulation.tobytes()
