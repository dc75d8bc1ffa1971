"""Scripts of the examples, run as they stand by the vwlite that is tested."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.leftovers import all_ended

EXAMPLES = Path(__file__).parents[2] / "examples"


class Played(NamedTuple):
    """A script that has run."""

    out: Path  # the folder it wrote to
    printed: str  # on either stream


def environment(*first: Path) -> dict[str, str]:
    """Variables of a shell that finds this Python's commands, and before them those in the folders named."""
    path = [*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.environ | {"PATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


def copy_examples(folder: Path) -> Path:
    """A copy of the examples in a folder, where they may be played with."""
    return shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))


def run_bash(words: Sequence[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Bash with nothing to read; its output is that on both streams."""
    return subprocess.run(
        ["bash", *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def play(folder: str, script: str, out: Path, *more: str) -> Played:
    """Runs examples/FOLDER/SCRIPT with `out` and `more` as its arguments, in a copy of the examples beside `out`.

    Asserts that it ends well and leaves the examples as they were.
    """
    examples = copy_examples(out.parent)
    before = sorted(examples.rglob("*"))
    with all_ended(out.parent):
        done = run_bash([str(Path("examples", folder, script)), str(out), *more], out.parent, environment())
    assert done.returncode == 0, done.stdout
    assert sorted(examples.rglob("*")) == before
    return Played(out, done.stdout)


def complaint(script: str, words: Sequence[str], folder: Path) -> str:
    """What a Python script of the examples says on stderr before it ends with status 1."""
    command = [sys.executable, str(EXAMPLES / script), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr
