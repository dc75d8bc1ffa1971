"""The card of a model: version, runs, stack, options, and largest weights."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from vwlite.cards import entities as entity_card
from vwlite.engine import plugins
from vwlite.errors import ModelError
from vwlite.model import model_file
from vwlite.model.model_file import ModelReader

if TYPE_CHECKING:
    from vwlite.entities.store_file import StoreFile
    from vwlite.model.feature_list import FeatureList

SHOWN_DIGITS = 12  # of a sha256 or an id
CLASS_NAMES = (("class_name_lengths", "U32"), ("class_names", "U8"))
FIXED = ".fixed.metadata"  # suffix of the arrays with metadata of fixed models


def describe(path: str, top: int = 10) -> dict[str, Any]:  # noqa: DOC502
    """Reads a model file, verifies the digest of every array, and describes the model.

    Args:
        path: The model file.
        top: The number of weights listed of each table, the largest first.

    Returns:
        The metadata of the file, and "labels" (the range a learner has seen), "classes" (with the number of examples
        learned of each), "fixed" (metadata of fixed models in it), "weights" and "entities" (one entry a table; "file"
        is the path of evicted entities) and "arrays", in values that JSON can represent. None stands for a number that
        is not finite.

    Raises:
        ModelError: If the file, or the one with its entities, can't be read or is damaged.
    """
    reader = model_file.open(path)
    store: StoreFile | None = None
    if "entities" in reader.metadata:
        from vwlite.entities import store_file

        reader, store = store_file.find(reader)
    values = {name: _values(reader, name) for name in reader.names()}
    features = _features(reader)
    facts = {
        "path": path,
        **reader.metadata,
        "labels": [
            {
                "learner": owner,
                "least": _number(reader, f"{owner}.min_label", "F32"),
                "most": _number(reader, f"{owner}.max_label", "F32"),
            }
            for owner in _owners(values, ".min_label", ".max_label")
        ],
        "classes": [_describe_classes(reader, owner, top) for owner in _owners(values, ".class_counts", ".classes")],
        "fixed": [_describe_fixed(path, name, value) for name, value in values.items() if name.endswith(FIXED)],
        "names": None if features is None else _describe_names(features),
        "weights": [_describe_table(reader, owner, top, features) for owner in _owners(values, ".weight", ".index")],
        "entities": entity_card.tables(reader, store, top),
        "arrays": [
            {"name": name, "type": reader.dtype(name), "shape": reader.shape(name)}
            | ({"value": value[0]} if reader.shape(name) == [] else {})
            for name, value in values.items()
        ],
    }
    return _finite(facts)


def render(facts: dict[str, Any], arrays: bool = False) -> str:
    """Renders the card of `describe` as text, optionally with the list of `arrays`."""
    return _printable(_lines(facts, arrays))


def render_entity(facts: dict[str, Any], top: int | None = None) -> str:
    """Renders the card of `entity_card.describe` as text, with at most `top` coefficients."""
    rows = facts["coefficients"]
    lines = [
        f"{facts['entity']} of {facts['effect']}: {_count(facts['examples'], 'example')}, "
        f"{_count(len(rows), 'coefficient')}",
        "",
        f"{'mean':>13}  {'sd':>11}  feature",
    ]
    lines += [_coefficient_line(row) for row in rows[:top]]
    if len(rows) > len(rows[:top]):
        lines.append(f"... and {len(rows) - len(rows[:top])} more")
    return _printable(lines)


def _printable(lines: Iterable[str]) -> str:
    # Names come from data and may contain control characters, which must not reach a terminal.
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in line) for line in lines)


def _values(reader: ModelReader, name: str) -> memoryview:
    return reader.array(name, reader.dtype(name))


def _of_kind(reader: ModelReader, name: str, *kinds: str) -> memoryview:
    return reader.array(name, reader.dtype(name) if reader.dtype(name) in kinds else kinds[0])


def _number(reader: ModelReader, name: str, dtype: str) -> float:
    values = reader.array(name, dtype)
    if len(values) != 1:
        raise ModelError(f"{reader.path}: {name} is not a single number; train the model again")
    return float(values[0])


def _owners(names: dict[str, memoryview], suffix: str, sibling: str) -> list[str]:
    owners = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [owner for owner in owners if owner + sibling in names]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _describe_fixed(path: str, name: str, value: memoryview) -> dict[str, Any]:
    from vwlite.engine.fixed import read_metadata  # here, because `vwlite --help` loads this module too

    return {"learner": name.removesuffix(FIXED), **read_metadata(path, bytes(value))}


def _describe_classes(reader: ModelReader, owner: str, top: int) -> dict[str, Any]:
    """Describes the classes of a learner: their number, and the examples learned of the most frequent ones."""
    counts = list(_of_kind(reader, f"{owner}.class_counts", "I64"))
    state = list(_of_kind(reader, f"{owner}.classes", "I64"))
    lengths, text = (_of_kind(reader, f"{owner}.{name}", kind) for name, kind in CLASS_NAMES)
    if len(state) != 5 or sum(lengths) != len(text) or len(lengths) > len(counts):
        raise ModelError(f"{reader.path}: the arrays of the classes of {owner} are inconsistent; train the model again")
    turned = state[4]  # by one, see class_names.pxd
    names: list[Any] = [state[3] + (i + turned) % max(len(counts), 1) for i in range(len(counts))]
    if state[1]:
        raw, at = bytes(text), 0
        for i, length in enumerate(lengths):
            names[i] = raw[at : at + length].decode("utf-8", "replace")
            at += length
    known = len(lengths) if state[1] else len(counts)
    rows = sorted(zip(names[:known], counts[:known], strict=True), key=lambda row: -row[1])
    shown = [{"class": name, "examples": count} for name, count in rows[:top] if count or state[1]]
    return {"learner": owner, "most": len(counts), "named": bool(state[1]), "known": known, "top": shown}


def _features(reader: ModelReader) -> FeatureList | None:
    """The names of features that were kept while learning."""
    if "known.state" not in reader.names():
        return None
    from vwlite.model import feature_list  # here, because `vwlite --help` loads this module too

    return feature_list.of_model(reader)


def _describe_names(features: FeatureList) -> dict[str, Any]:
    return {
        "features": len(features),
        "all": features.whole,
        "digests": features.digests,
        "statistics": features.statistics is not None,
        "examples": features.examples,
        "collisions": features.collisions(),
    }


def _describe_table(reader: ModelReader, owner: str, top: int, features: FeatureList | None) -> dict[str, Any]:
    # Imported here: `vwlite --help` loads this module too.
    import numpy as np

    slots = np.asarray(_of_kind(reader, f"{owner}.index", "U32", "U64"))
    weights = _in_force(reader, owner, np.asarray(_of_kind(reader, f"{owner}.weight", "F32", "F64")))
    width = len(weights) // len(slots) if len(slots) else 1
    if width == 0 or width * len(slots) != len(weights):
        raise ModelError(f"{reader.path}: {owner} has {len(weights)} weights for {len(slots)} features; train again")

    sizes = np.nan_to_num(np.abs(weights), nan=np.inf, posinf=np.inf)
    nonzero = int(np.count_nonzero(sizes))
    count = min(top, nonzero)
    # Only weights as large as the last one shown are sorted. Ties are ordered by slot, so cards are reproducible.
    least = np.partition(sizes, -count)[-count] if count else np.inf
    places = np.flatnonzero(sizes >= least)
    places = places[np.argsort(-sizes[places], kind="stable")][:count]
    rows = slots[places // width].tolist()
    # names belong to the slots of this model, not to those of a fixed one inside it
    names = {} if "." in owner else _names_of(reader, rows)
    columns = [{"column": column} if width > 1 else {} for column in (places % width).tolist()]
    largest = [
        {"slot": slot, **column, "weight": weight, "names": names.get(slot, [])}
        for slot, column, weight in zip(rows, columns, weights[places].tolist(), strict=True)
    ]
    if features is not None and "." not in owner:
        _add_features(largest, features)
    return {"learner": owner, "features": len(slots), "nonzero": nonzero, "top": largest}


def _add_features(rows: list[dict[str, Any]], features: FeatureList) -> None:
    """Adds the names in each slot, and with statistics what is known of each feature."""
    numbers = features.in_slots(row["slot"] for row in rows)
    first = ~((1 << (features.table or (0, 0))[1]) - 1)
    for row in rows:
        row["names"] = row["names"] or [_text(name) for name in features.named(row["slot"], numbers)]
        if features.statistics is not None:
            there = numbers.get(row["slot"] & first, [])
            row["features"] = [{"name": _text(features.name(number)), **features.facts(number)} for number in there]


def _text(name: str) -> str:
    """A name as text that JSON can represent."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _in_force(reader: ModelReader, owner: str, weights: Any) -> Any:
    """The weights used for predictions, if the learner's module computes them from those in the file."""
    from vwlite.engine import registry  # here, because `vwlite --help` loads this module too

    def number(field: str, dtype: str) -> float | None:
        return _number(reader, f"{owner}.{field}", dtype) if f"{owner}.{field}" in reader.names() else None

    name = re.split("[.:]", owner)[-1]
    for module in registry.bottoms():
        if module.__name__.rpartition(".")[2] == name and hasattr(module, "in_force"):
            return module.in_force(number, weights)
    return weights


