"""Starts the daemon: checks options, forks to the background, opens sockets and files, and serves."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from vwlite.core.files import writing
from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.core.paths import explain, inherited
from vwlite.daemon.engine import meaningless
from vwlite.daemon.log import Log
from vwlite.daemon.recovery import loaded
from vwlite.daemon.saving import autosave
from vwlite.daemon.server import Server
from vwlite.engine.conflicts import check_run
from vwlite.engine.daemon_flags import PORT
from vwlite.engine.summary import summary
from vwlite.errors import OptionError, VwliteError

if TYPE_CHECKING:
    import ssl


OWN_FILES = 64  # open files reserved for other purposes than connections


def run(options: Options) -> int:
    """Serves until a signal ends it; returns the exit status. In the background, returns once clients can connect.

    With --log json, errors are logged as JSON, and not raised.
    """
    if options["log"] != "json":
        return begin(options)
    try:
        return begin(options)
    except Exception as error:
        Log(as_json=True).failure(error)
        return 1


def begin(options: Options) -> int:
    """Checks the options and starts the daemon, as `run` does; raises errors."""
    check(options)
    while (spare := os.open(os.devnull, os.O_RDWR)) < 3:  # no socket may get the number of a closed standard stream
        pass
    os.close(spare)
    if options["foreground"]:
        return serve(options, lambda: None)
    return in_background(lambda ready: serve(options, ready), Log(as_json=options["log"] == "json"))


def check(options: Options) -> None:
    """Raises OptionError for flags that don't go together."""
    errors = meaningless(options)
    try:
        autosave(options)
    except OptionError as error:
        errors += error.errors
    if options["socket"] is not None and (options.given("port") or options.given("bind")):
        errors.append("--socket replaces --port and --bind")
    if (options["cert"] is None) != (options["key"] is None):
        errors.append("--cert and --key go together")
    if options["journal"] is not None and options["testonly"]:
        errors.append("--journal stores what is learned, and with -t nothing is learned")
    if options["autosave"] is not None and options["journal"] is None and options["final_regressor"] is None:
        errors.append("--autosave needs a file: give -f FILE or --journal DIR")
    if options["model_dir"] and options["journal"] and same_file(options["model_dir"], options["journal"]):
        errors.append("--model_dir and --journal are the same folder: clients could overwrite the journal")
    if options["socket"] is not None and options["port_file"] is not None:
        errors.append("--port_file with --socket: a Unix socket has no port")
    if not (options["token_file"] or options["insecure"] or options["socket"] or is_loopback(options["bind"])):
        errors.append(
            f"--bind {options['bind']} accepts connections from other machines: any client that can reach the port can "
            "use and teach the model; give --token_file FILE, or --insecure if the network restricts access"
        )
    if errors:
        raise OptionError(errors)
    check_run(options, serving=True)


def same_file(one: str, other: str) -> bool:
    """Whether two paths lead to the same file, which need not exist."""
    return os.path.realpath(one) == os.path.realpath(other)


def is_loopback(address: str) -> bool:
    """Whether an address is a loopback address, which other machines can't reach."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def in_background(job: Callable[[Callable[[], None]], int], log: Log) -> int:
    """Runs a job in a background process without a terminal; returns once it is ready, or raises its error."""
    receive, send = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    child = os.fork()
    if child:
        os.close(send)
        with os.fdopen(receive, "rb") as pipe:
            told = pipe.read()
        if told == b"ready":
            return 0
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        raise VwliteError(told.decode("utf-8", "replace") or "the daemon ended before it could serve")
    os.close(receive)
    os.setsid()

    def ready() -> None:
        os.write(send, b"ready")
        os.close(send)
        # The process that started the daemon may wait for its pipes to be closed; a log file stays open.
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            if number < 2 or not is_file(number):
                os.dup2(quiet, number)
        os.close(quiet)

    status = 1
    try:
        status = job(ready)
    except VwliteError as error:
        try:
            os.write(send, str(error).encode("utf-8", "backslashreplace"))
        except OSError:  # the parent has gone: serving had begun
            if log.as_json:
                log.failure(error)
            else:
                print(f"vwlite: error: {error}", file=sys.stderr)
    except Exception as error:
        if log.as_json:
            log.failure(error)
        else:
            traceback.print_exc()
        raise
    finally:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        os._exit(status)


def import_ahead(options: Options) -> None:
    """Imports now what the first large batch would import, which would delay all clients by half a second."""
    if options["batch_size"] not in (None, "1"):
        import_module("vwlite.bayes.solve")
        import_module("scipy.sparse")


def is_file(descriptor: int) -> bool:
    """Whether a descriptor refers to a regular file."""
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def serve(options: Options, ready: Callable[[], None]) -> int:
    """Loads the model, listens, serves until a signal, saves, and logs a summary; returns the exit status."""
    log = Log(as_json=options["log"] == "json", quiet=options["quiet"])
    log.take_all()
    if options["num_children"]:
        log.info("--num_children has no effect: one process serves all clients")
    if options["final_regressor"] is not None:
        from vwlite.model.model_file import require_writable

        require_writable(options["final_regressor"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if ignored, the exit status of copies is lost
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until a model is loaded that it can replace
    connections = allow_files(options["max_connections"], log)
    journal = None
    if options["journal"] is not None:
        from vwlite.daemon.journal import Journal

        journal = Journal(options["journal"])
    with contextlib.ExitStack() as stack:
        if journal is not None:
            stack.callback(journal.close)
        engine, original = loaded(options, journal, log)
        import_ahead(engine.workspace.options)
        token = read_token(options["token_file"]) if options["token_file"] is not None else None
        context = tls(options) if options["cert"] is not None else None
        sockets = stack.enter_context(listening(options))
        port = None if options["socket"] is not None else sockets[0].getsockname()[1]
        server = Server(options, engine, log, journal, token, original, connections)

        def told() -> None:
            where = {"socket": options["socket"]} if port is None else {"address": options["bind"], "port": port}
            stack.enter_context(written(options["pid_file"], f"{os.getpid()}\n"))
            stack.enter_context(written(options["port_file"], f"{port}\n"))
            log.info("listening", **where, pid=os.getpid(), model=engine.workspace.parent)
            server.log_remarks()
            ready()

        runner(server, sockets, context, told)
        if not options["quiet"]:
            log.summary(figures(server))
        for remark in server.engine.workspace.unmatched():
            log.warning(remark)
        log.info("ended", lines=server.lines.total)
    return 0


def allow_files(connections: int, log: Log) -> int:
    """Raises the soft limit of open files for so many connections; returns how many connections it permits."""
    import resource

    wanted = connections + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most == wanted:
        return connections
    fewer = max(most - OWN_FILES, most // 4)
    log.warning("the system's limit of open files reduces --max_connections", files=most, connections=fewer)
    return fewer


def runner(
    server: Server, sockets: list[socket.socket], context: ssl.SSLContext | None, ready: Callable[[], None]
) -> None:
    """Runs the server in an event loop; uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(server.serve(sockets, context, ready))
    else:
        uvloop.run(server.serve(sockets, context, ready))


