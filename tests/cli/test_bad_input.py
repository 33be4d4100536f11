"""Bad input is one line that says what to do, exit code 2, and leaves nothing behind."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def refused(said, *words: str, code: int = 2) -> None:
    """Asserts that a command said one line with these words, and nothing else."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("mgd: "), said.err
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err, said.err


OPTIONS = {
    "more replicas than memory": (("--replicas=1000000000000",), ("1,000,000,000,000 replicas", "would fit")),
    "tau-p 0": (("--tau-p=0",), ("tau_p", "got 0")),
    "tau-x negative": (("--tau-x=-3",), ("tau_x", "got -3")),
    "tau-theta 0": (("--tau-theta=0",), ("tau_theta", "got 0")),
    "tau-theta not whole": (("--tau-theta=1.5",), ("--tau-theta", "'1.5'")),
    "tau-theta too large": (("--tau-theta=1099511627776",), ("tau_theta", "2147483648")),
    "tau-hp 0": (("--tau-hp=0",), ("tau_hp", "got 0.0")),
    "tau-hp nan": (("--tau-hp=nan",), ("tau_hp", "nan")),
    "amplitude 0": (("--amplitude=0",), ("amplitude", "got 0.0")),
    "amplitude negative": (("--amplitude=-0.1",), ("amplitude", "got -0.1")),
    "amplitude nan": (("--amplitude=nan",), ("amplitude", "finite", "nan")),
    "amplitude inf": (("--amplitude=inf",), ("amplitude", "finite", "inf")),
    "learning-rate nan": (("--learning-rate=nan",), ("learning_rate", "finite", "nan")),
    "learning-rate inf": (("--learning-rate=inf",), ("learning_rate", "finite", "inf")),
    "learning-rate negative": (("--learning-rate=-1",), ("learning_rate", "got -1.0")),
    "weight-decay negative": (("--weight-decay=-1",), ("weight_decay", "got -1.0")),
    "modulation-limit 0": (("--modulation-limit=0",), ("modulation_limit", "got 0.0")),
    "hidden words": (("--hidden=a,b",), ("--hidden", "16,8", "'a,b'")),
    "hidden empty": (("--hidden=",), ("--hidden", "''")),
    "hidden 0": (("--hidden=0",), ("hidden", "got 0")),
    "hidden, the second 0": (("--hidden=3,0",), ("hidden", "got 0")),
    "perturbation": (("--perturbation=walsch",), ("--perturbation", "'walsch'", "walsh")),
    "optimizer": (("--optimizer=adamm",), ("--optimizer", "'adamm'", "adam")),
    "engine": (("--engine=warp",), ("--engine", "'warp'", "measured")),
    "algorithm": (("--algorithm=analogue",), ("--algorithm", "'analogue'", "analog")),
    "steps 0": (("--steps=0",), ("steps", "got 0")),
    "steps past 64 bits": (("--steps=100000000000000000000",), ("steps",)),
    "replicas 0": (("--replicas=0",), ("replicas", "got 0")),
    "batch 0": (("--batch=0",), ("batch", "got 0")),
    "blocks 0": (("--blocks=0",), ("blocks", "got 0")),
    "seed negative": (("--seed=-1",), ("seed", "got -1")),
    "seed past 32 bits": (("--seed=4294967296",), ("seed", "4294967296")),
    "bits 1": (("--bits=1",), ("bits", "got 1")),
    "bits 40": (("--bits=40",), ("bits", "16", "got 40")),
    "unknown option": (("--tau-teta=3",), ("--tau-teta", "--tau-theta")),
    "option without its value": (("--steps",), ("--steps",)),
    "hidden and channels": (("--hidden=3", "--channels=4"), ("hidden", "channels", "both")),
    "data for parity": (("--data=.",), ("parity needs no files", "data='.'")),
    "high-pass with samples held for one step": (("--baseline=high-pass", "--tau-x=1"), ("high-pass", "tau_x = 1")),
    "sequential with high-pass": (
        ("--baseline=high-pass", "--perturbation=sequential", "--tau-x=9"),
        ("Sequential", "high-pass", "use Rademacher"),
    ),
    "sampled with lfsr": (("--engine=sampled", "--perturbation=lfsr"), ("no law for LFSR", "or the measured engine")),
    "sampled with blocks": (("--engine=sampled", "--blocks=3", "--tau-x=7"), ("no law for Block",)),
    "sampled in analog": (
        ("--engine=sampled", "--algorithm=analog", "--perturbation=rademacher"),
        ("no law for a HighPass baseline with a LowPass integrator", "use the measured engine"),
    ),
    "sampled, cut unevenly": (("--engine=sampled",), ("tau_x = 3 and tau_theta = 7 do not divide",)),
    "sampled, clamp on a held perturbation": (
        ("--engine=sampled", "--tau-p=7", "--tau-x=7", "--modulation-limit=1"),
        ("clamp", "tau_p = 7"),
    ),
    "backprop with a perturbation": (
        ("--algorithm=backprop", "--perturbation=walsh"),
        ("backprop perturbs and measures nothing: leave out perturbation, tau_x, tau_theta",),
    ),
    "schedule": (("--schedule=cosin",), ("--schedule", "'cosin'", "cosine")),
    "a constant rate that falls": (("--fall-steps=9",), ("a constant learning rate does not fall", "fall_steps")),
    "a rate that rises": (("--schedule=cosine", "--fall-to=1.5"), ("fall_to", "less than 1, got 1.5")),
    "sequential in analog": (("--algorithm=analog", "--perturbation=sequential"), ("Sequential", "high-pass")),
}


