"""``vwlite inspect`` in the process of the tests: what it prints, and what it refuses."""

import pytest

from vwlite.cli import main


def inspect(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What it prints."""
    assert main(["inspect", *words]) == 0
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of an error, with nothing printed."""
    assert main(["inspect", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err
