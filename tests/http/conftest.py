"""What all tests of the HTTP service share."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.http_server import HttpServer, serving
from tests.support.leftovers import all_ended

CTR = "ctr=--loss_function logistic --link logistic"


@pytest.fixture(autouse=True)
def no_server_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test has started in its folder has ended after it, also if it failed."""
    with all_ended(tmp_path):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server for the tests of a module, which makes what models they need."""
    with serving(tmp_path_factory.mktemp("served"), "--dir", "models") as found:
        yield found


@pytest.fixture
def client(server: HttpServer) -> Iterator[httpx.Client]:
    """A client of it."""
    with server.client() as found:
        yield found


@pytest.fixture
def model(client: httpx.Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of a new binary model, which is deleted afterwards."""
    path = f"/v1/models/{request.node.name[:60].replace('[', '-').split('-')[0]}"
    answer = client.put(path, json={"options": "--loss_function logistic --link logistic"})
    assert answer.status_code == 201, answer.text
    yield path
    client.delete(path)
