"""Converts JSON examples, one a line, to lines of VW's text.

An example is an object, as Vowpal Wabbit's --json reads it:

    {"_label": 1, "_tag": "t7", "user": {"age": 0.4, "city": "Bonn", "new": true}, "pixels": [0.5, 0, 2], "hour": 7}

A key whose value is an object or array is a namespace, at any depth; other keys are features of the enclosing
namespace, at the top level of the one without a name. A number is a feature's value, `true` is 1; `false` and `null`
omit the feature; a string is appended to its name (`cityBonn`, with value 1). An array holds numbers, whose features
are numbered, and objects with more features of the same namespace.

If a key is the namespace of a random effect, strings and numbers are the entity's name: {"user": "u7"} and
{"user": 7} name the entities `u7` and `7`, {"user": {"id": 7}} and {"user": {"id": "7"}} the entity `id7`. A name that
text can't represent is refused, not changed, since two names could become one.

Keys that begin with "_" are not features:

    _label   label, {"Label": , "Weight": , "Initial": } or "label weight initial"; also _label_Label, _label_Weight ...
             of classes or costs, all in one string: "cat", "cat 2", "1,3", "1:0.5 2:0"; an integer is a class
    _tag     the tag that is returned with the answer
    _text    words, each a feature
    others   are ignored

In a multi-line example, the array `_multi` has an object for each action, and the keys beside it are shared. The label
of the chosen action is in its object, or at the top level with `_labelIndex`, which counts actions from 0: _label_Cost
and _label_Probability, {"Cost": , "Probability": }, or "action:cost:probability". The action's own number is not used.

Text has the features that VW reads from the JSON, with these exceptions:

- Blank, TAB, CR, LF, NUL, '|' and ':' in a string become '_'. VW replaces blank, TAB, '|' and ':', keeps CR and LF, and
  ends the string at a NUL. Names with one of them are refused, where VW keeps them: text can't represent them.
- An object that has the same key twice is refused, where VW counts it twice.
- The namespace "" is the one without a name. VW gives it the index 0.
- Features of namespaces whose names begin with a byte above 127 are read, as in text. VW's JSON loses them.
- After an array inside an object inside an array, numbering continues from the outer array, in VW from the inner one.
- In a multi-line example, a label at the top level without `_labelIndex` is refused; VW doesn't learn it. `_label` at
  the top level with `_labelIndex`, and _label_Cost and similar keys inside an action, are read; VW ignores them.
- An initial prediction without a label is refused, since text can't represent it.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted  # encodes a string in JSON
from typing import Any, NoReturn

from vwlite.errors import SHOWN_TEXT, VwliteError

MOST_DEEP = 64  # nested objects and arrays
TOO_LARGE = 3.4028235677973366e38  # the least number that rounds to an infinite float32
KEPT = 1 << 14  # cached names
LONGEST_KEPT = 64  # characters of a cached name
NO_NAME = {"\0": "NUL", "\t": "TAB", "\n": "LF", "\r": "CR", " ": "a blank", ":": "':'", "|": "'|'"}
LABEL_PARTS = ("label", "weight", "initial")
COST_PARTS = ("action", "cost", "probability", "weight")
UNDERSCORES = str.maketrans(dict.fromkeys(NO_NAME, "_"))
BLANKS = str.maketrans({"\0": "_", "\t": " ", "\n": " ", "\r": " ", ":": "_", "|": "_"})


class JSONLineError(VwliteError):
    """A line that is not a JSON example; the message is one line."""


def shown(text: str) -> str:
    """Formats a key or string for a message: quoted and truncated."""
    return quoted(text if len(text) <= SHOWN_TEXT else text[: SHOWN_TEXT - 3] + "...")


def writable(what: str, word: str) -> None:
    """Raises JSONLineError for a name or tag that text can't represent."""
    for char, held in NO_NAME.items():
        if char in word and (char != ":" or what == "name"):
            raise JSONLineError(f"the {what} {shown(word)} contains {held}, which VW's text can't represent")


class Names(dict[str, str]):
    """A cache from names to the start of their word in text, after `mark`; "" for names that are not features."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def __missing__(self, name: str) -> str:
        if not name or name[0] == "_":
            return ""
        writable("name", name)
        text = self.mark + name
        if len(name) <= LONGEST_KEPT:
            if len(self) >= KEPT:
                self.clear()
            self[name] = text
        return text


FEATURES = Names(" ")
NAMESPACES = Names(" |")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object; raises JSONLineError if a key occurs twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise JSONLineError(f"the key {shown(key)} occurs twice in one object")
            seen.add(key)
    return found


def no_number(word: str) -> NoReturn:
    """Raises JSONLineError for NaN, Infinity and -Infinity, which Python's reader accepts."""
    raise JSONLineError(f"{word} is not a number in JSON")


