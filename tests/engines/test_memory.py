"""What does not fit in memory is refused before it is allocated."""

import jax
import pytest

import mgd
from mgd.datasets._memory import of_control_group, of_machine
from mgd.engines import Data, Measured, choose
from mgd.engines.simulated import _memory

KEY = jax.random.key(0)
TASK = mgd.datasets.parity(bits=2)
CHIP = mgd.chips.mlp((2, 2, 1))


def train(chip=CHIP, **settings):
    return mgd.train(chip, TASK, mgd.discrete(), n_steps=1, key=KEY, **settings)


@pytest.mark.parametrize("n_replicas", [10**10, 10**18])
def test_too_many_replicas_are_refused_with_the_number_that_fits(n_replicas):
    with pytest.raises(
        ValueError, match=r"^10(,0{3})+ replicas of 9 parameters do not fit|^1(,0{3})+ replicas"
    ) as caught:
        train(n_replicas=n_replicas)
    message = str(caught.value)
    assert "\n" not in message
    fit = int(message.rpartition("; ")[2].removesuffix(" replicas would fit").replace(",", ""))
    assert 1000 < fit < n_replicas


@pytest.mark.long
def test_the_number_that_fits_is_not_refused(monkeypatch):
    monkeypatch.setattr(_memory, "available_bytes", lambda: 10**6)
    with pytest.raises(ValueError, match=r"; [\d,]+ replicas would fit$") as caught:
        train(n_replicas=10**6)
    fit = int(str(caught.value).rpartition("; ")[2].split()[0].replace(",", ""))
    train(n_replicas=fit)
    with pytest.raises(ValueError, match=f"{fit + 1:,} replicas of 9 parameters do not fit in memory"):
        train(n_replicas=fit + 1)


def test_a_chip_too_large_by_itself_is_refused():
    chip = mgd.chips.mlp((2, 40_000, 40_000, 1))
    with pytest.raises(ValueError, match=r"^a chip of 1,600,200,001 parameters does not fit in memory: it takes ab"):
        train(chip)


def test_where_memory_is_not_known_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(_memory, "available_bytes", lambda: None)
    assert train(n_replicas=2).theta.shape == (2, 9)


def test_what_a_replica_takes_is_what_its_arrays_take():
    engine = Measured(CHIP, mgd.discrete(), 5)
    counted = _memory.bytes_per_replica(engine, Data.of(TASK.train), KEY)
    # Two vectors of 9, a baseline, four seeds of two words, diverged and its step; 5 samples of 3 numbers.
    assert counted - (8 + 4) == 4 * (2 * 9 + 1 + 4 * 2 + 2) + 1 + 4 * 5 * 3


def test_control_groups_limit_what_is_there(tmp_path):
    def left() -> int | None:
        return of_control_group(tmp_path / "proc", tmp_path / "sys")

    assert left() is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/a/b").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n")
    assert left() is None
    for name, limit, used in (("a/b", "max", "5"), ("a", "1000", "300")):
        (tmp_path / "sys" / name / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "sys" / name / "memory.current").write_text(f"{used}\n")
    assert left() == 700
    (tmp_path / "sys/a/memory.stat").write_text("anon 10\ninactive_file 50\n")
    assert left() == 750
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/\n1:cpu:/a\n")
    (tmp_path / "sys/memory").mkdir()
    (tmp_path / "sys/memory/memory.limit_in_bytes").write_text("200\n")
    (tmp_path / "sys/memory/memory.usage_in_bytes").write_text("150\n")
    assert left() == 50


def test_the_machine_says_what_it_has(tmp_path):
    assert of_machine(tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:     3 kB\n")
    assert of_machine(tmp_path) == 3072


def test_samples_that_would_be_copied_in_four_bytes_each_are_left_as_they_lie():
    """The fused engine has such a copy: what pays for few is memory for many."""
    settings = {"n_replicas": 8, "batch": 1, "n_steps": 10**9}
    chosen = [choose("auto", CHIP, mgd.discrete(), n_numbers=n, **settings).name for n in (8, 4 * 10**8)]
    assert chosen == ["fused", "measured"]
