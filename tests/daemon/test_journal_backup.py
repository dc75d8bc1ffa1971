"""Copies of a journal: those made as README says have all that was acknowledged before, others are noticed."""

import glob
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.daemon import ask, by_file, lines_to_learn, refusal, serving
from tests.support.journals import Running, expected, read, text, written
from tests.support.models import arrays
from vwlite.daemon.journal import JournalError
from vwlite.daemon.segment import place

STORED = Path(__file__).parent.parent / "data" / "journal_1"


def test_a_backup_of_the_databases_alone_is_refused(folder):
    with serving(folder, "--journal", "journal") as daemon, daemon.connect() as client:
        for _ in range(3):
            assert not ask(client, b"1 |a x").startswith(b"!")
        Path("backup").mkdir()
        for path in [*glob.glob("journal/*.sqlite"), "journal/checkpoint.model", "journal/lock"]:
            shutil.copy(path, "backup")
        daemon.kill()
    said = refusal("--port", "0", "--journal", "backup")
    assert "-wal: is missing" in said
    assert "backup.md" in said


def test_a_segment_that_was_never_used_needs_no_wal(tmp_path):
    written(tmp_path, 3)  # and an orderly end
    newest = place(str(tmp_path), 4)
    assert os.path.exists(newest)
    for path in (newest + "-wal",):
        if os.path.exists(path):
            os.unlink(path)
    assert read(tmp_path) == expected(3)


def test_what_the_checkpoint_has_is_not_missed(tmp_path):
    with Running(tmp_path) as running:
        running.add([text(1), text(2)])
        shutil.copytree(tmp_path, tmp_path / "copy")
    os.unlink(place(str(tmp_path / "copy"), 1) + "-wal")
    with pytest.raises(JournalError, match="is missing or has lost"):
        read(tmp_path / "copy")
    assert read(tmp_path / "copy", after=2) == []
    with Running(tmp_path / "copy", after=2) as running:
        assert running.journal.append(b"next") == 3


def test_a_copy_made_by_sqlite_has_its_entries_in_the_database(tmp_path):
    written(tmp_path, 3)
    os.unlink(place(str(tmp_path), 4))
    path = place(str(tmp_path), 1)
    if shutil.which("sqlite3") is None:
        import sqlite3

        with sqlite3.connect(path) as one, sqlite3.connect(f"{path}.copy") as other:
            one.backup(other)
    else:
        subprocess.run(["sqlite3", path, f".backup {path}.copy"], check=True)
    for each in (path, path + "-wal", path + "-shm"):
        if os.path.exists(each):
            os.unlink(each)
    os.rename(f"{path}.copy", path)
    assert read(tmp_path) == expected(3)


def test_a_stopped_daemon_is_copied_in_any_way(folder):
    lines = lines_to_learn(100)
    with serving(folder, "--journal", "journal") as daemon:
        daemon.talk(lines)
        assert daemon.end() == 0
    shutil.copytree("journal", "backup")
    with serving(folder, "--journal", "backup", "-f", "served.model") as daemon:
        assert daemon.end() == 0
    assert arrays(folder / "served.model") == by_file(folder, lines)[1]


def test_a_journal_of_the_first_format_is_read(folder):
    shutil.copytree(STORED, "journal")
    lines = b"1 |a x:0.5 y\n-1 |a y |b z\n0.5 'tag|a x\n1 |b z:2\n2 |a x y\n"
    with serving(folder, "--journal", "journal", "-f", "served.model") as daemon:
        assert json.loads(daemon.talk(b"!stats\n"))["examples"] == 5
        daemon.talk(b"1 |c more\n")
        daemon.kill()
    with serving(folder, "--journal", "journal", "-f", "served.model") as daemon:
        assert daemon.end() == 0
    assert arrays(folder / "served.model") == by_file(folder, lines + b"1 |c more\n")[1]


def test_a_segment_of_a_later_format_is_refused(folder):
    shutil.copytree(STORED, "journal")
    path = Path(place("journal", 3))
    content = bytearray(path.read_bytes())
    content[63] = 3
    path.write_bytes(content)
    assert "newer vwlite" in refusal("--port", "0", "--journal", "journal")
