import pytest

from mgd.datasets import cifar10, fashion_mnist


# Of a module, not of the session: they are large, and would stay to its end.
@pytest.fixture(scope="module")
def fashion_task(data_dir):
    return fashion_mnist(data_dir)


@pytest.fixture(scope="module")
def cifar_task(data_dir):
    return cifar10(data_dir)


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty cache, no MGD_DATA, no proxies: nothing is found, and the local server is reached."""
    monkeypatch.delenv("MGD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path
