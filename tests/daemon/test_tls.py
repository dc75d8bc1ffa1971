"""Clients that come through TLS, and those who should."""

import contextlib
import os
import select
import shutil
import ssl

import pytest

from tests.support.daemon import HALF, ask, read_all, read_lines, refusal, serving, talk


@pytest.fixture(scope="module")
def secret(keys):
    """Speaks TLS."""
    with serving(keys, "-t", "--link", "logistic", "--cert", "cert.pem", "--key", "key.pem") as daemon:
        yield daemon


def test_answers_through_tls(keys, secret):
    context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
    with context.wrap_socket(secret.connect(), server_hostname="127.0.0.1") as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
        assert ask(client, b"!ping") == b"!pong\n"
        client.sendall(b"|a x\n" * 10_000)
        assert read_lines(client, 10_000) == [HALF] * 10_000
        assert ask(client, b"!quit") == b"!bye\n"
        assert read_all(client) == b""


def test_a_last_line_without_an_end_through_tls(keys, secret):
    context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
    client = context.wrap_socket(secret.connect(), server_hostname="127.0.0.1")
    client.sendall(b"|a x\n|a x")
    with contextlib.suppress(OSError, ssl.SSLError), client.unwrap() as plain:
        read_all(plain)
    assert not any("returning true from eof_received" in line for line in secret.log)


@pytest.mark.parametrize(
    "noise", [b"|a x\n!ping\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", os.urandom(1000), b""]
)
def test_noise_instead_of_tls_is_nothing_to_others(keys, secret, noise):
    with secret.connect() as client:
        assert b"!pong" not in talk(client, noise)
    test_answers_through_tls(keys, secret)


def test_strangers_who_speak_no_tls_are_limited_too(keys, tmp_path):
    words = ["--cert", "cert.pem", "--key", "key.pem", "--max_connections", "2"]
    shutil.copytree(keys, tmp_path / "keys")
    with serving(tmp_path / "keys", *words) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(5)]
        assert select.select(clients, [], [], 2)[0]


def test_tls_noise_at_a_server_without_tls(tight):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tight.connect() as client:
        client.settimeout(60)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = context.wrap_bio(incoming, outgoing)
        with contextlib.suppress(ssl.SSLWantReadError):
            hello.do_handshake()
        talk(client, outgoing.read())
    assert tight.talk(b"|a x") == HALF


def test_a_key_that_is_none_is_refused(folder):
    (folder / "cert.pem").write_text("no certificate")
    (folder / "cert.pem").chmod(0o600)
    told = refusal("--port", "0", "--cert", "cert.pem", "--key", "cert.pem")
    assert "--cert cert.pem" in told
    assert "none.pem" in refusal("--port", "0", "--cert", "none.pem", "--key", "none.pem")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_read_is_refused_like_a_token(keys, folder, mode):
    shutil.copy(keys / "key.pem", folder / "key.pem")
    (folder / "key.pem").chmod(mode)
    told = refusal("--port", "0", "--cert", str(keys / "cert.pem"), "--key", "key.pem")
    assert told == "vwlite: error: key.pem: others can read the private key: chmod 600 key.pem\n"


def test_a_key_that_its_group_can_read_is_taken(keys, tmp_path):
    shutil.copytree(keys, tmp_path / "keys")
    (tmp_path / "keys" / "key.pem").chmod(0o640)
    with serving(tmp_path / "keys", "--cert", "cert.pem", "--key", "key.pem"):
        pass
