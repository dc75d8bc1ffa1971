"""Features and weights as text: --audit, --invert_hash and --readable_model, in VW's formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vwlite.core.learner import walk
from vwlite.core.view import CONSTANT, View
from vwlite.engine.known_features import names_by_hash, names_by_slot
from vwlite.model.model_file import write_text

if TYPE_CHECKING:
    from vwlite.engine.workspace import Workspace

VW_VERSION = "9.11.2"  # the version whose format readable models have


def names(view: View, interactions: Any) -> Iterator[str]:
    """The name of each of view.features, in the same order."""
    spaces: dict[int, list[str]] = {}
    for group in view.groups:
        if interactions.is_ignored(group.letter):
            continue  # a learner reads it, such as the name of an entity, and it is no feature
        linear = [feature_name(group.name, name) for name in group.names]
        spaces.setdefault(group.letter, []).extend(linear)
        if not interactions.is_linear_ignored(group.letter, group.name):
            yield from linear
    if view.constant:
        yield "Constant"
    for term in interactions.terms:
        yield from crossed(spaces, term, interactions.in_every_order, 0)


def feature_name(namespace: bytes, name: bytes | None) -> str:
    """``ns^feature``, ``ns^feature^text`` for a text value, the bare feature in the default namespace."""
    feature, colon, text = (name or b"").partition(b":")
    feature += b"^" + text.lstrip(b" \t") if colon else b""
    return (namespace + b"^" + feature if namespace else feature).decode("utf-8", "surrogateescape")


def crossed(spaces: dict[int, list[str]], term: bytes, in_every_order: bool, start: int) -> Iterator[str]:
    """The names of the features of an interaction, in the order in which they are computed."""
    features = spaces.get(term[0], [])
    for i in range(start, len(features)):
        if len(term) == 1:
            yield features[i]
        else:
            again = i if term[1] == term[0] and not in_every_order else 0
            for rest in crossed(spaces, term[1:], in_every_order, again):
                yield f"{features[i]}*{rest}"


def audit_lines(view: View, workspace: Workspace) -> str:
    """VW's audit of an example: its prediction, then name:index:value:weight@adaptive, largest |w x| first."""
    # VW's caches contain no names
    nameless = workspace.options["vw_compat"] and workspace.driver.current_pass > 0
    cells = []
    for name, (number, value) in zip(names(view, workspace.interactions), view.features, strict=True):
        if nameless and name != "Constant":
            name = ""
        weight, *beside = workspace.bottom.weight_at(number, view.offset)
        slot = workspace.bottom.slot_of(number, view.offset)
        second = f"@{beside[0]:g}" if beside else ""
        cells.append((abs(weight * value), f"{name}:{slot}:{value:g}:{weight:g}{second}"))
    cells.sort(key=lambda cell: -cell[0])
    return "\t" + "\t".join(text for _, text in cells)


def note_names(view: View, workspace: Workspace) -> None:
    """Stores the first name seen for each slot, and for each hash if learners store hashes.

    With several weight vectors, as in VW, names of the second and later ones end with its number: a^x[1].
    """
    bottom = workspace.bottom
    for name, (number, _) in zip(names(view, workspace.interactions), view.features, strict=True):
        for i in range(bottom.width):
            workspace.names.setdefault(bottom.slot_of(number, i), f"{name}[{i}]" if i else name)
        if workspace.has_entities:
            workspace.hash_names.setdefault(number, name)


def readable(workspace: Workspace, path: str, with_names: bool) -> None:
    """Writes the weights as text, in VW's format, and the coefficients of entities in a table for each learner.

    Raises ModelError if the file can't be written.
    """
    lines = vw_layout(workspace, with_names) if workspace.bottom.has_slots else []
    for learner in walk(workspace.top):
        if learner.entities() is not None:
            lines += entity_table(learner, names_by_hash(workspace) if with_names else {})
    write_text(path, "\n".join(lines) + "\n")


def entity_table(learner: Any, names: dict[int, str]) -> Iterator[str]:
    """Rows of entity, feature, mean, standard deviation, tab-separated; features by name if known, else by hash."""
    yield f"{learner.owner}\tfeature\tmean\tsd"
    for entity, _, coefficients in learner.entities():
        for number, (mean, variance) in coefficients.items():
            name = "Constant" if number == CONSTANT else names.get(number, number)
            yield f"{entity}\t{name}\t{mean:g}\t{variance**0.5:g}"


def vw_layout(workspace: Workspace, with_names: bool) -> list[str]:
    """The lines of VW's readable models."""
    bottom, figures, loss = workspace.bottom, workspace.driver, workspace.top.loss
    counters = figures.counters
    weights_only = workspace.options["predict_only_model"]
    # VW writes the stored weights, and the state of lazy regularization separately
    in_force = weights_only or not workspace.options["vw_compat"]
    lines = [
        f"Version {VW_VERSION}",
        "Id ",
        f"Min label:{loss.min_label:g}",
        f"Max label:{loss.max_label:g}",
        f"bits:{workspace.options['bit_precision']}",
        "lda:0",
        "0 ngram:",
        "0 skip:",
        "options:" + "".join(f" {words}" for words in kept_words(workspace)),
        "Checksum: 0",
        f":{0 if weights_only else 1}",
    ]
    if not weights_only:
        state = {
            "initial_t": 0,
            "norm normalizer": 0,
            "t": counters.weighted_labeled + counters.weighted_unlabeled,
            "sum_loss": counters.sum_loss,
            "sum_loss_since_last_dump": counters.sum_loss_since,
            "dump_interval": figures.dump_interval,
            "min_label": loss.min_label,
            "max_label": loss.max_label,
            "weighted_labeled_examples": counters.weighted_labeled,
            "weighted_labels": counters.weighted_labels,
            "weighted_unlabeled_examples": counters.weighted_unlabeled,
            "example_number": counters.example_number,
            "total_features": counters.total_features,
            "total_weight": 0,
            "sd::oec.weighted_labeled_examples": counters.weighted_labeled_before,
            "current_pass": max(figures.current_pass, 1),
            "l1_state": 0,
            "l2_state": 1,
        }
        state |= bottom.vw_state(in_force)
        lines += [f"{name} {value:g}" for name, value in state.items()]
    index, *found = (memoryview(column) for column in bottom.columns(in_force))
    columns = [found[i].cast("f") for i in bottom.shown_columns(weights_only)]
    listing = columns if bottom.lists_sums else columns[:1]
    names_of = names_by_slot(workspace, index.cast("I").tolist()) if with_names else {}
    for i, slot in enumerate(index.cast("I")):
        if any(column[i] != 0 for column in listing):
            numbers = " ".join(f"{column[i]:g}" for column in columns)
            name = f"{names_of.get(slot, '')}:" if with_names else ""
            lines.append(f"{name}{slot}:{numbers}")
    return lines


def kept_words(workspace: Workspace) -> list[str]:
    """The options that VW would store, as words, in alphabetical order."""
    declared = workspace.options.declared
    words = []
    for name, value in sorted(workspace.options.kept().items()):
        if declared[name].vw_forgets or name in ("bit_precision", "random_seed"):
            continue
        for one in value if isinstance(value, list) else [value]:
            words.append(f"--{name}" if one is True else f"--{name} {os.fspath(one) if isinstance(one, str) else one}")
    return words
