"""The HTTP service in a process of its own, and requests to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.support.command import VWLITE

PATIENCE = 60.0  # seconds that anything may take on a busy machine
NDJSON = "application/x-ndjson"


class Server:
    """A server, which listens as soon as this is made.

    Args:
        folder: Where it is started; its file `port` is there, and its log.
        words: Its flags.
        token: The key that its requests are sent with.

    Attributes:
        base: Its URL, without a slash at the end.
        port: Its port.
    """

    def __init__(self, folder: Path, *words: str, token: str | None = None) -> None:
        self.folder, self.token = folder, token
        self.log = folder / "log"
        place = [] if "--port" in words else ["--port", "0"]
        port_file = folder / "port"
        port_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*VWLITE, "serve", *place, "--port_file", "port", *words],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self.port = self._listening(port_file)
        except BaseException:
            self.end()
            raise
        self.base = f"http://127.0.0.1:{self.port}"

    def _listening(self, port_file: Path) -> int:
        def is_written() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return port_file.exists() and port_file.read_text().endswith("\n")

        wait_until(is_written)
        return int(port_file.read_text())

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, bytes]:
        """Sends a request; returns the status and the body of the answer."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", media)
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str) -> Any:
        """What a path has, from JSON."""
        status, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def batch(self, name: str, verb: str, rows: Iterable[Any]) -> list[Any]:
        """Sends a batch to a model; returns the answers, the summary last."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        status, body = self.ask("POST", f"/v1/models/{name}:{verb}", text.encode(), NDJSON)
        assert status == 200, body
        found = [json.loads(line) for line in body.splitlines()]
        assert found[-1]["failed"] == 0, found
        return found

    def examples(self, name: str) -> int:
        """How many examples a model has learned."""
        count: int = self.get(f"/v1/models/{name}")["examples"]
        return count

    def end(self) -> int:
        """Ends it, and waits for that; returns its status."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()


def wait_until(happened: Callable[[], object]) -> None:
    """Asks again and again whether something has happened; fails if it doesn't in all the time there is."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, "it doesn't happen"
        time.sleep(0.01)


@contextlib.contextmanager
def serving(folder: Path, *words: str, token: str | None = None) -> Iterator[Server]:
    """A server that is there inside a with statement."""
    server = Server(folder, *words, token=token)
    try:
        yield server
    finally:
        server.end()
