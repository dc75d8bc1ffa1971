"""What README.md and the pages of docs/ promise: commands run in order and print what is shown; links lead somewhere.

How the blocks are read is in tests/support/documents.py. Every page runs in a folder of its own with a copy of
examples/.
"""

import importlib
import os
import re
from pathlib import Path

import pytest

from tests.support.documents import FENCE, RUN, SHOWN, pieces, run_document
from tests.support.leftovers import all_ended
from tests.support.scripts import copy_examples, environment
from vwlite.engine import plugins

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
README = (SOURCE / "README.md").read_text()
PAGES = [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))]
NOTHING_RUNS = "<!-- nothing runs here:"


def called(path: Path) -> str:
    """The name of a page, as tests are called."""
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_block_is_of_a_known_kind(page):
    text = page.read_text()
    kinds = [block[1] for block in FENCE.finditer(text)]
    assert {*kinds} <= {*RUN, *SHOWN}
    assert text.count("```") == 2 * len(kinds)
    assert "\n$ " not in re.sub(r"^```console\n.*?^```$", "", text, flags=re.M | re.S)
    assert pieces(text) or NOTHING_RUNS in text, "a page that no test runs says why"


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_what_a_page_shows_runs(page, tmp_path, monkeypatch):
    if not pieces(page.read_text()):
        return
    copy_examples(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_known", {})
    with all_ended(tmp_path):  # some commands start daemons
        run_document(page, tmp_path, environment(tmp_path / "bin") | {"LC_ALL": "C.UTF-8"})


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
