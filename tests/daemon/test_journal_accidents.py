"""Nothing that was committed is lost or repeated, and none is silently passed over: kills, full disks, damage."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import journals, leftovers
from tests.support.journals import LIMIT, Running, damage, expected, frames, names, read, text, written
from vwlite.daemon import journal as journal_module
from vwlite.daemon.journal import Journal, JournalError
from vwlite.daemon.segment import IN_USE, NEW_SEGMENT, Writer

CHILD = """
import os, sys
from journals import Running, text
class Printing(Running):
    def told(self):
        os.write(1, b"%d\\n" % self.journal.committed)
        super().told()
model = int(sys.argv[2])
running = Printing(sys.argv[1], model)
journal = running.journal
print(journal.last, flush=True)
while True:
    number = journal.append(text(journal.last + 1))
    if number % 40 == 0:
        journal.rotate()
    if number % 100 == 0:
        journal.discard(model)
    running.until(lambda: journal.committed > number - 30)
"""


def child(code, *arguments, **named):
    """A Python process that can import what this one can."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    path = os.pathsep.join([str(Path(journals.__file__).parent), *sys.path])
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}, **named)


def test_a_daemon_that_is_killed_at_any_time_has_all_that_was_committed(tmp_path):
    numbers = random.Random(3)
    committed = model = 0
    for _ in range(10):
        writer = child(CHILD, tmp_path, model)
        assert writer.stdout
        first = int(writer.stdout.readline())
        assert first >= committed
        for _ in range(numbers.randrange(40)):
            committed = int(writer.stdout.readline())
        writer.kill()
        rest = writer.stdout.read().split("\n")[:-1]  # the last line may be cut short
        writer.wait()
        writer.stdout.close()
        committed = int(rest[-1]) if rest else committed
        found = read(tmp_path, model)
        assert found == expected(model + len(found), model) and model + len(found) >= max(committed, first)
        model = numbers.randrange(model, committed + 1)


FULL = """
import os, resource, sys
from journals import Running, text
with Running(sys.argv[1]) as running:
    journal = running.journal
    running.add(text(number) for number in range(1, 11))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    while journal.last < 300:
        journal.append(text(journal.last + 1))
    running.until(lambda: len(running.failures) > 1)
    held = journal.committed
    for _ in range(100):
        journal.append(text(journal.last + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    running.until(lambda: journal.committed == 400)
    assert journal.failure is None
    running.add(text(number) for number in range(401, 411))
print(held, *set(running.failures), sep="\\n")
"""


@pytest.mark.parametrize("allowed", [0, 5000, 300_000])
def test_what_could_not_be_written_is_committed_when_it_can(tmp_path, allowed):
    writer = child(FULL, tmp_path, allowed)
    held, *failures = writer.communicate(timeout=LIMIT)[0].splitlines()
    assert writer.returncode == 0
    assert 10 <= int(held) < 300
    assert failures and all(failure.startswith("journal: ") for failure in failures)
    assert read(tmp_path) == expected(410)
    assert not (tmp_path / "journal.new").exists()


@pytest.fixture
def small(tmp_path):
    """A file system of 2 MB."""
    with leftovers.small_disk(tmp_path / "small", 2 << 20) as folder:
        yield folder


