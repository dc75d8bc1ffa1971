"""What a command line asks for and the data make impossible is said, in a line that names the flag."""

from pathlib import Path

import pytest

from tests.support.command import run
from vwlite import Workspace
from vwlite.cli import main

DATA = "1 |a x\n-1 |a y\n1 |a x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").write_text(DATA)


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(["-d", "data", *words]) == status
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--keep Z", "nothing matched --keep Z: no namespace begins with Z (they begin with a)"),
        ("--ignore a", "--ignore a leaves out all features"),
        ("--ignore ab --noconstant", "--ignore ab leaves out all features"),
        ("--keep b --keep c", "nothing matched --keep b"),
    ],
)
def test_a_flag_that_leaves_out_all_features_is_blamed_and_not_the_data(words, why, capsys):
    text = said(capsys, *words.split(), status=1)
    assert why in text
    assert "looks like" not in text


@pytest.mark.parametrize("scale", ["2", "fit"])
def test_a_scale_of_initial_predictions_that_no_line_has_is_named(scale, capsys):
    expected = f"nothing matched --offset_scale {scale}: no example has an initial prediction"
    assert expected in said(capsys, "--offset_scale", scale, "-f", "m")
    assert "of the model" in said(capsys, "-t", "-i", "m")
    Path("data").write_text(DATA + "1 1 0.5 |a x\n")
    assert "matched" not in said(capsys, "--offset_scale", scale)
    workspace = Workspace(f"--offset_scale {scale}")
    assert workspace.unmatched() == []
    workspace.learn(DATA.splitlines())
    assert expected in workspace.unmatched()[0]


@pytest.mark.parametrize("words", ["--holdout_after 3", "--passes 3 --holdout_period 4", "--passes 2"])
def test_a_run_that_holds_nothing_out_says_so(words, capsys):
    assert "nothing was held out" in said(capsys, *words.split())
    Path("data").write_text(DATA * 5)
    assert "nothing was held out" not in said(capsys, *words.split())
    assert "nothing was held out" not in said(capsys, "--passes", "2", "--holdout_off")


@pytest.mark.parametrize("words", ["-c", "--cache_file kept", "-c --passes 2"])
def test_a_pipe_is_not_said_to_have_a_cache(words):
    for text in (run(*words.split(), text=DATA).stderr, run(*words.split(), "/dev/stdin", text=DATA).stderr):
        assert "cache_file =" not in text
        assert "using no cache" in text
        flag = "--cache_file" if "kept" in words else "--cache"
        assert f"[info] {flag}: input from a pipe is not cached: name a file" in text
    assert "[info] --cache" not in run(*words.split(), "data").stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--binary --explore greedy", "--binary has no effect with --explore"),
        ("--strict_parse --max_malformed 3", "--max_malformed has no effect with --strict_parse"),
    ],
)
def test_flags_that_another_one_overrules_are_refused(words, why, capsys):
    assert why in said(capsys, *words.split(), status=1)


@pytest.mark.parametrize("flag", ["--cache_file kept", "-c"])
def test_a_cache_alone_is_no_data(flag, capsys):
    assert main([*flag.split(), "--no_stdin"]) == 1
    assert "has no effect without data: name the file that the cache was made from" in capsys.readouterr().err
