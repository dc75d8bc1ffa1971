"""--entity_limit moves entities and changes no prediction; and no accident parts a model and its store."""

import fcntl
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vwlite import entity_store, model_file, store_file
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError
from vwlite.store_file import StoreFile
from vwlite.workspace import Workspace

EFFECT = "--bayes_linear --random_effect user:x --posterior diagonal"
FLAGS = [
    EFFECT,
    "--bayes_linear --random_effect user:* --random_effect item --posterior full --forget 0.9",
    "--bayes_linear --random_effect user:x --posterior diagonal --forget 0.8 --shrink mean --fixed same",
    "--bayes_linear --random_effect user:x --effect_l2 auto --entity_min 2 --count_weight user=-0.5",
    "--bayes_linear --random_effect user:x --random_effect item --batch_size 3 --posterior diagonal",
    "--loss_function logistic --bayes_logistic --random_effect user:x,y --posterior full --batch_size 2",
    "--loss_function logistic --bayes_logistic --random_effect user:x --forget 0.9 --forget_time t",
]
LINES = st.builds(
    lambda label, user, item, a, b: f"{label} |user u{user} |item i{item} |x a:{a} b{b} |y c |t time:{a}",
    st.sampled_from([1, -1]),
    st.integers(0, 8),
    st.integers(0, 3),
    st.sampled_from([0.5, 1, 2.25]),
    st.integers(0, 70),
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["learn", "predict"]), st.lists(LINES, min_size=1, max_size=12)),
    st.tuples(st.just("sensitivity"), LINES),
    st.tuples(st.just("reload"), st.one_of(st.none(), st.integers(1, 6))),
)


def traffic(n, users, seed):
    numbers = random.Random(seed)
    return [
        f"{numbers.choice([1, -1])} |user u{int(users * numbers.random() ** 2)} |x a:{numbers.random():.3f} b"
        for _ in range(n)
    ]


def probe(users):
    return [f"|user u{user} |x a:0.5 b" for user in range(users)]


def arrays(path):
    reader = model_file.open(path)
    return {name: bytes(reader.array(name, reader.dtype(name))) for name in reader.names()}


def limited(limit):
    return f"--entity_limit {limit}"


def trained(path, flags="--entity_limit 5", seed=1, users=40):
    workspace = Workspace(f"{EFFECT} {flags}")
    workspace.learn(traffic(300, users, seed))
    workspace.save(path)
    return workspace.predict(probe(users))


def state(path, limit=3, users=40):
    return Workspace.load(path, limited(limit)).predict(probe(users))


@settings(max_examples=100)
@given(st.sampled_from(FLAGS), st.integers(1, 6), st.lists(STEPS, min_size=1, max_size=10))
def test_a_limit_changes_no_prediction_and_nothing_that_is_learnt(tmp_path_factory, flags, limit, steps):
    folder = tmp_path_factory.mktemp("store")
    plain, other = Workspace(flags), Workspace(f"{flags} {limited(limit)}")
    for what, argument in steps:
        if what == "reload":
            plain.save(folder / "plain")
            other.save(folder / "other")
            plain = Workspace.load(folder / "plain")
            other = Workspace.load(folder / "other", limited(argument) if argument else "")
        else:
            assert getattr(other, what)(argument) == getattr(plain, what)(argument)
    other.save(folder / "other")
    plain.save(folder / "plain")
    lines = [f"|user u{user} |item i1 |x a b{user} |y c" for user in range(9)]
    tested = Workspace.load(folder / "plain", "-t").predict(lines)  # what waits for its batch is learnt
    assert Workspace.load(folder / "other", f"-t {limited(limit)}").predict(lines) == tested
    Workspace.load(folder / "other").save(folder / "whole")  # all in memory, in the order in which they were met
    assert arrays(folder / "whole") == arrays(folder / "plain")


def test_no_more_entities_are_in_memory_than_allowed():
    workspace = Workspace(f"{EFFECT} {limited(7)}")
    learner = next(effect for effect in workspace.top.base.beside)
    for line in traffic(500, 60, 3):
        workspace.learn(line)
        workspace.predict("|user stranger |x a b")
        assert learner.table.count <= 7
    figures = learner.metrics()
    assert figures["random_effect.user entities in memory"] + figures["random_effect.user entities on disk only"] == 60


