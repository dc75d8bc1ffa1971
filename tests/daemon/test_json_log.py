"""With --log json there is nothing on standard error but JSON, to the last line; and answers in JSON name columns."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import ASYNCIO, PATIENCE, Daemon, ask, lines_to_learn, serving


def events(lines: list[str]) -> list[dict[str, Any]]:
    """The lines of a log, each a JSON object."""
    found = [json.loads(line) for line in lines]
    assert all({"time", "level", "event"} <= each.keys() for each in found)
    return found


def failure(*words: str, start=VWLITE) -> list[dict[str, Any]]:
    """What a daemon that doesn't start has logged."""
    process = subprocess.run([*start, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode == 1
    assert process.stdout == ""
    return events(process.stderr.splitlines())


def ended(daemon: Daemon, status: int = 0) -> list[dict[str, Any]]:
    """The log of a daemon that is told to end."""
    assert daemon.end() == status
    return events(daemon.log)


def test_the_summary_is_one_event(folder):
    words = ["-f", "served.model", "--log", "json", "--loss_function", "squared"]
    with serving(folder, *words) as daemon:
        daemon.talk(lines_to_learn(50))
        *_, summary, last = ended(daemon)
    assert last["event"] == "ended"
    assert summary["event"] == "summary"
    assert summary["number_of_examples"] == 50
    assert isinstance(summary["average_loss"], float)
    assert summary["total_feature_number"] > 50


def test_a_daemon_that_saw_nothing_has_a_summary_too(folder):
    with serving(folder, "--log", "json") as daemon:
        assert ended(daemon)[-2]["number_of_examples"] == 0


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["-i", "none.model"], "none.model"),
        (["--autosave", "yes"], "--autosave"),
        (["--no_such_flag"], "no_such_flag"),
        (["--max_line", "1"], "--max_line"),
        (["--token_file", "none.txt"], "none.txt"),
        (["--bind", "192.0.2.1", "--insecure"], "192.0.2.1"),
        (["--passes", "2"], "--passes"),
    ],
)
def test_what_hinders_a_start_is_json(words, what, foreground, folder):
    found = failure("--daemon", "--port", "0", "--log", "json", *words, *["--foreground"] * foreground)
    assert found[-1]["level"] == "error"
    assert any(what in each["why"] for each in found)


def test_a_log_in_json_that_a_file_asks_for(folder):
    Path("daemon.toml").write_text('daemon = true\nport = 0\nlog = "json"\n')
    assert "none.model" in failure("--config", "daemon.toml", "--foreground", "-i", "none.model")[-1]["why"]


def test_a_model_that_can_not_be_saved_at_the_end_is_json(folder):
    Path("models").mkdir()
    with serving(folder, "-f", "models/served.model", "--log", "json") as daemon:
        daemon.talk(b"1 |a x\n")
        shutil.rmtree("models")
        Path("models").write_text("no folder")
        found = ended(daemon, status=1)
    assert found[-1]["level"] == "error"
    assert "models/served.model" in found[-1]["why"]


BROKEN = """
import sys, threading, warnings
sys.modules["uvloop"] = None
from vwlite.cli import main
from vwlite.daemon import server
end = server.Server.end
async def broken(self):
    import asyncio, logging
    warnings.warn("a warning\\nof two lines")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    class Dying:
        def __del__(self):
            raise ValueError("nobody catches this")
    Dying()
    logging.getLogger("asyncio").error("a library complains")
    await end(self)
    raise KeyError("\\u2028 nobody expected this")
server.Server.end = broken
sys.exit(main(sys.argv[1:]))
"""


def test_what_nobody_expected_is_json(folder):
    with serving(folder, "--log", "json", start=[sys.executable, "-c", BROKEN]) as daemon:
        found = ended(daemon, status=1)
    text = json.dumps(found)
    for what in (
        "a warning",
        "ZeroDivisionError",
        "nobody catches this",
        "a library complains",
        "nobody expected this",
    ):
        assert what in text
    assert "in broken" in found[-1]["traceback"]


def test_in_the_background_too(folder):
    """What the child says after the parent has returned goes to the file that standard error is."""
    with open("log", "wb") as log:
        command = [*ASYNCIO, "--port", "0", "--port_file", "port", "--pid_file", "pid", "--log", "json", "-f", "d/m"]
        assert subprocess.run(command, stderr=log, timeout=PATIENCE, check=False).returncode == 0
    shutil.rmtree("d", ignore_errors=True)
    Path("d").write_text("no folder")
    pid = int(Path("pid").read_text())
    os.kill(pid, 15)
    from tests.support.daemon import wait_until

    wait_until(lambda: "no folder" in Path("log").read_text() or not os.path.exists(f"/proc/{pid}"))
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert events(Path("log").read_text().splitlines())[-1]["level"] == "error"


def test_a_long_event_is_cut_and_whole_json(folder):
    with serving(folder, "--log", "json", "--model_dir", ".", "-f", "m") as daemon:
        name = ("\U0001f600" * 60).encode()
        daemon.talk(b"!snapshot " + name + b"\n")
        events_found = ended(daemon)
    assert events_found


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ([], ["prediction"]),
        (["--bayes_linear", "--columns", "prediction,sd"], ["prediction", "sd"]),
        (["--bayes_linear", "--columns", "low,prediction,high", "--interval", "0.9"], ["low", "prediction", "high"]),
        (["--bayes_linear", "--interval", "0.9"], ["prediction", "low", "high"]),
    ],
)
def test_answers_in_json_name_their_columns(flags, names, tmp_path):
    with serving(tmp_path, *flags) as daemon, daemon.connect() as client:
        found = json.loads(ask(client, b'{"_label": 1, "_tag": "t", "a": {"x": 1}}'))
        assert list(found) == [*names, "tag"]
        assert found["tag"] == "t"
        text = ask(client, b"|a y").split()
        found = json.loads(ask(client, b'{"a": {"y": true}}'))
    assert list(found) == names
    assert len(text) == len(names)
