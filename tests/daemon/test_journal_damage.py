"""A daemon whose journal was damaged, cut, or mixed up while it didn't run: what it says, and what it goes on from."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.daemon import ask, by_file, lines_to_learn, refusal, serving
from tests.support.journals import damage, frames
from tests.support.models import Arrays, arrays

FLAGS = ["--loss_function", "squared", "--journal", "journal", "-f", "final.model"]
COUNT = 12  # lines that are learned, each a commit, between two kills
LINES = [line for line in lines_to_learn(150, seed=3).splitlines() if not line.startswith(b" ")]
FILES = [f"journal-{first:010d}.sqlite" for first in (1, 1 + COUNT, 1 + 2 * COUNT)]


def teach(folder: Path, lines: Sequence[bytes], *flags: str) -> None:
    """Learn lines one by one, and be killed."""
    with serving(folder, *FLAGS, *flags) as daemon, daemon.connect() as client:
        for line in lines:
            assert not ask(client, line).startswith(b"!")
        daemon.kill()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What three daemons that were killed have left: a segment each."""
    folder = tmp_path_factory.mktemp("killed")
    for start in range(0, 3 * COUNT, COUNT):
        teach(folder, LINES[start : start + COUNT])
    return folder


@pytest.fixture
def journal(killed, folder):
    """A copy of that, in the working folder."""
    shutil.copytree(killed, folder, dirs_exist_ok=True)
    return folder / "journal"


def learned(lines: Sequence[bytes]) -> Arrays:
    """The model of a run over lines."""
    _, model = by_file(Path(), b"".join(line + b"\n" for line in lines), *FLAGS[:2])
    return model


def goes_on_from(count: int) -> None:
    """A daemon starts and has learned so many lines, learns more, is killed, and comes back with all of them."""
    more = LINES[3 * COUNT : 3 * COUNT + 5]
    with serving(Path(), *FLAGS) as daemon, daemon.connect() as client:
        stats = ask(client, b"!stats").decode()
        assert f'"examples": {count}, ' in stats
        for line in more:
            assert not ask(client, line).startswith(b"!")
        daemon.kill()
    with serving(Path(), *FLAGS) as daemon:
        assert daemon.end() == 0
    assert arrays("final.model") == learned([*LINES[:count], *more])


def start_is_refused() -> str:
    """What is said, which is one line."""
    said = refusal("--port", "0", *FLAGS)
    assert said.count("\n") == 1
    return said.removeprefix("vwlite: error: ").rstrip("\n")


def do_as_told(said: str) -> None:
    """Move away the segment that a message names, and those with higher numbers."""
    found = re.search(r"move (?:it|(journal-\d+\.sqlite)) and those with higher numbers, with their -wal, out of", said)
    assert found, said
    first = found[1] or Path(said.partition(": ")[0]).name
    Path("away").mkdir()
    for path in sorted(Path("journal").iterdir()):
        if path.name.startswith("journal-") and path.name.removesuffix("-wal") >= first:
            path.rename(Path("away", path.name))


def test_a_journal_that_nobody_touched_has_all(journal):
    assert sorted(path.name for path in journal.iterdir() if path.suffix == ".sqlite") == FILES
    goes_on_from(3 * COUNT)


@pytest.mark.parametrize("bytes_less", [1, 2000, 4095, 4119])
def test_a_last_commit_that_was_cut_is_none_and_all_before_it_are_there(journal, bytes_less):
    wal = journal / f"{FILES[-1]}-wal"
    os.truncate(wal, wal.stat().st_size - bytes_less)
    goes_on_from(3 * COUNT - 1)


@pytest.mark.parametrize("size", [9000, 20_000])
def test_of_an_end_that_was_cut_off_the_whole_commits_are_there(journal, size):
    wal = journal / f"{FILES[-1]}-wal"
    os.truncate(wal, size)
    whole = sum(last and start + 24 + 4096 <= size for start, last in frames(wal))
    assert whole < COUNT
    goes_on_from(2 * COUNT + whole)


@pytest.mark.parametrize("part", [4, 9, 17, 24 + 8, 24 + 4000])
def test_a_last_commit_that_was_damaged_is_none_and_all_before_it_are_there(journal, part):
    wal = journal / f"{FILES[-1]}-wal"
    damage(wal, frames(wal)[-1][0] + part)
    goes_on_from(3 * COUNT - 1)


@pytest.mark.parametrize("part", [17, 24 + 4000])
def test_damage_in_the_middle_of_the_newest_segment_is_said_with_what_to_do(journal, part):
    wal = journal / f"{FILES[-1]}-wal"
    whole = wal.read_bytes()
    starts = [start for start, _ in frames(wal)]
    assert len(starts) == COUNT
    damage(wal, starts[5] + part)
    said = start_is_refused()
    assert said == (
        f"journal/{FILES[-1]}: the file is damaged after entry {2 * COUNT + 5}: there are commits that SQLite can't "
        f"reach; restore it from a copy, or to continue from entry {2 * COUNT}, move it and those with higher numbers, "
        "with their -wal, out of the folder"
    )
    assert start_is_refused() == said  # and nothing was changed
    damaged = wal.read_bytes()
    do_as_told(said)
    goes_on_from(2 * COUNT)
    assert Path("away", wal.name).read_bytes() == damaged != whole


