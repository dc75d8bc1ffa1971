"""The command `vwlite`. Imports of this module slow down every start, so other modules are imported when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from typing import Any, NoReturn

from vwlite.errors import OptionError, VwliteError

# Each module holds a click command named `command`.
SUBCOMMANDS = {
    "card": "vwlite.cli.card",
    "client": "vwlite.cli.client",
    "compare": "vwlite.cli.compare",
    "convert": "vwlite.cli.convert",
    "curve": "vwlite.cli.curve",
    "cv": "vwlite.cli.cv",
    "describe": "vwlite.cli.describe",
    "diff": "vwlite.cli.diff",
    "entities": "vwlite.cli.entities",
    "eval": "vwlite.cli.eval",
    "explain": "vwlite.cli.explain",
    "export": "vwlite.cli.export",
    "inspect": "vwlite.cli.inspect",
    "merge": "vwlite.cli.merge",
    "plot": "vwlite.cli.plot",
    "policies": "vwlite.cli.policies",
    "recommend": "vwlite.cli.recommend",
    "replay": "vwlite.cli.replay",
    "residual": "vwlite.cli.residual",
    "serve": "vwlite.cli.serve",
    "simulate": "vwlite.cli.simulate",
    "split": "vwlite.cli.split",
    "strip": "vwlite.cli.strip",
    "sweep": "vwlite.cli.sweep",
    "tag": "vwlite.cli.tag",
    "train-tables": "vwlite.cli.train_tables",
    "tune": "vwlite.cli.tune",
}

MAY_BE_EMPTY = ("send", "flags")  # parameters of subcommands that accept an empty string

# The exit statuses that a shell reports for SIGINT and SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `vwlite` with the arguments of a command line and returns its exit status."""
    # The threads of a BLAS would compete with the parsing thread, and change the order of sums.
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()  # raises BrokenPipeError here, where it is handled
        return status
    except VwliteError as error:
        message = str(error)
    except BrokenPipeError:
        # Python flushes standard output again at exit, which must not fail.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
    except MemoryError as error:
        message = f"out of memory: {error}" if str(error) else "out of memory"
    if "--log=json" in words or ("--log", "json") in pairwise(words):
        from vwlite.daemon.log import Log

        Log(as_json=True).failure(VwliteError(message))
        return 1
    from vwlite.report.terminal import coloured

    for line in message.split("\n"):
        print(f"vwlite: {coloured('error:', 'error', sys.stderr)} {line}", file=sys.stderr)
    return 1


def command() -> NoReturn:
    """Runs `vwlite` and ends the process with its exit status, without taking apart what the system takes back anyway.

    All files are closed or flushed by then. Only processes that were started have to be waited for.
    """
    status = main()
    if "multiprocessing" in sys.modules:
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or None without one
            stream.flush()
    os._exit(status)


def dispatch(words: list[str]) -> int:
    """Runs the subcommand named by the first word, or else a run or daemon; returns the status, raises errors."""
    if "_VWLITE_COMPLETE" in os.environ or (words[:1] == ["help"] and not os.path.exists("help")):
        return show_help(words[1:])
    if words and words[0] in SUBCOMMANDS:
        import click

        from vwlite.cli.help import HELP_NAMES

        command: click.Command = import_module(SUBCOMMANDS[words[0]]).command
        try:
            # Not command.main(), which would set other exit statuses and messages.
            named: dict[str, Any] = {"help_option_names": HELP_NAMES}
            with command.make_context(f"vwlite {words[0]}", words[1:], **named) as context:
                refuse_twice(command.make_parser(context).parse_args(words[1:])[2])
                refuse_empty(context)
                status = command.invoke(context)
                return status if isinstance(status, int) else 0
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.ClickException as error:
            raise OptionError(error.format_message()) from error

    if words and words[0].replace("-", "").isalpha() and words[0][0] != "-" and not os.path.exists(words[0]):
        from difflib import get_close_matches

        if near := get_close_matches(words[0], SUBCOMMANDS, n=1, cutoff=0.75):
            raise OptionError(f"{words[0]}: no such command or file; did you mean vwlite {near[0]}?")

    if "--version" in words:
        from vwlite import __version__

        print(f"vwlite {__version__}")
        return 0

    if not {"--help_all", "--help-all"}.isdisjoint(words):
        return show_help(["--all"])
    if "--help" in words or "-h" in words:
        return show_help([])

    from vwlite.cli import execute
    from vwlite.engine import command_line

    return execute.execute(command_line.parse(words, command_line.option_groups()))


def show_help(words: Sequence[str]) -> int:
    """Prints the help, overview or page, or answers a shell's request for completions."""
    from vwlite.cli.help import GroupedCommand
    from vwlite.cli.topics import Pages, show
    from vwlite.engine import command_line, plugins
    from vwlite.engine.flags import GENERAL

    # plugins named by a word are imported, so that their options are among the groups
    others = plugins.offered(words) if words else {}
    subcommands = {name: import_module(module).command for name, module in SUBCOMMANDS.items()}
    groups = [*command_line.option_groups(), GENERAL]
    command = GroupedCommand(groups, subcommands, others)
    pages = Pages(groups, subcommands)
    if "_VWLITE_COMPLETE" in os.environ:
        from vwlite.cli.completion import complete

        flags = [f"--{option.name}" for group in groups for option in group.options]
        print(complete(command, subcommands, [*pages.words(), *flags]))
    elif words[:1] == ["--all"]:
        show(command.text())
    elif words[:1] == ["--man"]:
        from vwlite.cli.manual import manual

        print(manual(groups, subcommands), end="")
    elif words[:1] == ["--completion"]:
        from vwlite.cli.completion import script

        print(script(words[1] if len(words) > 1 else ""))
    else:
        show("\n".join(pages.about(word) for word in words) if words else pages.overview())
    return 0


def refuse_twice(given: list[Any]) -> None:
    """Raises OptionError for an option with one value that was given twice; click would use the last."""
    valued = [one for one in given if getattr(one, "opts", [""])[0][:1] == "-" and not (one.multiple or one.is_flag)]
    if twice := [one for at, one in enumerate(valued) if one in valued[:at]]:
        raise OptionError([f"{max(one.opts, key=len)} was given twice" for one in dict.fromkeys(twice)])


def refuse_empty(context: Any) -> None:
    """Raises OptionError for an empty string, as from an unset variable, where a subcommand expects a value."""
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        if value == "" or (isinstance(value, tuple) and "" in value and parameter.name not in MAY_BE_EMPTY):
            name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.name.upper()
            raise OptionError(f"{name} is empty (a variable that is not set?): give it a value, or leave it out")