@pytest.mark.parametrize(("options", "words"), OPTIONS.values(), ids=OPTIONS)
def test_wrong_option(options, words, train_small, monkeypatch):
    def no_training(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr("mgd.runs._execute.run_into", no_training)
    said = train_small(*options, "--out=run")
    refused(said, *words)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "pairity"), ("'pairity'", "did you mean parity")),
        (("train", "zebra"), ("'zebra'", "cifar10")),
        (("train",), ("TASK|DATA|CONFIG.toml",)),
        (("trian", "parity"), ("trian",)),
        (("train", "parity", "extra"), ("extra",)),
        (("resume",), ("RUN",)),
        (("show",), ("RUNS",)),
        (("resume", "nowhere"), ("nowhere is not a run directory", "config.toml")),
        (("show", "nowhere"), ("nowhere is not a run directory", "config.toml")),
        (("data", "fetch", "fashion-minst"), ("'fashion-minst'", "did you mean fashion-mnist")),
        (("data", "fetch", "parity"), ("parity needs no files", "fashion-mnist")),
    ],
)
def test_wrong_command(arguments, words, mgd_cli):
    refused(mgd_cli(*arguments), *words)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("engine", ["measured", "sampled"])
def test_backprop_has_an_engine_of_its_own(engine, mgd_cli):
    command = ("train", "parity", "--bits=2", "--algorithm=backprop", "--steps=5", "--replicas=1", "--out=run")
    refused(mgd_cli(*command, f"--engine={engine}"), "leave engine out", f"got '{engine}'")
    refused(mgd_cli(*command, "--perturbation=walsh"), "backprop perturbs and measures nothing: leave out perturbation")
    assert list(Path().iterdir()) == []


def test_channels_on_a_task_without_images_name_the_shape(mgd_cli):
    said = mgd_cli("train", "parity", "--bits=2", "--channels=4", "--steps=5", "--replicas=1", "--out=run")
    refused(said, "channels")
    assert "not both" not in said.err
    assert list(Path().iterdir()) == []


