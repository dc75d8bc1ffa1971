"""Names of features: models store hashes, so names are read from examples, for those who look at weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product
from typing import Any

from vwlite.engine.coefficients import hashes

MOST_NAMES = 2000  # that are stored
MOST_CROSSED = 20_000  # names of crossed features, which are made of them
FIRST_NAMED = 1000  # examples whose features are all named; of later ones, one in NAMED_EACH
NAMED_EACH = 64
PRIME = 16777619  # of the hash of a crossed feature: see vwlite/features/interactions.pyx
MASK = 0xFFFFFFFF


class FeatureNames:
    """Names of features, as far as they are known.

    Attributes:
        stored: `name`, or `namespace^name`.
        due: The number of examples at which the next names are read.
    """

    def __init__(self) -> None:
        self.stored: dict[str, None] = {}
        self.due = 0
        self.found: tuple[tuple[int, int], dict[int, str]] = ((0, 0), {})  # by_hash() and what it was made of

    def restore(self, names: Iterable[Any]) -> None:
        """Takes over what was stored."""
        self.stored = dict.fromkeys(str(each) for each in islice(names, 2 * MOST_NAMES))

    def read(self, lines: Sequence[bytes], examples: int) -> None:
        """Stores the names in some examples in VW's text.

        Args:
            lines: Complete examples, which the model has learned.
            examples: How many it has learned so far.
        """
        if len(self.stored) >= MOST_NAMES or examples < self.due:
            return
        if examples >= FIRST_NAMED:
            lines, self.due = lines[:1], examples + NAMED_EACH
        for example in lines[:FIRST_NAMED]:
            for line in example.split(b"\n"):
                for namespace in line.split(b"|")[1:]:
                    space, *words = namespace.split() if namespace[:1].strip() else [b"", *namespace.split()]
                    before = space.partition(b":")[0] + b"^" if space else b""
                    for word in words:
                        name = before + word.partition(b":")[0]
                        self.stored[name.decode("utf-8", "surrogateescape")] = None
                        if len(self.stored) >= 2 * MOST_NAMES:
                            return

    def by_hash(self, workspace: Any) -> dict[int, str]:
        """The names by the hashes of features, with those of crossed features."""
        terms = workspace.interactions.terms
        made_of = len(self.stored), len(terms)
        if self.found[0] != made_of:
            single = hashes(workspace.options, self.stored)
            self.found = made_of, crossed(single, terms) | single
        return self.found[1]


def crossed(single: Mapping[int, str], terms: Iterable[bytes]) -> dict[int, str]:
    """The names of crossed features by hash; of a term with too many, none.

    Args:
        single: The names of features by hash.
        terms: Of each interaction the first letters of its namespaces, b" " for the default one.

    Returns:
        The names: those of the parts with `*` between them.
    """
    spaces: dict[int, list[tuple[int, str]]] = {}
    for number, name in single.items():
        space = name.rpartition("^")[0].encode("utf-8", "surrogateescape") or b" "
        spaces.setdefault(space[0], []).append((number, name))
    found: dict[int, str] = {}
    for term in terms:
        parts = [spaces.get(letter, []) for letter in term]
        if len(found) + math.prod(map(len, parts)) > MOST_CROSSED:
            continue
        for features in product(*parts):
            number = features[0][0]
            for other, _ in features[1:]:
                number = (number * PRIME & MASK) ^ other
            found[number] = "*".join(name for _, name in features)
    return found