def fill(path):
    """Write until there is no space left."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_on_a_full_disk_all_waits_until_there_is_room(small, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY", 0.01)
    with Running(small / "journal") as running:
        journal = running.journal
        running.add([text(1), text(2)])
        fill(small / "filler")
        for number in range(3, 60):
            assert journal.append(text(number)) == number
        running.until(lambda: len(running.failures) > 5)
        assert journal.committed == 2 and set(running.failures) == {"journal: No space left on device"}
        assert str(journal.failure) == "journal: No space left on device"
        (small / "filler").unlink()
        running.until(lambda: journal.committed == 59)
        assert journal.failure is None
        running.add([text(60)])
    assert read(small / "journal") == expected(60)


def test_a_journal_that_can_be_written_no_more_says_what_is_lost(small, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY", LIMIT)  # which close waits for the thread to end
    running = Running(small / "journal")
    running.add([text(1), text(2)])
    for _ in range(4):
        running.journal.append(os.urandom(1_000_000))
    began = time.monotonic()
    with pytest.raises(JournalError) as error:
        running.journal.close(0.2)
    assert time.monotonic() - began < LIMIT
    committed = running.journal.committed
    assert str(error.value) == (
        f"{small / 'journal'}: entries {committed + 1} to 6 are not in the journal, and are lost unless the model was "
        "saved: journal: No space left on device"
    )
    assert "journal" not in [thread.name for thread in threading.enumerate()]
    assert read(small / "journal")[:2] == expected(2) and len(read(small / "journal")) == committed
    shutil.rmtree(small / "journal")
    written(small / "journal", 1)


def test_a_full_disk_does_not_keep_a_journal_from_being_read(small):
    written(small / "journal", 5)
    fill(small / "filler")
    assert read(small / "journal") == expected(5)
    with pytest.raises(JournalError, match=r"new: cannot store a journal there: no space left"):
        Journal(str(small / "new"))


@pytest.mark.parametrize("truncated", [True, False])
def test_entries_that_were_written_though_the_commit_failed_are_there_once(tmp_path, monkeypatch, truncated):
    """As when the disk could not sync: nobody knows what it has."""
    monkeypatch.setattr(journal_module, "RETRY", 0.0)
    write, numbers = Writer.write, random.Random(1)
    if not truncated:
        monkeypatch.setattr(os, "truncate", lambda *_: None)

    def fail(writer, number, entries):
        size, turn = writer.size, writer.turn
        write(writer, number, entries)
        if numbers.random() < 0.5:
            writer.size, writer.turn = size, turn
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Writer, "write", fail)
    with Running(tmp_path) as running:
        for number in range(1, 101):
            running.journal.append(text(number))
            if number % 3 == 0:
                running.until(lambda number=number: running.journal.committed >= number)  # type: ignore[misc]
    assert set(running.failures) == {"journal: disk I/O error"}
    assert read(tmp_path) == expected(100)


def test_any_error_is_a_failure_and_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "RETRY", 0.0)
    errors = [MemoryError(), OSError(5, "Input/output error"), ValueError("what"), sqlite3.DatabaseError("malformed")]
    begin = Journal._begin

    def fail(journal, number):
        if errors:
            raise errors.pop()
        return begin(journal, number)

    monkeypatch.setattr(Journal, "_begin", fail)
    with Running(tmp_path) as running:
        running.add([text(1)])
        assert running.failures == [
            f"journal: {why}" for why in ("malformed", "what", "Input/output error", "MemoryError")
        ]
    assert read(tmp_path) == expected(1)


def unfinished(folder, *counts):
    """A journal as it is after a kill: without a next segment that says how far the last one goes."""
    written(folder, *counts)
    (folder / f"journal-{sum(counts) + 1:010d}.sqlite").unlink()
    return folder / f"journal-{sum(counts) - counts[-1] + 1:010d}.sqlite-wal"


def test_a_commit_that_was_cut_short_is_no_commit(tmp_path):
    unfinished(tmp_path / "whole", 4, 5)
    wal = Path("journal-0000000005.sqlite-wal")
    commits = [start for start, last in frames(tmp_path / "whole" / wal) if last]
    size = (tmp_path / "whole" / wal).stat().st_size
    for stop in (commits[-2] + 4120, commits[-2] + 4121, commits[-1], commits[-1] + 30, size - 1):
        shutil.copytree(tmp_path / "whole", tmp_path / str(stop))
        os.truncate(tmp_path / str(stop) / wal, stop)
        assert read(tmp_path / str(stop)) == expected(8)
        with Running(tmp_path / str(stop)) as running:
            running.add([text(9), text(10)])
        assert read(tmp_path / str(stop)) == expected(10)


def test_a_power_cut_may_leave_the_end_of_a_commit_without_its_middle(tmp_path):
    wal = unfinished(tmp_path, 4, 5)
    commits = [start for start, last in frames(wal) if last]
    assert commits[-1] - commits[-2] > 2 * 4120
    with open(wal, "r+b") as file:
        file.seek(commits[-2] + 4120 + 24)
        file.write(bytes(4096))
    assert read(tmp_path) == expected(8)


@pytest.mark.parametrize("part", ["page", "head"])
def test_damage_before_the_last_commit_is_said(tmp_path, part):
    wal = unfinished(tmp_path, 4, 5)
    commits = [start for start, last in frames(wal) if last]
    damage(wal, commits[-2] + (100 if part == "page" else 9))
    with pytest.raises(JournalError) as error:
        read(tmp_path)
    path = str(wal).removesuffix("-wal")
    assert str(error.value) == (
        f"{path}: the file is damaged after entry 7: there are commits that SQLite can't reach; restore it from a "
        "copy, or to continue from entry 4, move it and those with higher numbers, with their -wal, out of the folder"
    )
    shutil.move(wal, tmp_path / "away-wal")
    shutil.move(path, tmp_path / "away")
    assert read(tmp_path) == expected(4)


def test_a_wal_whose_head_is_damaged_is_said(tmp_path):
    wal = unfinished(tmp_path, 4, 5)
    damage(wal, 17)
    with pytest.raises(JournalError, match="damaged after entry 4: the head of its -wal is broken"):
        read(tmp_path)
    assert wal.stat().st_size > 20
    os.truncate(wal, 20)
    with pytest.raises(JournalError, match="has lost all entries from 5 on"):
        read(tmp_path)
    database = tmp_path / "journal-0000000005.sqlite"
    damage(database, 63, IN_USE ^ NEW_SEGMENT)
    assert read(tmp_path) == expected(4)  # as a kill in its first commit leaves it


def test_damage_in_an_older_segment_is_said_where_its_entries_are_needed(tmp_path):
    written(tmp_path, 4, 5)
    wal = tmp_path / "journal-0000000001.sqlite-wal"
    os.truncate(wal, frames(wal)[-1][0])
    journal = Journal(str(tmp_path))
    found: list[tuple[int, bytes]] = []
    message = r"entries 4 to 4 are missing after journal-0000000001\.sqlite; .* entry 3, "
    with pytest.raises(JournalError, match=message):
        found.extend(journal.entries(0))
    assert found == expected(3)
    assert list(journal.entries(4)) == expected(9, 4)
    journal.close()
    damage(wal, 50)
    with pytest.raises(
        JournalError, match=r"1\.sqlite: the file is damaged after entry 0: .* can't reach; .* entry 0, "
    ):
        read(tmp_path)


def test_an_entry_that_differs_from_its_checksum_is_said(tmp_path):
    written(tmp_path, 5)
    path = tmp_path / "journal-0000000001.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("UPDATE entries SET text = zeroblob(length(text)) WHERE number = 3")
    connection.commit()
    connection.close()
    with pytest.raises(
        JournalError, match=f"{path}: the file is damaged after entry 2: an entry differs from its checks"
    ):
        read(tmp_path)
    assert read(tmp_path, 3) == expected(5, 3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with Running(folder) as running:
        for size in (100, 9000, 0, 3000, 5000):
            running.add([os.urandom(size), b"x" * size])
            running.journal.rotate()
    return folder, read(folder)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_byte_can_change_or_vanish_without_being_said_unless_nothing_depends_on_it(whole, data):
    folder, entries = whole
    name = data.draw(st.sampled_from([path.name for path in folder.iterdir()]))
    size = (folder / name).stat().st_size
    place = data.draw(st.integers(0, size - 1))
    flip = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        path = Path(copy) / name
        if flip:
            damage(path, place, flip)
        else:
            os.truncate(path, place)
        before = contents(copy)
        found, error = partly(copy)
        assert found == (entries if error is None else entries[: len(found)])
        assert error is None or len(str(error).splitlines()) == 1
        assert contents(copy) == before  # of what is damaged, too, nothing is destroyed


def contents(folder):
    """All files but the lock's."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != "lock"}


def partly(folder):
    """The entries up to an error, and that."""
    found: list[tuple[int, bytes]] = []
    try:
        journal = Journal(folder)
        with contextlib.closing(journal):
            for each in journal.entries(0):
                found.append(each)
    except JournalError as error:
        return found, error
    return found, None


def test_what_a_kill_left_while_a_segment_was_made_is_no_hindrance(tmp_path):
    written(tmp_path, 3)
    for name in ("journal.new", "journal.new-wal"):
        (tmp_path / name).write_bytes(b"rest")
    with Running(tmp_path) as running:
        running.add([text(4)])
    assert read(tmp_path) == expected(4)
    assert [name for name in names(tmp_path) if "new" in name] == []