DECODER = json.JSONDecoder(object_pairs_hook=unique, parse_constant=no_number)


def parse(line: bytes) -> dict[str, Any]:
    """Parses the JSON object of a line. Raises JSONLineError."""
    try:
        text = line.decode().strip(" \t\r\n")
        found, end = DECODER.raw_decode(text)
    except UnicodeDecodeError as error:
        raise JSONLineError(f"not UTF-8: byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise JSONLineError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise JSONLineError(too_deep()) from None
    except ValueError:  # Python's limit of the digits of an integer
        raise JSONLineError("a number of too many digits") from None
    if not isinstance(found, dict):
        raise JSONLineError("a JSON example is an object, such as {...}")
    if end != len(text):
        raise JSONLineError(f"not JSON: text follows the object at character {end + 1}")
    return found


def too_deep() -> str:
    """The error message for objects and arrays that are nested too deeply."""
    return f"more than {MOST_DEEP} nested objects and arrays"


def to_text(line: bytes, decisions: bool, entities: frozenset[str] = frozenset(), in_words: bool = False) -> bytes:
    """Converts a JSON line to VW's text: one line, or for a multi-line example its lines and an empty one.

    Args:
        line: The JSON object, encoded in UTF-8.
        decisions: Whether the model reads multi-line examples.
        entities: The namespaces whose features name entities.
        in_words: Whether labels are of classes or costs, strings in the form that text has before the `|`.

    Returns:
        The lines, each with its line end, encoded in UTF-8.

    Raises:
        JSONLineError: If the line is not a JSON example.
    """
    example = Example(decisions, entities, in_words)
    example.read(parse(line), [" |"], 1)
    try:
        return (example.decision() if decisions else example.line()).encode()
    except UnicodeEncodeError:
        raise JSONLineError("half of a surrogate pair (such as \\ud800) without the other half") from None


class Example:
    """Builds a line of text: a single example, or the shared features or an action of a multi-line example."""

    __slots__ = ("actions", "decisions", "entities", "in_words", "index", "label", "segments", "tag")

    def __init__(self, decisions: bool, entities: frozenset[str], in_words: bool = False) -> None:
        self.decisions = decisions
        self.in_words = in_words
        self.entities = entities
        self.segments: list[str] = []  # " |name feature feature" each
        self.tag = ""
        self.label: dict[str, float | str] = {}  # the given ones of LABEL_PARTS or COST_PARTS
        self.index: int | None = None
        self.actions: list[Example] | None = None

    # features

    def read(self, members: dict[str, Any], namespace: list[str], depth: int) -> None:
        """Reads an object that is a namespace, or the top level; `namespace` holds the start of its text."""
        self.members(members, namespace, depth)
        if len(namespace) > 1:
            self.segments.append("".join(namespace))

    def members(self, members: dict[str, Any], found: list[str], depth: int) -> None:
        """Appends an object's features to `found`, and its namespaces to the segments."""
        entities = self.entities
        for name, value in members.items():
            kind = type(value)
            if entities and name in entities:
                self.entity(name, value, depth)
            elif kind is float or kind is int:
                word = FEATURES[name]
                if word and -TOO_LARGE < value < TOO_LARGE:
                    found.append(f"{word}:{value!r}")
                else:
                    self.odd(name, value, found, depth)
            elif kind is str:
                word = FEATURES[name]
                if word:
                    found.append(word + (value if value.isalnum() else value.translate(UNDERSCORES)))
                else:
                    self.odd(name, value, found, depth)
            elif name[:1] == "_":
                self.special(name, value, found, depth)
            elif kind is dict or kind is list:
                self.within(depth)
                start = NAMESPACES[name] if name.strip(" ") else " |"
                (self.read if kind is dict else self.array)(value, [start], depth + 1)
            elif value is True:
                if name:
                    found.append(FEATURES[name])
                else:
                    self.odd(name, 1, found, depth)

    def entity(self, name: str, value: Any, depth: int) -> None:
        """Reads a key that is the namespace of a random effect."""
        found = [NAMESPACES[name]]
        if isinstance(value, dict):
            self.within(depth)
            for key, part in value.items():
                if type(part) in (str, int, float) and not key.startswith("_"):
                    found.append((FEATURES[key] or " ") + entity_name(name, part))
                else:
                    self.members({key: part}, found, depth + 1)
        elif isinstance(value, list):
            self.within(depth)
            self.array(value, found, depth + 1)
            return
        elif isinstance(value, bool):
            raise JSONLineError(f"{shown(name)} expects the name of an entity, a string or a number")
        elif value is not None:
            found.append(" " + entity_name(name, value))
        if len(found) > 1:
            self.segments.append("".join(found))

    def odd(self, name: str, value: float | str, found: list[str], depth: int) -> None:
        """Reads a number or string whose name is empty or begins with "_", or a number that is too large."""
        if name[:1] == "_":
            self.special(name, value, found, depth)
        elif name:
            raise JSONLineError(f"the value of {shown(name)} is too large")
        elif isinstance(value, str) and value:
            found.append(" " + value.translate(UNDERSCORES))
        else:
            # VW hashes it as the first feature without a name, so a new `|` begins here.
            self.segments.append(f"{found[0]} :{1 if value == '' else self.number(name, value)!r}")

    def array(self, items: list[Any], found: list[str], depth: int) -> None:
        """Reads an array that is a namespace: numbers, and objects with more features."""
        for item in items:
            kind = type(item)
            if kind is float or kind is int:
                if not -TOO_LARGE < item < TOO_LARGE:
                    raise JSONLineError("a number in an array is too large")
                found.append(f" :{item!r}")
            elif kind is dict:
                self.within(depth)
                self.members(item, found, depth + 1)
            elif item is not None:
                what = {str: "a string", list: "an array", bool: "true or false"}[kind]
                raise JSONLineError(f"an array of features holds numbers and objects, not {what}")
        if len(found) > 1:
            self.segments.append("".join(found))

    def within(self, depth: int) -> None:
        """Raises JSONLineError if one more object or array would be nested too deeply."""
        if depth >= MOST_DEEP:
            raise JSONLineError(too_deep())

    def number(self, name: str, value: Any) -> float:
        """Checks that a value is a finite number; raises JSONLineError if not."""
        if type(value) not in (int, float):
            raise JSONLineError(f"{shown(name)} expects a number")
        if not -TOO_LARGE < value < TOO_LARGE:
            raise JSONLineError(f"the value of {shown(name)} is too large")
        return value

    # keys that begin with "_"

    def special(self, key: str, value: Any, found: list[str], depth: int) -> None:
        """Reads a key that begins with "_", which is not a feature."""
        if key == "_text":
            if value is None:
                return
            if not isinstance(value, str):
                raise JSONLineError('"_text" expects a string')
            words = value.translate(BLANKS).split(" ")
            found.extend([" " + word for word in words if word])
        elif key.lower() == "_tag":
            self.set_tag(value)
        elif key.lower() == "_labelindex":
            self.set_index(value)
        elif key == "_label":
            self.set_label(value)
        elif key.startswith("_label_"):
            self.set_part(key, key[len("_label_") :].lower(), value)
        elif key.startswith("_label"):
            raise JSONLineError(f"there is no key {shown(key)}, only _label, _labelIndex, _label_Label and similar")
        elif key == "_multi":
            self.within(depth)
            self.set_actions(value, depth + 1)
        elif key == "_slots":
            raise JSONLineError('"_slots" is for examples of several slots, which are not supported')

    def set_tag(self, value: Any) -> None:
        """Reads the tag, which is returned with the answer."""
        if value is not None and not isinstance(value, str):
            raise JSONLineError('"_tag" expects a string')
        self.tag = value or ""
        writable("tag", self.tag)

    def set_index(self, value: Any) -> None:
        """Reads the index of the action that has the label at the top level."""
        if value is None:
            return
        if not self.decisions:
            raise JSONLineError('"_labelIndex" is for multi-line examples, but this model reads single ones')
        if type(value) is not int or value < 0:
            raise JSONLineError('"_labelIndex" expects the number of an action, from 0')
        self.index = value

    def set_label(self, value: Any) -> None:
        """Reads a complete label."""
        if self.in_words:
            self.set_words(value)
        elif isinstance(value, dict):
            for name, part in value.items():
                self.set_part(name, name.lower(), part)
        elif isinstance(value, str) and value.strip():
            words = value.split(":") if self.decisions else value.split()
            if not all(map(is_number, words)) or (len(words) != 3 if self.decisions else len(words) > 3):
                form = "action:cost:probability" if self.decisions else "label importance initial"
                raise JSONLineError(f'"_label" is {shown(value)}, but a string there has the form {shown(form)}')
            self.label.update(zip(COST_PARTS if self.decisions else LABEL_PARTS, words, strict=False))
        elif value not in (None, "") and self.decisions:
            raise JSONLineError('"_label" of actions expects {"Cost": , "Probability": } or "action:cost:probability"')
        elif value not in (None, ""):
            self.label["label"] = self.number("_label", value)

    def set_words(self, value: Any) -> None:
        """Reads a label of classes or costs."""
        if type(value) is int:
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise JSONLineError("\"_label\" expects an integer, or a string as it is before the '|' of a line")
        words = (value or "").strip()
        if any(char in words for char in "\0\r\n|"):
            raise JSONLineError(f"\"_label\" is {shown(words)}, which VW's text can't represent")
        if words:
            self.label["label"] = words

    def set_part(self, key: str, part: str, value: Any) -> None:
        """Reads one of the numbers of a label."""
        if self.in_words:
            raise JSONLineError(f'{shown(key)} is for numeric labels: for this model, "_label" has the whole label')
        parts = COST_PARTS if self.decisions else LABEL_PARTS
        if part not in parts:
            form = "an action" if self.decisions else "a single example"
            raise JSONLineError(f"{shown(key)} is not a part of the label of {form}, only {', '.join(parts)}")
        if value is None or (part == "label" and isinstance(value, str) and value.lower() == "nan"):
            return
        self.label[part] = self.number(key, value)
        if self.decisions and part == "weight" and value != 1:
            raise JSONLineError(f"{shown(key)} is {value!r}, but the labels of actions have no weights")

    def set_actions(self, value: Any, depth: int) -> None:
        """Reads the actions of a multi-line example."""
        if not self.decisions:
            raise JSONLineError('"_multi" is for multi-line examples, but this model reads single ones')
        if self.actions is not None:
            raise JSONLineError('"_multi" inside "_multi", or twice')
        if not isinstance(value, list) or not value or not all(isinstance(members, dict) for members in value):
            raise JSONLineError('"_multi" expects an array with an object for each action')
        self.actions = []
        for members in value:
            self.within(depth)
            action = Example(True, self.entities, self.in_words)
            action.actions = []  # none in an action
            action.read(members, [" |"], depth + 1)
            if action.index is not None:
                raise JSONLineError('"_labelIndex" has to be beside "_multi", not in an action')
            self.actions.append(action)

    # text

    def body(self, head: str) -> str:
        """The line of text; `head` is the text before the first '|'."""
        features = "".join(self.segments) or " |"
        if self.tag:
            head += f" '{self.tag}" if head else f"'{self.tag}"
        return f"{head}{features}\n" if head else f"{features[1:]}\n"

    def line(self) -> str:
        """The line of text of a single example."""
        label = self.label
        if "label" not in label:
            if float(label.get("initial", 0)):
                raise JSONLineError("an initial prediction without a label, which VW's text can't represent")
            return self.body("")
        if len(label) == 1:
            return self.body(f"{label['label']}")
        return self.body(f"{label['label']} {label.get('weight', 1)} {label.get('initial', 0)}")

    def decision(self) -> str:
        """The lines of text of a multi-line example."""
        if self.actions is None:
            raise JSONLineError('this model reads multi-line examples, which need "_multi", an array of actions')
        if self.index is not None and self.index >= len(self.actions):
            count = len(self.actions)
            raise JSONLineError(f'"_labelIndex" is {self.index}, but there are {count} actions, counted from 0')
        if self.label:
            if self.index is None:
                raise JSONLineError('the label has no action: give "_labelIndex", or put the label into the action')
            if self.actions[self.index].label:
                raise JSONLineError(f"action {self.index} has two labels, its own and that of the top level")
            self.actions[self.index].label = self.label
        text = self.body("shared") if self.segments or self.tag else ""
        return text + "".join([action.body(action.cost(i)) for i, action in enumerate(self.actions)]) + "\n"

    def cost(self, number: int) -> str:
        """An action's label in text."""
        if not self.label:
            return ""
        if self.in_words:
            return str(self.label["label"])
        if "cost" not in self.label or "probability" not in self.label:
            raise JSONLineError(f"the label of action {number} needs both Cost and Probability")
        return f"{number}:{self.label['cost']}:{self.label['probability']}"


def entity_name(namespace: str, value: str | float) -> str:
    """The name of an entity; equal numbers are one name. Raises JSONLineError for names that text can't represent."""
    if not isinstance(value, str):
        whole = isinstance(value, float) and abs(value) < 2**53 and value.is_integer()
        return str(int(value)) if whole else repr(value)
    if not value:
        raise JSONLineError(f"{shown(namespace)} expects the name of an entity, not an empty string")
    for char, held in NO_NAME.items():
        if char in value:
            raise JSONLineError(
                f"the name {shown(value)} of an entity of {shown(namespace)} contains {held}, which VW's text can't "
                "represent: use another character"
            )
    return value


def is_number(word: str) -> bool:
    """Whether a word is a finite number in VW's text."""
    try:
        return -TOO_LARGE < float(word) < TOO_LARGE and "_" not in word and word.isascii() and word == word.strip()
    except ValueError:
        return False
