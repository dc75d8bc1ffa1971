"""What somebody who means harm, or has bad luck, can do to a daemon."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.support.daemon import (
    ASYNCIO,
    SLOW,
    Daemon,
    ask,
    by_file,
    connected,
    lines_to_learn,
    read_all,
    read_lines,
    serving,
    wait_until,
)

MODULE = [sys.executable, "-m", "vwlite"]
LIMITED = ["--bayes_linear", "--random_effect", "u:a", "--entity_limit", "2"]


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_daemon_without_standard_error_saves(closed, tmp_path):
    words = "-m vwlite --foreground --port 0 --port_file port -f m"
    process = subprocess.Popen(f"exec {sys.executable} {words} {closed}", shell=True, cwd=tmp_path)
    try:
        wait_until((tmp_path / "port").exists)
        with socket.create_connection(("127.0.0.1", int((tmp_path / "port").read_text()))) as client:
            client.settimeout(60)
            assert ask(client, b"1 |a x") == b"0\n"
            client.sendall(b"!save\n")
            assert client.recv(100) == b"!saved m\n"
        process.terminate()
        assert process.wait(10) == 0  # now it waits for that save for ever
    finally:
        process.kill()
        process.wait()


# A daemon that may make a copy, but no thread that waits for it.
BROKEN = """
import os, sys
from vwlite.cli import main
from vwlite.daemon import saving
async def broken(*about):
    raise RuntimeError("can't start new thread")
saving.Saving.follow = broken
sys.exit(main(sys.argv[1:]))
"""


def test_a_save_that_goes_wrong_in_an_unknown_way_does_not_stop_later_ones_and_the_end(tmp_path):
    with serving(tmp_path, "-f", "m", start=[sys.executable, "-c", BROKEN]) as daemon, daemon.connect() as client:
        client.sendall(b"1 |a x\n!save\n")
        read_lines(client, 1)
        daemon.send(signal.SIGTERM)
        assert daemon.process.wait(20) == 0
    assert (tmp_path / "m").exists()


@pytest.mark.parametrize("when", ["1s", "100"])
def test_the_model_that_sighup_has_loaded_is_saved_of_its_own_accord(when, tmp_path):
    by_file(tmp_path, lines_to_learn(50))
    with serving(tmp_path, "-i", "file.model", "-f", "m", "--autosave", when) as daemon:
        daemon.talk(lines_to_learn(1000))
        daemon.talk(b"!save\n")
        by_file(tmp_path, lines_to_learn(50, seed=2))
        daemon.send(signal.SIGHUP)
        daemon.wait_for("model loaded")
        (tmp_path / "m").unlink()
        daemon.talk(lines_to_learn(500))
        wait_until((tmp_path / "m").exists)


def test_no_client_can_make_that_the_model_is_never_saved_again(tmp_path):
    words = ["-f", "m", "--model_dir", ".", *LIMITED]
    with serving(tmp_path, *words) as daemon:
        lines = b"".join(b"1 |u %c |a x\n" % name for name in b"abcd")
        assert daemon.talk(lines + b"!save\n!snapshot m.entities\n!save\n").endswith(b"!saved m\n")
        assert daemon.end() == 0


@pytest.mark.parametrize("name", ["checkpoint.model", "journal-0000000001.sqlite"])
def test_no_client_can_damage_the_journal(name, tmp_path):
    words = ["--journal", "folder", "--model_dir", "./folder"]
    try:
        daemon = Daemon(tmp_path, *words)
    except AssertionError:
        return  # refused
    daemon.talk(lines_to_learn(50))
    daemon.talk(b"!snapshot %b\n" % name.encode())
    daemon.kill()
    with serving(tmp_path, *words):
        pass


def test_who_waits_for_a_save_is_not_silent(tmp_path):
    (tmp_path / "hold").touch()
    words = ["-f", "m", "--read_timeout", "1"]
    with serving(tmp_path, *words, start=SLOW) as daemon, daemon.connect() as client:
        client.sendall(b"1 |a x\n!save\n!ping\n")
        with daemon.connect() as silent:
            assert read_all(silent) == b"!error nothing was received for 1 seconds (--read_timeout)\n"
        with daemon.connect() as silent:
            assert read_all(silent) == b"!error nothing was received for 1 seconds (--read_timeout)\n"
        (tmp_path / "hold").unlink()
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"0\n!saved m\n!pong\n"


@pytest.mark.parametrize("label", ["0:1:0.5\\n", "0:\\n\\n1:0.5"])
def test_a_label_in_json_ends_no_line(label, tmp_path):
    text = b'{"_label": "%b", "_labelIndex": 0, "_multi": [{"a": 1}, {"b": 1}]}\n' % label.encode()
    with serving(tmp_path, "--explore", "ucb", "--bayes_linear") as daemon:
        (answer,) = daemon.talk(text).splitlines()
    found = json.loads(answer)
    assert "error" in found or ("tag" not in found and len(found["actions"]) == 2)


def test_stats_are_json_whatever_was_learned(tmp_path):
    def no_json(word):
        raise AssertionError(word)

    with serving(tmp_path) as daemon, daemon.connect() as client:
        ask(client, b"3e38 1e30|a x:1e38")
        ask(client, b"-3e38 1e30 3e38|a x:1e38")
        json.loads(ask(client, b"!stats"), parse_constant=no_json)


# A daemon whose models are not put into their place as long as there is a file "hold".
UNFINISHED = """
import os, sys, time
from vwlite.cli import main
replace = os.replace
def slow(*about):
    while os.path.exists("hold"):
        time.sleep(0.01)
    return replace(*about)
