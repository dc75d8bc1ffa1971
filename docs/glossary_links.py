"""Hook of MkDocs: the first use of each term of the glossary on a page becomes a link to it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

GLOSSARY = "reference/glossary.md"
PLAIN = {"action", "base", "buffer", "class", "client", "cost", "line", "link", "pass", "server"}  # words of every day

# What is no text: blocks of code, comments, headings, HTML, links, pictures and code in a line.
NO_TEXT = re.compile(r"^( *)```.*?^\1```|<!--.*?-->|^#.*?$|<[^>]*>|!?\[[^\]]*\]\([^)]*\)|`[^`]*`", re.M | re.S)


def terms(text: str) -> dict[str, str]:
    """Terms in small letters, and their anchors.

    Args:
        text: The page of the glossary, with a heading of the third level for each term.

    Returns:
        The anchor of each term that means nothing else in plain English.
    """
    found = {}
    for heading in re.findall(r"^### (.*)$", text, re.M):
        anchor = re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")
        for term in heading.split(", "):
            if term.lower() not in PLAIN:
                found[term.lower()] = anchor
    return found


def linked(markdown: str, anchors: dict[str, str], glossary: str) -> str:
    """The text of a page with links to the glossary.

    Args:
        markdown: The page.
        anchors: The anchor of each term, see `terms`.
        glossary: The glossary's file, relative to the page.

    Returns:
        The page, in which the first use of each term is a link.
    """
    words = "|".join(sorted(map(re.escape, anchors), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])({words})(s?)(?![\w-])", re.I)
    used: set[str] = set()

    def link(match: re.Match[str]) -> str:
        anchor = anchors[match[1].lower()]
        if anchor in used:
            return match[0]
        used.add(anchor)
        return f"[{match[0]}]({glossary}#{anchor})"

    parts, at = [], 0
    for hidden in NO_TEXT.finditer(markdown):
        parts += [pattern.sub(link, markdown[at : hidden.start()]), hidden[0]]
        at = hidden.end()
    return "".join([*parts, pattern.sub(link, markdown[at:])])


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Called by MkDocs for each page.

    Args:
        markdown: The page.
        page: With its file.
        config: The configuration of the site.

    Returns:
        The page with links; the glossary and the generated list of flags as they are.
    """
    place = page.file.src_uri
    if place in (GLOSSARY, "reference/flags.md", "reference/python.md"):
        return markdown
    anchors = terms((Path(config["docs_dir"]) / GLOSSARY).read_text(encoding="utf-8"))
    return linked(markdown, anchors, posixpath.relpath(GLOSSARY, posixpath.dirname(place) or "."))
