"""What all tests of the daemon share."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Server
from tests.support.daemon import UCB, Daemon, by_file, decisions_to_learn, lines_to_learn, serving
from tests.support.leftovers import all_ended


@pytest.fixture(autouse=True)
def no_daemon_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test has started in its folder has ended after it, also if it failed."""
    with all_ended(tmp_path):
        yield


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command")
    folder = tmp_path_factory.mktemp("keys")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2"
    words += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,IP:::1,DNS:vwlite"
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of lines.model, which learned from lines, and of decisions.model."""
    place = tmp_path_factory.mktemp("served")
    by_file(place, lines_to_learn(300))
    (place / "file.model").rename(place / "lines.model")
    by_file(place, decisions_to_learn(100), *UCB.split())
    (place / "file.model").rename(place / "decisions.model")
    return place


@pytest.fixture(scope="module")
def lines(models: Path) -> tuple[bytes, bytes]:
    """Lines, and the answers of lines.model to them."""
    text = lines_to_learn(200, seed=2)
    return text, by_file(models, text, "-i", str(models / "lines.model"), "-t")[0]


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Serves lines of up to 4 kB."""
    with serving(tmp_path_factory.mktemp("tight"), "-t", "--max_line", "4096", "--link", "logistic") as daemon:
        yield daemon


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that clients are tried with; the folder is an empty one."""
    listeners: list[socket.socket] = []

    def begin(path: str | None = None, **how: Any) -> Server:
        if path is None:
            listener = socket.create_server(("127.0.0.1", 0))
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
        listeners.append(listener)
        return Server(listener, **how)

    yield begin
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)  # close() alone leaves the thread in accept()
        listener.close()
