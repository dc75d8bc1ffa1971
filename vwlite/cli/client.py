"""``vwlite client``: sends lines to a running daemon and writes its answers."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from vwlite.engine.daemon_flags import PORT
from vwlite.errors import OptionError, VwliteError

if TYPE_CHECKING:
    import socket
    import ssl

    from vwlite.daemon.session import Session
    from vwlite.input.sources import Source
    from vwlite.report.outputs import Progress

CONNECT_SECONDS = 10.0


@click.command("client")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write answers here instead of to standard output.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The daemon's address.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Its TCP port.")
@click.option("--socket", "path", metavar="PATH", help="Its Unix socket, instead of address and port.")
@click.option("--token_file", "--token-file", metavar="FILE", help="Send the token in this file as the first line.")
@click.option("--tls", is_flag=True, help="Use TLS, and trust the system's certificates.")
@click.option("--ca", metavar="FILE", help="Use TLS, and trust the certificates in this file (PEM).")
@click.option(
    "--server_name", "--server-name", metavar="NAME", help="The name in the daemon's certificate. [default: --host]"
)
@click.option("--decisions", is_flag=True, help="Empty lines end multi-line examples. [default: seen from the answers]")
@click.option(
    "--one_by_one", "--one-by-one", is_flag=True, help="Wait for the answer to each example before sending the next."
)
@click.option(
    "--window", type=click.IntRange(1, 1 << 40), metavar="BYTES", help="Send at most this much ahead of the answers."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Fail if an answer is due and nothing is received for this long.",
)
@click.option("--send", multiple=True, metavar="LINE", help="Send this line instead of files, such as '!stats'.")
@click.option(
    "--half_close",
    "--half-close",
    is_flag=True,
    help="End by closing the sending side, without !quit, as Vowpal Wabbit's daemon requires.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    files: tuple[str, ...],
    output: str,
    host: str,
    port: int,
    path: str | None,
    token_file: str | None,
    tls: bool,
    ca: str | None,
    server_name: str | None,
    decisions: bool,
    one_by_one: bool,
    window: int | None,
    timeout: float,
    send: tuple[str, ...],
    half_close: bool,
    quiet: bool,
) -> int | None:
    """Send the lines of FILEs, or of standard input, to a daemon (vwlite --daemon), and write its answers.

    Reading, sending and receiving run concurrently; compressed files are decompressed. At the end, a summary on
    standard error shows the number of lines and answers, the throughput and the latency.

    The answer to a malformed line is an error: it is written in its place like all others, counted, and the first few
    are printed. The exit status is 1 only if answers are missing.

    \b
      vwlite client test.txt -o answers.txt
      zcat clicks.gz | vwlite client --socket /run/vwlite.sock > answers.txt
      vwlite client --send '!stats'
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.daemon.outgoing import Input
    from vwlite.daemon.session import Session
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.input.sources import open_source
    from vwlite.report.outputs import Sink

    if path is not None:
        for name, value in (("host", host), ("port", port)):
            if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise OptionError(f"--{name} {value} has no effect with --socket: leave one of them out")
    if send and (files or one_by_one):
        raise OptionError("--send sends only its own lines: leave out files and --one_by_one")
    if server_name is not None and not (tls or ca):
        raise OptionError("--server_name is for checking a certificate: give --tls or --ca too")
    if half_close and (tls or ca):
        raise OptionError("--half_close and TLS: TLS can't close one side only")
    if one_by_one and window is not None:
        raise OptionError("--one_by_one and --window: give one of them")
    token = read_token(token_file) + b"\n" if token_file else b""
    context = trust(ca) if tls or ca else None
    where = path or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    check_subcommand([*(() if send else files or ("-",)), token_file, ca], output=output)
    sources: list[Source] = []
    with contextlib.ExitStack() as open_things:
        for name in () if send else files or ("-",):
            sources.append(open_source(name))
            open_things.callback(sources[-1].close)
        sink = Sink(output, "answers")
        open_things.callback(sink.discard)
        connection = open_things.enter_context(connect(where, path or (host, port), context, server_name or host))
        talk = Session(connection, where, sink, decisions, timeout, not half_close and send[-1:] != ("!quit",))
        talk.shown = 0 if quiet or send else talk.shown
        talk.progress = None if quiet or send else bar(sources)
        lines = Input(sources, "".join(line + "\n" for line in send).encode("utf-8", "surrogateescape"))
        try:
            if token and not talk.send_all(token):
                talk.finish(False)
            if one_by_one:
                talk.one_by_one(lines)
            else:
                talk.stream(lines, window)
            sink.commit()
            print_report(talk, quiet or bool(send))
        except KeyboardInterrupt:
            print_report(talk, quiet or bool(send))
            raise
    return 1 if send and talk.errors else 0


def print_report(talk: Session, quiet: bool) -> None:
    """Prints the summary on standard error."""
    if talk.progress is not None:
        talk.progress.clear()
    if not quiet:
        print("\n".join(talk.report()), file=sys.stderr)


def bar(sources: list[Source]) -> Progress:
    """A progress bar of the bytes sent, shown if standard error is a terminal that answers aren't written to."""
    from vwlite.report.outputs import Progress

    sizes = [source.size for source in sources if source.size is not None]
    return Progress(sys.stderr, sum(sizes) if len(sizes) == len(sources) else None, not sys.stdout.isatty())


def read_token(path: str) -> bytes:
    """Reads a token file; raises VwliteError if it holds no valid token."""
    from vwlite.core.paths import explain

    try:
        with open(path, "rb") as file:
            token = file.read(4096).strip()
    except OSError as error:
        raise VwliteError(f"{path}: can't read the token: {explain(error, path)}") from error
    if not token or b"\n" in token:
        raise VwliteError(f"{path}: a token is one line, and this file is empty or has several")
    return token


def trust(ca: str | None) -> ssl.SSLContext:
    """Creates a TLS context that trusts the certificates of a file, or the system's. Raises VwliteError."""
    import ssl

    from vwlite.core.paths import explain

    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise VwliteError(f"{ca}: no certificates in PEM format: {error.reason}") from error
    except OSError as error:
        raise VwliteError(f"{ca}: can't read the certificates: {explain(error, ca or '')}") from error


def connect(
    where: str, address: str | tuple[str, int], context: ssl.SSLContext | None, server_name: str
) -> socket.socket:
    """Connects to the daemon. Raises VwliteError with the reason of a failure, and what to do."""
    import socket
    import ssl

    connection: socket.socket | None = None
    try:
        if isinstance(address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(address)
        else:
            connection = socket.create_connection(address, CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection if context is None else context.wrap_socket(connection, server_hostname=server_name)
    except ssl.SSLCertVerificationError as error:
        problem = f"its certificate is not trusted: {error.verify_message}; --ca names a file with the one to trust"
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        problem = f"TLS failed: {reason}; does it speak TLS (--cert and --key)?"
    except TimeoutError:
        hint = "is that the right address" if connection is None else "does it speak TLS (--cert and --key)"
        problem = f"can't connect: no answer for {CONNECT_SECONDS:g} s; {hint}?"
    except OSError as error:
        start = f"--socket {address}" if isinstance(address, str) else f"--port {address[1]}"
        problem = f"can't connect: {error.strerror or error}; is the daemon running (vwlite --daemon {start})?"
    if connection is not None:
        connection.close()
    raise VwliteError(f"{where}: {problem}")