CONFIGS = {
    "not TOML": ("task = ", ("c.toml is not TOML",)),
    "unknown key": ('task = "parity"\nrelpicas = 3', ("c.toml", "'relpicas'", "did you mean 'replicas'?")),
    "no task": ("bits = 2", ("c.toml", "'task'")),
    "unknown task": ('task = "parrity"', ("c.toml", "'parrity'", "did you mean parity")),
    "task not a name": ("task = 3", ("c.toml", "task", "the name of a task, or a table [task]", "got 3")),
    "word for a number": ('task = "parity"\nlearning_rate = "fast"', ("c.toml", "learning_rate", "number", "'fast'")),
    "word among sizes": ('task = "parity"\nhidden = ["a"]', ("c.toml", "hidden", "integer", "'a'")),
    "size not in a list": ('task = "parity"\nhidden = 3', ("c.toml", "hidden", "got 3")),
    "truth for a whole number": ('task = "parity"\nreplicas = true', ("c.toml", "replicas", "True")),
    "fraction for a whole number": ('task = "parity"\nsteps = 20.5', ("c.toml", "steps", "20.5")),
    "truth for an amount": ('task = "parity"\namplitude = true', ("c.toml", "amplitude", "True")),
    "text for an amount": ('task = "parity"\namplitude = "0.1"', ("c.toml", "amplitude", "'0.1'")),
    "table": ('task = "parity"\n[algorithm]\nname = 1', ("c.toml", "algorithm", "string")),
    "unknown algorithm": ('task = "parity"\nalgorithm = "analogue"', ("c.toml", "'analogue'", "did you mean 'analog'")),
    "unknown perturbation": ('task = "parity"\nperturbation = "walch"', ("c.toml", "did you mean 'walsh'")),
    "unknown activation": ('task = "parity"\nactivation = "logistc"', ("c.toml", "activation", "logistic")),
    "hidden and channels": ('task = "parity"\nhidden = [2]\nchannels = [2]', ("c.toml", "hidden", "channels")),
    "smoothing above 1": ('task = "parity"\nlabel_smoothing = 1.5', ("c.toml", "label_smoothing", "1.5")),
    "log_every 0": ('task = "parity"\nlog_every = 0', ("c.toml", "log_every", "got 0")),
    "bits of another task": ('task = "nist7x7"\nbits = 3\nhidden = [4]', ("bits is for parity only", "bits=3")),
}


@pytest.mark.parametrize(("text", "words"), CONFIGS.values(), ids=CONFIGS)
def test_wrong_config(text, words, mgd_cli, monkeypatch):
    def no_training(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr("mgd.runs._execute.run_into", no_training)
    Path("c.toml").write_text(text)
    refused(mgd_cli("train", "c.toml", "--out=run"), *words)
    assert [p.name for p in Path().iterdir()] == ["c.toml"]


def test_a_wrong_option_is_not_blamed_on_the_config(mgd_cli):
    Path("c.toml").write_text('task = "parity"')
    said = mgd_cli("train", "c.toml", "--amplitude=-1", "--out=run")
    refused(said, "amplitude", "got -1.0")
    assert "c.toml" not in said.err


def test_unreadable_config(mgd_cli):
    refused(mgd_cli("train", "none.toml"), "cannot read none.toml", "No such file")
    Path("folder.toml").mkdir()
    refused(mgd_cli("train", "folder.toml"), "cannot read folder.toml", "directory")
    Path("binary.toml").write_bytes(b"\xff\xfe")
    refused(mgd_cli("train", "binary.toml"), "cannot read binary.toml", "utf-8")
    Path("settings").write_text('task = "parity"')
    refused(mgd_cli("train", "settings"), "'settings' is a file, but neither a .toml")


def test_out_that_is_taken_or_cannot_be(train_small):
    Path("full").mkdir()
    Path("full/precious").write_text("kept")
    refused(train_small("--out=full"), "full exists and is not empty", "another out")
    assert Path("full/precious").read_text() == "kept"
    Path("file").write_text("kept")
    refused(train_small("--out=file"), "file")
    assert Path("file").read_text() == "kept"
    refused(train_small("--out=file/run"), "cannot make the run directory file/run", "Not a directory")
    refused(train_small("--out=/proc/none/run"), "cannot make the run directory /proc/none", "No such file")
    assert sorted(p.name for p in Path().iterdir()) == ["file", "full"]
    assert [p.name for p in Path("full").iterdir()] == ["precious"]


def test_a_directory_that_is_no_run_is_not_offered_for_resuming(train_small):
    Path("full").mkdir()
    Path("full/precious").write_text("kept")
    assert "mgd resume" not in train_small("--out=full").err


@pytest.fixture
def unfinished(finished, mgd_cli) -> Path:
    """A copy of a run that stopped before its summary, with one checkpoint."""
    shutil.copytree(finished[0], "run")
    for path in (Path("run/summary.json"), *Path("run").glob("checkpoint-*")):
        path.unlink()
    return Path("run")


def _content(run: Path) -> dict:
    return {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def _edit_header(run: Path, **changes) -> None:
    path = run / "checkpoint.safetensors"
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["mgd"]) | changes
    save_file(load_file(path), path, {"mgd": json.dumps(header)})


def _edit_config(run: Path, old: str, new: str) -> None:
    """As someone does who means it."""
    path = run / "config.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    _unlist(run, "config.toml")


def _unlist(run: Path, name: str) -> None:
    sums = run / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if not line.endswith(f"  {name}\n")))


