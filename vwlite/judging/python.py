"""The functions of vwlite.judging for Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vwlite.judging import comparison, evaluation
from vwlite.judging.commands import comparison_of, drawn, evaluation_of
from vwlite.judging.intervals import Resampling
from vwlite.judging.records import Judged, judged, slice_of


def evaluate(  # noqa: DOC502
    predictions: Any,
    data: Any = None,
    *,
    by: Sequence[str] | Mapping[str, Any] = (),
    entities: Sequence[str] = (),
    resample: str | None = None,
    weights: Any = None,
    kind: str | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> evaluation.Evaluation:
    """Computes metrics of predictions, with bootstrap intervals; the same as ``vwlite eval``.

    Args:
        predictions: The path of a model, of a file of predictions, or of a table of labels and predictions; or an array
            of predictions, (n,): numbers, probabilities of the label 1, or classes.
        data: The path of labelled data, or several; beside an array the labels, (n,).
        by: Names of slices, of which each group has its metrics; beside an array a dict of their columns, (n,).
        entities: Names of entities, over which metrics are averaged; beside an array keys of `by`.
        resample: The name of entities that the bootstrap draws whole; beside an array a key of `by`.
        weights: Beside an array: the weights, (n,).
        kind: "number", "binary" or "class"; by default what the labels show. Models know theirs.
        samples: Of the bootstrap; 0 for no intervals.
        level: Of the intervals.
        seed: Of the bootstrap.
        **options: About the data in files, as on the command line: format, columns_in, label, where, ...

    Returns:
        The evaluation.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read, or there is nothing to compare.

    >>> found = evaluate([0.9, 0.2, 0.4], [1, 0, 1])
    >>> found.value("auc"), round(found.value("brier"), 3)
    (1.0, 0.137)
    """
    how = Resampling(samples, level, seed)
    if is_path(predictions):
        return evaluation_of(
            os.fspath(predictions),
            paths_of(data),
            how,
            by=list(by),
            entities=entities,
            resample=resample,
            kind=kind,
            given=options,
        )
    examples = of_arrays(predictions, data, weights, kind, by)
    how = drawn(examples, how, resample)
    wanted = [one for one in examples.slices if one.name != resample or one.name in entities]
    return evaluation.evaluate(examples._replace(slices=wanted), how, tuple(entities), resample or "")


def compare(  # noqa: DOC502
    first: Any,
    other: Any,
    data: Any = None,
    *,
    resample: str | Sequence[Any] | None = None,
    weights: Any = None,
    kind: str | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **options: Any,
) -> comparison.Comparison:
    """Compares two models or predictions on the same data, by paired samples; the same as ``vwlite compare``.

    Args:
        first: A path or an array, as for `evaluate`.
        other: Another one of the same kind.
        data: The path of labelled data, or several; beside arrays the labels, (n,).
        resample: The name of entities that the bootstrap draws whole; beside arrays their column, (n,).
        weights: Beside arrays: the weights, (n,).
        kind: "number", "binary" or "class"; by default what the labels show.
        samples: Of the bootstrap; 0 for no intervals.
        level: Of the intervals.
        seed: Of the bootstrap.
        **options: About the data in files, as on the command line.

    Returns:
        The comparison.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read, or the examples differ.

    >>> compare([0.9, 0.2, 0.4, 0.3], [0.6, 0.7, 0.4, 0.5], [1, 0, 1, 0]).main.name
    'logloss'
    """
    how = Resampling(samples, level, seed)
    if is_path(first):
        name = None if resample is None else str(resample)
        paths = paths_of(data)
        return comparison_of(os.fspath(first), os.fspath(other), paths, how, resample=name, kind=kind, given=options)
    by = {} if resample is None else {"units": resample}
    one, two = (of_arrays(each, data, weights, kind, by) for each in (first, other))
    how = drawn(one, how, "units" if by else None)
    return comparison.compare(one, two, how, "entities" if by else "")


def is_path(value: Any) -> bool:
    """Whether a value is the name of a file."""
    return isinstance(value, (str, os.PathLike))


def paths_of(data: Any) -> list[str]:
    """The names of files."""
    if data is None:
        return []
    return [os.fspath(data)] if is_path(data) else [os.fspath(path) for path in data]


def of_arrays(predictions: Any, labels: Any, weights: Any, kind: str | None, by: Any) -> Judged:
    """The judged examples of arrays. Raises TypeError without labels."""
    if labels is None:
        raise TypeError("labels are needed beside an array of predictions: evaluate(predictions, labels)")
    if by and not isinstance(by, Mapping):
        raise TypeError("beside an array of predictions, `by` is a dict of columns, by={'country': countries}")
    slices = [slice_of(str(name), list(column)) for name, column in dict(by).items()]
    return judged(np.asarray(labels), np.asarray(predictions), weights, kind=kind, slices=slices)
