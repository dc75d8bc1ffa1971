"""A small document of headings, paragraphs, lists, tables and pictures, as Markdown and as a page of HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class Heading(NamedTuple):
    """A heading, of level 2 or 3."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """A paragraph."""

    text: str


class Items(NamedTuple):
    """A list; of `code` if its items are commands."""

    items: Sequence[str]
    code: bool = False


class Table(NamedTuple):
    """A table with a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    """A drawing as SVG; `text` says what it shows. Markdown leaves it out: a table beside it has its numbers."""

    svg: str
    text: str


Block = Heading | Paragraph | Items | Table | Picture

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b2327; }
h1, h2, h3 { line-height: 1.2; } h2 { border-bottom: 1px solid #c7d0d4; padding-bottom: .2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { border: 1px solid #c7d0d4; padding: .25rem .6rem; text-align: left; overflow-wrap: anywhere; }
th { background: #eef3f4; } code { background: #eef3f4; padding: .1rem .3rem; } svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
  body { background: #14191b; color: #dde5e8; } th, code { background: #222b2e; } th, td, h2 { border-color: #3a474c; }
}
"""


def clean(text: str) -> str:
    """A text without control characters: names come from data."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text.replace("\n", " "))


def in_markdown(text: str) -> str:
    """A text whose characters mean nothing in Markdown."""
    if re.fullmatch(r"https?://[\w./%#?&=~+-]+", text):
        return text
    # an underscore inside a word is just that
    return re.sub(r"[\\`*{}\[\]<>#|~]|(?<![^\W_])_|_(?![^\W_])", lambda found: f"\\{found[0]}", clean(text))


def as_code(text: str) -> str:
    """A text as code in Markdown, fenced by more backticks than it has."""
    text = clean(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The document as Markdown."""
    lines = [f"# Model card: {in_markdown(title)}", ""]
    for block in blocks:
        match block:
            case Heading(text, level):
                lines += [f"{'#' * level} {in_markdown(text)}", ""]
            case Paragraph(text):
                lines += [in_markdown(text), ""]
            case Items(items, code):
                lines += [f"- {as_code(item) if code else in_markdown(item)}" for item in items] + [""]
            case Table(head, rows):
                lines += [row_of(head), row_of(["---"] * len(head), False), *map(row_of, rows), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def row_of(cells: Sequence[str], escaped: bool = True) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(in_markdown(cell) if escaped else cell for cell in cells) + " |"


def html(title: str, blocks: Sequence[Block]) -> str:
    """The document as a page of HTML that needs no other file."""
    parts = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"<h{level}>{shown(text)}</h{level}>")
            case Paragraph(text):
                parts.append(f"<p>{shown(text)}</p>")
            case Items(items, code):
                inner = (
                    f"<li><code>{shown(item)}</code></li>" if code else f"<li>{shown(item)}</li>" for item in items
                )
                parts.append(f"<ul>{''.join(inner)}</ul>")
            case Table(head, rows):
                cells = "".join(f"<th>{shown(cell)}</th>" for cell in head)
                body = "\n".join(f"<tr>{''.join(f'<td>{shown(cell)}</td>' for cell in row)}</tr>" for row in rows)
                parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table>")
            case Picture(svg, text):
                parts.append(f'<figure role="img" aria-label="{shown(text)}">{svg}</figure>')
    name = shown(f"Model card: {title}")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n'
        f"<body><h1>{name}</h1>\n{body}\n</body></html>\n"
    )


def shown(text: str) -> str:
    """A text in HTML."""
    return escape(clean(text))
