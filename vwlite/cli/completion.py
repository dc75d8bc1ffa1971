"""Shell completion (bash, zsh, fish) of flags, values, files, subcommands, and the words of `vwlite help`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from vwlite.errors import OptionError

VARIABLE = "_VWLITE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """The script that sets up completion in a shell. Raises OptionError for an unknown shell."""
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise OptionError(f"vwlite help --completion {shell}: the shells are {', '.join(SHELLS)}")
    return found(click.Command("vwlite"), {}, "vwlite", VARIABLE).source()


def complete(command: click.Command, subcommands: Mapping[str, click.Command], pages: Sequence[str]) -> str:
    """Answers a shell's request for completions, which the variable _VWLITE_COMPLETE names ("bash_complete").

    Args:
        command: The command without subcommands.
        subcommands: The subcommands by name.
        pages: The words after `vwlite help`.

    Returns:
        The completions, one a line, in the format of the shell.
    """
    shell, _, instruction = os.environ[VARIABLE].partition("_")
    if instruction == "source":
        return script(shell)
    found = get_completion_class(shell)
    if found is None:
        return ""
    answers: ShellComplete = found(command, {}, "vwlite", VARIABLE)
    args, incomplete = answers.get_completion_args()
    items: list[CompletionItem]
    if args[:1] == ["help"]:
        items = [CompletionItem(word) for word in pages if word.startswith(incomplete)]
    elif args and args[0] in subcommands:
        inner: ShellComplete = found(subcommands[args[0]], {}, f"vwlite {args[0]}", VARIABLE)
        items = inner.get_completions(args[1:], incomplete)
    else:
        items = answers.get_completions(args, incomplete)
        if not args and not incomplete.startswith("-"):
            words = {
                **{name: one.get_short_help_str(60) for name, one in subcommands.items()},
                "help": "Explain a word.",
            }
            items += [CompletionItem(word, help=text) for word, text in words.items() if word.startswith(incomplete)]
    return "\n".join(answers.format_completion(item) for item in items)
