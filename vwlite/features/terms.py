"""Interactions: patterns of options, and their terms, each with a namespace letter for each of its features."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement, product
from math import comb

from vwlite.core.options import Options
from vwlite.errors import OptionError

WILDCARD = 58  # ':'


def decode_names(text: str) -> bytes:
    r"""Namespace letters as bytes; \xHH stands for any byte."""
    raw = os.fsencode(text)
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), raw)


def given_patterns(options: Options) -> tuple[list[bytes], int]:
    """The patterns of -q, --cubic and --interactions, shorter ones first, then by letters.

    Of patterns that differ only in order, only the first is included, unless --leave_duplicate_interactions is given;
    the second result is the number of those dropped. Raises OptionError for one of the wrong length.
    """
    given = [decode_names(text) for name in ("quadratic", "cubic", "interactions") for text in checked(options, name)]
    given.sort(key=lambda pattern: (len(pattern), pattern))
    kept = given if options["leave_duplicate_interactions"] else unordered_unique(given)
    return [repeats_together(pattern) for pattern in kept], len(given) - len(kept)


def read_limit(rule: str) -> tuple[bytes, int]:
    """Parse --feature_limit XN or X:N into namespace letter and number; no letter for N. Raises OptionError."""
    match = re.fullmatch(rb"(.??):?(\d{1,9})", decode_names(rule), re.DOTALL)
    if not match or not int(match[2]):
        raise OptionError(f"--feature_limit {rule}: expected N or a namespace's letter and N, for instance a10")
    return match[1], int(match[2])


def terms_of(patterns: Iterable[bytes], present: Sequence[int], keep_duplicates: bool) -> list[bytes]:
    """The terms in VW's order of evaluation; wildcards stand for the namespaces `present`, which ascend.

    The order of letters within a term is part of its hash, so the fillings of wildcards come in VW's orders too:
    one or two wildcards ascending, three or more descending.
    """
    terms: list[bytes] = []
    patterns = list(patterns)
    for pattern in patterns:
        holes = pattern.count(WILDCARD)
        fillings: Iterable[tuple[int, ...]]
        if keep_duplicates:
            fillings = product(present, repeat=holes)
        elif holes < 3:
            fillings = combinations_with_replacement(present, holes)
        else:
            fillings = [*combinations_with_replacement(present[::-1], holes)][::-1]
        if holes == len(pattern):
            terms += map(bytes, fillings)
            continue
        for filling in fillings:
            letters = iter(filling)
            terms.append(bytes(next(letters) if c == WILDCARD else c for c in pattern))
    if not keep_duplicates and len(patterns) > 1:  # one pattern never gives the same letters twice
        terms = unordered_unique(terms)
    terms = [term if len(set(term)) == len(term) else bytes(sorted(term)) for term in terms]
    pairs = sorted(term for term in terms if len(term) == 2)
    return pairs + [term for term in terms if len(term) > 2] if pairs else terms


def most_terms(patterns: Iterable[bytes], present: int, keep_duplicates: bool) -> list[int]:
    """Number of terms of each pattern, if wildcards stand for `present` namespaces."""
    holes = [pattern.count(WILDCARD) for pattern in patterns]
    return [present**n if keep_duplicates else comb(present + n - 1, n) if n else 1 for n in holes]


def unordered_unique(terms: Iterable[bytes]) -> list[bytes]:
    """The first term of each set of letters."""
    unique: dict[bytes, bytes] = {}
    for term in terms:
        unique.setdefault(bytes(sorted(term)), term)
    return list(unique.values())


def repeats_together(term: bytes) -> bytes:
    """Sort the letters of a term that names a namespace twice, as in VW."""
    return bytes(sorted(term)) if len(set(term)) < len(term) else term


def checked(options: Options, name: str) -> list[str]:
    """The interactions of one option, after a check of their length."""
    length = {"quadratic": 2, "cubic": 3}.get(name)
    given: list[str] = options[name]
    for text in given:
        n = len(decode_names(text))
        if length and n != length:
            raise OptionError(f"--{name} {text}: expected {length} letters, one for each namespace")
        if n < 2 or n > 255:
            raise OptionError(f"--{name} {text}: expected at least 2 letters, one for each namespace")
    return given
