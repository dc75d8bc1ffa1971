"""Entities that can't be moved to disk: nothing that was learned is lost, and all goes on when there is room again."""

import contextlib
import os
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import leftovers
from tests.support.command import run
from tests.support.models import arrays
from tests.support.stores import EFFECT, limited, probe, state, traffic
from vwlite.core.example import Block
from vwlite.core.textbuffer import TextBuffer
from vwlite.engine.workspace import Workspace
from vwlite.entities import store as entity_store
from vwlite.errors import ModelError

ROOM = 2**30  # pages that a store may have: no limit


@pytest.fixture(scope="module", autouse=True)
def unflushed():
    """Many saves that need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@contextlib.contextmanager
def disk():
    """Gives what says whether stores of entities find no room, or no more than they have, from then on."""
    is_full = False
    write, connect = entity_store.EntityStore.write, entity_store._connect

    def set_full(value):
        nonlocal is_full
        is_full = value

    def limited_write(store, number, rows):
        if store.own is not None:
            store.own.execute(f"PRAGMA max_page_count = {1 if is_full else ROOM}")
        write(store, number, rows)

    def limited_connect(path, **named):
        if is_full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return connect(path, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entity_store.EntityStore, "write", limited_write)
        patch.setattr(entity_store, "_connect", limited_connect)
        yield set_full


def impatient(workspace):
    """Tries to write whenever there is a reason."""
    workspace.entity_store.backoff.first_pause = 0
    return workspace


def narrow(flags):
    """A workspace whose memory has no room for more than twice the entities."""
    workspace = Workspace(flags)
    assert workspace.entity_store is not None
    workspace.entity_store.backoff.spare = 0
    return workspace


def table(workspace):
    return workspace.top.base.beside[0].table


STEPS = st.one_of(
    st.tuples(st.sampled_from(["learn", "predict"]), st.integers(0, 99)),
    st.tuples(st.just("full"), st.booleans()),
    st.tuples(st.just("save"), st.none()),
)


@pytest.mark.parametrize("effects", ["", "--batch_size 3"])
@settings(max_examples=60)
@given(steps=st.lists(STEPS, min_size=3, max_size=20), limit=st.integers(1, 20), waits=st.booleans())
def test_a_full_disk_changes_no_prediction_and_nothing_that_is_learned(effects, steps, limit, waits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    plain, other = Workspace(f"{EFFECT} {effects}"), Workspace(f"{EFFECT} {effects} {limited(limit)}")
    if not waits:
        impatient(other)
    is_full = False
    with disk() as set_full:
        for what, argument in [*steps, ("full", False), ("save", None)]:
            if what == "full":
                set_full(is_full := argument)
            elif what == "save":
                with contextlib.suppress(ModelError) if is_full else contextlib.nullcontext():
                    other.save(folder / "m")
            else:
                lines = traffic(30, 40, argument)
                assert getattr(other, what)(lines) == getattr(plain, what)(lines)
    plain.save(folder / "plain")
    tested = Workspace.load(folder / "plain", "-t").predict(probe(40))
    assert Workspace.load(folder / "m", f"-t {limited(3)}").predict(probe(40)) == tested
    Workspace.load(folder / "m").save(folder / "whole")
    assert arrays(folder / "whole") == arrays(folder / "plain")


def test_memory_is_within_the_limit_again_when_there_is_room():
    workspace, plain = impatient(Workspace(f"{EFFECT} {limited(5)}")), Workspace(EFFECT)
    with disk() as set_full:
        set_full(True)
        assert workspace.learn(traffic(200, 80, 1)) == plain.learn(traffic(200, 80, 1))
        assert table(workspace).count > 40
        set_full(False)
        assert workspace.learn("1 |user somebody |x a") == plain.learn("1 |user somebody |x a")
        assert table(workspace).count <= 5
    assert workspace.predict(probe(80)) == plain.predict(probe(80))


def test_predictions_need_no_room():
    workspace, plain = Workspace(f"{EFFECT} {limited(20)}"), Workspace(EFFECT)
    with disk() as set_full:
        for one in (workspace, plain):
            one.learn(traffic(500, 400, 1))
        set_full(True)
        for one in (workspace, plain):
            one.learn(traffic(20, 400, 2))
        for _ in range(3):
            assert workspace.predict(probe(400)) == plain.predict(probe(400))
            assert table(workspace).count <= 60


def test_what_memory_has_no_room_for_is_not_learned_and_all_else_is_kept(tmp_path):
    workspace, plain = narrow(f"{EFFECT} {limited(10)}"), Workspace(EFFECT)
    refused, why = 0, ""
    with disk() as set_full:
        for one in (workspace, plain):
            one.learn(traffic(20, 900, 1))
        set_full(True)
        for line in traffic(200, 900, 2):
            try:
                workspace.learn(line)
            except ModelError as error:
                why = str(error)
                refused += 1
            else:
                plain.learn(line)
            assert table(workspace).count <= 21  # twice as many, and one that is only looked at
            assert workspace.predict(line) == plain.predict(line)
        assert 50 < refused < 200
        assert "no space left" in why and "no more of them" in why
        with pytest.raises(ModelError, match="no space left"):
            workspace.save(tmp_path / "m")
        assert workspace.predict(probe(900)) == plain.predict(probe(900))
        set_full(False)
        workspace.save(tmp_path / "m")
        assert workspace.learn(traffic(100, 900, 3)) == plain.learn(traffic(100, 900, 3))
    assert workspace.predict(probe(900)) == plain.predict(probe(900))


def test_what_is_learned_again_from_a_journal_is_learned_or_raises():
    workspace = narrow(f"{EFFECT} {limited(2)}")
    driver, answers = workspace.driver, TextBuffer()
    driver.predictions = answers
    text = "".join(f"{line}\n" for line in traffic(50, 900, 1)).encode()
    with disk() as set_full:
        set_full(True)
        with pytest.raises(ModelError, match="no space left"):
            driver.run_text(workspace.parser, Block(), text, 1, answering=False)
        answers.drain()
        assert driver.run_text(workspace.parser, Block(), text, 1) == 50
        assert answers.drain().count(b"!error not learned: ") > 30


def test_decisions_that_memory_has_no_room_for_are_not_learned_by_halves():
    flags = "--bayes_linear --explore greedy --random_effect user"
    workspace, plain = narrow(f"{flags} {limited(4)}"), Workspace(flags)
    refused = 0
    with disk() as set_full:
        set_full(True)
        for number in range(40):
            decision = [f"shared |user u{number}", "0:-1:0.5 |a x", "|a y", ""]
            try:
                workspace.learn(decision)
            except ModelError:
                refused += 1
            else:
                plain.learn(decision)
            assert workspace.predict(decision) == plain.predict(decision)
    assert refused >= 30


def test_a_disk_that_stays_full_is_tried_seldom(monkeypatch):
    tries = 0
    write = entity_store.EntityStore.write

    def counted(store, number, rows):
        nonlocal tries
        tries += 1
        write(store, number, rows)

    with disk() as set_full:
        set_full(True)
        with monkeypatch.context() as patch:
            patch.setattr(entity_store.EntityStore, "write", counted)
            Workspace(f"{EFFECT} {limited(5)}").learn(traffic(3000, 2000, 1))
    assert 1 <= tries < 100


def test_saves_fail_as_long_as_there_is_no_room_and_no_longer(tmp_path):
    with leftovers.small_disk(tmp_path / "small", 4 << 20) as place:
        workspace, plain = Workspace(f"{EFFECT} {limited(5)}"), Workspace(EFFECT)
        assert workspace.entity_store is not None
        workspace.entity_store.folder = str(place)
        for one in (workspace, plain):
            one.learn(traffic(2000, 1500, 1))
        workspace.save(place / "m")
        before = workspace.predict(probe(1500))
        filler = place / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for number in range(15):  # more than SQLite can attach at once
            if number > 12:
                for one in (workspace, plain):
                    one.learn(traffic(100, 1500, number))
            with pytest.raises(ModelError, match="no space left"):
                workspace.save(place / "m")
        assert sorted(path.name for path in place.iterdir()) == ["filler", "m", "m.entities"]
        assert state(place / "m", users=1500) == before
        filler.unlink()
        workspace.save(place / "m")
        assert state(place / "m", users=1500) == plain.predict(probe(1500))
        assert workspace.learn(traffic(100, 1500, 1)) == plain.learn(traffic(100, 1500, 1))


def test_a_run_over_a_file_ends_where_the_disk_is_full(tmp_path):
    with leftovers.small_disk(tmp_path / "small", 1 << 16) as place:
        text = "\n".join(traffic(5000, 4000, 1))
        done = run("-f", str(place / "m"), *EFFECT.split(), *limited(5).split(), text=text, status=1)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("vwlite: error: ")]
        assert f"{place}: cannot keep entities there for --entity_limit: no space left on the disk" in line
        assert list(place.iterdir()) == []
