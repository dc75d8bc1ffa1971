"""Crashes at the worst moments: the server starts again, and every model has what it had learned, once."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.command import VWLITE
from tests.support.http_server import PATIENCE, HttpServer, ndjson, rows, serving

FLAGS = "--loss_function logistic --link logistic"
NDJSON = {"Content-Type": "application/x-ndjson"}
ROOT = Path(__file__).parents[2]
BEGIN = """
import asyncio, os, sys, threading
from vwlite.daemon.log import Log
from vwlite.http.house import House
from vwlite.http.maker import Maker
from vwlite.http.settings import Settings

def house(journal=True, **more):
    return House(Settings(folder="models", journal="models/journal" if journal else None, **more), Log(quiet=True))

def learn(house, name, count):
    for _ in range(count):
        house.learn(house.find(name), [b"1 | a\\n"], [1.0])

def commit(house):
    told = threading.Event()
    house.journal.start(told.set)
    while house.journal.committed < house.journal.last:
        told.wait()
        told.clear()

def make(house, *names):
    for name in names:
        house.maker.create(name, "--loss_function logistic --link logistic")
"""


def crash(folder, *lines):
    """Runs lines of Python over the models of a folder in a process that ends as if it was killed; what it prints."""
    code = "\n".join([BEGIN, *lines, "sys.stdout.flush()", "os._exit(0)"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def counts(folder, *names, words=()):
    """How many examples models have learned, as a server says that is started now."""
    with serving(folder, "--dir", "models", *words) as server, server.client() as client:
        return [client.get(f"/v1/models/{name}").json()["examples"] for name in names]


def test_a_checkpoint_has_what_the_journal_has_not(tmp_path):
    crash(tmp_path, "h = house()", "make(h, 'a')", "learn(h, 'a', 5)", "make(h, 'b')")  # nothing was committed
    crash(tmp_path, "h = house()", "learn(h, 'a', 2)", "learn(h, 'b', 1)", "commit(h)")
    crash(tmp_path, "h = house()", "learn(h, 'a', 1)", "commit(h)")
    assert counts(tmp_path, "a", "b") == [3, 1]


def test_more_models_have_learned_than_may_be_in_memory(tmp_path):
    crash(tmp_path, "h = house()", "make(h, *'abcd')", "[learn(h, name, 2) for name in 'abcd']", "commit(h)")
    words = ["--max_loaded", "1", "--model", f"new={FLAGS}", "--model", f"a={FLAGS}"]
    assert counts(tmp_path, *"abcd", words=words) == [2] * 4


def test_a_time_without_the_journal(tmp_path):
    crash(tmp_path, "h = house()", "make(h, 'a')", "learn(h, 'a', 10)", "commit(h)", "asyncio.run(h.end())")
    for _ in range(2):  # both saves are made without it
        crash(tmp_path, "h = house(False)", "make(h, 'b') if 'b' not in h.known else 0", "learn(h, 'a', 5)",
              "asyncio.run(h.end())")  # fmt: skip
    crash(tmp_path, "h = house()", "learn(h, 'a', 1)", "commit(h)")
    assert counts(tmp_path, "a", "b") == [21, 0]


@pytest.mark.parametrize("where", ["before-", "checkpoint"])
def test_a_crash_in_the_middle_of_a_replacement(tmp_path, where):
    """The model is either; the one before it is always the one that was."""
    save = "Maker.save_to(h.maker, model, path)"
    stop = f"h.maker.save_to = lambda model, path: os._exit(0) if '{where}' in path else {save}"
    crash(
        *(tmp_path, "h = house()", "make(h, 'a')", "file = h.maker.content(h.find('a'))", "learn(h, 'a', 3)"),
        *("h.maker.replace('a', file)", "learn(h, 'a', 7)", "commit(h)", stop, "h.maker.replace('a', file)"),
    )
    assert counts(tmp_path, "a") == [7]
    assert crash(tmp_path, "h = house()", "print(h.maker.roll_back('a').examples)") == ["3"]
    assert crash(tmp_path, "h = house()", "print(h.maker.roll_back('a').examples)") == ["7"]
    assert crash(tmp_path, "h = house()", "print(h.maker.roll_back('a').examples)") == ["3"]
    assert len(list((tmp_path / "models" / "models" / "a").iterdir())) == 2


def test_a_replacement_without_room_changes_nothing(tmp_path):
    found = crash(
        tmp_path, "h = house()", "make(h, 'a')", "file = h.maker.content(h.find('a'))", "learn(h, 'a', 3)",
        "h.maker.replace('a', file)", "learn(h, 'a', 7)",
        "def full(model, path):",
        "    if 'checkpoint' in path: raise OSError(28, 'No space left on device', path)",
        "    Maker.save_to(h.maker, model, path)",
        "h.maker.save_to = full",
        "try: h.maker.replace('a', file)",
        "except Exception as error: print(error.status, 'models/' in error.detail)",
        "del h.maker.save_to",
        "print(h.find('a').examples, h.maker.roll_back('a').examples)",
    )  # fmt: skip
    assert found == ["503", "False", "7", "3"]


def test_what_can_not_be_forgotten_yet_stops_nothing(tmp_path):
    found = crash(
        tmp_path, "import sqlite3", "h = house()", "make(h, 'a')", "file = h.maker.content(h.find('a'))",
        "def full(uid): raise sqlite3.OperationalError('database or disk is full')",
        "h.state.forget_model = full",
        "learn(h, 'a', 3)", "h.maker.replace('a', file)", "learn(h, 'a', 1)", "print(h.find('a').examples)",
        "h.maker.delete('a')", "print(h.names())",
    )  # fmt: skip
    assert found == ["1", "[]"]


def test_a_model_with_entities_on_disk_is_rolled_back(tmp_path):
    found = crash(
        tmp_path, "h = house()", "h.maker.create('e', '--bayes_linear --random_effect u --entity_limit 3')",
        "for i in range(20): h.learn(h.find('e'), [b'%d |u id=%d\\n' % (i, i)], [float(i)])",
        "before = h.find('e').predict([b'|u id=2\\n'])",
        "make(h, 'a')", "h.maker.replace('e', h.maker.content(h.find('a')))",
        "print(h.maker.roll_back('e').predict([b'|u id=2\\n']) == before, h.find('e').examples)",
        "try: h.maker.content(h.find('e'))",
        "except Exception as error: print(error.status)",
    )  # fmt: skip
    assert found == ["True", "20", "409"]


def test_a_second_server_without_a_journal_is_refused(tmp_path):
    with serving(tmp_path, "--dir", "models", "--no_journal"), pytest.raises(AssertionError, match="another process"):
        HttpServer(tmp_path, "--dir", "models", "--no_journal")


def test_files_are_for_their_owner_only(tmp_path):
    with serving(tmp_path, "--dir", "new/models", "--model", f"a={FLAGS}") as server:
        server.client().post("/v1/models/a:predict", json={"features": {"a": 1}, "remember": True})
        for name in ("waiting.db", "waiting.db-wal", "handover"):
            assert (tmp_path / "new" / "models" / name).stat().st_mode & 0o077 == 0, name
        for name in ("", "models", "models/a", "journal"):
            assert (tmp_path / "new" / "models" / name).stat().st_mode & 0o077 == 0, name


def test_a_deleted_model_does_not_come_back_with_its_last_save(tmp_path):
    """A save that runs when the model is deleted would end in the folder of the next model of the name."""
    found = crash(
        tmp_path,
        "async def main():",
        "    h = house()",
        "    h.start(asyncio.get_running_loop())",
        "    make(h, 'a')",
        "    learn(h, 'a', 3)",
        "    h.known['a'].saving.save_itself()",
        "    print(h.saves('a'))",
        "    await h.saved('a')",
        "    h.maker.delete('a')",
        "    make(h, 'a')",
        "    print(h.saves('a'), h.saves('none'))",
        "asyncio.run(main())",
    )  # fmt: skip
    assert found == ["True", "False", "False"]
    assert counts(tmp_path, "a") == [0]


def test_models_are_made_replaced_and_deleted_across_kills(tmp_path):
    """What was acknowledged last of each name is there after a kill, and has learned what was acknowledged."""
    words = ["--dir", "models", "--autosave", "1s", "--max_loaded", "2"]
    wanted: dict[str, int] = {}
    server = HttpServer(tmp_path, *words)
    for turn in range(4):
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            file = None
            for i in range(40):
                name = f"m{(7 * turn + i) % 10}"
                path = f"/v1/models/{name}"
                if name not in wanted:
                    assert client.put(path, json={"options": FLAGS}).status_code == 201
                    wanted[name] = 0
                elif i % 9 == 5:
                    assert client.delete(path).status_code == 204
                    del wanted[name]
                    continue
                elif i % 9 == 7 and file is not None:
                    headers = {"Content-Type": "application/octet-stream"}
                    assert client.put(f"{path}?replace=1", content=file[0], headers=headers).status_code == 200
                    wanted[name] = file[1]
                lines = ndjson([{"features": {"a": 1}, "label": True}] * (1 + i))
                assert rows(client.post(f"{path}:learn", content=lines, headers=NDJSON))[-1]["done"] == 1 + i
                wanted[name] += 1 + i
                if i % 11 == 0:
                    file = client.get(f"{path}/file").content, wanted[name]
        server.kill()
        server = HttpServer(tmp_path, *words)
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            names = [each["name"] for each in client.get("/v1/models").json()["models"]]
            assert {name: client.get(f"/v1/models/{name}").json()["examples"] for name in names} == wanted
    server.stop()


def damage(path):
    """Changes the weights of a model file; its head stays as it was."""
    data = bytearray(path.read_bytes())
    head = 8 + int.from_bytes(data[:8], "little")
    data[head:] = bytes(255 - byte for byte in data[head:])
    path.write_bytes(data)


def checkpoint(folder):
    (path,) = (each for each in (folder / "models" / "models" / "a").iterdir() if each.is_file())
    return path


def test_a_damaged_checkpoint_is_the_servers_fault_and_its_path_is_in_the_log_only(tmp_path):
    crash(tmp_path, "h = house(False)", "make(h, 'a')", "learn(h, 'a', 5)", "asyncio.run(h.end())")
    damage(checkpoint(tmp_path))
    with serving(tmp_path, "--dir", "models") as server, server.client() as client:
        answer = client.post("/v1/models/a:predict", json={"features": {"x": 1}})
        assert answer.status_code == 500
        assert answer.json()["detail"] == "the file of 'a' can't be loaded: see the log of the server"
        assert client.get("/readyz").status_code == 200
    assert any("differs from its sha256" in line and "models/a" in line for line in server.log)


def test_a_damaged_checkpoint_that_the_journal_continues_is_a_line_at_the_start(tmp_path):
    crash(tmp_path, "h = house()", "make(h, 'a')", "learn(h, 'a', 5)", "commit(h)")
    damage(checkpoint(tmp_path))
    done = subprocess.run(
        [*VWLITE, "serve", "--dir", "models", "--port", "0"], cwd=tmp_path, capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "models/a" in done.stderr and "is damaged" in done.stderr
