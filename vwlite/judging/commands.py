"""What the command line and Python ask for: the evaluation of a model, or of predictions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from vwlite.errors import OptionError
from vwlite.judging import reading
from vwlite.judging.comparison import Comparison, compare
from vwlite.judging.evaluation import Evaluation, evaluate
from vwlite.judging.intervals import Resampling
from vwlite.judging.records import MISSING, Judged, Slice
from vwlite.model import model_file


def evaluation_of(  # noqa: DOC502, DOC503
    judged: str,
    data: Sequence[str] = (),
    how: Resampling | None = None,
    *,
    by: Sequence[str] = (),
    entities: Sequence[str] = (),
    resample: str | None = None,
    kind: str | None = None,
    columns: dict[str, str | None] | None = None,
    given: dict[str, Any] | None = None,
) -> Evaluation:
    """Evaluates a model, or predictions.

    Args:
        judged: A model file, a file of predictions, or a table of labels and predictions.
        data: Labelled data; none for a table.
        how: The samples of the bootstrap.
        by: Names of slices.
        entities: Names of entities, over which metrics are averaged.
        resample: The name of the entities that the bootstrap draws; None for examples.
        kind: Of labels: one of records.KINDS.
        columns: Of a table: names by "prediction" or "weight".
        given: Options about the data, by name.

    Returns:
        The evaluation.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read, or there is nothing to compare.
    """
    names = list(dict.fromkeys([*by, *entities, *([resample] if resample else [])]))
    drawn_whole = [*entities, *([resample] if resample else [])]
    examples = examples_of(judged, data, names, kind, columns or {}, given or {}, drawn_whole)
    found, how = named(examples, names), drawn(examples, how, resample)
    wanted = [found[name] for name in dict.fromkeys([*by, *entities])]
    return evaluate(examples._replace(slices=wanted), how, tuple(entities), resample or "")


def comparison_of(  # noqa: DOC502, DOC503
    first: str,
    other: str,
    data: Sequence[str] = (),
    how: Resampling | None = None,
    *,
    resample: str | None = None,
    kind: str | None = None,
    columns: dict[str, str | None] | None = None,
    given: dict[str, Any] | None = None,
) -> Comparison:
    """Compares two models, or files of predictions, on the same data.

    Args:
        first: A model file, a file of predictions, or a table of labels and predictions.
        other: Another one.
        data: Labelled data; none for tables.
        how: The samples of the bootstrap.
        resample: The name of the entities that the bootstrap draws; None for examples.
        kind: Of labels: one of records.KINDS.
        columns: Of tables: names by "prediction" or "weight".
        given: Options about the data, by name.

    Returns:
        The comparison.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read, or the examples differ.
    """
    if "-" in data:
        raise OptionError("-d -: standard input can't be read for each of both: name a file")
    names = [resample] if resample else []

    def side(path: str) -> Judged:
        if path != "-" and reading.is_model(path):
            return examples_of(path, data, names, None, {}, given or {}, names)
        return examples_of(path, data, names, kind, columns or {}, given or {}, names)

    one, two = side(first), side(other)
    named(one, names)
    return compare(one, two, drawn(one, how, resample), resample or "")


def named(examples: Judged, names: Sequence[str]) -> dict[str, Slice]:
    """The slices by name. Raises OptionError for one that no example has."""
    found = {one.name: one for one in examples.slices}
    for name in names:
        if all(group == MISSING for group in found[name].names):
            raise OptionError(
                f"{name}: no example has a feature, namespace or column of this name (a feature of a namespace is "
                "called namespace^name)"
            )
    return found


def drawn(examples: Judged, how: Resampling | None, resample: str | None) -> Resampling:
    """The samples of a bootstrap that draws entities, if they are named."""
    how = how or Resampling()
    if not resample:
        return how
    one = next(each for each in examples.slices if each.name == resample)
    return how._replace(units=units_of(one.names, one.codes))


def units_of(names: Sequence[str], codes: Any) -> Any:
    """The units of a bootstrap of entities: examples without one are units of their own."""
    if not names or names[-1] != MISSING:
        return codes
    missing = np.flatnonzero(codes == len(names) - 1)
    units = codes.copy()
    units[missing] = len(names) - 1 + np.arange(len(missing))
    return units


def examples_of(
    judged: str,
    data: Sequence[str],
    names: Sequence[str],
    kind: str | None,
    columns: dict[str, Any],
    given: dict[str, Any],
    entities: Sequence[str] = (),
) -> Judged:
    """The judged examples of a model or of a file; `entities` are those of `names` that are no slices."""
    of_table = [f"--{name}" for name, value in columns.items() if value is not None]
    if judged != "-" and reading.is_model(judged):
        refused = [*of_table, *(["--kind"] if kind else [])]
        if refused:
            raise OptionError(
                f"{' and '.join(refused)}: only for files of predictions, and {judged} is a model: leave it out"
            )
        return reading.predictions_of(judged, list(data) or ["-"], names, given, entities)
    if data:
        if of_table:
            raise OptionError(f"{' and '.join(of_table)} are for tables of predictions without DATA: leave them out")
        return reading.beside_data(judged, list(data), names, kind, given, entities)
    given = {name: value for name, value in given.items() if value}
    label = given.pop("label", None)
    if given:
        raise OptionError(f"--{' and --'.join(given)}: a table of predictions has no DATA: leave it out")
    columns = {name: value for name, value in {**columns, "label": label}.items() if value is not None}
    return reading.of_table(judged, names, kind, columns)


def facts_of(judged: str, data: Sequence[str]) -> dict[str, Any]:
    """What was judged, in values that JSON can represent: the model's id, or the file; and the data.

    Args:
        judged: A model file, a file of predictions, or a table of labels and predictions.
        data: Labelled data.

    Returns:
        The facts. Files have their sha256, for which they are read once more; pipes and queries have none.
    """
    if judged != "-" and reading.is_model(judged):
        return {"model": model_file.open(judged).metadata["id"], "data": described(data or ["-"])}
    return {"predictions": described([judged])} | ({"data": described(data)} if data else {})


def described(paths: Sequence[str]) -> list[dict[str, str]]:
    """The names of files with their digests; only regular files can be read again."""
    found = []
    for path in paths:
        facts = {"path": path}
        if os.path.isfile(path):
            with open(path, "rb") as file:
                facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(facts)
    return found
