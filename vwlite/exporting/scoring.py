"""Scores of a linear model with random effects, in plain Python: the source of what `vwlite export --to python` writes.

This module imports nothing of vwlite. The exporter writes the MODEL of a model in place of the empty one here, and the
lines after it as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement, product
from math import exp
from typing import Any

MODEL: dict[str, Any] = {}
# ---- what follows is the same for all models ----

_CONSTANT = 11650396  # the hash of the constant
_MOST = 1 << 16  # texts of which the weight is remembered, of each namespace
_BLANK = "\t\n\x0b\x0c\r "
_CLEAN = dict.fromkeys((*range(33), 58, 124, 127), "_")  # no name of VW's text has these characters


def _murmur3_32(data: bytes, seed: int) -> int:
    """murmur3_x86_32 (Austin Appleby, public domain)."""
    h, n = seed, len(data)
    for i in range(0, n & ~3, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        k = (k << 15 | k >> 17) * 0x1B873593 & 0xFFFFFFFF
        h ^= k
        h = (h << 13 | h >> 19) & 0xFFFFFFFF
        h = h * 5 + 0xE6546B64 & 0xFFFFFFFF
    if n & 3:
        k = int.from_bytes(data[n & ~3 :], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        h ^= (k << 15 | k >> 17) * 0x1B873593 & 0xFFFFFFFF
    h ^= n
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def clean(name: str) -> str:
    """A name as VW's text can have it."""
    return name if name.isalnum() else name.translate(_CLEAN)


