"""Starts the HTTP service: opens models and sockets, serves until a signal, saves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import uvicorn

from vwlite.daemon.journal import JournalError
from vwlite.daemon.log import Log
from vwlite.daemon.start import allow_files, written
from vwlite.daemon.start import unix_socket as daemon_socket
from vwlite.errors import VwliteError
from vwlite.http.app import create_app
from vwlite.http.follow import Follower, Source
from vwlite.http.handover import PATIENCE, Handover, take
from vwlite.http.line_door import LineDoor
from vwlite.http.notify import given_sockets, notify, watchdog_interval
from vwlite.http.problems import Problem
from vwlite.http.protocol import protocol_of
from vwlite.http.service import Service
from vwlite.http.settings import Settings

IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
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
        found = socket.getaddrinfo(settings.bind, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        one = socket.create_server((settings.bind, place[1]), family=family, backlog=1024)
    except OSError as error:
        raise VwliteError(f"can't listen at {settings.bind} port {settings.port}: {error.strerror or error}") from error
    with one:
        one.setblocking(False)
        yield one


def serve(  # noqa: DOC502
    settings: Settings,
    log: Log,
    models: dict[str, str],
    files: dict[str, str | None],
    tls: Any = None,
    take_over: bool = False,
    line_ports: dict[str, int] | None = None,
    sources: list[Source] | None = None,
    ready: Callable[[], object] = bool,
) -> int:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: Of the server.
        log: The log of events.
        models: Models to begin with: flags, or a file, by name.
        files: Where to write the process id and the port, by "pid" and "port".
        tls: Certificate and key, for TLS.
        take_over: Whether to take the listening socket of a server that runs already, which then ends.
        line_ports: Ports for the lines of VW's clients, by the name of the model.
        sources: Of models that are followed.
        ready: Called once clients can connect.

    Returns:
        The exit status.

    Raises:
        VwliteError: If it can't serve.
    """
    log.take_all()
    settings.max_connections = allow_files(settings.max_connections, log)
    with contextlib.ExitStack() as stack:
        one = None
        if take_over and settings.folder is not None:
            one = take(settings.folder)
        if one is None:
            one = next(iter(given_sockets()), None)
        one = stack.enter_context(listening(settings) if one is None else one)
        one.setblocking(False)
        port = None if one.family == socket.AF_UNIX else one.getsockname()[1]
        service = opened(settings, log, PATIENCE if take_over else 0.0)
        begin_with(service, models)
        if sources:
            service.follower = Follower(service, sources)
            service.follower.begin()
        doors = line_doors(service, line_ports or {}, settings, log, stack)
        app = create_app(settings, log, service)
        server = QuietServer(
            uvicorn.Config(
                app,
                http=protocol_of(settings.max_head, settings.read_timeout),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                limit_concurrency=settings.max_connections,
                timeout_keep_alive=max(int(settings.read_timeout), 5),
                timeout_graceful_shutdown=int(GOODBYE),
                ssl_certfile=None if tls is None else tls[0],
                ssl_keyfile=None if tls is None else tls[1],
            )
        )

        def told() -> None:
            where: dict[str, Any] = {"socket": settings.socket}
            if port is not None:
                where = {"address": settings.bind, "port": port}
            stack.enter_context(written(files.get("pid"), f"{os.getpid()}\n"))
            stack.enter_context(written(files.get("port"), f"{port}\n"))
            log.info("listening", **where, pid=os.getpid(), models=len(service.house.known))
            notify("READY=1")
            ready()

        run(main(server, one, service, doors, log, told))
    log.info("ended")
    return 0


def opened(settings: Settings, log: Log, patience: float) -> Service:
    """Opens the models; waits for a server that is about to end. Raises VwliteError."""
    until = time.monotonic() + patience
    while True:
        try:
            return Service(settings, log)
        except JournalError as error:
            if "another process" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.05)


def line_doors(
    service: Service, ports: dict[str, int], settings: Settings, log: Log, stack: contextlib.ExitStack
) -> list[tuple[LineDoor, socket.socket]]:
    """The doors for lines of VW's clients, and their sockets. Raises VwliteError."""
    doors = []
    for name, port in ports.items():
        try:
            model = service.house.find(name)
        except Problem as problem:
            raise VwliteError(f"--line_port {name}={port}: {problem.detail}") from problem
        one = stack.enter_context(listening(replace(settings, port=port, socket=None)))
        door = LineDoor(service.house, model, service.house.known[name].saving, settings.token, log)
        log.info("listening for lines", model=name, port=one.getsockname()[1])
        doors.append((door, one))
    return doors


def begin_with(service: Service, models: dict[str, str]) -> None:
    """Makes the models of the command line that there aren't yet. Raises VwliteError."""
    for name, what in models.items():
        try:
            if IMPORT_PATH.fullmatch(what):
                from vwlite.http.python_models import load

                service.house.maker.add(load(name, what))
            elif os.path.isfile(what):
                if name in service.house.known:
                    continue
                with open(what, "rb") as file:
                    service.house.maker.create(name, content=file.read(), trusted=True)
            else:
                service.house.maker.create(name, what, trusted=True)
        except Problem as problem:
            raise VwliteError(f"--model {name}={what}: {problem.detail}") from problem


async def main(
    server: uvicorn.Server,
    one: socket.socket,
    service: Service,
    doors: list[tuple[LineDoor, socket.socket]],
    log: Log,
    told: Any,
) -> None:
    """Serves in an event loop, until a signal, or until another server takes over."""
    loop = asyncio.get_running_loop()
    stopped: list[str] = []

    def stop(why: str) -> None:
        """Begins the end; a second signal ends at once."""
        if stopped:
            raise SystemExit(128 + signal.SIGTERM)
        stopped.append(why)
        log.info("stopping", why=why)
        notify("STOPPING=1")
        service.ready = False
        service.streams.end()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    await service.start()
    handover = None
    if service.settings.folder is not None:
        handover = Handover(service.settings.folder, one, lambda: stop("another server takes over"))
        handover.open(loop)
    watchdog = loop.create_task(feed_watchdog())
    for door, listener in doors:
        door.open(listener)
    told()
    try:
        await server.serve(sockets=[one])
        for door, _ in doors:
            await door.end()
    finally:
        watchdog.cancel()
        if handover is not None:
            handover.close(loop)
        await service.end()


async def feed_watchdog() -> None:
    """Tells the watchdog of systemd that the event loop is alive."""
    interval = watchdog_interval()
    while interval is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def run(job: Any) -> None:
    """Runs a coroutine in an event loop; uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(job)
    else:
        uvloop.run(job)
