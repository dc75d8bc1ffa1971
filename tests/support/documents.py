"""Documents whose commands run: README.md and the pages of docs/.

Conventions. In a ```console block, lines after "$ " are commands (exit status 0) and the lines below each are all that
it prints on either stream, "..." standing for anything. Numbers with decimals may differ in the third. A command with
nothing below may print anything. ```python blocks with ">>>" are doctests that share their names; others are run as
they stand. The ```cython block is compiled against the installed vwlite, and the commands after it see it in the
stack. A block with a title, ```toml title="flags.toml", is written to that file. `--8<-- "examples/..."` as the only
line of a block shows a file, which its own test runs.
"""

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import vwlite
from tests.support.leftovers import all_ended
from tests.support.scripts import copy_examples, environment, run_bash
from vwlite.engine import plugins

DECIMAL = re.compile(r"-?\d+\.\d{3,}")
FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)
RUN = ("console", "python", "cython")
SHOWN = ("", "sh", "text", "toml", "json", "vw", "sql", "yaml", "ini", "nginx", "dockerfile", "ebnf", "mermaid")

# Built beside the commands, so that they can import it.
BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
modules = cythonize([Extension("skip", ["skip.pyx"])], include_path=sys.argv[1:], language_level=3, quiet=True)
setup(name="skip", ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])
"""

# What a word in the list of reductions/__init__.py and a file in reductions/ would do.
COMMAND = """
import sys
import skip
from vwlite import cli, reductions
sys.modules["vwlite.reductions.skip"] = skip
reductions.REDUCTIONS = ("skip", *reductions.REDUCTIONS)
sys.exit(cli.main())
"""


NOTHING_RUNS = "<!-- nothing runs here:"


class Piece(NamedTuple):
    """A command with what it prints, a block of Python or Cython, or a file to write."""

    kind: str
    text: str
    line: int
    title: str | None = None


def pieces(document: str) -> list[Piece]:
    """The fenced blocks that run or are written, a console block as one piece a command."""
    found = []
    for block in FENCE.finditer(document):
        line = document.count("\n", 0, block.start(3)) + 1
        if block[2]:
            found.append(Piece("file", block[3], line, block[2]))
        elif block[1] in ("python", "cython") and not block[3].startswith("--8<--"):
            found.append(Piece(block[1], block[3], line))
        elif block[1] == "console":
            for command in re.finditer(r"^\$ .*\n(?:(?!\$ ).*\n)*", block[3], re.M):
                found.append(Piece("console", command[0], line + block[3].count("\n", 0, command.start())))
    return found


def check_blocks(page: Path) -> None:
    """Every block is of a kind that is run or only shown, and a page without one that runs says why."""
    text = page.read_text()
    kinds = [block[1] for block in FENCE.finditer(text)]
    assert {*kinds} <= {*RUN, *SHOWN}
    assert text.count("```") == 2 * len(kinds)
    assert "\n$ " not in re.sub(r"^```console\n.*?^```$", "", text, flags=re.M | re.S)
    assert pieces(text) or NOTHING_RUNS in text, "a page that no test runs says why"


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a page in a folder of its own, with a copy of examples/."""
    copy_examples(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(plugins, "_known", {})
    with all_ended(folder):  # some commands start daemons
        run_document(page, folder, environment(folder / "bin") | {"LC_ALL": "C.UTF-8"})


def run_document(path: Path, folder: Path, variables: dict[str, str]) -> None:
    """Run all pieces of a document in a folder, in order."""
    names: dict[str, object] = {}
    for piece in pieces(path.read_text()):
        where = f"{path.name}:{piece.line}"
        if piece.kind == "console":
            run_command(piece, where, folder, variables)
        elif piece.kind == "python":
            run_python(piece, where, names)
        elif piece.kind == "file":
            (folder / str(piece.title)).write_text(piece.text)
        else:
            build_reduction(piece, where, folder)


def run_command(piece: Piece, where: str, folder: Path, variables: dict[str, str]) -> None:
    """Run a command, and compare what it prints."""
    command, _, expected = piece.text[2:].partition("\n")
    run = run_bash(["-o", "pipefail", "-c", command], folder, variables)
    assert run.returncode == 0, f"{where}: {command}\n{run.stdout}"
    if not expected:
        return
    pattern = re.escape(DECIMAL.sub("<number>", expected)).replace("<number>", rf"({DECIMAL.pattern})")
    # A line of dots stands for any lines, even none; dots in a line for the rest of a word or more.
    pattern = re.sub(r"^\\\.\\\.\\\.\\\n", r"(?s:.*?)", pattern, flags=re.M).replace(r"\.\.\.", r".*?")
    match = re.fullmatch(pattern, run.stdout)
    assert match, f"{where}: {command}\nprints\n{run.stdout}\ninstead of\n{expected}"
    assert [float(number) for number in match.groups()] == pytest.approx(
        [float(number) for number in DECIMAL.findall(expected)], abs=2e-3
    ), f"{where}: {command}"


def run_python(piece: Piece, where: str, names: dict[str, object]) -> None:
    """Run a doctest, or a block without prompts."""
    if ">>> " not in piece.text:
        exec(compile(piece.text, where, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(piece.text, names, where, where, piece.line)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False)
    assert not results.failed, "".join(report)
    names.update(test.globs)


def build_reduction(piece: Piece, where: str, folder: Path) -> None:
    """Compile the reduction, and put a vwlite that has it first on the path of the commands that follow."""
    home = folder / "bin"
    home.mkdir()
    (home / "skip.pyx").write_text(piece.text)
    contracts = str(Path(vwlite.__file__).parents[1])
    build = subprocess.run(
        [sys.executable, "-c", BUILD, contracts], cwd=home, capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, f"{where}: {build.stdout}{build.stderr}"
    (home / "command.py").write_text(COMMAND)
    (home / "vwlite").write_text(f"#!/bin/sh\nexec '{sys.executable}' '{home}/command.py' \"$@\"\n")
    (home / "vwlite").chmod(0o755)
