"""The pages of docs/: their commands run, links lead somewhere, the reference is what the flags declare."""

import os
import re
import runpy
from pathlib import Path

import pytest

from tests.support.documents import check_blocks, pieces, run_page

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
DOCS = SOURCE / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def called(path: Path) -> str:
    """The name of a page, as tests are called."""
    return path.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_every_block_is_of_a_known_kind(page):
    check_blocks(page)


@pytest.mark.parametrize("page", [page for page in PAGES if pieces(page.read_text())], ids=called)
def test_what_a_page_shows_runs(page, tmp_path, monkeypatch):
    run_page(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_the_reference_of_flags_is_what_they_declare():
    made = runpy.run_path(str(DOCS / "reference" / "make_flags.py"))["page"]()
    assert (DOCS / "reference" / "flags.md").read_text() == made, "run docs/reference/make_flags.py"


def test_every_page_is_in_the_navigation_once():
    listed = re.findall(r"^ +- (\S+\.md)$", (SOURCE / "mkdocs.yml").read_text(), re.M)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_no_page_loads_anything_from_elsewhere():
    for path in DOCS.rglob("*"):
        if path.suffix in (".md", ".svg", ".css", ".js", ".html"):
            text = path.read_text()
            assert not re.search(r"""(?:src|xlink:href)\s*=\s*["']https?:|@import|!\[[^]]*\]\(https?:""", text), path


def test_the_first_use_of_a_term_leads_to_the_glossary():
    module = runpy.run_path(str(DOCS / "glossary_links.py"))
    anchors = module["terms"]("### Random effect\n\n### Posterior mean, posterior variance\n\n### Action\n")
    assert anchors == {
        "random effect": "random-effect",
        "posterior mean": "posterior-mean-posterior-variance",
        "posterior variance": "posterior-mean-posterior-variance",
    }
    page = """# Random effects
`random effect` [a random effect](x.md) <!-- random effect -->
```sh
vwlite random effect
```
Random effects have an action. Each random effect has a posterior mean; random-effect, its posterior variance.
"""
    last = """[Random effects](g.md#random-effect) have an action. Each random effect has a \
[posterior mean](g.md#posterior-mean-posterior-variance); random-effect, its posterior variance.
"""
    assert module["linked"](page, anchors, "g.md") == page[: page.index("\nRandom")] + "\n" + last
