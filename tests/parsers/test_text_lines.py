"""Lines that are most likely not of this format, or lack a value: refused, with the place and what to do."""

import math
from typing import Any

import pytest

from vwlite import Workspace
from vwlite.engine.driver import parse
from vwlite.errors import ParseError


def row(line: str, flags: str = "") -> dict[str, Any]:
    (found,) = parse(Workspace(flags).parser, line.encode() + b"\n").examples()
    return dict(found)


@pytest.mark.parametrize(
    ("line", "label", "weight", "initial"),
    [("1", 1, 1, 0), ("-3.5", -3.5, 1, 0), ("1 2", 1, 2, 0), ("1 2 0.5", 1, 2, 0.5), ("1 2 0.5 ", 1, 2, 0.5)],
)
def test_a_line_of_numbers_is_a_label(line, label, weight, initial):
    found = row(line)
    assert (found["kind"], found["label"], found["weight"], found["initial"]) == ("example", label, weight, initial)
    assert found["tag"] == b""


def test_a_tag_without_a_bar_starts_with_an_apostrophe():
    assert row("1 'abc")["tag"] == b"abc"
    assert math.isnan(row("'abc")["label"])


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("hello", 1),
        ("<html>502</html>", 1),
        ("x y z", 1),
        ("1 tag", 3),
        ('{"a": 1, "b": "x"}', 1),
        ("age,city,label", 1),
        ("3,oslo,1", 1),
        ("1\toslo\t3", 3),
    ],
)
def test_a_line_without_a_bar_that_is_no_label_is_malformed(line, column):
    with pytest.raises(ParseError, match="no '\\|' in the line") as caught:
        Workspace().learn(line)
    assert caught.value.column == column


@pytest.mark.parametrize("line", ["hello", "<html>502</html>", "age,city,label", "shared|x\nhello"])
def test_a_line_without_a_bar_that_is_no_cost_is_malformed(line):
    with pytest.raises(ParseError, match="'\\|'"):
        Workspace("--explore greedy").learn(line)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("1 | age: city", 5),
        ("1 |a x:1 age:|b y", 10),
        ("1 | age:", 5),
        ("1 | age: 3", 5),
        ("1 |a : y", 6),
        ("1 |a: x", 6),
    ],
)
def test_a_missing_value_is_malformed(line, column):
    with pytest.raises(ParseError, match=r"no value after ':'.*write name:1, or name without ':'") as caught:
        Workspace().learn(line)
    assert caught.value.column == column


@pytest.mark.parametrize(("line", "names"), [("1 | age: city b", ["age^city", "b"]), ("1 |a x: 3 y", ["a^x", "a^y"])])
def test_names_of_values_behind_blanks_are_vws(line, names, tmp_path, capsys):
    from vwlite.cli import main

    (tmp_path / "data").write_text(f"{line}\n")
    assert main(["-d", str(tmp_path / "data"), "--vw_compat", "--audit", "--noconstant", "--quiet"]) == 0
    cells = capsys.readouterr().out.splitlines()[1].split("\t")[1:]
    assert [cell.split(":")[0] for cell in cells] == names


@pytest.mark.parametrize("value", ["np.float64(0.3)", "np.int64(7)", "[np.float64(0.3)]", "[np.float64(0.3),"])
def test_a_number_as_numpy_shows_it_is_refused(value):
    with pytest.raises(ParseError, match=r":1:5: this is how NumPy shows a number inside a list"):
        Workspace().learn(f"| x:{value} b")
    assert Workspace("--vw_compat").learn(f"1 | x:{value}") == 0
    assert Workspace().learn("1 | x:np.float y:float64(3) np.float64(0.3)") == 0