def test_the_order_of_entities_is_that_in_which_they_were_met():
    lines = traffic(200, 30, 4)
    tables = []
    for flags in (EFFECT, f"{EFFECT} {limited(4)}"):
        workspace = Workspace(flags)
        workspace.learn(lines)
        tables.append(list(workspace.top.base.beside[0].entities()))
    assert tables[0] == tables[1]
    assert len(tables[0]) > 20


def test_an_interrupted_move_to_disk_is_made_up_for(tmp_path, monkeypatch):
    plain, other = Workspace(EFFECT), Workspace(f"{EFFECT} {limited(3)}")
    for workspace in (plain, other):
        workspace.learn(traffic(100, 20, 1))
    write = entity_store.EntityStore.write

    def interrupted(store, number, rows):
        def some():
            yield rows[0]
            raise KeyboardInterrupt

        write(store, number, some())

    with monkeypatch.context() as patch:
        patch.setattr(entity_store.EntityStore, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.save(tmp_path / "m")
    assert other.predict(probe(20)) == plain.predict(probe(20))
    other.save(tmp_path / "m")
    assert state(tmp_path / "m", users=20) == plain.predict(probe(20))


def test_predicting_changes_nothing_that_is_saved(tmp_path):
    trained(tmp_path / "m")
    before = list(StoreFile(str(tmp_path / "m.entities")).rows("random_effect.user"))
    workspace = Workspace.load(tmp_path / "m", limited(2))
    workspace.predict([*probe(40), "|user nobody |x a"])
    workspace.save(tmp_path / "n")
    assert list(StoreFile(str(tmp_path / "n.entities")).rows("random_effect.user")) == before


def test_a_model_without_a_limit_can_be_used_with_one_and_back(tmp_path):
    expected = trained(tmp_path / "plain", flags="")
    assert state(tmp_path / "plain", limit=2) == expected
    Workspace.load(tmp_path / "plain", limited(2)).save(tmp_path / "limited")
    Workspace.load(tmp_path / "limited").save(tmp_path / "back")
    assert arrays(tmp_path / "back") == arrays(tmp_path / "plain")
    assert not (tmp_path / "back.entities").exists()


def test_a_model_with_a_store_can_be_the_fixed_effect_of_another(tmp_path):
    for name, flags in (("plain", ""), ("limited", limited(3))):
        trained(tmp_path / name, flags)
        other = Workspace(f"--fixed_effect {tmp_path / name}")
        other.learn(traffic(20, 40, 2))
        other.save(tmp_path / f"{name}.other")
    states = [Workspace.load(tmp_path / f"{name}.other").predict(probe(40)) for name in ("plain", "limited")]
    assert states[0] == states[1]


def test_a_model_saved_over_one_with_a_store_leaves_no_store(tmp_path):
    trained(tmp_path / "m")
    trained(tmp_path / "m", flags="")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


# the command line


def run(*words, capsys=None):
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err if capsys else ""


def test_a_run_says_where_entities_are_and_testing_writes_nothing_beside_the_model(tmp_path, capsys):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(400, 50, 1)) + "\n")
    model = tmp_path / "m"
    status, said = run("-d", data, *EFFECT.split(), *limited(8).split(), "-f", model, capsys=capsys)
    assert status == 0
    assert "random_effect.user entities in memory = 8\nrandom_effect.user entities on disk only = 42\n" in said
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert sorted(before) == ["data", "m", "m.entities"]
    assert run("-t", "-i", model, "-d", data, *limited(3).split())[0] == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    capsys.readouterr()
    assert main(["inspect", str(model)]) == 0
    said = capsys.readouterr().out
    assert f"random_effect.user  50 entities, 150 coefficients, in {model}.entities" in said
    assert "entities of random_effect.user with most examples\n" in said


def test_a_readable_model_has_all_entities(tmp_path):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    for name, limit in (("plain", []), ("limited", limited(2).split())):
        assert run("-d", data, *EFFECT.split(), "--quiet", "--invert_hash", tmp_path / name, *limit)[0] == 0
    plain, limited_one = ((tmp_path / name).read_text() for name in ("plain", "limited"))
    assert plain == limited_one
    assert "\nu3\tx^b\t" in plain


def test_the_model_after_each_pass_has_a_store_of_its_own(tmp_path):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    words = ["-d", data, *EFFECT.split(), "--passes", "3", "-c", "--holdout_off", "--save_per_pass", "--quiet"]
    for name, limit in (("plain", []), ("limited", limited(4).split())):
        assert run(*words, "-f", tmp_path / name, *limit)[0] == 0
    for suffix in (".0", ".1", ".2", ""):
        assert state(f"{tmp_path}/limited{suffix}", users=20) == state(f"{tmp_path}/plain{suffix}", users=20)