os.replace = slow
sys.exit(main(sys.argv[1:]))
"""


def test_saves_that_were_killed_leave_no_files(tmp_path):
    def pieces():
        return [path for path in (tmp_path / "journal").iterdir() if path.name.endswith(".tmp")]

    with serving(tmp_path, "--journal", "journal", start=[sys.executable, "-c", UNFINISHED]) as daemon:
        (tmp_path / "hold").touch()
        with daemon.connect() as client:
            client.sendall(b"1 |a x\n!save\n")
            wait_until(pieces)
            daemon.kill()
    with serving(tmp_path, "--journal", "journal") as daemon:
        assert daemon.end() == 0
    assert not pieces()


def test_of_saves_under_names_only_some_may_wait_and_those_of_the_model_go_first(tmp_path):
    (tmp_path / "hold").touch()
    words = ["-f", "m", "--model_dir", "."]
    with serving(tmp_path, *words, start=SLOW) as daemon:
        for number in range(30):
            with daemon.connect() as client:
                client.sendall(b"!ping\n!snapshot s%d\n" % number)
                assert client.recv(6) == b"!pong\n"
        with daemon.connect() as client, daemon.connect() as other:
            client.sendall(b"!save\n")
            assert ask(other, b"!snapshot more") == b"!error too many saves are waiting, try again later\n"
            (tmp_path / "hold").unlink()
            assert read_lines(client, 1) == [b"!saved m\n"]
            assert len(list(tmp_path.glob("s[0-9]*"))) <= 2
        assert daemon.end() == 0
    assert len(list(tmp_path.glob("s[0-9]*"))) == 17


# A daemon that makes a checkpoint when its journal has taken 100 kB.
SMALL = """
import sys
from vwlite.cli import main
from vwlite.daemon import saving
saving.LARGE_JOURNAL = 100_000
sys.exit(main(sys.argv[1:]))
"""


def test_a_journal_of_single_lines_is_measured_on_the_disk(tmp_path):
    """Each line takes a page of 4 kB there."""
    words = ["--journal", "journal"]
    with serving(tmp_path, *words, start=[sys.executable, "-c", SMALL]) as daemon, daemon.connect() as client:
        for _ in range(200):
            ask(client, b"1 |a x")

        def is_short():
            ask(client, b"1 |a x")  # on a slow machine the last checkpoint came before the last lines
            length = json.loads(ask(client, b"!stats"))["journal"]["bytes"]
            return length < 400_000 and sum("saved" in line for line in daemon.log) >= 3

        wait_until(is_short)


def test_lines_are_learned_again_with_the_flags_that_they_were_learned_with(tmp_path):
    texts = [lines_to_learn(50, seed=seed) for seed in range(3)]
    flags = [["-l", "0.5"], ["-l", "0.1", "-q", "ab"], ["-l", "0.1", "-q", "ab"]]
    answers = b""
    for text, words in zip(texts, flags, strict=True):
        with serving(tmp_path, *words, "--journal", "journal", "--log", "json") as daemon:
            answers += daemon.talk(text)
            daemon.kill()
    with serving(tmp_path, *flags[0], "--journal", "journal", "-f", "served.model") as daemon:
        assert daemon.end() == 0
    expected = b""
    for number, (text, words) in enumerate(zip(texts, flags, strict=True)):
        before = ["-i", str(tmp_path / f"{number}.model")] if number else []
        expected += by_file(tmp_path, text, *words, *before)[0]
        (tmp_path / "file.model").rename(tmp_path / f"{number + 1}.model")
    assert answers == expected
    line = lines_to_learn(30, seed=9)
    wanted, _ = by_file(tmp_path, line, "-t", "-i", str(tmp_path / "3.model"))
    found, _ = by_file(tmp_path, line, "-t", "-i", str(tmp_path / "served.model"), "-q", "ab")
    assert found == wanted


def test_a_log_that_is_full_keeps_nobody_waiting(tmp_path):
    """And says later how much is missing."""
    receive, send = os.pipe()
    fcntl.fcntl(send, fcntl.F_SETPIPE_SZ, 4096)
    command = [*ASYNCIO, "--foreground", "--socket", "socket", "--model_dir", "."]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=send)
    try:
        os.close(send)
        with connected(tmp_path / "socket") as client, os.fdopen(receive, "rb", buffering=0) as log:
            client.sendall(b"!snapshot %b\n" % (b"x" * 200) * 50)
            assert len(read_lines(client, 50)) == 50
            said = b""
            for _ in range(10):
                said += log.read(1 << 16)
                assert ask(client, b"!snapshot last") == b"!saved ./last\n"
            assert b"log lines were dropped because the pipe was full times=" in said
            assert b"listening" in said
            process.terminate()
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_a_name_can_write_nothing_odd_into_the_log(tmp_path):
    with serving(tmp_path, "--model_dir", ".") as daemon:
        assert daemon.talk(b"!snapshot a\x1b[2Jb\rc\n").startswith(b"!saved")
        assert daemon.end() == 0
    assert "?[2Jb?c" in daemon.wait_for("saved")


def test_what_is_no_model_is_not_written_over(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with serving(tmp_path, "--model_dir", ".", "--pid_file", "pid") as daemon:
        answers = daemon.talk(b"!snapshot notes.txt\n!snapshot pid\n!snapshot fine\n!snapshot fine\n").splitlines()
    assert [line[:6] for line in answers] == [b"!error", b"!error", b"!saved", b"!saved"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
