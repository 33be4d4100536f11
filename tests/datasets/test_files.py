import dataclasses
import http.server
import shutil
import socket
import threading
from functools import partial

import pytest

from mgd import DataError
from mgd.datasets import available, fashion_mnist, fetch
from mgd.datasets._fashion_mnist import FILES
from mgd.datasets._files import cache_folder, find, locate

LABELS = "t10k-labels-idx1-ubyte.gz"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


class CutShort(Handler):
    def copyfile(self, source, outputfile):
        outputfile.write(source.read(100))


@pytest.fixture
def serve(nowhere):
    """Serve a folder on a real port; gives the address."""
    servers = []

    def start(folder, handler=Handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def from_address():
    """Fashion-MNIST as if Debian's package were not installed."""
    return lambda address: dataclasses.replace(FILES, address=address, system_folders=())


def test_fetched_into_the_cache_and_then_found_there(serve, from_address, data_dir, nowhere, capfd):
    found = locate(from_address(serve(data_dir / "fashion-mnist")))
    assert found.folder == nowhere / "cache" / "mgd" / "fashion-mnist" == cache_folder() / "fashion-mnist"
    for name in FILES.sha256:
        assert (found.folder / name).read_bytes() == (data_dir / "fashion-mnist" / name).read_bytes()
    said = capfd.readouterr()
    assert "100%" in said.err
    assert said.out == ""
    again = locate(from_address("http://127.0.0.1:9/"))
    assert set(again.files) == set(found.files)


def test_corrupt_on_the_server(serve, from_address, data_dir, tmp_path):
    shutil.copytree(data_dir / "fashion-mnist", tmp_path / "served")
    (tmp_path / "served" / LABELS).write_bytes(b"something else")
    address = serve(tmp_path / "served")
    with pytest.raises(
        DataError,
        match=rf"{address}{LABELS} is corrupt: its SHA-256 should be 8d3605d\w+, got \w{{64}}; .*--data DIR",
    ) as error:
        locate(from_address(address))
    assert "\n" not in str(error.value)
    assert not (cache_folder() / "fashion-mnist" / LABELS).exists()


def test_cut_short_by_the_server(serve, from_address, data_dir):
    with pytest.raises(DataError, match=r"^(cannot fetch|the download from) .*train-images-idx3-ubyte.gz"):
        locate(from_address(serve(data_dir / "fashion-mnist", CutShort)))
    assert find(from_address("")) is None


def test_not_on_the_server(serve, from_address, tmp_path):
    with pytest.raises(DataError, match=r"^cannot fetch train-images.* from http://127.* \(HTTPError\)"):
        locate(from_address(serve(tmp_path)))


def test_no_network(nowhere, from_address):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    said = rf"^cannot fetch train-images\S+ from {address}\S+ \(ConnectionError\); connect, or .*MGD_DATA"
    with pytest.raises(DataError, match=said) as error:
        locate(from_address(address))
    assert "\n" not in str(error.value)


def test_a_folder_given_is_the_only_place_looked_in(nowhere, data_dir, monkeypatch):
    monkeypatch.setenv("MGD_DATA", str(data_dir))
    with pytest.raises(DataError, match=r"^no fashion-mnist in "):
        fashion_mnist(nowhere)


def test_mgd_data_comes_before_the_package_and_that_before_the_cache(nowhere, data_dir, monkeypatch):
    real = data_dir / "fashion-mnist"
    package, cache = nowhere / "package", cache_folder() / "fashion-mnist"
    files = dataclasses.replace(FILES, system_folders=(package,))
    cache.parent.mkdir(parents=True)
    assert find(files) is None
    for folder in (cache, package):
        folder.symlink_to(real)
        found = find(files)
        assert found is not None
        assert found.folder == folder
    monkeypatch.setenv("MGD_DATA", str(nowhere / "empty"))
    assert find(files) == found
    monkeypatch.setenv("MGD_DATA", str(data_dir))
    found = find(files)
    assert found is not None
    assert found.folder == real


def test_a_corrupt_file_in_the_cache_is_named(nowhere, from_address):
    folder = cache_folder() / "fashion-mnist"
    folder.mkdir(parents=True)
    for name in FILES.sha256:
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"^{folder}/train-images\S+ is corrupt: .* delete it"):
        locate(from_address("http://127.0.0.1:9/"))


def test_fetch(data_dir):
    assert fetch("fashion-mnist", data_dir) == data_dir / "fashion-mnist"
    with pytest.raises(ValueError, match=r"^digits needs no files; those that do are fashion-mnist, cifar10$"):
        fetch("digits")


def test_available(data_dir, tmp_path):
    listed = {task.name: task for task in available(data_dir)}
    assert listed["fashion-mnist"].found == data_dir / "fashion-mnist"
    assert listed["cifar10"].found == data_dir / "cifar10" / "plain_text"
    assert {name for name, task in listed.items() if task.found is None} == {
        "parity",
        "nist7x7",
        "yin-yang",
        "digits",
    }
    assert [task.found for task in available(tmp_path)] == [None] * 6