def _no_toml(run: Path) -> None:
    (run / "config.toml").write_text("task =")
    _unlist(run, "config.toml")


def _cut(run: Path) -> None:
    path = run / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def _flip(run: Path) -> None:
    path = run / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def _without_history(run: Path) -> None:
    path = run / "checkpoint.safetensors"
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    del arrays["history.steps"]
    save_file(arrays, path, metadata)


CHECKPOINTS = {
    "cut": (_cut, ("checkpoint.safetensors", "damaged")),
    "empty": (lambda run: (run / "checkpoint.safetensors").write_bytes(b""), ("checkpoint.safetensors", "damaged")),
    "other bytes": (
        lambda run: (run / "checkpoint.safetensors").write_bytes(b"x" * 500),
        ("checkpoint.safetensors", "damaged"),
    ),
    "no header": (
        lambda run: save_file(load_file(run / "checkpoint.safetensors"), run / "checkpoint.safetensors"),
        ("checkpoint.safetensors", "damaged"),
    ),
    "a flipped bit": (_flip, ("checkpoint.safetensors", "damaged")),
    "no history": (_without_history, ("checkpoint.safetensors",)),
    "another version": (lambda run: _edit_header(run, version="99.1"), ("99.1", "resume it with that version")),
    "other replicas": (lambda run: _edit_config(run, "replicas = 2", "replicas = 3"), ("does not fit", "config.toml")),
    "other size": (lambda run: _edit_config(run, "    2,", "    3,"), ("does not fit", "config.toml")),
    "other rate": (
        lambda run: _edit_config(run, "learning_rate = 0.5", "learning_rate = 0.25"),
        ("does not fit", "config.toml"),
    ),
    "fewer steps": (lambda run: _edit_config(run, "steps = 40", "steps = 20"), ("config.toml",)),
    "damaged config": (_no_toml, ("config.toml is not TOML",)),
    "a config that is another": (
        lambda run: (run / "config.toml").write_text((run / "config.toml").read_text() + "\n"),
        ("config.toml is damaged", "restore it", "delete its line in SHA256SUMS"),
    ),
}


@pytest.mark.parametrize(("damage", "words"), CHECKPOINTS.values(), ids=CHECKPOINTS)
@pytest.mark.quick(
    "a config that is another",
    "damaged config",
    "other rate",
    "no header",
    "a flipped bit",
    "no history",
    "other bytes",
    "empty",
    "fewer steps",
    "another version",
    "other replicas",
    "other size",
)
def test_a_checkpoint_that_cannot_be_used(damage, words, unfinished, mgd_cli):
    damage(unfinished)
    before = _content(unfinished)
    refused(mgd_cli("resume", unfinished), *words)
    assert _content(unfinished) == before


