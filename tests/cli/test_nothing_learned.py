"""A run that came by nothing fails, says what its data looks like, and leaves files as they were."""

import gzip
from pathlib import Path

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.model.model_file import open as open_model

GOOD = "1 |a x y\n-1 |a y z\n"
TABLE = "age,city,label\n3,oslo,1\n4,rome,0\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.vw").write_text(GOOD)
    workspace = Workspace()
    workspace.learn(GOOD.splitlines())
    workspace.save("prod.model")
    Path("p.txt").write_text("before\n")
    return tmp_path


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a run says that fails; its model and predictions are what they were."""
    before = Path("prod.model").read_bytes()
    capsys.readouterr()
    assert main([*words, "--quiet"]) == 1
    assert Path("prod.model").read_bytes() == before
    assert Path("p.txt").read_text() == "before\n"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"<html>502</html>\nx y z\n", "HTML, perhaps the error page of a download"),
        (b"<!DOCTYPE html>\n<p>502\n", "HTML"),
        (b"<?xml version='1.0'?><rows/>\n", "XML"),
        (b"1 3:0.5 7:1\n-1 2:1 9:0.25\n", "the format of libsvm: give --format libsvm"),
        (b"1\n2\n3.5\n", "labels without features"),
        (b"1 |\n2 |a\n", "lines without features behind their '|'"),
        (b"once upon a time\nthere was\n", "text without a '|'"),
        (b"abc\x01\x02\x03def\nghi", "a binary file"),
    ],
)
@pytest.mark.parametrize("more", [["-f", "prod.model"], ["-t", "-i", "prod.model", "-p", "p.txt"], []])
def test_a_run_without_an_example_with_a_feature_fails(content, looks, more, capsys):
    Path("data").write_bytes(content)
    said = fails(capsys, "-d", "data", *more)
    assert said.startswith("vwlite: error: data: no example with a feature")
    assert looks in said
    assert ("prod.model is unchanged" in said) == ("-f" in more)


@pytest.mark.parametrize("content", [TABLE, TABLE.replace(",", ";"), TABLE.replace(",", "\t")])
def test_a_table_is_read_as_one_and_needs_a_label(content, capsys):
    Path("data").write_text(content)
    said = fails(capsys, "-d", "data", "-f", "prod.model")
    assert "data: which column is the label? --label NAME says it, --label none only predicts. It looks like" in said
    assert "--format vw if it is not" in said
    assert main(["-d", "data", "--label", "label", "-f", "new.model", "--quiet"]) == 0
    assert main(["-t", "-i", "new.model", "-d", "data", "--quiet", "-p", "new.txt"]) == 0


def test_json_without_labels_teaches_no_model(capsys):
    Path("data").write_text('{"age": 3, "label": 1}\n{"age": 4, "label": 0}\n')
    assert "no example has a label and a weight" in fails(capsys, "-d", "data", "-f", "prod.model")
    assert main(["-d", "data", "--label", "label", "-f", "new.model", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (GOOD.encode("utf-16"), "UTF-16 text: convert it first"),
        (GOOD.encode("utf-16-le"), "UTF-16 text"),
        (GOOD.encode("utf-16-be"), "UTF-16 text"),
        (GOOD.encode("utf-32"), "UTF-32 text"),
        (gzip.compress(GOOD.encode(), mtime=0), "bytes compressed by gzip"),
        (b"PK\x03\x04" + GOOD.encode(), "a zip archive"),
        (b"\x07\x00\x00\x009.11.2\x00 | a b\n", "a model or cache of Vowpal Wabbit"),
        (b"\x93NUMPY\x01 1 | a\n", "a table in a binary format"),
    ],
)
def test_formats_that_are_no_text_are_refused_at_once(content, what, capsys):
    Path("data").write_bytes(content + GOOD.encode())
    assert f"data: not lines of text but {what}" in fails(capsys, "-d", "data", "-f", "prod.model")


def test_models_and_caches_are_no_data(capsys):
    assert "not lines of text but a model of vwlite: give it as -i" in fails(capsys, "-d", "prod.model", "-f", "new")
    assert not Path("new").exists()
    assert main(["-d", "good.vw", "--cache_file", "kept", "--quiet"]) == 0
    assert "a cache of vwlite" in fails(capsys, "-d", "kept", "-f", "prod.model")


def test_examples_without_labels_teach_no_model(capsys):
    Path("data").write_text("|a x\n|a y\n")
    said = fails(capsys, "-d", "data", "-f", "prod.model")
    assert "no example has a label and a weight, so nothing was learned (-t only predicts)" in said
    assert main(["-d", "data", "--quiet", "-p", "new.txt"]) == 0  # predictions were what was wanted
    assert Path("new.txt").read_text() == "0\n0\n"


def test_malformed_lines_are_blamed_with_place_and_reason(capsys):
    Path("data").write_text("1 |user ann:3\n-1 |user bob:2\n")
    said = fails(capsys, "-d", "data", "-f", "prod.model", "--random_effect", "user", "--bayes_linear")
    assert "(2 lines, 2 malformed); the first is data:1:9: " in said
    assert "looks like" not in said


def test_features_that_are_all_left_out_teach_nothing(capsys):
    assert "no example with a feature" in fails(capsys, "-d", "good.vw", "-f", "prod.model", "--keep", "Z")


def test_decisions_without_features_teach_nothing(capsys):
    Path("data").write_text("0:1:0.5 |\n|\n\n")
    assert "no example with a feature" in fails(capsys, "-d", "data", "-f", "prod.model", "--explore", "greedy")
    Path("data").write_text("shared |s x\n0:1:0.5 |\n|\n\n")
    assert main(["-d", "data", "--explore", "greedy", "--quiet"]) == 0


def test_further_passes_and_held_out_examples_make_no_model_either(capsys):
    Path("data").write_text("1 |\n" * 30)
    assert "no example" in fails(capsys, "-d", "data", "-f", "prod.model", "--passes", "3", "-c", "--save_per_pass")
    assert not Path("prod.model.0").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["-d", "data", "--allow_empty"],
        ["-d", "data", "--vw_compat"],
        ["--no_stdin"],
        ["-d", "/dev/null"],
        ["-d", "good.vw", "--examples", "0"],
    ],
)
def test_nothing_is_fine_where_it_is_meant(words, capsys):
    Path("data").write_text("")
    assert main([*words, "-f", "new.model", "--quiet"]) == 0
    assert open_model("new.model")


def test_counters_of_a_loaded_model_are_not_those_of_the_run(capsys):
    Path("data").write_text("x y\n")
    words = ["-i", "prod.model", "--preserve_performance_counters", "-f", "prod.model"]
    assert "no example with a feature" in fails(capsys, "-d", "data", *words)


# --max_malformed

MIXED = "1 |a x\n" * 97 + "x y\n" * 3


@pytest.mark.parametrize(("limit", "status"), [("2", 1), ("3", 0), ("2.9%", 1), ("3%", 0), ("0", 1), ("100%", 0)])
def test_too_many_malformed_lines_fail_a_run(limit, status, capsys):
    Path("data").write_text(MIXED)
    before = Path("prod.model").read_bytes()
    assert main(["-d", "data", "-f", "prod.model", "-p", "p.txt", "--quiet", "--max_malformed", limit]) == status
    said = capsys.readouterr().err
    if status:
        assert f"data: 3 of 100 lines are malformed, more than --max_malformed {limit}; prod.model is unchanged" in said
        assert Path("p.txt").read_text() == "before\n"
    assert (Path("prod.model").read_bytes() == before) == bool(status)


@pytest.mark.parametrize("limit", ["x", "-1", "1.5", "%", "1000%", "1e3"])
def test_a_limit_is_a_number_or_a_share(limit, capsys):
    assert "expected a number of lines, or a share of them such as 1%" in fails(
        capsys, "-d", "good.vw", f"--max_malformed={limit}"
    )
