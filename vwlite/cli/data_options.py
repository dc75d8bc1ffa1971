"""Options of runs that the subcommands about data share: the declarations are those of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from vwlite.core.options import Option, Options, read
from vwlite.errors import OptionError

Decorated = Callable[..., Any]


def run_options(names: Iterable[str]) -> list[Option]:
    """The declarations of options of a run, by name."""
    from vwlite.engine.flags import RUN_OPTIONS
    from vwlite.engine.selection import OPTIONS as SELECTION
    from vwlite.input.formats import OPTIONS as FORMAT
    from vwlite.parsers.text import OPTIONS as TEXT
    from vwlite.report.outputs import OPTIONS as OUTPUT

    groups = (FORMAT, SELECTION, TEXT, RUN_OPTIONS, OUTPUT)
    declared = {option.name: option for group in groups for option in group.options}
    return [declared[name] for name in names]


def with_run_options(*names: str) -> Callable[[Decorated], Decorated]:
    """Decorator that adds options of a run to a click command; their values arrive by keyword, as text."""
    from vwlite.cli.help import parameter

    def decorate(function: Decorated) -> Decorated:
        for option in reversed(run_options(names)):
            made = parameter(option)
            words = [f"--{option.name.replace('_', '-')}"] if "_" in option.name else []
            function = click.option(
                *([f"-{option.short}"] if option.short else []),
                f"--{option.name}",
                *words,
                option.name,
                type=made.type,
                is_flag=made.is_flag,
                multiple=made.multiple,
                metavar=made.metavar,
                help=made.help,
            )(function)
        return function

    return decorate


def options_of(sources: Sequence[str], given: dict[str, Any]) -> Options:  # noqa: DOC502
    """The options of a run that reads the sources, with the values given to a subcommand.

    Args:
        sources: The files; "-" is standard input, which is read if there are none.
        given: The values by the names of options; None, False and () are not given.

    Returns:
        The options.

    Raises:
        OptionError: If values are not valid; it lists all of them.
    """
    from vwlite.engine.flags import builtin_groups

    options = Options(builtin_groups())
    options.set("data", list(sources) or ["-"])
    errors: list[str] = []
    for name, value in given.items():
        option = options.declared[name]
        try:
            if isinstance(value, tuple) and value:
                options.set(name, [read(option, one) for one in value])
            elif isinstance(value, str):
                options.set(name, read(option, value))
            elif value is True:
                options.set(name, True)
        except OptionError as error:
            errors += error.errors
    if errors:
        raise OptionError(errors)
    if options["columns_in"]:
        from vwlite.input.column_map import expand

        options.set("columns_in", expand(options["columns_in"]))
    return options
