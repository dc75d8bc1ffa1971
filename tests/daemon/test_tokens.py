"""Tokens: who has one is served, who has none learns nothing; and who needs none."""

import json
import socket
import sys

import pytest

from tests.support.daemon import MB, UCB, ask, by_file, decisions_to_learn, make_token, read_all, refusal, serving
from tests.support.models import arrays

TOKEN = b"0123456789abcdef-token"
SHORTEST = b"0123456789abcdef"

pytestmark = pytest.mark.usefixtures("folder")


# files


@pytest.mark.parametrize("text", [b"", b"\n", b"0123456789abcde\n", b"0123456789abcdef\n0123456789abcdef\n"])
def test_what_is_no_token_is_refused(text):
    make_token(text)
    assert "at least 16 bytes" in refusal("--port", "0", "--token_file", "token")


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666, 0o444])
def test_a_token_that_others_can_read_is_refused(mode):
    make_token(SHORTEST, mode)
    assert "chmod 600 token" in refusal("--port", "0", "--token_file", "token")


def test_a_token_that_is_not_there_is_refused():
    assert "token: " in refusal("--port", "0", "--token_file", "token")


# addresses


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.invalid", "0"])
def test_without_a_token_only_this_machine_is_served(address):
    assert "--token_file" in refusal("--port", "0", f"--bind={address}")


def test_strangers_are_served_if_that_is_wanted(folder):
    with serving(folder, "--bind", "0.0.0.0", "--insecure") as daemon:
        assert daemon.talk(b"!ping\n") == b"!pong\n"
    make_token(SHORTEST)
    with serving(folder, "--bind", "0.0.0.0", "--token_file", "token") as daemon:
        assert daemon.talk(SHORTEST + b"\n!ping\n") == b"!pong\n"


def test_addresses_of_this_machine_need_no_token(folder):
    for address in ("localhost", "127.0.0.1"):
        with serving(folder, "--bind", address) as daemon:
            assert daemon.talk(b"!ping\n") == b"!pong\n"


# clients


@pytest.fixture
def token(folder):
    """The flags of a daemon that wants a token."""
    make_token(TOKEN + b"\n")
    return ["--token_file", "token"]


def test_whoever_has_the_token_is_served(token, tmp_path):
    with serving(tmp_path, *token) as daemon:
        assert daemon.talk(TOKEN + b"\n|a x\n!ping\n") == b"0\n!pong\n"
        assert daemon.talk(TOKEN + b"\r\n|a x\n") == b"0\n"
        assert daemon.talk(TOKEN + b"\n|a x", [1] * 20) == b"0\n"
        assert daemon.talk(TOKEN) == b""
        assert daemon.talk(TOKEN + b"\nbad |a\n").startswith(b"!error line 1, ")
        assert daemon.end() == 0
    assert not any(TOKEN.decode() in line for line in daemon.log)


def test_whoever_has_another_token_or_none_learns_and_teaches_nothing(token, tmp_path):
    wrong = [b"", TOKEN[:-1], TOKEN + b"x", b" " + TOKEN, TOKEN.upper(), b"!ping", b"\0", b"\xff" * 3000]
    with serving(tmp_path, *token, "-f", "served.model") as daemon:
        for each in wrong:
            answer = daemon.talk(each + b"\n1 |a x\n!stats\n" + TOKEN + b"\n|a x\n")
            assert answer.startswith(b"!error ")
            assert answer.count(b"\n") == 1
            assert TOKEN not in answer
        assert json.loads(daemon.talk(TOKEN + b"\n!stats\n"))["examples"] == 0
        assert daemon.talk(b"no end") in (b"", b"!error the first line has to be the token\n")


def test_who_brings_no_token_in_time_is_let_go(token, tmp_path):
    hurry = (
        "import sys; from vwlite.daemon import admission; admission.TOKEN_TIME = 0.2; "
        "from vwlite.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with (
        serving(tmp_path, *token, start=[sys.executable, "-c", hurry]) as daemon,
        daemon.connect() as trusted,
        daemon.connect() as silent,
        daemon.connect() as slow,
    ):
        trusted.sendall(TOKEN + b"\n")
        slow.sendall(TOKEN)
        assert read_all(silent) == read_all(slow) == b"!error no token was received in time\n"
        assert ask(trusted, b"!ping") == b"!pong\n"


def test_who_stays_after_a_wrong_token_is_no_concern_of_others(token, tmp_path):
    hurry = (
        "import sys; from vwlite.daemon import admission, server; admission.TOKEN_TIME = 0.2; server.GOODBYE = 3; "
        "from vwlite.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [*token, "--read_timeout", "4"]
    with (
        serving(tmp_path, *words, start=[sys.executable, "-c", hurry]) as daemon,
        daemon.connect() as stranger,
        daemon.connect() as trusted,
    ):
        trusted.sendall(TOKEN + b"\n")
        stranger.sendall(b"x\n")
        assert read_all(stranger) == b"!error the first line has to be the token\n"
        assert read_all(trusted) == b"!error nothing was received for 4 seconds (--read_timeout)\n"
        assert daemon.end() == 0
    assert not any("error: " in line for line in daemon.log)


def test_a_decision_right_behind_the_token_may_come_in_pieces(token, tmp_path):
    text = decisions_to_learn(5)
    expected, model = by_file(tmp_path, text, *UCB.split())
    first = text.index(b"\n") + 1
    with serving(tmp_path, *token, *UCB.split(), "-f", "served.model") as daemon:
        with daemon.connect() as client:
            client.sendall(TOKEN + b"\n" + text[:first] + text[first:].split(b"\n")[0] + b"\n")
            daemon.talk(TOKEN + b"\n!ping\n")  # by then it has been read
            client.sendall(text[first:].split(b"\n", 1)[1])
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == expected
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_a_stranger_gets_little_room_for_a_token(token, tmp_path):
    with serving(tmp_path, *token, "--socket", "socket") as daemon, daemon.connect() as stranger:
        stranger.sendall(b"x" * (MB // 2))
        answer = daemon.talk(TOKEN + b"\n!stats\n")
        assert json.loads(answer)["buffered_bytes"] < 100_000
