"""Subcommands whose words are those of a run, with options of their own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from vwlite.cli.help import HELP_NAMES, parameter
from vwlite.core.options import Option, default, read
from vwlite.errors import OptionError


class RunCommand(click.Command):
    """A click command whose words are split by `split_words`, as click can't know the flags of plugins.

    Args:
        name: Its name.
        own: Its own options.
        **others: Arguments for click.
    """

    def __init__(self, name: str, own: Sequence[Option], **others: Any) -> None:
        data = click.Argument(["data"], required=False, metavar="[DATA]")
        flags = click.Argument(["flags"], nargs=-1, metavar="[FLAGS OF A RUN]")
        super().__init__(name, params=[data, flags, *map(parameter, own)], **others)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Passes all words on; prints the help if it is asked for."""
        if any(word in HELP_NAMES for word in args):
            click.echo(self.get_help(ctx), color=ctx.color)
            ctx.exit()
        ctx.params["words"] = list(args)
        return []

    def invoke(self, ctx: click.Context) -> Any:
        """Runs it; SIGTERM ends it as an error does, so that nothing is left behind."""
        with suppress(ValueError):  # not in the main thread: the embedding program keeps its handlers
            signal.signal(signal.SIGTERM, end_by)
        return super().invoke(ctx)

    def make_parser(self, ctx: click.Context) -> Any:
        """A parser that finds no option: those given twice are refused by `split_words`."""
        return NoParser()


def end_by(number: int, frame: object) -> None:
    """Handler of a signal: raises SystemExit with the status that a shell reports for it."""
    raise SystemExit(128 + number)


class NoParser:
    """A parser that finds no option."""

    def parse_args(self, args: list[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
        """Finds no option."""
        return {}, args, []


def split_words(words: Sequence[str], own: Sequence[Option]) -> tuple[dict[str, Any], list[str]]:
    """Splits the words of a subcommand.

    Args:
        words: The words.
        own: The options of the subcommand; they hide those of a run with the same name or letter.

    Returns:
        The values of the own options by name, and the other words.

    Raises:
        OptionError: If a value is missing, wrong or given twice; all errors.

    >>> split_words(["data.vw", "-k5", "-b", "20"], [Option("k", int, "folds", short="k")])
    ({'k': 5}, ['data.vw', '-b', '20'])
    """
    names = {option.name: option for option in own}
    letters = {option.short: option for option in own if option.short}
    values: dict[str, Any] = {}
    others: list[str] = []
    errors: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            others += ["--", *left]
            break
        flag, equals, text = word.partition("=")
        option = names.get(flag[2:].replace("-", "_")) if word.startswith("--") else None
        value: str | None = text if equals else None
        if option is None and word[:1] == "-" and word[1:2] in letters and not word.startswith("--"):
            option, value = letters[word[1]], word[2:] or None
        if option is None:
            others.append(word)
            continue
        if option.type is not bool and value is None and left and not left[0].startswith("--"):
            value = left.pop(0)
        try:
            if option.type is bool:
                if value is not None:
                    raise OptionError(f"--{option.name} takes no value, but was given {value!r}")
                found: Any = True
            elif value is None:
                raise OptionError(f"--{option.name} needs a value")
            else:
                found = read(option, value)
        except OptionError as error:
            errors += error.errors
            continue
        if option.many:
            values.setdefault(option.name, []).append(found)
        elif option.name in values and option.type is not bool:
            errors.append(f"--{option.name} was given twice")
        else:
            values[option.name] = found
    if errors:
        raise OptionError(errors)
    return {option.name: values.get(option.name, default(option)) for option in own}, others
