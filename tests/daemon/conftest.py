"""What all tests of the daemon share."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
