"""Starts the HTTP service: opens models and sockets, serves until a signal, saves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from vwlite.daemon.log import Log
from vwlite.daemon.start import allow_files, written
from vwlite.daemon.start import unix_socket as daemon_socket
from vwlite.errors import VwliteError
from vwlite.http.app import create_app
from vwlite.http.protocol import protocol_of
from vwlite.http.service import Service
from vwlite.http.settings import Settings

GOODBYE = 10.0  # seconds that requests have to be answered at the end


class QuietServer(uvicorn.Server):
    """uvicorn's server, whose signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket. Raises VwliteError."""
    if settings.socket is not None:
        with daemon_socket(settings.socket) as one:
            yield one
        return
    try:
        found = socket.getaddrinfo(
            settings.bind, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, place = found[0]
        one = socket.create_server((settings.bind, place[1]), family=family, backlog=1024)
    except OSError as error:
        raise VwliteError(
            f"can't listen at {settings.bind} port {settings.port}: {error.strerror or error}"
        ) from error
    with one:
        one.setblocking(False)
        yield one


def serve(settings: Settings, log: Log, models: dict[str, str], files: dict[str, str | None], tls: Any = None) -> int:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: Of the server.
        log: The log of events.
        models: Models to begin with: flags, or a file, by name.
        files: Where to write the process id and the port, by "pid" and "port".
        tls: Certificate and key, for TLS.

    Returns:
        The exit status.

    Raises:
        VwliteError: If it can't serve.
    """
    log.take_all()
    settings.max_connections = allow_files(settings.max_connections, log)
    service = Service(settings, log)
    begin_with(service, models)
    app = create_app(settings, log, service)
    config = uvicorn.Config(
        app,
        http=protocol_of(settings.max_head, settings.read_timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        root_path="",
        lifespan="off",
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=max(int(settings.read_timeout), 5),
        timeout_graceful_shutdown=int(GOODBYE),
        ssl_certfile=None if tls is None else tls[0],
        ssl_keyfile=None if tls is None else tls[1],
    )
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(listening(settings))
        port = None if settings.socket is not None else one.getsockname()[1]

        def told() -> None:
            where: dict[str, Any] = {"socket": settings.socket}
            if port is not None:
                where = {"address": settings.bind, "port": port}
            stack.enter_context(written(files.get("pid"), f"{os.getpid()}\n"))
            stack.enter_context(written(files.get("port"), f"{port}\n"))
            log.info("listening", **where, pid=os.getpid(), models=len(service.house.known))

        run(main(QuietServer(config), one, service, log, told))
    log.info("ended")
    return 0


def begin_with(service: Service, models: dict[str, str]) -> None:
    """Makes the models of the command line that there aren't yet. Raises VwliteError."""
    from vwlite.http.problems import Problem

    for name, what in models.items():
        try:
            if os.path.isfile(what):
                if name in service.house.known:
                    continue
                with open(what, "rb") as file:
                    service.house.create(name, content=file.read(), trusted=True)
            else:
                service.house.create(name, what, trusted=True)
        except Problem as problem:
            raise VwliteError(f"--model {name}={what}: {problem.detail}") from problem


async def main(server: QuietServer, one: socket.socket, service: Service, log: Log, told: Any) -> None:
    """Serves in an event loop."""
    loop = asyncio.get_running_loop()
    stopped: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if stopped:
            raise SystemExit(128 + number)
        stopped.append(number)
        log.info("stopping", signal=number.name)
        service.ready = False
        service.streams.end()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    await service.start()
    told()
    try:
        await server.serve(sockets=[one])
    finally:
        await service.end()


def run(job: Any) -> None:
    """Runs a coroutine in an event loop; uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(job)
    else:
        uvloop.run(job)