def _names_of(reader: ModelReader, slots: list[int]) -> dict[int, list[str]]:
    """The names of the features in some slots; colliding features share a slot."""
    if not slots or not {"names.slot", "names.text"} <= set(reader.names()):
        return {}
    import numpy as np

    named = np.asarray(reader.array("names.slot", "U64"))
    texts = bytes(reader.array("names.text", "U8")).split(b"\n") if len(named) else []
    if len(texts) != len(named):
        raise ModelError(f"{reader.path}: has {len(texts)} names for {len(named)} slots; train again")
    names: dict[int, list[str]] = {}
    for place in np.flatnonzero(np.isin(named, np.array(slots, dtype=np.uint64))).tolist():
        names.setdefault(int(named[place]), []).append(texts[place].decode(errors="replace"))
    return names


def _lines(facts: dict[str, Any], arrays: bool) -> Iterator[str]:
    yield f"{facts['path']}: a model in vwlite format {facts['format_version']}"
    yield f"  id            {facts.get('id', 'unknown')}"
    yield f"  written       {facts.get('created', 'at an unknown time')}, by vwlite {facts.get('vwlite_version', '?')}"
    for table in facts["weights"]:
        yield f"  {table['learner']:12}  {table['features']} features, {table['nonzero']} weights not zero"
    if facts["names"] is not None:
        yield from _names_lines(facts["names"])
    for table in facts["entities"]:
        entities = f"{table['entities']} entities, " if any(row["name"] for row in table["top"]) else ""
        place = f", in {table['file']}" if "file" in table else ""
        yield f"  {table['learner']:12}  {entities}{table['coefficients']} coefficients{place}"
    for labels in facts["labels"]:
        if labels["least"] is not None and labels["most"] is not None:
            yield f"  {labels['learner']:12}  predictions from {labels['least']:.9g} to {labels['most']:.9g}"

    for classes in facts["classes"]:
        named = f"{classes['known']} of {classes['most']} have names" if classes["named"] else "numbered"
        yield f"  {classes['learner']:12}  {classes['most']} classes, {named}"

    yield from _section("notes", [f"{name} = {text}" for name, text in facts.get("notes", {}).items()])
    yield from _section("texts of the card", [f"{name}: {text}" for name, text in facts.get("card", {}).items()])
    if "stripped" in facts:
        removed = ", ".join(facts["stripped"]["removed"]) or "-"
        lines = [f"of {removed}; sha256 of what was removed: {facts['stripped']['sha256']}"]
        yield from _section("stripped", lines)
    yield from _section("learners, top to bottom", [_learner_line(learner) for learner in facts.get("stack", [])])
    options = facts.get("options", {})
    yield from _section("options kept", [option_words(name, options[name]) for name in options])
    yield from _section("tuned", [f"{name} = {_tuned(value)}" for name, value in facts.get("tuning", {}).items()])
    yield from _section("runs", _run_lines(facts))
    for fixed in facts["fixed"]:
        yield from _section(f"fixed effect of {fixed['learner']}, which learns no more", list(_fixed_lines(fixed)))
    for classes in facts["classes"]:
        rows = [f"{_count(row['examples'], 'example'):>20}  {row['class']}" for row in classes["top"]]
        yield from _section(f"classes of {classes['learner']} with most examples", rows)
    for table in facts["weights"]:
        yield from _section(f"largest weights of {table['learner']}", [_weight_line(row) for row in table["top"]])
    for table in facts["entities"]:
        yield from _section(table["learner"], list(_effect_lines(table)))
        lines = [_entity_line(row) for row in table["top"] if row["name"]]
        yield from _section(f"entities of {table['learner']} with most examples", lines)
        lines = [_coefficient_line(row) for row in table.get("largest", [])]
        yield from _section(f"largest coefficients of {table['learner']}", lines)
    if arrays:
        yield from _section("arrays, all as their sha256 says", [_array_line(array) for array in facts["arrays"]])


