"""A model as a Python module that imports nothing of vwlite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vwlite import __version__
from vwlite.exporting.linear import WHOLE, Linear

BEGIN, END = "MODEL: dict[str, Any] = {}\n", "# ---- what follows is the same for all models ----\n"


def write(model: Linear) -> str:
    """The source of the module: `score` and `predict` take a line of VW's text or a dict."""
    source = (Path(__file__).parent / "scoring.py").read_text()
    imports, _, rest = source.partition(BEGIN)
    imports = imports[imports.index("from __future__") :]
    head = (
        f'"""Scores of the model {model.id}, exported by vwlite {__version__}.\n\n'
        "predict(x) and score(x) take an example: a line of Vowpal Wabbit's text, or a dict of names and values.\n"
        "A score is the sum of weights times values; predict() clips it to the range of labels and applies the link.\n"
        '"""\n\n'
    )
    return f"{head}{imports}{literal(model)}{END}{rest.partition(END)[2]}"


def literal(model: Linear) -> str:
    """The assignment of the model."""
    named = model.names if model.mask != WHOLE else model.names | model.hash_names
    lines = ["MODEL: dict[str, Any] = {\n"]
    lines += [f"    {name!r}: {value!r},\n" for name, value in {**model.settings, "mask": model.mask}.items()]
    lines.append('    "weights": {\n')
    for key, weight in model.weights.items():
        name = named.get(key)
        lines.append(f"        {key}: {weight!r},{f'  # {comment(name)}' if name else ''}\n")
    lines.append('    },\n    "effects": [\n')
    for effect in model.effects:
        lines.append(f'        {{\n            "namespace": {effect.namespace!r},\n            "of": {effect.of!r},\n')
        lines.append(f'            "prior": {effect.prior!r},\n            "entities": {{\n')
        lines += [f"                {name!r}: {own!r},\n" for name, own in effect.entities.items()]
        lines.append("            },\n        },\n")
    lines.append("    ],\n}\n")
    return "".join(lines)


def comment(name: Any) -> str:
    """A name in a comment."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name)
