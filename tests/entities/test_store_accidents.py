"""No accident parts a model and its store of entities: kills, full disks, others that save."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.stores import limited, probe, state, traffic, trained
from vwlite.engine.workspace import Workspace
from vwlite.entities import store as entity_store
from vwlite.entities import store_file
from vwlite.errors import ModelError
from vwlite.model import model_file

CHILD = """
import os, signal, sys
from vwlite.engine.workspace import Workspace
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
    learned = Workspace.load(model)
    learned.learn(lines)
    new = learned.predict(probe(40))
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
import signal, sys
from vwlite.engine.workspace import Workspace
model = sys.argv[1]
workspace = Workspace.load(model, "--entity_limit 4")
lines = sys.stdin.read().splitlines()
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    workspace.learn(lines)
    workspace.save(model)
signal.pause()
"""
SAVES = 500  # at most, so that the states a killed run may leave are soon gone through


def saver(model, lines, saves):
    """A process that learns from the lines and saves the model, so many times."""
    child = subprocess.Popen(
        [sys.executable, "-c", LOOP, str(model), str(saves)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
        child = saver(model, lines, SAVES)
        reference = Workspace.load(model)
        time.sleep(numbers.random() * 0.1)  # any time will do
        end(child)
        found = state(model)
        possible = [first]
        while found not in possible and len(possible) <= SAVES:
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
    children = [saver(model, traffic(5, 40, 9), saves=10**9) for _ in range(2)]
    met: set[str] = set()
    try:
        while len(met) < 50:  # models, each replaced by the next before, while or after it was loaded
            state(model)
            met.add(model_file.open(model).metadata["id"])
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
from vwlite.engine.workspace import Workspace
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
