"""Translation of River's transformers into rules of --transform.

What comes before a model says for each feature whether it is left out, and which steps its value takes. A pipeline
changes that for all features, Select and SelectType for some, and a union (`+`) has several branches, which are exact
if no feature is in two of them. So the features are divided into parts, and each part has its steps.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from vwlite.http.pickles import Call, Name
from vwlite.http.river_parts import MOST_STEPS, Refused, Translation, kind_of, members, state_of, steps_of

SCALERS = {"StandardScaler": "scale", "MinMaxScaler": "minmax", "MaxAbsScaler": "maxabs"}
NEARLY_SCALED = ("RobustScaler", "AdaptiveStandardScaler", "Normalizer")
NUMBERS, TEXTS = {"int", "float", "numbers.Number", "numbers.Real"}, {"str"}
KNOWN = (*SCALERS, "OneHotEncoder", "FeatureHasher", "Select", "Discard", "SelectType", "TransformerUnion")
INSTEAD = {
    "BagOfWords": "a list of words as the value of a feature would do",
    "TFIDF": "a list of words as the value of a feature, and --transform '*:idf', would do",
    "PolynomialExtender": "-q :: would do",
    "FuncTransformer": "no code is run: call the function before you send an example",
    "Prefixer": "an object inside the features is a namespace",
    "StatImputer": "leave a missing value out",
}
MOST_DEEP = 10  # unions inside each other
MOST_PARTS = 50
CUT = str.maketrans(dict.fromkeys(map(chr, [*range(33), 127, ord(":"), ord("|")]), "_"))  # as names are written


@dataclass(frozen=True)
class Part:
    """Features that have the same steps.

    Args:
        names: Their names; None for all.
        without: Names that are not among them, if they are all others.
        numbers: Whether numbers are among them.
        texts: Whether texts are among them.
        steps: What is done to their values; texts, which have none, stay as they are.
    """

    names: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    numbers: bool = True
    texts: bool = True
    steps: tuple[str, ...] = ()

    def meets(self, other: Part) -> bool:
        """Whether a feature may be in this part and in another one."""
        if not ((self.numbers and other.numbers) or (self.texts and other.texts)):
            return False
        if self.names is None:
            return other.names is None or bool(other.names - self.without)
        return bool(self.names - other.without if other.names is None else self.names & other.names)


def rules_of(steps: list[Any], found: Translation) -> list[str]:  # noqa: DOC502
    """Translates the steps before a model.

    Args:
        steps: The steps.
        found: The translation, in which differences are noted.

    Returns:
        The flags.

    Raises:
        Refused: If a step is not understood.
    """
    parts = [Part()]
    for step in steps:
        parts = apply(step, parts, found, 0)
    if parts == [Part(steps=("scale",))]:
        return ["--scale"]
    return [word for selector, what in selected(parts) for word in ("--transform", quoted(f"{selector}:{what}"))]


def apply(step: Any, parts: list[Part], found: Translation, depth: int) -> list[Part]:
    """The parts after a step. Raises Refused for one that is not understood."""
    kind, state = kind_of(step), state_of(step)
    if depth:
        found.models.append((kind or "?", step))
    if len(found.models) > MOST_STEPS:
        raise Refused(f"more than {MOST_STEPS} steps")
    if kind in ("Select", "Discard", "SelectType") and any("onehot" in part.steps for part in parts):
        raise Refused(f"{kind} chooses among features that OneHotEncoder has made")
    if kind in SCALERS:
        if state.get("window_size") is not None or state.get("with_std") is False:
            found.differ(f"{kind} scales by all that came before, and by the deviation")
        return add(SCALERS[kind], kind, parts, found)
    if kind in NEARLY_SCALED:
        found.differ(f"--scale takes the place of {kind}")
        return add("scale", kind, parts, found)
    if kind == "OneHotEncoder":
        if state.get("categories") is not None or state.get("drop_first") not in (None, False):
            found.differ("OneHotEncoder has all categories, also the first, and those that are not given")
        return add("onehot", kind, parts, found)
    if kind == "FeatureHasher":
        found.differ("features are hashed anyway, by another function than FeatureHasher's")
        return parts
    if kind == "Select":
        names = names_of(state.get("keys"))
        return [replace(part, names=names - part.without if part.names is None else names & part.names)
                for part in parts]  # fmt: skip
    if kind == "Discard":
        names = names_of(state.get("keys"))
        return [
            replace(part, without=part.without | names) if part.names is None
            else replace(part, names=part.names - names)
            for part in parts
        ]  # fmt: skip
    if kind == "SelectType":
        numbers, texts = types_of(state.get("types"), found)
        return [replace(part, numbers=part.numbers and numbers, texts=part.texts and texts) for part in parts]
    if kind == "TransformerUnion":
        return union(state.get("transformers"), parts, found, depth)
    instead = f" ({INSTEAD[kind]})" if kind in INSTEAD else ""
    raise Refused(f"{kind or 'a step'} before the model is not understood{instead}; known are {', '.join(KNOWN)}")


def add(step: str, kind: str, parts: list[Part], found: Translation) -> list[Part]:
    """The parts with one more step of their values."""
    if any(step in part.steps for part in parts):
        raise Refused(f"{kind} after another step that does the same")
    if any("onehot" in part.steps for part in parts):
        found.differ(f"{kind} does not change the features that OneHotEncoder has made")
        return parts
    return [replace(part, steps=(*part.steps, step)) for part in parts]


def union(transformers: Any, parts: list[Part], found: Translation, depth: int) -> list[Part]:
    """The parts after branches. Raises Refused if a feature is in two of them."""
    if depth >= MOST_DEEP:
        raise Refused("unions too deep inside each other")
    after = []
    for branch in members(transformers):
        of_branch = parts
        for step in steps_of(branch):
            of_branch = apply(step, of_branch, found, depth + 1)
        after += of_branch
        if len(after) > MOST_PARTS:
            raise Refused("a union of too many branches")
    for one, other in combinations(after, 2):
        if not one.meets(other):
            continue
        if (one.names is None) == (other.names is None):
            raise Refused("a feature is in two branches of a union: choose by Select or SelectType which has it")
        found.differ("a feature that Select names is in its branch of the union, and in no other one")
    return after


def types_of(types: Any, found: Translation) -> tuple[bool, bool]:
    """Whether SelectType chooses numbers, and texts. Raises Refused for other types."""
    names = {type_name(each) for each in types} if isinstance(types, (tuple, list)) else {"?"}
    if names - NUMBERS - TEXTS:
        raise Refused("SelectType of others than numbers.Number, int, float and str")
    if names & NUMBERS in ({"int"}, {"float"}):
        found.differ("SelectType does not tell whole numbers from others")
    return bool(names & NUMBERS), bool(names & TEXTS)


def type_name(value: Any) -> str:
    """The name of a type, as pickle or dill stores it."""
    if isinstance(value, Name):
        return str(value).removeprefix("builtins.")
    loads = isinstance(value, Call) and value.function == Name("dill._dill", "_load_type")
    name = value.arguments[0] if loads and isinstance(value.arguments, tuple) and value.arguments else None
    return name if isinstance(name, str) else "?"


def names_of(keys: Any) -> frozenset[str]:
    """Names of features, as they are written. Raises Refused for what is no list of names."""
    if not isinstance(keys, (list, tuple)) or not all(isinstance(name, (str, int)) for name in keys):
        raise Refused("features are selected by something else than their names")
    try:
        return frozenset(str(name).translate(CUT) for name in keys)
    except ValueError:
        raise Refused("features are selected by a number with too many digits") from None


def selected(parts: list[Part]) -> list[tuple[str, str]]:
    """The selectors of features, and the steps of each: every feature has one rule."""
    found = [
        (pattern(part.names, part.numbers, part.texts), ",".join(part.steps) or "keep")
        for part in parts
        if part.names and (part.numbers or part.texts)
    ]
    general = {kind: [part for part in parts if part.names is None and getattr(part, kind)] for kind in KINDS}
    named = {
        kind: frozenset().union(*(part.names or () for part in parts if getattr(part, kind))) for kind in KINDS
    }  # fmt: skip
    dropped = {kind: frozenset().union(*(part.without for part in general[kind])) - named[kind] for kind in KINDS}
    numbers, texts = general["numbers"], general["texts"]
    if numbers:
        both = dropped["numbers"] & dropped["texts"] if texts else frozenset()
        of_numbers, of_texts = dropped["numbers"] - both, dropped["texts"] - both
        found += [(pattern(both, True, True), "drop")] if both else []
        found += [(pattern(of_numbers, True, False), "drop")] if of_numbers else []
        found += [(pattern(of_texts, False, True), "drop")] if texts and of_texts else []
        found += [] if texts else [(pattern(named["texts"], False, False), "drop")]
        steps = next((part.steps for part in numbers if part.steps), ())
        return found + ([("*", ",".join(steps))] if steps else [])
    if texts:
        found.append((pattern(dropped["texts"] | named["texts"], False, False), "keep"))
    return [*found, ("*", "drop")]


KINDS = ("numbers", "texts")


def pattern(names: frozenset[str] | None, numbers: bool, texts: bool) -> str:
    """The regular expression of features of these names; neither of numbers nor of texts: of all other texts."""
    words = "|".join(map(re.escape, sorted(names or ())))
    if not (numbers or texts):
        return f"/^(?!({words})=)[^=]*=/" if words else "/=/"
    return f"/^({words}){'(=|$)' if numbers and texts else '$' if numbers else '='}/"


def quoted(rule: str) -> str:
    """A rule as --transform reads it, which separates rules by blanks."""
    return shlex.quote(rule) if re.search(r"[\s'\"]", rule) else rule
