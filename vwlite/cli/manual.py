"""The manual page vwlite(1), in troff, made from the declared options: `vwlite help --man | man -l -`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from vwlite import __version__
from vwlite.cli.help import SUMMARY, parameter
from vwlite.core.options import OptionGroup


def escaped(text: str) -> str:
    """Escapes text for troff."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("\n.", "\n\\&.").replace("\n'", "\n\\&'")


def manual(groups: Iterable[OptionGroup], subcommands: Mapping[str, click.Command]) -> str:
    """The page: summary, every flag by group, subcommands, examples, exit status."""
    lines = [
        f'.TH VWLITE 1 "" "vwlite {__version__}" "User Commands"',
        ".SH NAME",
        "vwlite \\- online learner that speaks Vowpal Wabbit's command line",
        ".SH SYNOPSIS",
        ".B vwlite",
        "[\\fIFLAGS\\fR] [\\fIDATA\\fR]",
        ".br",
        ".B vwlite",
        escaped(f"{'|'.join(subcommands)} ..."),
        ".SH DESCRIPTION",
        *(f"{escaped(part.strip())}\n.PP" for part in SUMMARY.split("\n\n")),
    ]
    groups = list(groups)
    context = click.Context(click.Command("vwlite"))
    for group in groups:
        lines.append(f'.SH "{escaped(group.title.upper())}"')
        for option in group.options:
            flags, text = parameter(option).get_help_record(context) or ("", "")
            lines += [".TP", f".B {escaped(flags)}", f"\\&{escaped(text)}"]
        lines += [line for example in group.examples for line in (".PP", f"\\&  {escaped(example)}")]
    lines.append(".SH COMMANDS")
    for name, command in subcommands.items():
        lines += [".TP", f".B vwlite {escaped(name)}", f"\\&{escaped(command.get_short_help_str(200))}"]
    lines += [
        ".SH EXIT STATUS",
        "0 after success; 1 after an error, with a message on standard error; 128 plus the number of a signal that",
        "ended the run, so 130 after an interrupt; 141 when the reader of the output has closed the pipe.",
    ]
    return "\n".join(lines) + "\n"
