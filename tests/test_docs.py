"""The documentation site: its reference is what the flags declare, every page is in its navigation."""

import os
import re
import runpy
from pathlib import Path

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[1]))
DOCS = SOURCE / "docs"


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
