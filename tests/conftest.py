"""What all tests share."""

import functools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.models import Arrays, arrays, saved
from vwlite import Workspace
from vwlite.cli import main

# No time limit for an example, because machines are busy at times; in CI always the same examples.
settings.register_profile("vwlite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vwlite")

# A shell's background jobs ignore the interrupt, and so would all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def state(tmp_path: Path) -> Callable[[Workspace], Arrays]:
    """What a workspace would save."""
    return functools.partial(saved, folder=tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[str, Arrays]]:
    """Runs the command line on lines; the text of the predictions, and the arrays of the model, run.model."""

    def command(lines: Sequence[str], *words: str) -> tuple[str, Arrays]:
        (tmp_path / "data.txt").write_text("".join(f"{line}\n" for line in lines))
        files = ["-d", "data.txt", "-p", "predictions.txt", "-f", "run.model"]
        paths = [word if word.startswith("-") else str(tmp_path / word) for word in files]
        assert main([*paths, "--quiet", *words]) == 0
        return (tmp_path / "predictions.txt").read_text(), arrays(tmp_path / "run.model")

    return command


@pytest.fixture
def fit(tmp_path: Path) -> Callable[[Sequence[str], str], Workspace]:
    """Runs the command line on lines; the model, loaded."""

    def command(lines: Sequence[str], flags: str) -> Workspace:
        (tmp_path / "data.txt").write_text("".join(f"{line}\n" for line in lines))
        words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "fit.model"), "--quiet", *flags.split()]
        assert main(words) == 0
        return Workspace.load(tmp_path / "fit.model")

    return command
