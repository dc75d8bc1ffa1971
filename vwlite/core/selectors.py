"""Selectors: what the languages of --columns_in and --transform share - rules between blanks, regular expressions."""

from __future__ import annotations

import re
import shlex

from vwlite.errors import OptionError


def split_rules(text: str, what: str) -> list[str]:
    r"""The rules of a text, which blanks outside quotes separate; backslashes stay, as regular expressions have them.

    `what` is the option in messages. Raises OptionError for a quote without its end.

    >>> split_rules(r"'unit price':number /^x\d/:ignore", "--columns_in")
    ['unit price:number', '/^x\\d/:ignore']
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise OptionError(f"{what} {text}: {str(error).lower()}") from error


def expression_of(selector: str, what: str) -> re.Pattern[str] | None:
    """The regular expression between two slashes; None for a name. Raises OptionError if it is none.

    >>> expression_of("/^clk_/", "--transform").pattern, expression_of("price", "--transform")
    ('^clk_', None)
    """
    if not (len(selector) > 1 and selector[0] == selector[-1] == "/"):
        return None
    try:
        return re.compile(selector[1:-1])
    except re.error as error:
        raise OptionError(f"{what}: not a regular expression: {error}") from error