@pytest.mark.parametrize("flags", ["--bayes_linear --sweeps 2", "--square", "--bayes_linear --batch_size all"])
def test_sweeps_and_a_limit_are_refused_together_unless_nothing_is_learnt(flags, tmp_path):
    flags = f"{flags} --random_effect user:x"
    with pytest.raises(OptionError, match="--sweeps"):
        Workspace(f"{flags} {limited(3)}")
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    assert run("-d", data, *flags.split(), "-f", tmp_path / "m", "--quiet")[0] == 0
    for name, limit in (("plain", []), ("limited", limited(3).split())):
        assert run("-t", "-i", tmp_path / "m", "-d", data, "-p", tmp_path / name, "--quiet", *limit)[0] == 0
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "limited").read_bytes()


def test_places_where_no_store_can_be_are_refused_before_the_run(tmp_path, capsys):
    words = ["-d", "/dev/null", *EFFECT.split(), *limited(3).split(), "-f"]
    status, said = run(*words, "/dev/stdout", capsys=capsys)
    assert status != 0 and "name a regular file" in said
    (tmp_path / "m.entities").write_text("somebody's notes")
    status, said = run(*words, tmp_path / "m", capsys=capsys)
    assert status != 0 and "is no store of entities" in said
    assert (tmp_path / "m.entities").read_text() == "somebody's notes"


# model and store that don't fit


def refused(path, flags="--entity_limit 3"):
    with pytest.raises(ModelError) as error:
        Workspace.load(path, flags)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("flags", [limited(3), ""])
def test_a_model_without_its_store_is_refused_and_named(flags, tmp_path):
    trained(tmp_path / "m")
    (tmp_path / "m.entities").rename(tmp_path / "elsewhere")
    said = refused(tmp_path / "m", flags)
    assert f"{tmp_path}/m.entities: there is no such file" in said and "copy it together with the model" in said


@pytest.mark.parametrize("flags", [limited(3), ""])
def test_the_store_of_another_model_is_refused(flags, tmp_path):
    trained(tmp_path / "m")
    trained(tmp_path / "n", seed=2)
    shutil.copy(tmp_path / "n.entities", tmp_path / "m.entities")
    said = refused(tmp_path / "m", flags)
    assert "those of another model" in said and f"{tmp_path}/m.entities" in said


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-4096], "its size is not what its head says"),
        (lambda text: b"", "is no store of entities"),
        (lambda text: b"x" * len(text), "is no store of entities"),
        (lambda text: text[:100] + b"\xff" * 3996 + text[4096:], "damaged"),
        (lambda text: text[:60] + b"\0\0\0\x63" + text[64:], "newer vwlite"),
    ],
)
def test_a_damaged_store_is_refused_before_anything_runs(damage, words, tmp_path):
    trained(tmp_path / "m")
    store = tmp_path / "m.entities"
    store.write_bytes(damage(store.read_bytes()))
    said = refused(tmp_path / "m")
    assert words in said and str(store) in said


def rewritten(model, change):
    """Change one record, with all checksums right again."""
    path = f"{model}.entities"
    connection = sqlite3.connect(path)
    ((key, record),) = connection.execute("SELECT key, record FROM entities_0 ORDER BY serial LIMIT 1").fetchall()
    changed = change(bytearray(record[4:]))
    record = struct.pack("<I", zlib.crc32(changed)) + changed
    connection.execute("UPDATE entities_0 SET record = ? WHERE key = ?", (bytes(record), key))
    connection.commit()
    connection.close()
    reader = model_file.open(model)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    metadata = {**reader.metadata, "entities": {**reader.metadata["entities"], "sha256": digest}}
    names = reader.names()
    arrays = {name: (reader.dtype(name), reader.shape(name), reader.array(name, reader.dtype(name))) for name in names}
    model_file.write(model, arrays, metadata)


def with_nan(record):
    record[-8:] = struct.pack("<d", float("nan"))
    return record


def with_number(place, number):
    def change(record):
        record[place : place + 4] = struct.pack("<I", number)
        return record

    return change


