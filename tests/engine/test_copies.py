"""Copies of a workspace: by bytes, pickle and copy, they predict and learn on like the original."""

import copy
import os
import pickle
import subprocess
import sys

import pytest

from vwlite import Workspace
from vwlite.errors import ModelError, ParseError

FLAGS = [
    "",
    "-q ab --l1 1e-6 --loss_function logistic",
    "--bayes_linear --random_effect user",
    "--bayes_logistic --batch_size 3",
    "--bayes_linear --forget 0.9 --effect_l2 auto --random_effect user --fixed none",
    "--oaa 3",
    "--ftrl",
    "--square --l2 1",
    "-b 22",
    "-t",
]
RECORDS = [{"a": {"x": i % 3, "c": str(i % 5)}, "b": {"z": 1.5 * i}, "user": f"u{i % 4}"} for i in range(60)]


def labels(flags: str) -> list[int]:
    return [i % 3 + 1 if "oaa" in flags else 1 if i % 2 else -1 for i in range(60)]


@pytest.mark.parametrize("flags", FLAGS)
def test_a_copy_learns_on_like_the_original(flags, monkeypatch):
    monkeypatch.setattr("vwlite.engine.storing.time.strftime", lambda *_: "2026-11-30T00:00:00Z")  # one second for all
    y = labels(flags)
    original = Workspace(flags)
    original.learn(RECORDS[:40], y[:40])
    state = original.to_bytes()
    copies = [
        Workspace.from_bytes(state),
        copy.deepcopy(original),
        copy.copy(original),
        pickle.loads(pickle.dumps(original)),
    ]
    for made in copies:
        assert made.to_bytes() == state
        assert repr(made) == repr(original)
        assert made.predict(RECORDS) == original.predict(RECORDS)
    later = original.learn(RECORDS[40:], y[40:])
    for made in copies:
        assert made.learn(RECORDS[40:], y[40:]) == later
        assert made.to_bytes() == original.to_bytes()


def test_the_bytes_are_a_function_of_the_state(tmp_path):
    workspace = Workspace("--bayes_linear")
    empty = workspace.to_bytes()
    workspace.learn({"a": 1}, 2)
    state = workspace.to_bytes()
    assert state != empty
    workspace.predict([{"a": 1}, {"new": 2}])
    with pytest.raises(ParseError, match="not finite"):
        workspace.predict({"a": float("nan")})
    assert workspace.to_bytes() == state
    workspace.save(tmp_path / "one.model")
    workspace.save(tmp_path / "two.model")
    assert (tmp_path / "one.model").read_bytes() == (tmp_path / "two.model").read_bytes()
    workspace.learn({"a": 1}, 2)
    assert workspace.to_bytes() != state


def test_the_bytes_are_a_model_too(tmp_path):
    workspace = Workspace("--bayes_linear")
    workspace.learn([{"a": 1}, {"b": 1}], [2, 3])
    (tmp_path / "copy.model").write_bytes(workspace.to_bytes())
    assert Workspace.load(tmp_path / "copy.model").predict({"a": 1}) == workspace.predict({"a": 1})


def test_a_copy_of_a_loaded_model_needs_no_file(tmp_path):
    workspace = Workspace("--bayes_linear")
    workspace.learn({"a": 1}, 2)
    workspace.save(tmp_path / "m.model")
    loaded = Workspace.load(tmp_path / "m.model", "-t")
    (tmp_path / "m.model").unlink()
    made = copy.deepcopy(loaded)
    assert made.predict({"a": 1}) == workspace.predict({"a": 1})
    assert made.learn({"a": 1}, 9) == made.predict({"a": 1})  # -t is copied


def test_another_process_reads_a_pickle(tmp_path):
    workspace = Workspace("--loss_function logistic --link logistic")
    workspace.learn([{"a": 1}, {"b": 1}] * 9, [1, -1] * 9)
    (tmp_path / "w.pickle").write_bytes(pickle.dumps(workspace))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).predict({'a': 1}))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "w.pickle")],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "5"},
    )  # fmt: skip
    assert float(done.stdout) == workspace.predict({"a": 1})


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "changed", "other"])
def test_damaged_bytes_are_refused(damage, tmp_path):
    workspace = Workspace()
    workspace.learn({"a": 1}, 2)
    state = workspace.to_bytes()
    workspace.save(tmp_path / "plain.model")
    bad = {
        "empty": b"", "short": state[:200], "cut": state[:-4], "changed": state[:300] + b"x" + state[301:],
        "other": (tmp_path / "plain.model").read_bytes(),
    }[damage]  # fmt: skip
    with pytest.raises(ModelError, match=r"^<bytes>: "):
        Workspace.from_bytes(bad)


def test_entities_on_disk_are_not_copied(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace = Workspace("--bayes_linear --random_effect user --entity_limit 2")
    with pytest.raises(ModelError, match="with --entity_limit entities are in a file: save"):
        workspace.to_bytes()


def test_a_workspace_is_closed_by_with():
    with Workspace() as workspace:
        workspace.learn("1 | a")
    with pytest.raises(ValueError, match="the workspace is closed"):
        workspace.predict("| a")
    workspace.close()


def test_repr_and_dir_are_for_users():
    workspace = Workspace("--loss_function logistic")
    workspace.learn(["1 | a"] * 1234)
    assert repr(workspace) == "<Workspace '--loss_function logistic', 1,234 examples learned>"
    assert {"learn", "predict", "save", "load", "to_bytes"} <= set(dir(workspace))
    assert not [name for name in dir(workspace) if name.startswith("_") and not name.startswith("__")]


def test_many_workspaces_are_small_and_leave_nothing():
    code = (
        "import resource, numpy as np\nfrom vwlite import Workspace\n"
        "X = np.random.default_rng(1).normal(size=(20, 300))\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "kept = [Workspace() for _ in range(20)]\nfor w in kept: w.learn(X, X[:, 0])\n"
        "before = peak()\nmore = [Workspace() for _ in range(200)]\nfor w in more: w.learn(X, X[:, 0])\n"
        "print((peak() - before) / 200)\ndel more\nbefore = peak()\n"
        "for _ in range(400):\n    Workspace().learn(X, X[:, 0])\nprint(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    each, left = map(float, done.stdout.split())
    assert each < 2048  # kB
    assert left < 30_000
