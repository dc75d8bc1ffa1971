"""Names of features of VW's text that are read when a feature is new: they are those that the parser notes with it.

With a cache the parser notes all names in its blocks; without one it leaves them out, if only --names wants them.
"""

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.run import Run
from vwlite.errors import ParseError
from vwlite.model import model_file

WORDS = ["a", "b=2", "word", "x^y", "17", "é", "a" * 70, "n" * 1200, "", "\x07bell", "3.5", "-1", "c=[np", "_"]
VALUES = [
    "",
    "",
    "",
    "",
    ":1",
    ":0",
    ":2.5",
    ":-3e-2",
    ":0.25",
    ":1e40",
    ":text",
    ":",
    ":1x",
    ":nan",
    " :2",
    ": 3",
    ":0.0",
]
SPACES = ["", "a", "b", "user", "u:2", "u:0", "v:1.5", "bé", "w:x", ":3", "c" * 300]
HEADS = ["1 ", "-1 ", "1 2 'tag", "1 0.5 0.25 ", "", "bad ", "1 'a:b|", "\t1 ", "x\t1 "]
ENDS = ["\n", "\n", "\n", "\r\n", " \n", "\t\n", "|\n", " |z\n", "\n\n"]
FLAGS = [
    "",
    "--noconstant",
    "--vw_compat",
    "--hash all",
    "--redefine b:=ua",
    "--redefine :=x -q xx",
    "-q ab",
    "-q a:",
    "--cubic aab --permutations",
    "--interactions abc --ignore_linear a",
    "--ignore b -q au",
    "--feature_limit a2",
    "--examples 100",
    "--holdout_after 90",
    "--onethread",
    "--bayes_linear",
    "-b 4 --names_limit 50",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every run has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text_of(n: int, seed: int) -> bytes:
    """Lines of any kind: usual ones, and those that are malformed, or that only --vw_compat uses."""
    draw = random.Random(seed)
    found = [b"\xef\xbb\xbf"]
    for _ in range(n):
        line = draw.choice(HEADS)
        plain = draw.random() < 0.4
        for _ in range(draw.randrange(1, 5)):
            words = [
                f"f{draw.randrange(99)}" if plain else draw.choice(WORDS) + draw.choice(VALUES)
                for _ in range(draw.randrange(6))
            ]
            line += (
                f"|{draw.choice(SPACES[:4] if plain else SPACES)} {draw.choice([' ', ' ', '  ', chr(9)]).join(words)} "
            )
        found.append((line.rstrip(" ") + draw.choice(ENDS)).encode())
    return b"".join(found)


def arrays(path: str) -> dict[str, bytes]:
    """The arrays of a model."""
    reader = model_file.open(path)
    return {name: bytes(reader.array(name, reader.dtype(name))) for name in reader.names()}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("mode", ["on", "stats"])
def test_names_do_not_depend_on_when_they_are_read(flags: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.vw").write_bytes(text_of(400, 3))
    words = [*flags.split(), "--names", mode]
    assert main(["data.vw", *words, "-f", "later.model"]) == 0
    later = capsys.readouterr().err
    assert main(["data.vw", *words, "-f", "noted.model", "-c", "-k"]) == 0
    noted = capsys.readouterr().err
    assert arrays("later.model") == arrays("noted.model")
    assert [line for line in later.splitlines() if "cache" not in line][8:] == [
        line for line in noted.splitlines() if "cache" not in line
    ][8:]


@pytest.mark.parametrize("seed", range(6))
def test_names_of_random_lines_are_those_of_python(seed: int) -> None:
    text = text_of(300, seed)
    Path("data.vw").write_bytes(text)
    assert main(["data.vw", "--names", "stats", "-q", "au", "-f", "model", "--quiet"]) == 0
    workspace = Workspace("--names stats -q au")
    for line in text.removeprefix(b"\xef\xbb\xbf").splitlines():
        with contextlib.suppress(ParseError):
            workspace.learn(line + b"\n")
    workspace.save("python.model")
    assert {name: array for name, array in arrays("model").items() if name.startswith("known.")} == {
        name: array for name, array in arrays("python.model").items() if name.startswith("known.")
    }


def test_only_a_run_that_keeps_names_alone_leaves_them_out_of_blocks() -> None:
    Path("data.vw").write_text("1 |a b\n")
    cases = {
        "": True,
        "-q ab": True,
        "-c -k": False,
        "--passes 2 -c -k": False,
        "--audit": False,
        "--invert_hash readable": False,
        "--random_effect a --bayes_linear": False,
        "--where a.b==1": False,
        "--sample .5": False,
        "--delay 5": False,
        "--feature_limit 3": False,
        "--transform a:log": False,
    }
    for flags, wanted in cases.items():
        run = Run(parse(["data.vw", "--names", "on", "--quiet", *flags.split()], option_groups()))
        assert (run.feed.names_to is run.driver) == wanted, flags
        assert run.feed.wants_names != wanted, flags
        run.feed.close()


def test_a_reader_of_names_that_comes_later_has_them_in_blocks() -> None:
    Path("data.vw").write_text("1 |a b\n")
    options = parse(["data.vw", "--names", "on", "--quiet"], option_groups())
    workspace = Workspace(options, "command")
    assert workspace.driver.names_later
    workspace.driver.needs_names = True
    run = Run(options, workspace)
    assert run.feed.names_to is None
    assert run.feed.wants_names
    run.feed.close()


def test_lines_of_a_pipe_have_their_names() -> None:
    command = [sys.executable, "-m", "vwlite", "--names", "on", "-f", "model", "--quiet"]
    subprocess.run(command, input=text_of(200, 5), check=True)
    Path("data.vw").write_bytes(text_of(200, 5))
    assert main(["data.vw", "--names", "on", "-f", "noted.model", "-c", "-k", "--quiet"]) == 0
    assert arrays("model") == arrays("noted.model")
