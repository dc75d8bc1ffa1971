"""How a daemon starts and ends, and what hinders it."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.command import VWLITE, run
from tests.support.daemon import PATIENCE, ask, by_file, lines_to_learn, read_all, refusal, serving
from tests.support.models import arrays

pytestmark = pytest.mark.usefixtures("folder")


@contextlib.contextmanager
def in_background(*words: str):
    """A daemon whose parent has returned; its port. It is ended when the test is over."""
    command = [*VWLITE, "--port", "0", "--port_file", "port", "--pid_file", "pid", *words]
    with open("log", "wb") as log:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=PATIENCE)
    number = int(Path("pid").read_text())
    process = os.pidfd_open(number)
    try:
        yield int(Path("port").read_text())
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)


def say(port: int, text: bytes) -> bytes:
    """Answers to a text."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


# in the background


def test_when_the_parent_returns_clients_can_come():
    with in_background() as port:
        assert say(port, b"1 |a x\n!ping\n") == b"0\n!pong\n"


def test_the_daemon_has_a_session_of_its_own():
    with in_background() as port:
        number = int(Path("pid").read_text())
        assert os.getsid(number) == number != os.getsid(0)
        assert say(port, b"!ping\n") == b"!pong\n"


def test_sigterm_saves_and_leaves_nothing_else_behind():
    text = lines_to_learn(50)
    _, model = by_file(Path(), text)
    with in_background("-f", "served.model") as port:
        number = int(Path("pid").read_text())
        process = os.pidfd_open(number)
        say(port, text)
        os.kill(number, signal.SIGTERM)
        wait_for_end(process)
        assert not Path("pid").exists()
        assert not Path("port").exists()
    assert arrays("served.model") == model
    assert "number of examples = 50" in Path("log").read_text()


def wait_for_end(process: int) -> None:
    """Until a process that isn't ours has ended."""
    import select

    assert select.select([process], [], [], PATIENCE)[0]


def test_who_reads_what_the_start_says_need_not_wait_for_the_end():
    command = [*VWLITE, "--daemon", "--port", "0", "--pid_file", "pid"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)
    assert done.stdout == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-"])
