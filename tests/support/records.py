"""Records written as lines of Vowpal Wabbit's text, by the rule of names: the oracle of every other format."""

from __future__ import annotations

from typing import Any

import numpy as np

CUT = str.maketrans(dict.fromkeys(map(chr, [*range(33), 127, ord(":"), ord("|")]), "_"))


def number(value: float) -> str:
    """A number in single precision, in the digits that give it back."""
    return np.format_float_positional(np.float32(value), unique=True, trim="-")


def words(record: dict[str, Any]) -> dict[str, list[str]]:
    """The features of a record by namespace, "" for none."""
    found: dict[str, list[str]] = {}

    def add(members: dict[str, Any], namespace: str) -> None:
        for key, value in members.items():
            name = key.translate(CUT)
            if value is None or value is False or value == 0:
                continue
            if not isinstance(value, (dict, list)):
                found.setdefault(namespace, [])
            if value is True:
                found[namespace].append(name)
            elif isinstance(value, str):
                found[namespace].append(f"{name}={value.translate(CUT)}")
            elif isinstance(value, dict):
                found.setdefault(name, [])
                add(value, name)
            elif isinstance(value, list):
                found.setdefault(name, [])
                for place, one in enumerate(value):
                    if isinstance(one, str):
                        found[name].append(one.translate(CUT))
                    elif isinstance(one, dict):
                        add(one, name)
                    elif one:
                        found[name].append(f"{place}:{number(one)}")
            else:
                found[namespace].append(f"{name}:{number(value)}")

    add(record, "")
    return found


def line(record: dict[str, Any], label: object = None) -> str:
    """The line of a record; `record` has none of the keys that are no features."""
    groups = [f"|{name} {' '.join(features)}" for name, features in words(record).items() if features]
    return f"{'' if label is None else label} {' '.join(groups) or '|'}".strip()