def test_a_damaged_segment_can_be_restored_from_a_copy(journal):
    wal = journal / f"{FILES[-1]}-wal"
    whole = wal.read_bytes()
    damage(wal, frames(wal)[5][0] + 100)
    start_is_refused()
    wal.write_bytes(whole)
    goes_on_from(3 * COUNT)


def test_damage_in_an_older_segment_is_said_with_what_to_do(journal):
    wal = journal / f"{FILES[1]}-wal"
    damage(wal, frames(wal)[-1][0] + 100)  # its last commit: there are later ones elsewhere
    said = start_is_refused()
    last = 2 * COUNT
    assert f"entries {last} to {last} are missing after {FILES[1]}; " in said
    assert f"to continue from entry {last - 1}, move {FILES[2]} and those" in said
    do_as_told(said)
    goes_on_from(last - 1)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_segment_that_is_missing_is_said_with_what_to_do(journal, lost):
    for end in ("", "-wal"):
        (journal / (FILES[lost] + end)).unlink()
    said = start_is_refused()
    first = 1 + lost * COUNT
    after = f" after {FILES[lost - 1]}" if lost else ""
    assert said == (
        f"journal: entries {first} to {first + COUNT - 1} are missing{after}; restore the files that had them from a "
        f"copy, or to continue from entry {first - 1}, move {FILES[lost + 1]} and those with higher numbers, with "
        "their -wal, out of the folder"
    )
    do_as_told(said)
    goes_on_from(lost * COUNT)


def test_a_segment_without_its_wal_is_as_one_that_was_lost(journal):
    (journal / f"{FILES[1]}-wal").unlink()
    said = start_is_refused()
    assert f"entries {COUNT + 1} to {2 * COUNT} are missing after {FILES[0]}; " in said
    do_as_told(said)
    goes_on_from(COUNT)


@pytest.mark.parametrize("size", [None, 0, 20, 32, 40, 3000])
def test_a_newest_segment_that_has_lost_its_wal_is_said_with_what_to_do(journal, size):
    wal = journal / f"{FILES[-1]}-wal"
    whole = wal.read_bytes()
    if size is None:
        wal.unlink()
    else:
        os.truncate(wal, size)
    said = start_is_refused()
    assert said == (
        f"journal/{FILES[-1]}-wal: is missing or has lost all entries from {2 * COUNT + 1} on, which were "
        f"acknowledged; restore it from a copy (see docs/how-to/backup.md), or to continue from entry {2 * COUNT}, "
        f"move {FILES[-1]} and those with higher numbers, with their -wal, out of the folder"
    )
    assert start_is_refused() == said
    if size:
        wal.write_bytes(whole)
        goes_on_from(3 * COUNT)
    else:
        do_as_told(said)
        goes_on_from(2 * COUNT)


def test_a_segment_of_another_journal_is_refused(journal, tmp_path):
    (tmp_path / "other").mkdir()
    teach(tmp_path / "other", LINES[:COUNT])
    for end in ("", "-wal"):
        shutil.copy(tmp_path / "other" / "journal" / (FILES[0] + end), journal / (FILES[0] + end))
    assert start_is_refused() == f"journal/{FILES[0]}: is part of another journal; move it out of the folder"


# the checkpoint


def test_a_checkpoint_of_another_journal_is_refused(journal, tmp_path):
    (tmp_path / "other").mkdir()
    teach(tmp_path / "other", LINES[:COUNT])
    own = (journal / "checkpoint.model").read_bytes()
    shutil.copy(tmp_path / "other" / "journal" / "checkpoint.model", journal)
    assert start_is_refused() == (
        "journal/checkpoint.model: is not the checkpoint of the journal beside it; put back the one that is, or give "
        "another --journal folder"
    )
    (journal / "checkpoint.model").write_bytes(own)
    goes_on_from(3 * COUNT)


def test_a_model_that_is_no_checkpoint_is_refused_as_one(journal):
    learned(LINES[:COUNT])
    shutil.copy("file.model", journal / "checkpoint.model")
    assert "journal/checkpoint.model: is not the checkpoint of the journal" in start_is_refused()


@pytest.mark.parametrize("content", [b"", b"no model", bytes(5000)])
def test_a_checkpoint_that_is_broken_is_said(journal, content):
    (journal / "checkpoint.model").write_bytes(content)
    assert start_is_refused().startswith("journal/checkpoint.model: ")


def test_without_a_checkpoint_all_is_learned_again_from_a_whole_journal(journal):
    (journal / "checkpoint.model").unlink()
    goes_on_from(3 * COUNT)


def test_a_checkpoint_that_is_lost_after_its_entries_were_let_go_is_said(journal):
    with serving(Path(), *FLAGS) as daemon:
        assert daemon.end() == 0
    kept = (journal / "checkpoint.model").read_bytes()
    (journal / "checkpoint.model").unlink()
    said = start_is_refused()
    assert re.match(rf"journal: entries 1 to ({2 * COUNT}|{3 * COUNT}) are missing; restore the files that had", said)
    (journal / "checkpoint.model").write_bytes(kept)
    goes_on_from(3 * COUNT)


def test_what_a_checkpoint_has_may_be_gone_from_the_journal(journal):
    """A copy that was taken while old segments were let go, or damage to what nobody needs any more."""
    copies = {path.name: path.read_bytes() for path in journal.iterdir() if path.name.startswith(FILES[0])}
    with serving(Path(), *FLAGS) as daemon:
        assert daemon.end() == 0
    for name, content in copies.items():
        (journal / name).write_bytes(content[: len(content) // 2])
    goes_on_from(3 * COUNT)
