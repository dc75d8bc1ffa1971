"""vwlite diff: what two models differ in, and its exit status."""

import json
import random
from pathlib import Path

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.journal.differing import SECTIONS, diff
from vwlite.model import model_file


def lines(n=300, seed=0):
    draw = random.Random(seed)
    for _ in range(n):
        x, user = draw.gauss(0, 1), draw.randrange(20)
        yield f"{x + user / 10:.4f} |user u{user} |a price:{x:.4f} w{draw.randrange(9)}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text("".join(lines()))


def learn(*words):
    assert main(["d.vw", *words, "--quiet"]) == 0


def test_a_model_equals_itself_and_one_that_was_trained_again_differs_in_its_command_line_only(capsys):
    learn("-f", "a")
    learn("-f", "b")
    assert diff("a", "a") == {"first": "a", "second": "a", "equal": True}
    assert [row["name"] for row in diff("a", "b")["journal"]] == ["run 1: arguments"]
    assert main(["diff", "a", "a"]) == 0
    assert capsys.readouterr().out == "a and a are equal\n"
    assert main(["diff", "a", "b"]) == 1
    assert main(["diff", "a", "b", "--only", "weights,metrics,options,stack,other,entities"]) == 0
    assert main(["d.vw", "-f", "c"]) == 0  # the table that a run prints is no difference
    assert [row["name"] for row in diff("a", "c")["journal"]] == ["run 1: arguments"]
    assert main(["diff", "a", "c", "--only", "weights,metrics,options,stack,other,entities"]) == 0


def test_weights_are_counted_and_the_largest_named():
    learn("-f", "a", "--invert_hash", "n")
    learn("-f", "b", "--invert_hash", "n", "-l", "0.3", "--ignore", "user")
    found = diff("a", "b", top=3)
    assert {row["name"]: (row["first"], row["second"]) for row in found["options"]} == {
        "ignore": ("none", "user"),
        "learning_rate": ("none", "0.3"),
    }
    tables = [model_file.open(name) for name in ("a", "b")]
    a, b = (dict(zip(one.array("gd.index", "U32"), one.array("gd.weight", "F32"), strict=True)) for one in tables)
    apart = {slot: abs(a.get(slot, 0) - b.get(slot, 0)) for slot in a.keys() | b.keys()}
    (row,) = found["weights"]
    assert row["differ"] == sum(value > 0 for value in apart.values()) and row["of"] == len(apart)
    assert row["only_first"] == 20 and row["only_second"] == 0
    assert row["largest"] == pytest.approx(max(apart.values()), rel=1e-6)
    names = Workspace(["-i", "a"]).names
    largest = sorted(apart, key=lambda slot: -apart[slot])[:3]
    assert [one["name"] for one in row["top"]] == [names[slot] for slot in largest]


def test_entities_are_compared_by_name():
    learn("-f", "a", "--bayes_linear", "--random_effect", "user")
    Path("e.vw").write_text("4 |user u3 |a price:1\n1 |user new |a price:1\n")
    assert main(["e.vw", "-i", "a", "-f", "b", "--quiet"]) == 0
    (row,) = [row for row in diff("a", "b")["entities"] if row["name"] == "random_effect.user"]
    assert row["entities"] == [20, 21] and row["common_entities"] == 20 and row["only_second"] == 1
    assert {"u3 Constant", "new Constant"} <= {one["name"] for one in row["top"]}


def test_models_of_other_learners_are_compared(capsys):
    learn("-f", "a")
    learn("-f", "b", "--bayes_linear", "--random_effect", "user", "--entity_limit", "5")
    assert main(["diff", "a", "b"]) == 1
    said = capsys.readouterr().out
    assert "learner 2: gd" in said and "gd: only the first has it" in said
    assert main(["diff", "a", "b", "--json"]) == 1
    assert set(json.loads(capsys.readouterr().out)) <= {"first", "second", "equal", *SECTIONS}


def test_trouble_has_a_status_of_its_own(capsys):
    learn("-f", "a")
    for words in (["a", "nothing"], ["d.vw", "a"], ["a", "a", "--only", "colours"]):
        assert main(["diff", *words]) == 2
        said = capsys.readouterr().err
        assert said.startswith("vwlite: error: ") and said.count("\n") == 1