def test_streams_may_be_closed_at_the_start(closed):
    command = f'"$@" --port 0 --port_file port --pid_file pid {closed}'
    try:
        subprocess.run(["bash", "-c", command, "bash", *VWLITE], check=True, timeout=PATIENCE)
        assert say(int(Path("port").read_text()), b"!ping\n|a x\n") == b"!pong\n0\n"
    finally:
        if Path("pid").exists():
            os.kill(int(Path("pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("words", [["-i", "none.model"], ["--port_file", "/proc/none/port"], ["--bind", "192.0.2.1"]])
def test_what_hinders_the_child_is_told_by_the_parent_once(words):
    command = [*VWLITE, "--daemon", "--port", "0", "--insecure", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    assert words[-1] in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--pid_file", "pid", "--port", "0"], ["--socket", "place"], ["--port", "0"]])
def test_some_flags_are_enough_to_make_a_daemon(words):
    subprocess.run([*VWLITE, *words, "--pid_file", "pid"] if "pid" not in words else [*VWLITE, *words], check=True)
    number = int(Path("pid").read_text())
    os.kill(number, signal.SIGKILL)


def test_many_may_start_at_once(folder):
    """One of them gets the socket."""
    results: list[int] = []

    def start() -> None:
        command = [*VWLITE, "--socket", "place", "--pid_file", "pid"]
        results.append(subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE).returncode)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.kill(int(Path("pid").read_text()), signal.SIGKILL)
    assert sorted(results) == [0, 1, 1, 1]


# in the foreground


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_well(number, folder):
    with serving(folder, "--pid_file", "pid") as daemon:
        assert Path("pid").read_text() == f"{daemon.process.pid}\n"
        with daemon.connect() as client:
            assert ask(client, b"1 |a x") == b"0\n"
            daemon.send(number)
            assert read_all(client) == b""
        assert daemon.process.wait(PATIENCE) == 0
    assert list(folder.iterdir()) == []
    assert any("number of examples = 1" in line for line in daemon.log)


def test_a_second_signal_waits_for_nobody(folder):
    with serving(folder) as daemon, daemon.connect() as client:
        assert ask(client, b"1 |a x") == b"0\n"
        daemon.send(signal.SIGTERM)
        daemon.wait_for("stopping")
        assert daemon.end(signal.SIGTERM) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)


def test_a_port_that_is_taken_is_refused(folder):
    with serving(folder) as daemon:
        told = refusal("--port", str(daemon.port))
        assert f"can't listen at 127.0.0.1 port {daemon.port}" in told
        assert daemon.talk(b"!ping\n") == b"!pong\n"


def test_the_port_can_be_used_again_at_once(folder):
    with serving(folder) as daemon:
        port = daemon.port
        assert daemon.talk(b"!quit\n") == b"!bye\n"
        assert daemon.end() == 0
    with serving(folder, "--port", str(port)) as daemon:
        assert daemon.talk(b"!ping\n") == b"!pong\n"


def test_clients_that_wait_for_nothing_are_not_waited_for(folder):
    patient = (
        f"import sys; from vwlite.daemon import server; server.GOODBYE = {10 * PATIENCE}; "
        "from vwlite.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with serving(folder, start=[sys.executable, "-c", patient]) as daemon, daemon.connect() as idle:
        assert ask(idle, b"!ping") == b"!pong\n"
        assert daemon.end() == 0


def test_a_model_that_cannot_be_saved_at_the_end_is_an_error(folder):
    (folder / "models").mkdir()
    with serving(folder, "-f", "models/served.model") as daemon:
        daemon.talk(b"1 |a x\n")
        (folder / "models").rmdir()
        (folder / "models").touch()
        assert daemon.end() == 1
    assert any(line.startswith("vwlite: error: models/served.model") for line in daemon.log)


def test_events_are_json_if_wanted(folder):
    with serving(folder, "--log", "json", "--num_children", "4") as daemon:
        daemon.talk(b"1 |a x\n")
        assert daemon.end() == 0
    events = [json.loads(line) for line in daemon.log]
    assert [each["event"] for each in events][1:] == ["listening", "stopping", "summary", "ended"]
    assert events[0]["event"].startswith("--num_children")
    assert events[1]["port"] == daemon.port
    assert events[1]["pid"] == daemon.process.pid
    assert {each["level"] for each in events} == {"info"}


def test_a_log_that_nobody_reads_any_more_is_no_reason_to_end_badly(folder):
    text = lines_to_learn(20)
    _, model = by_file(folder, text)
    command = [*VWLITE, "--foreground", "--port", "0", "--port_file", "port", "-f", "served.model"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert b"listening" in process.stderr.readline()
        process.stderr.close()
        assert say(int(Path("port").read_text()), text).count(b"\n") == 20
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert arrays("served.model") == model
    assert not Path("port").exists()


def test_one_that_ends_leaves_the_files_of_one_that_took_its_place(folder):
    with serving(folder, "--socket", "place", "--pid_file", "pid") as daemon:
        for name in ("place", "pid"):
            os.unlink(name)
            Path(name).write_text("another's")
        assert daemon.end() == 0
    assert Path("place").read_text() == Path("pid").read_text() == "another's"


# Unix sockets


def test_a_socket_is_for_its_user_alone_and_removed_at_the_end(folder):
    with serving(folder, "--socket", "place") as daemon:
        mode = Path("place").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert daemon.talk(b"1 |a x\n!ping") == b"0\n!pong\n"
        assert daemon.end() == 0
        assert list(folder.iterdir()) == []


def test_a_socket_that_nobody_listens_at_is_replaced(folder):
    with serving(folder, "--socket", "place") as daemon:
        daemon.kill()
    assert Path("place").is_socket()
    with serving(folder, "--socket", "place") as daemon:
        assert daemon.talk(b"!ping\n") == b"!pong\n"


def test_a_socket_that_somebody_listens_at_is_refused(folder):
    with serving(folder, "--socket", "place") as daemon:
        assert "--socket place: " in refusal("--socket", "place")
        assert daemon.talk(b"!ping\n") == b"!pong\n"


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_is_no_socket_is_not_replaced(make):
    make(Path("place"))
    assert "--socket place: " in refusal("--socket", "place")
    assert Path("place").exists()


def test_a_socket_needs_a_folder_and_a_short_name():
    assert "none/place" in refusal("--socket", "none/place")
    assert "x" * 200 in refusal("--socket", "x" * 200)


# flags


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--socket s --port 0", "--socket"),
        ("--socket s --bind 127.0.0.1", "--socket"),
        ("--socket s --port_file p", "--port_file"),
        ("--port 0 --cert c", "--cert and --key"),
        ("--port 0 --key k", "--cert and --key"),
        ("--port 0 --journal j -t", "--journal"),
        ("--port 0 --autosave 10", "--autosave"),
        ("--port 0 -f m --autosave 0", "--autosave"),
        ("--port 0 -f m --autosave ten", "--autosave"),
        ("--port 0 -f m --autosave 1.5s", "--autosave"),
        ("--port 65536", "--port"),
        ("--port -1", "--port"),
        ("--port 0 --max_connections 0", "--max_connections"),
        ("--port 0 --max_line 1000", "--max_line"),
        ("--port 0 --max_buffers 1000", "--max_buffers"),
        ("--port 0 --read_timeout 0", "--read_timeout"),
        ("--port 0 --log xml", "--log"),
        ("--port 0 --num_children 0", "--num_children"),
        ("--port 0 -d data.txt", "--data"),
        ("--port 0 data.txt", "data.txt"),
        ("--port 0 -c", "--cache"),
        ("--port 0 --cache_file c", "--cache_file"),
        ("--port 0 --passes 2", "--passes"),
        ("--port 0 -p out", "--predictions"),
        ("--port 0 -r out", "--raw_predictions"),
        ("--port 0 -a", "--audit"),
        ("--port 0 --invert_hash i", "--invert_hash"),
        ("--port 0 --readable_model r", "--readable_model"),
        ("--port 0 --examples 5", "--examples"),
        ("--port 0 --holdout_after 5", "--holdout_after"),
        ("--port 0 --dry_run", "--dry_run"),
        ("--port 0 --save_per_pass", "--save_per_pass"),
        ("--port 0 --strict_parse", "--strict_parse"),
        ("--port 0 --holdout_period 3", "--holdout_period"),
        ("--port 0 --early_terminate 2", "--early_terminate"),
    ],
)
def test_flags_that_mean_nothing_to_a_daemon_are_refused(words, said):
    assert said in refusal(*words.split())


@pytest.mark.parametrize("words", ["--token_file=", "--cert= --key=", "--socket="])
def test_an_empty_name_is_not_as_if_there_were_none(words, folder):
    """A variable of a script that was never set must not open the door."""
    assert refusal(*words.split(), *([] if "socket" in words else ["--port", "0"]))


@pytest.mark.parametrize("flag", ["--foreground", "--insecure", "--port_file p", "--token_file t", "--autosave 10"])
def test_flags_of_a_daemon_are_refused_where_there_is_none(flag):
    done = subprocess.run([*VWLITE, *flag.split(), "--quiet"], input=b"1 |a x\n", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"--daemon" in done.stderr


def test_other_runs_load_nothing_that_serves():
    script = (
        "import sys; from vwlite.cli import main; main(['--quiet']); "
        "print([name for name in ('asyncio', 'ssl', 'sqlite3', 'json', 'socket') if name in sys.modules])"
    )
    done = subprocess.run([*VWLITE[:1], "-c", script], input="1 |a x\n", capture_output=True, text=True, check=True)
    assert not any(name in done.stdout for name in ("asyncio", "ssl", "sqlite3")), done.stdout
    assert "--daemon" in run("--help").stdout
