import subprocess
import sys

import pytest

import mgd.datasets
from mgd.datasets import load, names


@pytest.mark.parametrize("name", ["parity", "nist7x7", "yin-yang", "digits", "fashion-mnist"])
def test_a_task_is_loaded_by_its_name(name, data_dir):
    task = load(name, data=data_dir if name == "fashion-mnist" else None)
    assert task.name == name
    assert task.n_outputs == (1 if name == "parity" else len(task.classes))


def test_bits():
    assert load("parity").input_shape == (2,)
    assert load("parity", bits=4).input_shape == (4,)
    with pytest.raises(ValueError, match=r"^bits is for parity only, got bits=3 for digits: leave it out$"):
        load("digits", bits=3)


def test_data_for_a_task_without_files():
    with pytest.raises(ValueError, match=r"^digits needs no files, got data='/x': leave it out$"):
        load("digits", data="/x")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fashion", r"; did you mean fashion-mnist\? The"),
        ("cifar", r"did you mean cifar10\?"),
        ("zzz", "; The tasks"),
    ],
)
def test_unknown_name(name, hint):
    with pytest.raises(ValueError, match=rf"no task is called '{name}'.*{hint}") as error:
        load(name)
    assert str(error.value).endswith("The tasks are " + ", ".join(names()))


def test_names_need_no_heavy_import():
    program = (
        "import sys; from mgd.datasets import names, DESCRIPTIONS; assert names() == (*DESCRIPTIONS,);"
        "print(sorted({'jax', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'mnist'"):
        mgd.datasets.mnist  # noqa: B018
