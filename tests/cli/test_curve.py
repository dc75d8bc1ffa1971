"""vwlite curve: each point is a model of the first examples, judged on the same held-out data."""

import json
from pathlib import Path

import pytest

from tests.cli.test_eval import error_of, judge, lines
from vwlite.cli import main


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.vw").write_text("".join(lines(450, seed=1)))
    Path("test.vw").write_text("".join(lines(seed=2)))
    return tmp_path


FLAGS = ("--", "--loss_function", "logistic")


def test_each_point_is_the_model_of_the_first_examples(data, capsys):
    assert main(["curve", "train.vw", "--test", "test.vw", "--json", "--samples", "0", *FLAGS]) == 0
    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["examples"] for point in points] == [100, 200, 400, 450]
    for point in points:
        words = f"train.vw --examples {point['examples']} --loss_function logistic -f m --quiet"
        assert main(words.split()) == 0
        found = judge(capsys, "eval", "m", "-d", "test.vw", "--samples", "0")
        assert point["metrics"] == found["metrics"]
        assert point["loss"] == pytest.approx(json.loads(inspect(capsys))["journal"][-1]["loss_after"])
    assert points[-1]["metrics"]["auc"]["value"] > 0.8


def inspect(capsys) -> str:
    assert main(["inspect", "m", "--json"]) == 0
    return capsys.readouterr().out


def test_sizes_are_given_and_the_last_is_all_there_is(data, capsys):
    assert main(["curve", "train.vw", "--test", "test.vw", "--sizes", "5,450,1000", "--metric", "auc", *FLAGS]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][-2:] == ["auc", "interval"]
    assert [row[0] for row in rows[1:]] == ["5", "450"]


def test_the_curve_is_written_for_plot(data, capsys):
    assert main(["curve", "train.vw", "--test", "test.vw", "-o", "c.tsv", *FLAGS]) == 0
    rows = [line.split("\t") for line in Path("c.tsv").read_text().splitlines()]
    assert rows[0] == ["curve", "examples", "logloss"]
    assert [row[1] for row in rows[1:]] == ["100", "200", "400", "450"]
    assert main(["plot", "c.tsv", "-o", "c.html"]) == 0
    assert sorted(path.name for path in data.iterdir()) == ["c.html", "c.tsv", "test.vw", "train.vw"]


def test_flags_of_training_need_no_dashes_before_them(data, capsys):
    printed = []
    for words in (FLAGS, FLAGS[1:]):
        for more in (("-q", "aa", "-b18"), ("-l0.2", "--holdout-off")):
            assert main(["curve", "train.vw", "--test", "test.vw", *words, *more]) == 0
            printed.append(capsys.readouterr().out)
    assert printed[:2] == printed[2:] and printed[0] != printed[1]
    text = error_of(capsys, "curve", "--loss_function", "logistic", "train.vw", "--test", "test.vw")
    assert "--loss_function: the data come first" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--test test.vw -- -f x", "-f: a learning curve decides that itself: leave it out"),
        ("--test test.vw -- --final-regressor=x", "--final-regressor: a learning curve decides that itself"),
        ("--test test.vw --sizes 10,5", "sizes increase, and 10, 5 do not"),
        ("--test test.vw --sizes 1e3", "--sizes 1e3: expected positive whole numbers"),
        ("--test -", "standard input can be read once: name files"),
        ("--test nothing.vw", "nothing.vw: can't read examples: no such file"),
        ("--test test.vw --metric rocauc", "there is no metric rocauc: there are auc, accuracy"),
        ("--test test.vw -o train.vw", "are the same file"),
        ("", "'--test'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(words, message, data, capsys):
    text = error_of(capsys, "curve", "train.vw", *words.split())
    assert message in text
    assert text.count("\n") == 1
    assert sorted(path.name for path in data.iterdir()) == ["test.vw", "train.vw"]


def test_a_curve_of_nothing_is_refused(data, capsys):
    assert error_of(capsys, "curve", "/dev/null", "--test", "test.vw").endswith("/dev/null: no example to learn from\n")
