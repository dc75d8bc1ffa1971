"""What README.md promises: its commands run in order and print what is shown; links of the documents lead somewhere.

How the blocks are read is in tests/support/documents.py.
"""

import importlib
import os
import re
from pathlib import Path

import pytest

from tests.support.documents import check_blocks, run_page

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
README = SOURCE / "README.md"


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_every_block_is_of_a_known_kind():
    check_blocks(README)


def test_what_it_shows_runs(tmp_path, monkeypatch):
    run_page(README, tmp_path, monkeypatch)


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
        parameters = importlib.import_module(module).command.params
        declared |= {parameter.name for parameter in parameters}
        declared |= {flag.lstrip("-") for parameter in parameters for flag in parameter.opts}
    declared |= {
        "json",
        "dir",
        "man",
        "completion",
    }  # json and dir have other names there
    text = re.sub(
        r"--los_function|`--epsilon`", "", README.read_text().partition("Not there yet")[0]
    )  # mistyped on purpose; VW's
    assert not {flag for flag in re.findall(FLAG, text) if flag not in declared}
    history = (SOURCE / "CHANGELOG.md").read_text()
    assert not {flag for flag in re.findall(FLAG, history) if flag not in declared | RENAMED.keys()}
