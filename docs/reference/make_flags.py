"""Writes docs/reference/flags.md from what the options declare; `make docs` runs it, a test compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from vwlite.cli.help import has_default
from vwlite.cli.topics import Pages, accepted, first_line, flag_of, mentions, slug, stored
from vwlite.core.options import Option, OptionGroup
from vwlite.engine import registry
from vwlite.engine.command_line import option_groups
from vwlite.engine.flags import GENERAL

HEAD = """# Flags

Every flag of `vwlite`, by topic and by learner: its values, its default, what a model stores of it, and what it needs.

<!-- nothing runs here: tests/cli/test_help.py runs every example -->
<!-- written by docs/reference/make_flags.py: change the option's declaration instead -->

A word of a flag may be joined by `_` or `-`. A value follows its flag or is attached to it: `-b 18`, `-b18`,
`--passes 3`, `--passes=3`. `vwlite help FLAG` prints the same in a terminal, and `vwlite help LEARNER` the learner's
equations. The files that the examples name are described in [Text format](text-format.md).
"""


def cell(text: str) -> str:
    """Text that may stand in Markdown."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def of_option(option: Option, group: OptionGroup, pages: Pages) -> Iterator[str]:
    """A flag: heading, what it does, facts."""
    yield f"### `--{option.name}` {{ #{option.name} }}"
    yield ""
    yield f"`{flag_of(option, long=True)}`: {cell(option.help)}."
    yield ""
    yield f"- accepts: {cell(accepted(option))}"
    if has_default(option):
        yield f"- default: `{option.default}`"
    yield f"- in a model: {stored(option)}"
    if ways := pages.ways(option, group):
        yield f"- has an effect with: {cell(ways)}"
    example = next(one for one in group.examples if mentions(one, option))
    yield f"- example: `{example}`"
    yield ""


def page() -> str:
    """The whole page."""
    groups = [*option_groups(), GENERAL]
    pages = Pages(groups, {})
    lines = [HEAD]
    for group in groups:
        name = slug(group)
        title = first_line(registry.module(name).__doc__).rstrip(".") if name in registry.names() else ""
        lines += [f"## {name if title else group.title}{f': {title}' if title else ''}", ""]
        for option in group.options:
            lines += of_option(option, group, pages)
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("flags.md")).write_text(page())
