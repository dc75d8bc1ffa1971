"""What README.md promises: its commands run in order in one folder, print what it shows, and its reduction works.

Conventions. In a ```console block, lines after "$ " are commands (exit status 0) and the lines below each are all that
it prints on either stream, "..." standing for anything. Numbers with decimals may differ in the third. A command with
nothing below may print anything. ```python blocks are doctests that share their names. The ```cython block is compiled
against the installed vwlite, and the commands after it see it in the stack.
"""

import doctest
import importlib
import os
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

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
README = (SOURCE / "README.md").read_text()
DECIMAL = re.compile(r"-?\d+\.\d{3,}")

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


class Piece(NamedTuple):
    kind: str
    text: str
    line: int


def pieces() -> list[Piece]:
    """The fenced blocks that run, a console block as one piece a command."""
    found = []
    for block in re.finditer(r"^```(console|python|cython)\n(.*?)^```$", README, re.M | re.S):
        line = README.count("\n", 0, block.start(2)) + 1
        if block[1] != "console":
            found.append(Piece(block[1], block[2], line))
            continue
        for command in re.finditer(r"^\$ .*\n(?:(?!\$ ).*\n)*", block[2], re.M):
            found.append(Piece("console", command[0], line + block[2].count("\n", 0, command.start())))
    return found


def test_every_block_is_of_a_known_kind():
    kinds = re.findall(r"^```(\w*)\n", README, re.M)
    assert set(kinds) <= {"", "sh", "console", "python", "cython"}
    assert kinds.count("cython") == 1
    assert kinds.count("sh") == 1, "what sh blocks show does not run here"
    assert "\n$ " not in re.sub(r"^```console\n.*?^```$", "", README, flags=re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a copy of the examples, and the environment in which commands run there."""
    folder = tmp_path_factory.mktemp("readme")
    copy_examples(folder)
    with all_ended(folder):  # some commands start daemons
        yield folder, environment(folder / "bin") | {"LC_ALL": "C.UTF-8"}


def test_readme_runs(place, monkeypatch):
    folder, variables = place
    monkeypatch.chdir(folder)
    monkeypatch.setattr(plugins, "_known", {})
    names: dict[str, object] = {}
    for piece in pieces():
        where = f"README.md:{piece.line}"
        if piece.kind == "console":
            run_command(piece, where, folder, variables)
        elif piece.kind == "python":
            run_doctest(piece, where, names)
        else:
            build_reduction(piece, where, folder)


def run_command(piece, where, folder, variables):
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


def run_doctest(piece, where, names):
    test = doctest.DocTestParser().get_doctest(piece.text, names, where, "README.md", piece.line)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False)
    assert not results.failed, "".join(report)
    names.update(test.globs)


def build_reduction(piece, where, folder):
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


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_targets_exist(document):
    text = (SOURCE / document).read_text()
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (SOURCE / link).exists(), link
    targets = re.findall(r"^([\w-]+):", (SOURCE / "Makefile").read_text(), re.M)
    for target in re.findall(r"\bmake ([a-z][\w-]*)\b(?=`|  )", text):
        assert target in targets, target


FLAG = r"(?<![\w-])--([a-z]\w+)"


def test_flags_in_the_documents_are_declared():
    from vwlite.cli import SUBCOMMANDS
    from vwlite.core.options import RENAMED, gather
    from vwlite.engine.command_line import option_groups

    declared = {*gather(option_groups()), "config", "help", "version", "skip_below", "clip_at", "faulty"}
    for module in SUBCOMMANDS.values():
        declared |= {parameter.name for parameter in importlib.import_module(module).command.params}
    declared.add("json")  # which is as_json where it is declared
    text = re.sub(
        r"--los_function|`--epsilon`", "", README.partition("## Not there yet")[0]
    )  # mistyped on purpose; VW's
    assert not {flag for flag in re.findall(FLAG, text) if flag not in declared}
    history = (SOURCE / "CHANGELOG.md").read_text()
    assert not {flag for flag in re.findall(FLAG, history) if flag not in declared | RENAMED.keys()}