def _tuned(value: Any) -> str:
    """What is known of a search, as text: of options, each with its value."""
    if isinstance(value, dict):
        return " ".join(f"{name}={_tuned(inner)}" for name, inner in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _learner_line(learner: dict[str, Any]) -> str:
    options = " ".join(option_words(name, value) for name, value in learner.get("options", {}).items())
    origin = f"  ({plugins.spell(learner['plugin'])})" if "plugin" in learner else ""
    return f"{learner['name']:16} {learner['label']} -> {learner['prediction']}  {options}".rstrip() + origin


def option_words(name: str, value: Any) -> str:
    """An option as on the command line."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--{name} false"
    return " ".join(f"--{name} {shlex.quote(str(item))}" for item in (value if isinstance(value, list) else [value]))


def _run_line(run: dict[str, Any]) -> str:
    parts = [run.get("when") or "at an unknown time"]
    parts += [
        source["name"] + (f" (sha256 {source['sha256'][:SHOWN_DIGITS]})" if source.get("sha256") else "")
        for source in run.get("sources", [])
    ]
    parts.append(f"{run.get('examples', '?')} examples")
    losses = [run.get("loss_before"), run.get("loss_after")]
    if losses != [None, None]:
        parts.append("loss " + " -> ".join("none" if loss is None else f"{loss:.6g}" for loss in losses))
    parts.append(f"seed {run.get('seed', '?')}")
    if run.get("parent"):
        parts.append(f"from model {run['parent'][:SHOWN_DIGITS]}")
    if parents := run.get("parents"):
        shown = ", ".join(f"{parent['name']} ({parent['id'][:SHOWN_DIGITS]})" for parent in parents)
        parts.append(f"from models {shown}")
    return f"{', '.join(parts)}: vwlite {run.get('version', '?')} {shlex.join(run.get('arguments', []))}".rstrip()


def _run_lines(facts: dict[str, Any]) -> list[str]:
    return [f"{number}  {_run_line(run)}" for number, run in enumerate(facts.get("journal", []), 1)]


def _fixed_lines(fixed: dict[str, Any]) -> Iterator[str]:
    yield f"id       {fixed['id']}"
    yield f"written  {fixed['created']}, by vwlite {fixed['vwlite_version']}"
    yield f"options  {' '.join(option_words(name, value) for name, value in fixed['options'].items())}".rstrip()
    yield from (f"run {line}" for line in _run_lines(fixed))


def _weight_line(row: dict[str, Any]) -> str:
    column = f"[{row['column']}]" if "column" in row else ""
    weight = "not finite" if row["weight"] is None else f"{row['weight']:+.6g}"
    line = f"{weight:>13}  slot {row['slot']}{column}  {' = '.join(row['names'])}".rstrip()
    for feature in row.get("features", ()):
        if "count" in feature:
            whose = f"{feature['name']}: " if len(row["features"]) > 1 else ""
            values = f"{feature['low']:.6g}"
            values += f" to {feature['high']:.6g}" if feature["high"] > feature["low"] else ""
            often = _count(feature["count"], "time")
            line += f"  ({whose}learned {often}, last in example {feature['last']:,}, value {values})"
    return line


def _names_lines(names: dict[str, Any]) -> Iterator[str]:
    kind = "digests of names" if names["digests"] else "names"
    some = "" if names["all"] else ", not of all that were learned"
    yield f"  {'names':12}  {kind} of {_count(names['features'], 'feature')}{some}"
    if names["collisions"] is not None and names["features"]:
        from vwlite.features.collisions import in_words

        yield f"  {'':12}  {in_words(names['collisions'])}"


def _entity_line(row: dict[str, Any]) -> str:
    intercept = "" if row["intercept"] is None else f"  intercept {row['intercept']:+.6g}"
    return f"{row['examples']:>10} examples  {row['name']}{intercept}"


def _count(number: int, of: str) -> str:
    plural = f"{of[:-1]}ies" if of.endswith("y") else f"{of}s"
    return f"{number} {of if number == 1 else plural}"


def _effect_lines(table: dict[str, Any]) -> Iterator[str]:
    """The lines about a random effect: entities, examples, prior, noise."""
    examples = table["examples"]
    if any(row["name"] for row in table["top"]) or table["entities"] != 1:
        least = f"{examples['least']} to " if examples["least"] < examples["most"] else ""
        each = f"{least}{_count(examples['most'], 'example')} each, {examples['all']} in all"
        yield f"{_count(table['entities'], 'entity')}, {each}"
    else:
        yield _count(examples["all"], "example")
    if "trouble" in table:
        yield f"its prior can't be computed: {table['trouble']}"
    for row in table.get("prior", []):
        sd = "without bound" if row["sd"] is None else f"{row['sd']:.6g}"
        yield f"prior of {row['feature']}: mean {in_digits(row['mean'])}, sd {sd}"
    for row in table.get("correlations", []):
        yield f"prior correlation of {' and '.join(row['features'])}: {row['correlation']:.4f}"
    if table.get("noise") is not None:
        yield f"noise: variance {table['noise']:.6g}, sd {math.sqrt(table['noise']):.6g}"


def _coefficient_line(row: dict[str, Any]) -> str:
    mean, sd = in_digits(row["mean"], "+"), in_digits(row["sd"])
    return f"{mean:>13}  {sd:>11}  {row['name'] or 'feature ' + str(row['hash'])}"


def in_digits(number: float | None, sign: str = "") -> str:
    """A number in six digits; a file from elsewhere may lead to one that is not finite."""
    return "not finite" if number is None else f"{number:{sign}.6g}"


def _array_line(array: dict[str, Any]) -> str:
    value = f" = {array['value']}" if "value" in array else ""
    return f"{array['name']:24} {array['type']:4} {array['shape']}{value}"