@pytest.mark.parametrize(
    "change",
    [
        with_nan,
        lambda record: record[:-1],
        lambda record: record + b"1234",
        lambda record: record[:20],
        lambda record: record[:0],
        with_number(0, 2),  # another layout
        with_number(0, 1 | 1 << 8),  # another posterior
        with_number(4, 2**32 - 1),  # coefficients
        with_number(8, 2**32 - 1),  # bytes of the name
        with_number(12, 7),  # waiting examples
        with_number(12, 2**32 - 1),
    ],
)
def test_a_damaged_record_is_never_used(change, tmp_path):
    trained(tmp_path / "m")
    store = str(tmp_path / "m.entities")
    name = next(iter(Workspace.load(tmp_path / "m").top.base.beside[0].entities()))[0]
    rewritten(tmp_path / "m", change)
    workspace = Workspace.load(tmp_path / "m", limited(3))
    for _ in range(2):
        with pytest.raises(ModelError, match=f"{store}: the file is damaged: a record"):
            workspace.predict(f"|user {name} |x a")
    refused(tmp_path / "m", "")
    assert main(["inspect", str(tmp_path / "m")]) != 0


@settings(max_examples=40)
@given(st.data())
def test_no_flipped_byte_goes_unnoticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    trained(folder / "m", users=20)
    store = folder / "m.entities"
    text = bytearray(store.read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    store.write_bytes(bytes(text))
    assert str(store) in refused(folder / "m")


# accidents

CHILD = """
import os, signal, sys
from vwlite.workspace import Workspace
model, call, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
workspace = Workspace.load(model, "--entity_limit 4")
workspace.learn(sys.stdin.read().splitlines())
original = getattr(os, call)
def counted(*arguments, **named):
    global number
    number -= 1
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **named)
    if number == -1000:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(os, call, counted)
workspace.save(model)
print("saved", flush=True)
"""


def test_a_save_that_is_killed_at_any_step_leaves_the_old_state_or_the_new_one(tmp_path):
    model = tmp_path / "m"
    old = trained(model)
    lines = traffic(100, 40, 9)
    learnt = Workspace.load(model)
    learnt.learn(lines)
    new = learnt.predict(probe(40))
    seen = []
    for call in ("replace", "fsync", "unlink"):
        for number in range(1, 20):
            folder = tmp_path / f"{call}{number}"
            folder.mkdir()
            for name in ("m", "m.entities"):
                shutil.copy(tmp_path / name, folder / name)
            child = subprocess.run(
                [sys.executable, "-c", CHILD, str(folder / "m"), call, str(number)],
                input="\n".join(lines),
                capture_output=True,
                text=True,
                check=False,
            )
            if child.returncode == 0:
                break
            assert child.returncode == -signal.SIGKILL, child.stderr
            found = state(folder / "m")
            assert found in (old, new)
            seen.append(found == new)
            # and the next save puts everything into its place
            Workspace.load(folder / "m", limited(3)).save(folder / "m")
            assert state(folder / "m") == found
            assert not (folder / "m.entities.new").exists()
        else:
            raise AssertionError("the save never ends")
        assert state(folder / "m") == new
    assert {True, False} == set(seen)


LOOP = """
import sys
from vwlite.workspace import Workspace
model = sys.argv[1]
workspace = Workspace.load(model, "--entity_limit 4")
lines = sys.stdin.read().splitlines()
print("ready", flush=True)
while True:
    workspace.learn(lines)
    workspace.save(model)
"""


def saver(model, lines):
    """A process that learns from the lines and saves the model, again and again."""
    child = subprocess.Popen(
        [sys.executable, "-c", LOOP, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin and child.stdout
    child.stdin.write("\n".join(lines))
    child.stdin.close()
    assert child.stdout.readline() == "ready\n"
    return child


def end(child):
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_saving_run_can_be_killed_at_any_time(tmp_path):
    model = tmp_path / "m"
    trained(model)
    lines = traffic(20, 40, 9)
    numbers = random.Random(5)
    for _ in range(10):
        first = state(model)
        child = saver(model, lines)
        reference = Workspace.load(model)
        time.sleep(numbers.random() * 0.2)
        end(child)
        found = state(model)
        possible = [first]
        while found not in possible and len(possible) < 1000:
            reference.learn(lines)
            possible.append(reference.predict(probe(40)))
        assert found in possible


def test_a_reader_keeps_the_entities_of_the_model_that_it_has_read(tmp_path):
    old = trained(tmp_path / "m")
    reader = Workspace.load(tmp_path / "m", f"-t {limited(1)}")
    assert trained(tmp_path / "m", seed=2) != old
    assert reader.predict(probe(40)) == old


def test_models_can_be_loaded_at_all_times_while_others_save_them(tmp_path):
    model = tmp_path / "m"
    trained(model)
    children = [saver(model, traffic(5, 40, 9)) for _ in range(2)]
    try:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            state(model)
        assert all(child.poll() is None for child in children)
    finally:
        for child in children:
            end(child)


def test_a_model_that_is_saved_each_time_before_its_entities_are_read_is_read_in_the_end(tmp_path, monkeypatch):
    model = tmp_path / "m"
    trained(model)
    other = Workspace.load(model, limited(2))
    opened, saves = store_file.StoreFile, iter(range(8))

    def save_and_open(path):
        if next(saves, None) is not None:
            other.save(model)
        return opened(path)

    monkeypatch.setattr(store_file, "StoreFile", save_and_open)
    assert state(model) == other.predict(probe(40))
    assert next(saves, None) is None


def test_of_two_that_learn_from_one_model_the_last_to_save_wins(tmp_path):
    trained(tmp_path / "m")
    first, second = (Workspace.load(tmp_path / "m", limited(n)) for n in (2, 5))
    first.learn(traffic(50, 40, 7))
    second.learn(traffic(50, 40, 8))
    first.save(tmp_path / "m")
    assert state(tmp_path / "m") == first.predict(probe(40))
    second.save(tmp_path / "m")
    assert state(tmp_path / "m") == second.predict(probe(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.entities"]


def test_a_second_saver_that_waits_too_long_is_told_so(tmp_path, monkeypatch):
    old = trained(tmp_path / "m")
    monkeypatch.setattr(entity_store, "PATIENCE", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(ModelError, match="another process has been saving"):
            trained(tmp_path / "m", seed=2)
    finally:
        os.close(descriptor)
    assert state(tmp_path / "m") == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.entities"]


def test_a_model_that_cannot_be_written_keeps_its_entities(tmp_path, monkeypatch):
    old = trained(tmp_path / "m")

    def fail(*arguments):
        raise ModelError("no")

    with monkeypatch.context() as patch:
        patch.setattr(model_file, "write", fail)
        with pytest.raises(ModelError, match="no"):
            trained(tmp_path / "m", seed=2)
    assert state(tmp_path / "m") == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.entities"]


FULL = """
import resource, signal, sys
from vwlite.errors import ModelError
from vwlite.workspace import Workspace
model, size = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
workspace = Workspace.load(model, "--entity_limit 4")
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    workspace.learn(sys.stdin.read().splitlines())
    workspace.save(model)
except ModelError as error:
    print(error)
    try:
        workspace.save(model)
    except ModelError:
        sys.exit(3)
"""


def test_a_full_disk_is_said_and_costs_nothing_that_was_saved(tmp_path):
    model = tmp_path / "m"
    old = trained(model, users=400)
    size = (tmp_path / "m.entities").stat().st_size
    lines = "\n".join(traffic(2000, 1500, 9))
    for allowed in (0, 8192, size // 2, size + 4096):
        child = subprocess.run(
            [sys.executable, "-c", FULL, str(model), str(allowed)],
            input=lines,
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == 3, child.stderr
        assert len(child.stdout.splitlines()) == 1 and str(Path(child.stdout.split(":")[0]).parent) != "."
        assert state(model, users=400) == old
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "m.entities"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_model_in_a_folder_that_is_read_only_can_be_used_but_not_replaced(tmp_path):
    old = trained(tmp_path / "m")
    tmp_path.chmod(0o555)
    try:
        assert state(tmp_path / "m") == old
        with pytest.raises(ModelError, match="permission denied"):
            trained(tmp_path / "m", seed=2)
        assert state(tmp_path / "m") == old
    finally:
        tmp_path.chmod(0o755)


def test_a_store_keeps_the_rights_of_the_one_it_replaces(tmp_path):
    trained(tmp_path / "m")
    (tmp_path / "m.entities").chmod(0o640)
    trained(tmp_path / "m", seed=2)
    assert (tmp_path / "m.entities").stat().st_mode & 0o777 == 0o640


def test_a_link_to_a_model_finds_the_store_beside_the_model(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "m")
    trained(tmp_path / "link")
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["m", "m.entities"]
    assert state(tmp_path / "link") == state(tmp_path / "real" / "m")
