"""Frames: reads the columns of data frames - pandas, Polars, pyarrow - into records, texts as categories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vwlite.sklearn.checks import LARGEST

NUMBER, TEXT, ENTITY = "numbers", "texts", "entities"

SPECIAL = ("_label", "_weight", "_initial", "_tag")  # keys of a record that are no features


def is_frame(X: Any) -> bool:
    """Whether an object has columns with names, and one for each row."""
    return not isinstance(X, np.ndarray) and hasattr(X, "columns") and hasattr(X, "shape")


def names_of(X: Any) -> list[Any]:
    """The names of a data frame's columns."""
    return list(X.column_names if hasattr(X, "column_names") else X.columns)


def names_seen(estimator: Any) -> list[Any]:
    """The names of an estimator's columns, or their numbers if they had none."""
    names = getattr(estimator, "feature_names_in_", None)
    return list(range(estimator.n_features_in_)) if names is None else list(names)


def column_of(X: Any, index: int) -> Any:
    """A column of a data frame or an array, by its place."""
    if isinstance(X, np.ndarray):
        return X[:, index]
    if hasattr(X, "iloc"):
        return X.iloc[:, index]
    return X.column(index) if hasattr(X, "column_names") else X.to_series(index)


def is_number(column: Any) -> bool:
    """Whether a column's type is one of numbers, or of true and false."""
    kind = getattr(column, "dtype", getattr(column, "type", None))
    if isinstance(letter := getattr(kind, "kind", None), str):
        return letter in "biuf"
    return bool(re.match(r"(u?int|float|double|halffloat|bool|decimal)", str(kind).lower()))


def has_texts(X: Any) -> bool:
    """Whether a data frame has a column of another type than numbers."""
    return not all(is_number(column_of(X, i)) for i in range(len(names_of(X))))


def words_of(names: Sequence[Any]) -> list[str]:
    """Names of features for columns: different ones, without what separates words in a line of text.

    A number gets an x before it: its hash would be itself, and the product of columns 0 and 1 be column 1.

    >>> words_of(["a b", "a_b", "_tag", 3])
    ['a_b', 'a_b#1', '_tag#2', 'x3']
    """
    words: list[str] = []
    seen: set[str] = set(SPECIAL)
    for i, name in enumerate(names):
        word = re.sub(r"[\x00-\x20:|\x7f]", "_", str(name)) or f"#{i}"
        word = f"x{word}" if word.isdecimal() else word
        words.append(word if word not in seen else f"{word}#{i}")
        seen.add(word)
    return words


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or NA and NaT of pandas."""
    return (
        value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


def numbers_of(name: Any, values: Any) -> NDArray[np.float64]:
    """A column of finite numbers; raises ValueError for others, TypeError for other things."""
    try:
        numbers = np.asarray(values, np.float64)
        if numbers.ndim != 1:
            raise TypeError("lists inside")
    except (TypeError, ValueError):
        found = {type(value).__name__ for value in np.asarray(values, object).tolist() if not is_missing(value)}
        raise TypeError(
            f"the column {name!r} holds values of type {' and '.join(sorted(found)) or 'none'}: convert it to "
            "numbers or to texts, or leave it out"
        ) from None
    if not (np.abs(numbers) <= LARGEST).all():
        row = int(np.argmin(np.abs(numbers) <= LARGEST))
        wrong = "NaN" if np.isnan(numbers[row]) else f"{numbers[row]}, which is infinity or too large for float32"
        raise ValueError(
            f"the column {name!r} contains {wrong} in row {row} (counted from 0): Input X contains NaN or "
            "infinity; impute or drop such rows"
        )
    return numbers


def read(name: Any, column: Any, known: str | None) -> tuple[str, list[Any]]:
    """Reads a column.

    Args:
        name: Its name, for messages.
        column: A column of a data frame or an array.
        known: What its values were in fit: NUMBER, TEXT or ENTITY; None if that is not known.

    Returns:
        What its values are, and a list of them: floats, texts, or None for a text that is missing.

    Raises:
        TypeError: If it has values of different types, or such as are no feature.
        ValueError: If a number is missing or not finite, or the type is another than in fit.
    """
    if known == ENTITY:
        return ENTITY, [entity(name, value) for value in listed(column)]
    if is_number(column):
        if known == TEXT and len(values := listed(column)) and not all(map(is_missing, values)):
            raise ValueError(f"the column {name!r} held texts in fit, and holds numbers now")
        return (NUMBER, numbers_of(name, column).tolist()) if known != TEXT else (TEXT, [None] * len(values))
    kind = str(getattr(column, "dtype", getattr(column, "type", ""))).lower()
    values = listed(column)
    found = set(map(type, values))
    if found != {str}:
        there = [value for value in values if not is_missing(value)]
        if kind.startswith(("category", "categorical", "enum", "dictionary")):
            there = list(map(str, there))
            values = [None if is_missing(value) else str(value) for value in values]
        found = set(map(type, there))
        if not all(issubclass(each, str) for each in found):
            if any(issubclass(each, str) for each in found):
                types = " and ".join(sorted(each.__name__ for each in found))
                raise TypeError(f"the column {name!r} holds values of types {types}: convert it to one of them")
            if known == TEXT:
                raise ValueError(f"the column {name!r} held texts in fit, and holds other values now")
            return NUMBER, numbers_of(name, np.array(values, object)).tolist()
        values = [None if is_missing(value) else value for value in values]
    if known == NUMBER:
        raise ValueError(f"the column {name!r} held numbers in fit, and holds texts now")
    return TEXT, values


def listed(column: Any) -> list[Any]:
    """The values of a column as objects of Python."""
    for method in ("to_list", "to_pylist", "tolist"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)


def entity(name: Any, value: Any) -> Any:
    """The name of an entity, a text; None for none."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value or None
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, (int, float, np.number)):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    raise TypeError(
        f"the column {name!r} names entities: the argument must be a string or a whole number, not "
        f"{type(value).__name__}"
    )


class Records:
    """Rows as records, made anew each time that they are read.

    Args:
        words: The names of features, or pairs (namespace, feature).
        columns: A list of values for each.
    """

    def __init__(self, words: Sequence[Any], columns: Sequence[list[Any]]) -> None:
        self.words = words
        self.cells = columns

    def __len__(self) -> int:
        return len(self.cells[0])

    def width(self) -> int:
        """The number of different features."""
        return sum(len(set(column)) if str in set(map(type, column)) else 1 for column in self.cells)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not any(isinstance(word, tuple) for word in self.words):
            for row in zip(*self.cells, strict=True):
                yield dict(zip(self.words, row, strict=True))
            return
        for row in zip(*self.cells, strict=True):
            record: dict[str, Any] = {}
            for word, value in zip(self.words, row, strict=True):
                if isinstance(word, tuple):
                    record[word[0]] = {word[1]: value}
                else:
                    record[word] = value
            yield record

    def __getitem__(self, order: NDArray[np.intp]) -> Records:
        """The rows in another order."""
        return Records(self.words, [[column[i] for i in order] for column in self.cells])
