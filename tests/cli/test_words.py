"""What the command and the package say to somebody who types or passes something near to what they take."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import vwlite
from vwlite import Workspace
from vwlite.cli import SUBCOMMANDS, main
from vwlite.core.options import gather
from vwlite.engine.command_line import option_groups
from vwlite.engine.flags import GENERAL
from vwlite.engine.vw_flags import INSTEAD, NAMES


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_is_understood(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    assert "--loss_function" in capsys.readouterr().out


@pytest.mark.parametrize("command", SUBCOMMANDS)
@pytest.mark.parametrize("words", [["{}", "-h"], ["{}", "--help"], ["help", "{}"]])
def test_each_subcommand_has_help(command, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(command) for word in words]) == 0
    assert f"vwlite {command} [OPTIONS]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "meant"), [("inspct", "inspect"), ("Inspect", "inspect"), ("simulat", "simulate"), ("clint", "client")]
)
def test_a_word_near_a_subcommand_is_no_data_file(word, meant, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word, "m.model"]) == 1
    assert capsys.readouterr().err == f"vwlite: error: {word}: no such command or file; did you mean vwlite {meant}?\n"
    (tmp_path / word).write_text("1 |a x\n")
    assert main([word, "--quiet"]) == 0


@pytest.mark.parametrize(
    ("flag", "answer"),
    [
        ("--boosting", ": Vowpal Wabbit has it, vwlite has not"),
        ("--regcb", ": Vowpal Wabbit has it, vwlite has not: --explore ucb"),
        ("--cb-explore", ": Vowpal Wabbit has it, vwlite has not: --cb_explore_adf makes decisions"),
        ("--nn", ": Vowpal Wabbit has it, vwlite has not"),
        ("--confidence", ": --confidence is now --interval"),
        ("--metrics", ": --metrics is now --report"),
        ("--qwertyuiop", "\n"),
        ("--pases", ", did you mean --passes?"),
        ("--learning_rat", ", did you mean --learning_rate?"),
    ],
)
def test_an_unknown_flag_is_answered_by_what_it_most_likely_is(flag, answer, capsys):
    assert main([flag, "--no_stdin"]) == 1
    assert f"vwlite: error: unknown flag {flag!r}{answer}" in capsys.readouterr().err


def test_flags_of_vw_that_are_here_are_not_said_to_be_missing():
    ours = set(gather([*option_groups(), GENERAL]))
    assert not NAMES & ours
    assert set(INSTEAD) <= NAMES


def test_only_a_mistake_loads_the_names_of_vws_flags(tmp_path):
    (tmp_path / "data").write_text("1 |a x\n")
    program = (
        "import sys; from vwlite.cli import main; main(['data', '--quiet']); "
        "print('vwlite.engine.vw_flags' in sys.modules, 'difflib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_the_package_shows_what_it_has():
    program = "import vwlite; print('Workspace' in dir(vwlite), 'errors' in dir(vwlite), vwlite.errors.ParseError)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True <class 'vwlite.errors.ParseError'>\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vwlite.nothing  # noqa: B018


class Table:
    """As a data frame: iteration gives the names of columns."""

    columns = ("1 |a", "2 |b")

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize(
    "data",
    [Table(), [1.0, 2.0], None, 7, [None], [["1 |a"]], np.array(["1 |a", 2], object)],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_text_is_refused_with_what_to_do(data):
    workspace = Workspace()
    for method in (workspace.learn, workspace.predict):
        with pytest.raises(TypeError, match="lines of text"):
            method(data)
    assert workspace.driver.counters.example_number == 0


def test_lines_may_come_in_any_iterable():
    workspace = Workspace()
    some: list[Any] = [
        ["1 |a x"],
        ("1 |a x",),
        iter(["1 |a x"]),
        np.array(["1 |a x"]),
        [b"1 |a x"],
        [bytearray(b"1 |")],
    ]
    for lines in some:
        assert len(workspace.learn(lines)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "inspect m --entity a --entity b",
        "client --port 1 x --port=2",
        "residual a b -o c --output d",
        "simulate arms --rounds 5 --rounds 6 -- -b 3",
    ],
)
def test_a_subcommand_takes_no_option_twice(words, capsys):
    assert main(words.split()) == 1
    assert "was given twice" in capsys.readouterr().err


def test_what_may_be_repeated_is(capsys):
    assert main(["client", "--send", "a", "--send", "b", "--quiet", "--quiet", "--socket", "/nowhere/at/all"]) == 1
    assert "twice" not in capsys.readouterr().err