def read_token(path: str) -> bytes:
    """Reads a token file; raises VwliteError if it holds no valid token or others can read it."""
    try:
        with open(path, "rb") as file:
            token = file.read(4096).strip()
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise VwliteError(f"{path}: can't read the token: {explain(error, path)}") from error
    if len(token) < 16 or b"\n" in token:
        raise VwliteError(f"{path}: a token is one line of at least 16 bytes: openssl rand -hex 32 > {path}")
    require_private(path, mode, "the token")
    return token


def require_private(path: str, mode: int, what: str) -> None:
    """Raises VwliteError if a file's mode lets other users than its owner and group read it."""
    if mode & 0o037:  # the group may, as secrets are mounted into containers
        raise VwliteError(f"{path}: others can read {what}: chmod 600 {path}")


def tls(options: Options) -> ssl.SSLContext:
    """Creates the TLS context from --cert and --key; raises VwliteError if they are invalid."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        require_private(options["key"], os.stat(options["key"]).st_mode, "the private key")
        context.load_cert_chain(options["cert"], options["key"])
    except (OSError, ssl.SSLError) as error:
        raise VwliteError(f"--cert {options['cert']} --key {options['key']}: {error}") from error
    return context


@contextlib.contextmanager
def listening(options: Options) -> Iterator[list[socket.socket]]:
    """The listening sockets, closed and removed at the end."""
    if options["socket"] is not None:
        with unix_socket(options["socket"]) as one:
            yield [one]
        return
    address, port = options["bind"], options["port"] if options.given("port") else PORT
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        one = socket.create_server((address, place[1]), family=family, backlog=1024)
    except OSError as error:
        raise VwliteError(f"can't listen at {address} port {port}: {error.strerror or error}") from error
    with one:
        one.setblocking(False)
        yield [one]


@contextlib.contextmanager
def unix_socket(path: str) -> Iterator[socket.socket]:
    """A Unix socket with mode 0600; replaces one that no process listens on."""
    with socket.socket(socket.AF_UNIX) as one:
        try:
            with alone(os.path.dirname(os.path.abspath(path))):
                if os.path.lexists(path):
                    if not is_deserted(path):
                        raise VwliteError(f"--socket {path}: exists, and is in use or not a socket; choose another")
                    os.unlink(path)
                before = os.umask(0o177)
                try:
                    one.bind(path)
                finally:
                    os.umask(before)
                one.listen(1024)
                ours = os.lstat(path)
        except OSError as error:
            raise VwliteError(f"--socket {path}: {error.strerror or error}") from error
        one.setblocking(False)
        yield one
        with contextlib.suppress(OSError):
            if os.path.samestat(os.lstat(path), ours):  # another daemon may have replaced it
                os.unlink(path)


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
    """Locks a folder against other daemons: a socket that is bound but not listening yet looks unused."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_deserted(path: str) -> bool:
    """Whether a path is a socket that no process listens on; connections to other files are refused, too."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


@contextlib.contextmanager
def written(path: str | None, text: str) -> Iterator[None]:
    """A file that exists while the daemon serves, such as --pid_file."""
    if path is None:
        yield
        return
    try:
        with writing(path, wait=False) as file:  # atomically: clients never read a part of it
            file.write(text.encode("ascii"))
    except (OSError, ValueError) as error:
        raise VwliteError(f"{path}: can't be written: {explain(error, path)}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if os.path.isfile(path) and inherited(path) is None:  # a pipe was written through
                with open(path, encoding="ascii") as old:
                    ours = old.read() == text  # another daemon may have replaced it
                if ours:
                    os.unlink(path)


def figures(server: Server) -> list[str]:
    """The summary of what was served, in the format of a run over files."""
    driver, workspace = server.engine.driver, server.engine.workspace
    metrics = [] if workspace.reporter is None else [figure.line() for figure in workspace.reporter.figures()]
    lines = summary(driver, server.options, 1, None, workspace.top.loss, metrics)
    lines += [f"{name} = {value}" for name, value in driver.figures().items()]
    for learner in walk(workspace.top):
        lines += [f"{name} = {value}" for name, value in learner.metrics().items()]
    return lines
