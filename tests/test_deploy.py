"""The systemd unit and the Dockerfile in examples/deploy: their words start a daemon, and name what is there."""

import configparser
import glob
import json
import re
import shlex
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, serving
from tests.support.leftovers import all_ended
from tests.support.scripts import EXAMPLES

DEPLOY = EXAMPLES / "deploy"
UNIT = DEPLOY / "vwlite.service"
TOKEN = b"0123456789abcdef-token"
LINES = b"1 |ad x\n-1 |ad y\n1 |ad x z\n"


@pytest.fixture(autouse=True)
def no_daemon_is_left(tmp_path):
    with all_ended(tmp_path):
        yield


def adapted(words: Sequence[str], places: dict[str, Path]) -> list[str]:
    """The words behind the program's name, in folders of the test and at a free port; `serving` says --foreground."""
    program, *found = words
    assert Path(program).name == "vwlite"
    for old, new in places.items():
        found = [str(new) + word.removeprefix(old) if f"{word}/".startswith(f"{old}/") else word for word in found]
    assert all(word.startswith(tuple(map(str, places.values()))) for word in found if word.startswith("/"))
    found[found.index("--port") + 1] = "0"
    found.remove("--foreground")
    return found


def examples_of(daemon: Daemon, hello: bytes = b"") -> int:
    return int(json.loads(daemon.talk(hello + b"!stats\n"))["examples"])


# systemd


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read_string(UNIT.read_text().replace("\\\n", " "))
    return found


def test_the_unit_starts_a_daemon_that_goes_on_after_a_kill_and_is_reloaded_and_stopped(tmp_path):
    service = unit()["Service"]
    state = tmp_path / "state"
    state.mkdir(mode=0o700)  # as systemd does
    assert service["StateDirectory"] == "vwlite"
    words = adapted(shlex.split(service["ExecStart"]), {"/var/lib/vwlite": state})
    with serving(tmp_path, *words) as daemon:
        assert daemon.talk(LINES).count(b"\n") == 3
        daemon.kill()
    with serving(tmp_path, *words) as daemon:
        assert examples_of(daemon) == 3
        assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
        daemon.send(signal.SIGHUP)
        daemon.wait_for("SIGHUP")  # there is no model yet
        assert examples_of(daemon) == 3
        assert daemon.end() == 0
    assert sorted(path.name for path in state.iterdir()) == ["click.model", "journal"]
    assert all(line.startswith("{") for line in daemon.log)  # --log json


def test_systemd_understands_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze command")
    program = tmp_path / "vwlite"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / "vwlite.service"
    copy.write_text(UNIT.read_text().replace("/opt/vwlite/bin/vwlite", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    about = [line for line in (done.stdout + done.stderr).splitlines() if "vwlite" in line]
    assert about == []
    copy.write_text(copy.read_text().replace("Restart=", "Restarted="))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert "Restarted" in done.stdout + done.stderr  # or it says nothing here at all


def test_the_folder_that_the_unit_may_write_to_is_where_it_writes(tmp_path):
    service = unit()["Service"]
    written = [word for word in shlex.split(service["ExecStart"])[1:] if word.startswith("/")]
    assert written and all(word.startswith(f"/var/lib/{service['StateDirectory']}/") for word in written)
    assert service["ProtectSystem"] == "strict"


# Docker


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, and what follows each."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def only(name: str) -> str:
    (found,) = (rest for each, rest in instructions() if each == name)
    return found


@pytest.mark.parametrize("arguments", [None, ["--explore", "ucb", "--bayes_linear"]])
def test_the_image_starts_a_daemon_that_wants_a_token_and_goes_on_after_a_kill(arguments, tmp_path):
    data, token = tmp_path / "data", tmp_path / "token"
    data.mkdir()
    token.write_bytes(TOKEN + b"\n")
    token.chmod(0o600)
    words = [*json.loads(only("ENTRYPOINT")), *(json.loads(only("CMD")) if arguments is None else arguments)]
    assert only("WORKDIR") == "/data"
    assert only("EXPOSE") == words[words.index("--port") + 1]
    assert words[words.index("--bind") + 1] == "0.0.0.0"
    words = adapted(words, {"/data": data, "/run/token": token})
    lines = LINES if arguments is None else b"0:-1:0.5 |a x\n|a y\n\n"
    with serving(data, *words) as daemon:
        assert daemon.talk(lines).startswith(b"!error the first line has to be the token")
        assert b"!error" not in daemon.talk(TOKEN + b"\n" + lines)
        learned = examples_of(daemon, TOKEN + b"\n")
        daemon.kill()
    assert learned > 0
    with serving(data, *words) as daemon:
        assert examples_of(daemon, TOKEN + b"\n") == learned
        assert daemon.end(signal.Signals[only("STOPSIGNAL")]) == 0
    assert (data / "final.model").exists()


def test_the_image_copies_only_what_is_there():
    """From the sources, or from what was built before."""
    root = EXAMPLES.parent
    stages = []
    for name, rest in instructions():
        words = rest.split()
        if name == "FROM":
            stages.append(words[2] if words[1:2] == ["AS"] else "")
        elif name in ("COPY", "ADD"):
            stage = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
            assert not stage or stage[0] in stages[:-1], rest
            sources = [word for word in words if not word.startswith("--")][:-1]
            assert stage or all(glob.glob(str(root / word)) for word in sources), rest
        assert set(re.findall(r"--mount=\S*\bfrom=(\w+)", rest)) <= set(stages[:-1]), rest


def test_the_program_of_the_image_is_one_that_is_installed():
    scripts = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(only("ENTRYPOINT"))[0] in scripts


def test_the_versions_of_python_and_the_image_fit():
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"]
    least = tuple(int(part) for part in re.findall(r"\d+", project["requires-python"]))
    for name, rest in instructions():
        if name == "FROM":
            assert tuple(int(part) for part in re.findall(r"\d+", rest.split()[0])) >= least
