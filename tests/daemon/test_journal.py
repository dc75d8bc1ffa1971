"""The journal when all goes well, and what it refuses."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.journals import LIMIT, Running, expected, names, read, text, written
from vwlite.daemon import journal as journal_module
from vwlite.daemon.journal import Journal, JournalError

CUT = object()
runs = st.lists(st.lists(st.one_of(st.binary(max_size=200), st.just(CUT)), max_size=20), min_size=1, max_size=5)


@given(runs, st.booleans())
def test_all_that_was_appended_comes_back_in_order_whatever_was_rotated_and_restarted(runs, whole):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if not whole:
            patch.setattr(journal_module, "GROUP", 100)
        appended: list[bytes] = []
        for run in runs:
            with Running(folder) as running:
                assert running.journal.last == running.journal.committed == len(appended)
                for entry in run:
                    if entry is CUT:
                        assert running.journal.rotate() == len(appended)
                    else:
                        appended.append(entry)
                        assert running.journal.append(entry) == len(appended)
            assert running.journal.committed == len(appended)
        assert read(folder) == list(enumerate(appended, 1))


def test_entries_after_any_number_are_those_after_it(tmp_path):
    for _ in range(3):
        with Running(tmp_path) as running:
            running.add([text(running.journal.last + 1)])
            for _ in range(20):  # which may be one group or many
                running.journal.append(text(running.journal.last + 1))
            running.journal.rotate()
            running.journal.append(text(running.journal.last + 1))
    for after in range(67):
        assert read(tmp_path, after) == expected(66, after)


def test_entries_larger_than_a_group_and_empty_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "GROUP", 1000)
    entries = [b"", os.urandom(300_000), b"", b"x", os.urandom(999), os.urandom(5)]
    with Running(tmp_path) as running:
        for entry in entries:
            running.journal.append(entry)
    assert read(tmp_path) == list(enumerate(entries, 1))


def test_an_entry_that_sqlite_cannot_take_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "LONGEST", 10)
    with Running(tmp_path) as running:
        with pytest.raises(JournalError, match="an entry of 11 bytes is longer than 10; send shorter lines"):
            running.journal.append(b"x" * 11)
        assert running.journal.append(b"x" * 10) == 1
    assert read(tmp_path) == [(1, b"x" * 10)]


def test_what_was_appended_before_the_start_is_committed_after_it(tmp_path):
    journal = Journal(str(tmp_path))
    journal.append(b"a")
    assert journal.committed == 0
    journal.start(lambda: None)
    journal.close()
    assert read(tmp_path) == [(1, b"a")]


def test_the_id_stays(tmp_path):
    ids = set()
    for folder in ("a", "b"):
        for _ in range(2):
            journal = Journal(str(tmp_path / folder))
            ids.add((folder, journal.id))
            journal.close()
    assert len(ids) == 2 == len({name for _, name in ids})


def test_a_journal_that_is_behind_the_model_goes_on_where_the_model_is(tmp_path):
    written(tmp_path, 5)
    journal = Journal(str(tmp_path))
    assert list(journal.entries(8)) == []
    assert (journal.last, journal.committed) == (8, 8)
    journal.start(lambda: None)
    assert journal.append(text(9)) == 9
    journal.close()
    assert read(tmp_path, 8) == expected(9, 8)
    with pytest.raises(JournalError, match="entries 6 to 8 are missing"):
        read(tmp_path, 5)


def test_segments_all_of_whose_entries_are_in_the_model_are_discarded(tmp_path):
    with Running(tmp_path) as running:
        journal = running.journal
        for _ in range(3):
            running.add(text(journal.last + 1) for _ in range(10))
            assert journal.rotate() == journal.last
        running.add([text(31)])
        sizes = []
        for upto, kept in ((9, [1, 11, 21, 31]), (10, [11, 21, 31]), (29, [21, 31]), (1000, [31])):
            before = len(names(tmp_path))
            journal.discard(upto)
            assert [name for name in names(tmp_path) if name.isdecimal()] == [f"{first:04d}" for first in kept]
            sizes.append(journal.bytes())
            assert len(names(tmp_path)) <= before
        present = [path.stat().st_size for path in tmp_path.iterdir() if path.name != "lock"]
        assert sizes[-1] == sum(present) and sizes == sorted(sizes, reverse=True) and sizes[0] > 2 * sizes[2]
    assert read(tmp_path, 30) == expected(31, 30)
    with pytest.raises(JournalError, match=f"{tmp_path}: entries 30 to 30 are missing; restore the files"):
        read(tmp_path, 29)


def test_rotating_without_new_entries_makes_no_further_segments(tmp_path):
    with Running(tmp_path) as running:
        running.add([text(1)])
        for _ in range(5):
            assert running.journal.rotate() == 1
    for _ in range(3):
        with Running(tmp_path) as running:
            running.journal.rotate()
    assert [name for name in names(tmp_path) if name.isdecimal()] == ["0001", "0002"]


def test_rotating_while_much_waits_parts_the_entries_where_it_was_asked_for(tmp_path):
    with Running(tmp_path) as running:
        for _ in range(10):
            for _ in range(10):
                running.journal.append(text(running.journal.last + 1))
            running.journal.rotate()
    firsts = [int(name) for name in names(tmp_path) if name.isdecimal()]
    assert firsts == list(range(1, 102, 10))
    assert read(tmp_path) == expected(100)


def test_what_is_committed_is_not_written_a_second_time_at_the_end(tmp_path):
    with Running(tmp_path) as running:
        running.add([os.urandom(1_000_000)])
    assert (tmp_path / "journal-0000000001.sqlite-wal").stat().st_size > 1_000_000
    assert (tmp_path / "journal-0000000001.sqlite").stat().st_size < 100_000


def test_threads_and_files_are_let_go(tmp_path):
    written(tmp_path, 2, 2)
    threads, files = threading.active_count(), len(os.listdir("/dev/fd"))
    for number in range(3):
        with Running(tmp_path) as running:
            running.journal.rotate()
            running.add([text(5 + number)])
        running.journal.close()  # again
        assert read(tmp_path) == expected(5 + number)
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == (threads, files)
    with pytest.raises(JournalError, match="closed"):
        running.journal.append(b"x")


def test_entries_may_be_appended_by_many_threads(tmp_path):
    with Running(tmp_path) as running:
        found: dict[int, bytes] = {}

        def add(name: int) -> None:
            for number in range(200):
                entry = b"%d %d" % (name, number)
                found[running.journal.append(entry)] = entry

        threads = [threading.Thread(target=add, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    assert read(tmp_path) == sorted(found.items()) and len(found) == 800


def test_a_loop_that_is_closed_before_the_journal_costs_nothing(tmp_path):
    def told() -> None:
        raise RuntimeError("Event loop is closed")

    journal = Journal(str(tmp_path))
    journal.start(told)
    journal.append(b"a")
    journal.close()
    assert read(tmp_path) == [(1, b"a")]


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path):
    folder = tmp_path / "a" / "b"
    assert written(folder, 1) == read(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    others = ["checkpoint.model", "journal-1.sqlite", "journal-0000000001.sqlite.bak", "journal.txt"]
    for name in others:
        (tmp_path / name).write_text(name)
    written(tmp_path, 2, 2)
    with Running(tmp_path) as running:
        running.journal.discard(4)
    assert [(tmp_path / name).read_text() for name in others] == others
    assert [name for name in names(tmp_path) if name.isdecimal()] == ["0005"]


def test_two_daemons_cannot_have_one_journal(tmp_path):
    with Running(tmp_path / "j") as running:
        running.add([text(1)])
        with pytest.raises(JournalError) as error:
            Journal(str(tmp_path / "j"))
        message = f"{tmp_path / 'j'}: another process has its journal there; stop it, or name another folder"
        assert str(error.value) == message
        code = "import sys; from vwlite.daemon.journal import Journal; Journal(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "j")], capture_output=True, text=True, check=False
        )
        assert other.stderr.endswith(f"JournalError: {message}\n")
    assert read(tmp_path / "j") == expected(1)


def test_a_place_that_is_no_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "file/folder"):
        with pytest.raises(JournalError, match=f"{name}: cannot store a journal there: .*file"):
            Journal(str(tmp_path / name))


def test_a_folder_that_may_not_be_written_to_is_said(tmp_path):
    code = "import sys; from vwlite.daemon.journal import Journal; Journal(sys.argv[1])"
    words = [sys.executable, "-c", code]
    if os.geteuid() == 0:  # who may write everywhere, unless told otherwise
        if shutil.which("setpriv") is None:
            pytest.skip("there is no setpriv command")
        words = ["setpriv", "--bounding-set=-dac_override", *words]
    tmp_path.chmod(0o555)
    try:
        for name in (tmp_path, tmp_path / "new"):
            done = subprocess.run([*words, str(name)], capture_output=True, text=True, check=False)
            assert f"JournalError: {name}: cannot store a journal there: permission denied" in done.stderr
    finally:
        tmp_path.chmod(0o755)


def refusal(folder: Path, after: int = 0) -> str:
    """What is said about a journal, in one line."""
    with pytest.raises(JournalError) as error:
        read(folder, after)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    written(tmp_path, 3, 3)
    path = tmp_path / "journal-0000000007.sqlite"
    path.write_bytes(b"SQLite format 3\0" + bytes(200))
    assert refusal(tmp_path) == f"{path}: is not part of a journal; move it out of the folder"


def test_a_newer_version_is_refused(tmp_path):
    written(tmp_path, 3, 3)
    for name in ("journal-0000000004.sqlite", "journal-0000000007.sqlite"):
        path = tmp_path / name
        content = bytearray(path.read_bytes())
        content[63] = 9
        path.write_bytes(content)
        assert refusal(tmp_path) == f"{path}: was written by a newer vwlite; update this one (pip install -U vwlite)"


def test_a_segment_of_another_journal_is_refused(tmp_path):
    written(tmp_path / "a", 3, 3)
    written(tmp_path / "b", 3, 3)
    path = (tmp_path / "b" / "journal-0000000001.sqlite").replace(tmp_path / "a" / "journal-0000000001.sqlite")
    assert refusal(tmp_path / "a") == f"{path}: is part of another journal; move it out of the folder"
    assert read(tmp_path / "a", 3) == expected(6, 3)


def test_a_renamed_segment_is_refused(tmp_path):
    written(tmp_path, 3, 3)
    (tmp_path / "journal-0000000007.sqlite").unlink()
    (tmp_path / "journal-0000000004.sqlite-wal").rename(tmp_path / "journal-0000000005.sqlite-wal")
    path = (tmp_path / "journal-0000000004.sqlite").rename(tmp_path / "journal-0000000005.sqlite")
    assert refusal(tmp_path) == f"{path}: begins with entry 4; rename it to journal-0000000004.sqlite"


def test_a_wal_without_its_database_is_not_overwritten(tmp_path):
    written(tmp_path, 3)
    for name in ("journal-0000000001.sqlite", "journal-0000000004.sqlite"):
        (tmp_path / name).unlink()
    path = tmp_path / "journal-0000000001.sqlite-wal"
    assert refusal(tmp_path) == f"{path}: has no journal-0000000001.sqlite beside it; restore that, or move this away"
    assert path.stat().st_size


def test_what_an_interrupted_discard_has_left_is_removed(tmp_path):
    written(tmp_path, 3, 3)
    (tmp_path / "journal-0000000001.sqlite").unlink()
    assert read(tmp_path, 3) == expected(6, 3)
    assert not (tmp_path / "journal-0000000001.sqlite-wal").exists()


@pytest.mark.parametrize("gone", [[1], [2], [1, 2], [0, 1], [3]], ids=str)
def test_a_missing_segment_is_an_error_unless_the_model_has_its_entries(tmp_path, gone):
    written(tmp_path, 3, 3, 3, 3)
    for index in gone:
        for path in tmp_path.glob(f"journal-{1 + 3 * index:010d}.sqlite*"):
            path.unlink()
    message = refusal(tmp_path)
    first, last = 1 + 3 * gone[0], 3 + 3 * gone[-1]
    where = f" after journal-{first - 3:010d}.sqlite" if first > 1 else ""
    assert message == (
        f"{tmp_path}: entries {first} to {last} are missing{where}; restore the files that had them from a copy, or to "
        f"continue from entry {first - 1}, move journal-{last + 1:010d}.sqlite and those with higher numbers, with "
        "their -wal, out of the folder"
    )
    for after in range(13):
        if after < last:
            refusal(tmp_path, after)
        else:
            assert read(tmp_path, after) == expected(12, after)


def test_the_advice_about_damage_works(tmp_path):
    written(tmp_path, 3, 3, 3)
    (tmp_path / "journal-0000000004.sqlite").write_bytes(bytes(100))
    message = refusal(tmp_path, 3)
    assert message.startswith(f"{tmp_path / 'journal-0000000004.sqlite'}: the file is damaged after entry 3: ")
    assert "to continue from entry 3, move it and those with higher numbers, with their -wal, out of the" in message
    for first in (4, 7, 10):
        for path in tmp_path.glob(f"journal-{first:010d}.sqlite*"):
            path.unlink()
    for after, number in itertools.product((0, 3), (4, 5)):
        assert read(tmp_path, after)[: 3 - after] == expected(3, after)
        with Running(tmp_path) as running:
            if running.journal.last < number:
                running.add([text(number)])
    assert read(tmp_path) == expected(5)


def test_a_journal_all_of_which_was_moved_away_goes_on_from_the_checkpoint(tmp_path):
    written(tmp_path, 3)
    before = Journal(str(tmp_path))
    before.close()
    for path in tmp_path.glob("journal-*"):
        path.unlink()
    journal = Journal(str(tmp_path))
    assert journal.id == before.id and list(journal.entries(3)) == []
    journal.start(lambda: None)
    assert journal.append(text(4)) == 4
    journal.close()
    assert read(tmp_path, 3) == expected(4, 3)
