"""``vwlite client`` through TLS."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.support.client import answers, client, label, numbered, refusal


@pytest.fixture
def certificate(keys) -> tuple[str, str]:
    return str(keys / "cert.pem"), str(keys / "key.pem")


@pytest.fixture
def context(certificate) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(*certificate)
    return found


@pytest.mark.parametrize("mode", [[], ["--one_by_one"], ["--window", "2000"]])
def test_tls(serve, certificate, context, mode):
    server = serve(context=context)
    Path("token").write_bytes(b"secret of some length")
    server.token = b"secret of some length"
    words = ["--port", server.port, "--ca", certificate[0], "--token_file", "token", *mode]
    count = 2000 if mode else 100_000
    assert answers(numbered(count), *words) == b"".join(b"%d\n" % i for i in range(count))
    assert answers(b"1 |a\n", *words, "--server_name", "vwlite") == b"1\n"


def test_tls_with_much_waiting_in_both_directions(serve, certificate, context):
    server = serve(context=context, answer=lambda line: label(line).rstrip() + b" " + b"x" * 200 + b"\n")
    found = answers(numbered(50_000, "|a " + "y" * 180), "--port", server.port, "--ca", certificate[0])
    assert found.count(b"\n") == 50_000


def test_commands_over_tls(serve, certificate, context, capfd):
    server = serve(context=context)
    for command, wanted in (("!ping", "!pong\n"), ("!quit", "!bye\n")):
        client("--send", command, "--port", server.port, "--ca", certificate[0])
        assert tuple(capfd.readouterr()) == (wanted, "")


def test_certificates_that_are_not_trusted(serve, capsys, certificate, context):
    server = serve(context=context)
    said = refusal(capsys, "--port", server.port, "--tls", "--send", "!ping")
    assert said.startswith(f"127.0.0.1:{server.port}: its certificate is not trusted: self")
    assert said.endswith("; --ca names a file with the one to trust")
    words = ["--port", server.port, "--ca", certificate[0], "--server_name", "other", "--send", "!ping"]
    assert "not valid for 'other'" in refusal(capsys, *words)


def test_tls_with_a_daemon_that_speaks_none(serve, capsys, monkeypatch):
    monkeypatch.setattr("vwlite.cli.client.CONNECT_SECONDS", 0.2)
    words = ["--tls", "--send", "!ping", "--port"]
    said = refusal(capsys, *words, serve().port)
    assert said.endswith("can't connect: no answer for 0.2 s; does it speak TLS (--cert and --key)?")

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"0.5\n" * 100)
            connection.recv(1 << 16)
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        said = refusal(capsys, *words, str(listener.getsockname()[1]))
    assert said.endswith(": TLS failed: wrong version number; does it speak TLS (--cert and --key)?")
