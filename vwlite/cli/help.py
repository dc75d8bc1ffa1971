"""The help of the command line and its shell completion, as a click command made from the declared options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from vwlite.core.options import Option, OptionGroup, ValueType

# Help options of every click command.
HELP_NAMES = ["-h", "--help"]

SENTENCE = 200  # characters of the first sentence about a subcommand, at most

METAVARS: dict[ValueType, str | None] = {bool: None, int: "INT", float: "FLOAT", str: "TEXT"}

SUMMARY = """Learn from examples in Vowpal Wabbit's text format, online, or predict with a model learned before.

DATA is a file of examples, one a line; without it, and without --data, they come from standard input. Words of a flag
may be joined by "_" or "-". A value follows its flag or is attached to it: -b 18, -b18, --passes 3, --passes=3.
"""

# "\b" keeps click from rewrapping a paragraph.
EPILOG = """\b
Examples:

\b
  Learn a classifier, in three passes over the data, and save it:
    vwlite -d train.txt --loss_function logistic --passes 3 -c -f spam.model

\b
  Score new examples without learning from them:
    vwlite -d new.txt -i spam.model -t -p scores.txt

\b
  Learn from a stream, with all pairs of features from namespaces u and a:
    zcat clicks.gz | vwlite -q ua -f clicks.model --quiet
"""


class GroupedCommand(click.Command):
    """A click command whose help lists options by group, then plugins, then subcommands."""

    def __init__(
        self,
        groups: Iterable[OptionGroup],
        subcommands: Mapping[str, click.Command],
        plugins: Mapping[str, str] | None = None,
    ) -> None:
        self.groups = [(group, [parameter(option) for option in group.options]) for group in groups]
        self.subcommands = subcommands
        self.plugins = plugins or {}
        options = [option for _, options in self.groups for option in options]
        super().__init__(
            "vwlite",
            params=[*options, click.Argument(["data_file"], required=False, type=click.Path(), metavar="[DATA]")],
            help=SUMMARY,
            epilog=EPILOG,
            add_help_option=False,
            context_settings={"max_content_width": 100},
        )

    def text(self) -> str:
        """The help text with every option."""
        with click.Context(self, info_name="vwlite", **self.context_settings) as context:
            return self.get_help(context)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes one section for each group."""
        for group, options in self.groups:
            with formatter.section(group.title):
                if group.help:
                    formatter.write_text(group.help)
                records = [option.get_help_record(ctx) for option in options]
                formatter.write_dl([record for record in records if record])
        if self.plugins:
            with formatter.section("Plugins"):
                formatter.write_dl(list(self.plugins.items()))
        if self.subcommands:
            with formatter.section("Commands"):
                formatter.write_dl([(name, one.get_short_help_str(SENTENCE)) for name, one in self.subcommands.items()])


def has_default(option: Option) -> bool:
    """Whether an option has a default that is worth printing."""
    return option.default not in (None, "", False, [], ())


def bounds(option: Option) -> list[str]:
    """The bounds of an option's value in words."""
    limits = (("at least", option.least), ("above", option.above), ("at most", option.most))
    return [f"{words} {limit:.12g}" for words, limit in limits if limit is not None]


def parameter(option: Option) -> click.Option:
    """Converts an option to click's, with default and bounds in the help text."""
    value_type: click.ParamType[Any] | None = None
    if option.choices:
        value_type = click.Choice(option.choices)
    elif option.metavar == "FILE":
        value_type = click.Path()
    extras = []
    if has_default(option):
        extras.append(f"default {option.default}")
    extras += bounds(option)
    if option.many:
        extras.append("may be repeated")
    return click.Option(
        [*([f"-{option.short}"] if option.short else []), f"--{option.name}", option.name],
        type=value_type,
        is_flag=option.type is bool,
        multiple=option.many,
        metavar=option.metavar or (None if option.choices else METAVARS[option.type]),
        help=option.help + (f" [{', '.join(extras)}]" if extras else ""),
    )
