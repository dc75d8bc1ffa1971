"""Ways to a daemon: IPv6, TLS and tokens with `vwlite client`; and what it says on standard error as JSON."""

import contextlib
import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import (
    PATIENCE,
    Daemon,
    by_file,
    decisions_to_learn,
    lines_to_learn,
    make_token,
    read_all,
    refusal,
    serving,
    talk,
)
from tests.support.models import arrays

TOKEN = b"a token of forty bytes, more or less: 12"

pytestmark = pytest.mark.usefixtures("folder")


def client(*words: str, text: bytes = b"", status: int = 0) -> tuple[bytes, str]:
    """What `vwlite client` writes to its two streams."""
    done = subprocess.run([*VWLITE, "client", *words], input=text, capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == status, done.stderr.decode()
    return done.stdout, done.stderr.decode()


# IPv6


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def ipv6_client(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("::1", daemon.port), timeout=PATIENCE)


@ipv6
def test_clients_come_by_ipv6_without_a_token_from_this_machine(folder):
    text = lines_to_learn(40)
    expected, model = by_file(folder, text)
    with serving(folder, "--bind", "::1", "-f", "served.model") as daemon:
        assert "address=::1" in daemon.wait_for("listening")
        with ipv6_client(daemon) as one:
            assert talk(one, text) == expected
        assert client("--host", "::1", "--port", str(daemon.port), "--send", "!ping") == (b"!pong\n", "")
        with pytest.raises(ConnectionRefusedError):
            daemon.connect()  # by IPv4
        assert daemon.end() == 0
    assert arrays("served.model") == model


@ipv6
def test_all_addresses_of_ipv6_need_a_token(folder):
    assert "--bind :: accepts connections from other machines" in refusal("--port", "0", "--bind", "::")
    make_token(TOKEN + b"\n")
    with serving(folder, "--bind", "::", "--token_file", "token") as daemon, ipv6_client(daemon) as one:
        assert talk(one, TOKEN + b"\n!ping\n") == b"!pong\n"


@ipv6
def test_a_port_that_is_taken_by_ipv6_is_refused(folder):
    with serving(folder, "--bind", "::1") as daemon:
        assert f"can't listen at ::1 port {daemon.port}" in refusal("--port", str(daemon.port), "--bind", "::1")


# TLS and tokens


@pytest.fixture
def secret(keys, folder):
    """The flags of a daemon that speaks TLS and wants a token."""
    make_token(TOKEN + b"\n")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(keys / name, name)
    return ["--cert", "cert.pem", "--key", "key.pem", "--token_file", "token"]


@pytest.mark.parametrize("mode", [[], ["--one_by_one"], ["--window", "500"]])
def test_the_client_gets_every_answer_by_tls_and_token(secret, folder, mode):
    text = lines_to_learn(300)
    expected, model = by_file(folder, text)
    with serving(folder, *secret, "-f", "served.model", "--journal", "journal") as daemon:
        words = ["--port", str(daemon.port), "--ca", "cert.pem", "--token_file", "token"]
        answers, said = client(*words, *mode, text=text)
        assert answers == expected
        assert "300" in said
        assert daemon.end() == 0
        assert not any(TOKEN.decode() in line for line in [*daemon.log, said])
    assert arrays("served.model") == model


def test_much_goes_both_ways_by_tls(secret, folder):
    text = b"|a x y z\n" * 50_000
    with serving(folder, *secret, "-t") as daemon:
        words = ["--port", str(daemon.port), "--ca", "cert.pem", "--token_file", "token", "--quiet"]
        assert client(*words, text=text)[0] == b"0\n" * 50_000


def test_decisions_by_tls(secret, folder):
    text = decisions_to_learn(30)
    flags = ["--explore", "ucb", "--bayes_linear"]
    expected, _ = by_file(folder, text, *flags)
    with serving(folder, *secret, *flags) as daemon:
        words = ["--port", str(daemon.port), "--ca", "cert.pem", "--token_file", "token", "--quiet", "--decisions"]
        assert client(*words, text=text)[0] == expected


@ipv6
def test_tls_by_ipv6_and_by_the_name_in_the_certificate(secret, folder):
    with serving(folder, *secret, "--bind", "::1") as daemon:
        words = ["--host", "::1", "--port", str(daemon.port), "--ca", "cert.pem", "--token_file", "token"]
        assert client(*words, "--send", "!ping") == (b"!pong\n", "")
        assert client(*words, "--server_name", "vwlite", "--send", "!ping") == (b"!pong\n", "")
        assert "not valid for 'other'" in client(*words, "--server_name", "other", "--send", "!ping", status=1)[1]


def test_whoever_lacks_the_token_or_tls_learns_and_teaches_nothing(secret, folder):
    with serving(folder, *secret, "-f", "served.model") as daemon:
        port = ["--port", str(daemon.port)]
        text = b"1 |a x\n"
        told = client(*port, "--ca", "cert.pem", "--quiet", text=text, status=1)
        assert "the first line has to be the token" in told[1]
        make_token(TOKEN[::-1] + b"\n")
        told = client(*port, "--ca", "cert.pem", "--token_file", "token", "--quiet", text=text, status=1)
        assert "the first line has to be the token" in told[1]
        make_token(TOKEN + b"\n")
        told = client(*port, "--tls", "--token_file", "token", "--quiet", text=text, status=1)
        assert "its certificate is not trusted" in told[1]
        with daemon.connect() as plain:
            assert b"!pong" not in talk(plain, TOKEN + b"\n1 |a x\n!ping\n")
        answer, _ = client(*port, "--ca", "cert.pem", "--token_file", "token", "--send", "!stats")
        assert json.loads(answer)["examples"] == 0
        assert daemon.end() == 0


def test_a_token_that_was_sent_in_the_clear_is_not_in_the_log(secret, folder):
    with serving(folder, *secret, "--log", "json") as daemon:
        with daemon.connect() as plain:
            talk(plain, TOKEN + b"\n!ping\n")
        assert daemon.end() == 0
    assert not any(TOKEN.decode() in line for line in daemon.log)


# flags


def test_all_that_is_wrong_with_flags_is_said_at_once(folder):
    words = "-c --passes 3 --cache_file cache -d data.txt -p out.txt --holdout_off"
    said = refusal("--port", "0", *words.split())
    for flag in ("--cache and a daemon", "--passes", "--cache_file", "--data", "--predictions"):
        assert said.count(f"vwlite: error: {flag}") == 1, flag
    assert list(folder.iterdir()) == []
    words = "--socket s --port 0 --cert c --journal j -t --autosave 5 --bind 0.0.0.0"
    said = refusal(*words.split())
    for part in ("--socket replaces", "--cert and --key", "--journal stores"):
        assert part in said
    assert "--pid_file is empty" in refusal("--pid_file=", "--token_file", "")
    assert list(folder.iterdir()) == []


def test_what_is_wrong_with_flags_of_two_kinds_is_said_at_once():
    said = refusal("--port", "0", "-c", "--autosave", "ten", "--cert", "c")
    assert "--cache and a daemon" in said
    assert "--autosave ten" in said
    assert "--cert and --key" in said


# the log


def events(log: list[str]) -> list[dict[str, object]]:
    """What was said before the summary, and after it; every line of that is JSON."""
    start = log.index("finished run") if "finished run" in log else len(log)
    end = next((at for at in range(start, len(log)) if log[at].startswith("{")), len(log))
    return [json.loads(line) for line in [*log[:start], *log[end:]] if line]


def test_each_line_of_the_log_is_json_whatever_happens(folder, keys):
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    (folder / "models").mkdir()
    flags = ["--journal", "journal", "-i", "file.model", "-f", "models/served.model", "--autosave", "50"]
    by_file(folder, lines_to_learn(30))
    flags += ["--log", "json", "--num_children", "3", "--max_connections", "2", "--read_timeout", "0.5"]
    with serving(folder, *flags) as daemon:
        daemon.talk(lines_to_learn(120) + b"malformed |\n\0\n!nothing\n" + b'{"_label": \n')
        daemon.wait_for('"saved"')
        with daemon.connect() as one, daemon.connect() as two, daemon.connect() as third:
            for other in (one, two, third):  # one too many, and those who say nothing
                assert read_all(other).startswith(b"!error ")
        Path("file.model").rename("moved.model")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("the model is unchanged")
        shutil.copy("moved.model", "file.model")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("model loaded")
        assert daemon.end() == 0
    found = events(daemon.log)
    names = [str(each["event"]) for each in found]
    assert {"listening", "saved", "stopping", "model loaded", "ended"} <= set(names)
    assert names[-1] == "ended"
    assert {each["level"] for each in found} == {"info", "error"}
    last = before
    for each in found:
        when = datetime.datetime.strptime(str(each["time"]), "%Y-%m-%dT%H:%M:%S.%f%z")
        assert last <= when <= datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
        last = when


def test_each_line_of_the_log_is_json_after_a_kill_too(folder):
    make_token(TOKEN + b"\n")
    for _ in range(2):
        with serving(folder, "--journal", "journal", "--log", "json", "--token_file", "token") as daemon:
            daemon.kill()
        assert all({"time", "level", "event"} <= json.loads(line).keys() for line in daemon.log)


def test_names_of_files_can_be_anything_in_json(folder):
    name = 'a "model" with\n\tspaces and ünïcode'
    with serving(folder, "-f", name, "--log", "json", "--autosave", "1") as daemon:
        daemon.talk(b"1 |a x\n")
        daemon.wait_for('"saved"')
        assert daemon.end() == 0
    assert [each["path"] for each in events(daemon.log) if each["event"] == "saved"] == [name]
    assert os.path.exists(name)


def test_lines_of_the_log_of_a_busy_daemon_are_whole(folder):
    with serving(folder, "-f", "served.model", "--log", "json", "--autosave", "10") as daemon:
        threads = [threading.Thread(target=daemon.talk, args=(lines_to_learn(300, seed),)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert daemon.end() == 0
    assert sum(each["event"] == "saved" for each in events(daemon.log)) >= 1