class Scorer:
    """Scores examples by a model.

    Args:
        model: What the exporter has written.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.weights: dict[int, float] = model["weights"]
        self.mask: int = model["mask"]
        self.seed: int = model["hash_seed"]
        self.all_names: bool = model["hash"] == "all"
        self.constant: bool = model["constant"]
        self.bias: float = self.weight(_CONSTANT) if self.constant else 0.0
        self.effects: list[dict[str, Any]] = model["effects"]
        self.entities = {effect["namespace"] for effect in self.effects}
        self.patterns: list[bytes] = [bytes(pattern) for pattern in model["patterns"]]
        self.wild = any(58 in pattern for pattern in self.patterns)
        self.rules: list[list[str]] = model["columns"]
        self.roles: dict[tuple[str, str], list[str] | None] = {}
        self.plain = not (self.effects or self.patterns or model["dropped"] or model["ignored_linear"])
        # of each namespace by its name: its hash, and the weights of its features by their text
        self.spaces: dict[str, tuple[int, dict[str, float]]] = {}
        self.hashes: dict[tuple[int, str], int] = {}
        self.first: dict[str, int] = {}
        self.keeps = any(effect["of"] == "*" for effect in self.effects)  # the crossed features of an example
        self.words_of: dict[str, dict[str, tuple[int, float]]] = {}
        self.terms: dict[bytes, list[bytes]] = {}

    def weight(self, hash_: int) -> float:
        """The weight of a hash."""
        return self.weights.get(hash_ & self.mask, 0.0)

    def hash(self, name: str, seed: int) -> int:
        """The hash of a name: digits are numbers, unless all names are hashed."""
        key = seed, name
        found = self.hashes.get(key)
        if found is None:
            raw = name.encode("utf-8", "surrogateescape")
            if self.all_names:
                found = _murmur3_32(raw, seed)
            else:
                raw = raw.strip(bytes(range(33)))
                found = (int(raw or b"0") + seed) & 0xFFFFFFFF if not raw or raw.isdigit() else _murmur3_32(raw, seed)
            if len(self.hashes) > _MOST:
                self.hashes.clear()
            self.hashes[key] = found
        return found

    def space(self, name: str) -> tuple[int, dict[str, float]]:
        """The hash of a namespace, and the weights of its features by their text."""
        found = self.spaces.get(name)
        if found is None:
            anonymous = 0 if self.seed == 0 else _murmur3_32(b"", self.seed)
            found = self.spaces[name] = (self.hash(name, self.seed) if name else anonymous, {})
        return found

    def score(self, x: str | Mapping[str, Any]) -> float:
        """The score of an example: the sum of its terms, before the range of predictions and the link."""
        if self.plain and isinstance(x, str):
            return self.plain_score(x)
        spaces: list[tuple[str, list[tuple[int, float]]]] = []
        entities: dict[str, str] = {}
        initial = self.read_line(x, spaces, entities) if isinstance(x, str) else self.read(x, spaces, entities)
        return initial * self.model["initial_scale"] + self.total(spaces, entities)

    def predict(self, x: str | Mapping[str, Any]) -> float:
        """The prediction: the score in the range of predictions, through the link."""
        p = self.score(x)
        low, high = self.model["range"]
        p = low if p < low else high if p > high else p
        link = self.model["link"]
        if link == "logistic":
            return 1 / (1 + exp(-p)) if p > -700 else 0.0
        if link == "glf1":
            return 2 / (1 + exp(-p)) - 1 if p > -700 else -1.0
        if link == "poisson":
            return exp(min(p, 700))
        if link == "sign":
            return 1.0 if p > 0 else -1.0
        return p

    # VW's text

    def plain_score(self, line: str) -> float:
        """The score of a line, of a model without interactions, effects and choice of namespaces."""
        head, *spaces = line.split("|")
        total = self.bias
        if len(head) > 1 and head.count(" ") > 1:
            total += self.initial(head) * self.model["initial_scale"]
        for text in spaces:
            words = text.split()
            if not words:
                continue
            scale, name = 1.0, ""
            if text[0] not in _BLANK:
                name, scale = self.name_of(words[0])
                del words[0]
            seed, known = self.space(name)
            part = 0.0
            for word in words:
                term = known.get(word)
                if term is None:
                    left, sign, right = word.partition(":")
                    weight = known.get(left) if sign and left else None
                    if weight is not None:
                        try:
                            part += weight * float(right)
                            continue
                        except ValueError:
                            pass
                    term = self.remember(word, seed, known)
                part += term
            total += part * scale
        return total

    def remember(self, word: str, seed: int, known: dict[str, float]) -> float:
        """The term of a feature in VW's text; remembers the weight of its name."""
        name, hash_, value = self.feature(word, seed)
        weight = self.weight(hash_)
        if len(known) > _MOST:
            known.clear()
        known[name] = weight
        return weight * value

    def name_of(self, word: str) -> tuple[str, float]:
        """The name and the scale of a namespace. Raises ValueError for a scale that is no number."""
        name, sign, scale = word.partition(":")
        return name, float(scale) if sign else 1.0

    def feature(self, word: str, seed: int) -> tuple[str, int, float]:
        """The name, hash and value of a feature in VW's text. Raises ValueError for one without a name or value."""
        name, sign, text = word.partition(":")
        if not name or (sign and not text):
            raise ValueError(f"{word!r} is no feature: expected name, name:value or name:text")
        hash_ = self.hash(name, seed)
        if not sign:
            return word, hash_, 1.0
        if text[-1] in "0123456789." and "_" not in text:
            try:
                return name, hash_, float(text)
            except ValueError:
                pass
        return word, self.hash(text, hash_), 1.0

    def initial(self, head: str) -> float:
        """The initial prediction in front of the bar: label, weight, initial prediction, tag."""
        words = head.split()
        if head[-1] not in _BLANK or (words and words[-1][0] == "'"):
            words = words[:-1]
        return float(words[2]) if len(words) > 2 else 0.0

    def read_line(
        self, line: str, spaces: list[tuple[str, list[tuple[int, float]]]], entities: dict[str, str]
    ) -> float:
        """Reads a line into namespaces, with hashes and values, and entities by namespace; returns the initial one."""
        head, *texts = line.split("|")
        for text in texts:
            words = text.split()
            if not words:
                continue
            scale, name = 1.0, ""
            if text[0] not in _BLANK:
                name, scale = self.name_of(words[0])
                del words[0]
            if name in self.entities and words:
                entities.setdefault(name, words[0].partition(":")[0])
            seed, _ = self.space(name)
            known = self.words_of.setdefault(name, {})
            found = []
            for word in words:
                one = known.get(word)
                if one is None:
                    left, _, right = word.partition(":")
                    if left in known and right[-1:].isdigit() and "_" not in right:
                        try:  # noqa: SIM105  suppress() is slower
                            one = known[left][0], float(right)
                        except ValueError:
                            pass
                if one is None:
                    left, hash_, value = self.feature(word, seed)
                    if len(known) > _MOST:
                        known.clear()
                    one = hash_, value
                    known[left] = one if ":" in left else (hash_, 1.0)
                if one[1]:
                    found.append(one if scale == 1 else (one[0], one[1] * scale))
            spaces.append((name, found))
        return self.initial(head) if len(head) > 1 and head.count(" ") > 1 else 0.0

    # dicts

    def read(
        self,
        x: Mapping[str, Any],
        spaces: list[tuple[str, list[tuple[int, float]]]],
        entities: dict[str, str],
        outer: str = "",
    ) -> float:
        """Reads a dict: a number is name:value, a text name=text, True is name; a dict inside is a namespace."""
        initial = 0.0
        for key, value in x.items():
            if key[:1] == "_" and key in ("_label", "_weight", "_initial", "_tag"):
                initial = float(value) if key == "_initial" and value is not None else initial
            elif value is None or value is False:
                continue
            elif isinstance(value, Mapping):
                self.read(value, spaces, entities, clean(key))
            elif isinstance(value, (list, tuple, set, frozenset)):
                key = clean(key)
                seed, _ = self.space(key)
                found = [
                    (self.hash(clean(one) if isinstance(one, str) else str(place), seed), self.number(one))
                    for place, one in enumerate(value)
                    if one is not None
                ]
                spaces.append((key, [one for one in found if one[1]]))
            else:
                initial += self.read_value(key, value, spaces, entities, outer)
        return initial

    def read_value(
        self,
        key: str,
        value: Any,
        spaces: list[tuple[str, list[tuple[int, float]]]],
        entities: dict[str, str],
        outer: str,
    ) -> float:
        """Reads a value of a dict; returns what it adds to the initial prediction."""
        space, role = outer, "auto"
        if self.rules:
            rule = self.rule_of(key, outer)
            if rule is None or rule[1] in ("ignore", "label", "weight", "tag"):
                return 0.0
            if rule[1] == "initial":
                return float(value)
            role, space = rule[1], rule[2] or outer
        if role == "entity" or (key in self.entities and not outer):
            name = clean(self.words(value))
            entities.setdefault(key, name)
            spaces.append((key, [(self.hash(name, self.space(key)[0]), 1.0)]))
            return 0.0
        seed, _ = self.space(space)
        if role == "number" and isinstance(value, str):
            value = float(value)
        if role == "category" and not isinstance(value, str):
            value = self.words(value)
        name, number = (f"{key}={value}", 1.0) if isinstance(value, str) else (key, float(value))
        if number:
            if not spaces or spaces[-1][0] != space:
                spaces.append((space, []))
            spaces[-1][1].append((self.hash(clean(name), seed), number))
        return 0.0

    def number(self, value: Any) -> float:
        """The value of a member of a list: 1 of a text."""
        return 1.0 if isinstance(value, str) else float(value)

    def words(self, value: Any) -> str:
        """A value as text: whole numbers without a point."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 9e15 else f"{number:.17g}"

    def rule_of(self, key: str, outer: str) -> list[str] | None:
        """The rule of the column map for a key."""
        if (key, outer) not in self.roles:
            path = f"{outer}.{key}" if outer else key
            self.roles[key, outer] = next(
                (rule for rule in self.rules if (re.search(rule[0], path) if rule[3] else rule[0] == path)), None
            )
        return self.roles[key, outer]

    # the sum

    def total(self, spaces: list[tuple[str, list[tuple[int, float]]]], entities: dict[str, str]) -> float:
        """The sum of all terms."""
        model, mask, weight = self.model, self.mask, self.weights.get
        if model["dropped"]:
            spaces = [one for one in spaces if self.letter(one[0]) not in model["dropped"]]
        hidden, total = model["ignored_linear"], self.bias
        for name, features in spaces:
            if name not in self.entities and not (hidden and self.letter(name) in hidden):
                for hash_, value in features:
                    total += weight(hash_ & mask, 0.0) * value
        if self.patterns:
            total += self.crossed(spaces, [])
        for effect in self.effects:
            if effect["namespace"] in entities:
                total += self.effect(effect, entities[effect["namespace"]], spaces)
        return total

    def letter(self, name: str) -> int:
        """The first byte of a namespace's name, by which options name it."""
        found = self.first.get(name)
        if found is None:
            found = self.first[name] = name.encode("utf-8", "surrogateescape")[0] if name else 32
        return found

    def effect(self, effect: dict[str, Any], entity: str, spaces: list[tuple[str, list[tuple[int, float]]]]) -> float:
        """The part of the score by a random effect."""
        own: dict[int, float] = effect["entities"].get(entity, {})
        prior: dict[int, float] = effect["prior"]
        of, hidden, every = effect["of"], self.model["ignored_linear"], effect["of"] == "*"
        used = [(_CONSTANT, 1.0)] if self.constant or not every else []
        for name, features in spaces:
            if name not in self.entities and not (hidden and self.letter(name) in hidden) if every else name in of:
                used += features
        if every and self.patterns:
            self.crossed(spaces, used)
        return sum((own[hash_] if hash_ in own else prior.get(hash_, 0.0)) * value for hash_, value in used)

    def crossed(self, spaces: list[tuple[str, list[tuple[int, float]]]], products: list[tuple[int, float]]) -> float:
        """The sum of the terms of crossed features, which are added to the products.

        Hashes are combined by FNV-1's prime, as in Vowpal Wabbit.
        """
        letters: dict[int, list[tuple[int, float]]] = {}
        for name, features in spaces:
            letter = self.letter(name)
            letters[letter] = letters[letter] + features if letter in letters else features
        weight, mask, total, keeps = self.weights.get, self.mask, 0.0, self.keeps
        for term in self.terms_of(bytes(sorted(letters))) if self.wild else self.patterns:
            if len(term) == 2 and term[0] != term[1] and not keeps:
                others = letters.get(term[1], ())
                for hash_, value in letters.get(term[0], ()):
                    hash_ *= 16777619
                    for other, by in others:
                        total += weight((hash_ ^ other) & mask, 0.0) * value * by
                continue
            if not letters.keys() >= set(term):
                continue
            for hash_, value in self.cross(letters, term, 0, 0, 0, 1.0):
                total += weight(hash_ & mask, 0.0) * value
                if keeps:
                    products.append((hash_, value))
        return total

    def cross(
        self, letters: dict[int, list[tuple[int, float]]], term: bytes, depth: int, first: int, hash_: int, value: float
    ) -> Iterator[tuple[int, float]]:
        """The products of the namespaces of a term from `depth` on."""
        own = letters[term[depth]]
        again = depth > 0 and term[depth] == term[depth - 1] and not self.model["permutations"]
        for i in range(first if again else 0, len(own)):
            one, by = own[i]
            both = one if depth == 0 else (hash_ * 16777619 & 0xFFFFFFFF) ^ one
            if depth == len(term) - 1:
                yield both, value * by
            else:
                yield from self.cross(letters, term, depth + 1, i, both, value * by)

    def terms_of(self, present: bytes) -> list[bytes]:
        """The terms of patterns with wildcards, for an example with these namespaces."""
        if present in self.terms:
            return self.terms[present]
        terms: list[bytes] = []
        duplicates = self.model["leave_duplicates"]
        letters = [letter for letter in present if 32 <= letter < 127]
        for pattern in self.patterns:
            holes = pattern.count(58)
            if duplicates:
                fillings = list(product(letters, repeat=holes))
            elif holes < 3:
                fillings = list(combinations_with_replacement(letters, holes))
            else:
                fillings = list(combinations_with_replacement(letters[::-1], holes))
            for filling in fillings:
                left = iter(filling)
                terms.append(bytes(next(left) if c == 58 else c for c in pattern))
        if not duplicates and len(self.patterns) > 1:
            unique: dict[bytes, bytes] = {}
            for term in terms:
                unique.setdefault(bytes(sorted(term)), term)
            terms = list(unique.values())
        terms = [term if len(set(term)) == len(term) else bytes(sorted(term)) for term in terms]
        if len(self.terms) > 1000:
            self.terms.clear()
        self.terms[present] = terms
        return terms


if MODEL:
    _SCORER = Scorer(MODEL)
    score, predict = _SCORER.score, _SCORER.predict
