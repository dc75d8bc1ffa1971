"""The HTTP service in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.command import VWLITE

PATIENCE = 60.0  # seconds that anything may take on a busy machine


class HttpServer:
    """A server, which serves as soon as this is made.

    Args:
        folder: Where it is started.
        words: Its options.
        port: The port, unless it is among the options; 0 for a free one.
        environment: More variables.
        token: The key that requests of `ask` are sent with.

    Attributes:
        url: Its address.
        log: What it has said on standard error, lines without their ends.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        port: int = 0,
        environment: dict[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        self.folder, self.words, self.token = folder, words, token
        self.log: list[str] = []
        self.killed = False
        (folder / "http_port").unlink(missing_ok=True)
        place = [] if "--socket" in words else ["--port_file", "http_port"]
        if place and "--port" not in words:
            place += ["--port", str(port)]
        command = [*VWLITE, "serve", *place, *words]
        self.process = subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self.listening = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.listening.wait(PATIENCE)
        if self.process.poll() is not None or not any("listening" in line for line in self.log):
            self.kill()
            raise AssertionError("\n".join(self.log))
        self.port = 0 if "--socket" in words else int((folder / "http_port").read_text())
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            if "listening address" in line or "listening socket" in line or '"event": "listening"' in line:
                self.listening.set()
        self.listening.set()  # it has ended

    def client(self, **how: Any) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **how)

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, bytes]:
        """Sends a request; returns the status and the body of the answer."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": media}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = httpx.request(method, self.url + path, content=content, headers=headers, timeout=PATIENCE)
        return answer.status_code, answer.content

    def get(self, path: str) -> Any:
        """What a path has, from JSON."""
        status, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def batch(self, name: str, verb: str, lines: Sequence[Any]) -> list[Any]:
        """Sends a batch to a model; returns the answers, the summary last."""
        status, body = self.ask("POST", f"/v1/models/{name}:{verb}", ndjson(lines), "application/x-ndjson")
        assert status == 200, body
        found = [json.loads(line) for line in body.splitlines()]
        assert found[-1]["failed"] == 0, found
        return found

    def examples(self, name: str) -> int:
        """How many examples a model has learned."""
        count: int = self.get(f"/v1/models/{name}")["examples"]
        return count

    def stop(self) -> int:
        """Ends it as operators do; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status

    def kill(self) -> None:
        """Kills it."""
        self.killed = True
        self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path, *words: str, **how: Any) -> Iterator[HttpServer]:
    """A server that ends with the block, without an error of its own in its log."""
    server = HttpServer(folder, *words, **how)
    try:
        yield server
    finally:
        status = server.stop()
    assert server.killed or status == 0, server.log
    assert not [line for line in server.log if "request has failed" in line or "Traceback" in line], server.log


def wait_for(what: Any, patience: float = PATIENCE) -> Any:
    """What a function returns as soon as that is true."""
    until = time.monotonic() + patience
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < until, "it has not happened in time"
        time.sleep(0.02)


def ndjson(lines: Sequence[Any]) -> bytes:
    """Values as lines of JSON."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def rows(answer: httpx.Response) -> list[Any]:
    """The lines of an answer in NDJSON."""
    assert answer.headers["content-type"] == "application/x-ndjson", answer.text
    return [json.loads(line) for line in answer.text.splitlines()]