def test_a_damaged_summary_is_written_again(finished, mgd_cli):
    shutil.copytree(finished[0], "run")
    Path("run/summary.json").write_text('{"task')
    refused(mgd_cli("show", "run"), "run/summary.json is damaged", "mgd resume run")
    assert mgd_cli("resume", "run").code == 0
    old, new = (json.loads((run / "summary.json").read_text()) for run in (finished[0], Path("run")))
    assert new | {"seconds": old["seconds"]} == old


@pytest.mark.parametrize("content", ["{}", "[1]", "null"])
def test_a_summary_that_is_none_is_damaged_too(content, finished, mgd_cli):
    shutil.copytree(finished[0], "run")
    Path("run/summary.json").write_text(content)
    refused(mgd_cli("show", "run"), "run/summary.json is damaged")


def test_no_image_files(mgd_cli):
    Path("empty").mkdir()
    for task in ("fashion-mnist", "cifar10"):
        said = mgd_cli("train", task, "--hidden=2", "--steps=5", "--replicas=1", "--data=empty", "--out=run")
        refused(said, f"no {task} in empty", "--data DIR")
    assert [p.name for p in Path().iterdir()] == ["empty"]


def test_corrupt_image_file_names_the_checksums(mgd_cli):
    Path("data").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        Path(f"data/{name}-ubyte.gz").write_bytes(b"corrupt")
    said = mgd_cli(
        "train",
        "fashion-mnist",
        "--hidden=2",
        "--steps=5",
        "--replicas=1",
        "--data=data",
        "--out=run",
    )
    expected = "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"
    refused(said, "train-images-idx3-ubyte.gz is corrupt", expected, "got ")
    assert not Path("run").exists()


def test_a_tiny_amplitude_warns_with_the_number_and_trains(train_small):
    said = train_small("--amplitude=1e-12", "--out=run", "--json")
    assert said.code == 0
    warning = said.err.splitlines()[0]
    assert warning.startswith("mgd: warning: an amplitude of 1e-12 changes the cost"), warning
    assert "float32" in warning
    assert " or more" in warning
    assert json.loads(said.out)["steps"] == 40


def test_an_amplitude_below_float32_is_refused_or_warned_of(train_small):
    said = train_small("--amplitude=1e-30", "--out=run")
    assert "mgd: warning: an amplitude of 1e-30" in said.err or said.code == 2, said
    assert said.code != 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr=0.1"], "no such option --lr: did you mean --learning-rate?"),
        (["--n-steps=10"], "no such option --n-steps: did you mean --steps?"),
        (["--learningrate=1"], "no such option --learningrate: did you mean --learning-rate?"),
        (["--imperfect=dac=8"], "unknown imperfection 'dac': did you mean 'dac-bits'?"),
        (["--steps=1.5"], "give a whole number, such as 100000 or 1e5, got '1.5'"),
        (["--steps=1e400"], "give a whole number, such as 100000 or 1e5, got '1e400'"),
    ],
)
def test_what_is_probably_meant_is_named(arguments, words, train_small):
    refused(train_small(*arguments), words)


def test_numbers_are_taken_as_people_write_them(train_small, mgd_cli):
    assert "40 steps" in train_small("--steps=4e1", "--out=run").out
    assert "1,000 steps" in train_small("--steps=1,000", "--out=other").out
    refused(mgd_cli("train", "xor"), "XOR is parity of 2 bits: mgd train parity --bits 2")


LONG_NAME = "x" * 300
NOT_TO_BE_LOOKED_AT = {
    "show": ("show", LONG_NAME),
    "report": ("report", LONG_NAME),
    "plot": ("plot", LONG_NAME),
    "train on data": ("train", f"{LONG_NAME}.csv"),
    "sweep": ("sweep", "parity", "--vary=amplitude=0.1,0.2", f"--out={LONG_NAME}"),
}


@pytest.mark.parametrize("name", NOT_TO_BE_LOOKED_AT)
def test_a_name_that_is_too_long_is_one_line(mgd_cli, name):
    refused(mgd_cli(*NOT_TO_BE_LOOKED_AT[name]), "File name too long")
