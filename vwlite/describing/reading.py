"""Reading of data to describe: `vwlite describe` and its door in Python."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from vwlite.core.options import Options
from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.core.types import LabelType
from vwlite.describing import advice
from vwlite.describing.description import Data, description_of
from vwlite.describing.suspects import suspects_of
from vwlite.describing.tally import Tally
from vwlite.engine import command_line
from vwlite.engine.feed import Feed, is_regular
from vwlite.errors import OptionError, VwliteError
from vwlite.features.interactions import Interactions

READING = ("format", "columns_in", "label", "separator", "decimal", "header", "missing", "where", "hash")
LIMIT = 1_000_000  # features that are told apart
COSTS = next(reason for reason, words in REASONS_IN_WORDS.items() if "costs, an action or several" in words)
FIRST_BLOCKS = 2  # after which it is decided whether labels are classes


class Described(NamedTuple):
    """A description of data.

    Args:
        paths: The data.
        data: Its rows, labels, namespaces and columns.
        suspects: "column", "kind" and "why" of each.
        flags: "flag" and "why" of each that a run should begin with.
        problems: Malformed rows: how many of each reason, and where the first is.
        note: How the format was found; None if it was given.
    """

    paths: list[str]
    data: Data
    suspects: list[dict[str, str]]
    flags: list[dict[str, str]]
    problems: list[dict[str, Any]]
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """The description in values that JSON can represent."""
        data = self.data
        return {
            "data": self.paths,
            "rows": data.rows,
            **data.facts,
            "different_features": data.features,
            "labels": data.labels,
            "namespaces": data.spaces,
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "rows": column.rows,
                    "coverage": column.rows / data.rows if data.rows else 0.0,
                    "distinct": column.distinct,
                    **column.facts,
                    "label": column.association,
                }
                for column in data.columns
            ],
            "suspects": self.suspects,
            "problems": self.problems,
            "flags": self.flags,
            "command": self.command(),
        }

    def command(self) -> str:
        """A command line to start with."""
        words = [
            *(shlex.quote("-" if path == "stdin" else path) for path in self.paths),
            *(one["flag"] for one in self.flags),
            "-f model",
        ]
        return " ".join(["vwlite", *words])


def describe(  # noqa: DOC502
    paths: Sequence[str], given: dict[str, Any] | None = None, classes: bool | None = None, limit: int = LIMIT
) -> Described:
    """Describes data: columns, labels, duplicates, suspects, and the flags to start with.

    Args:
        paths: The data, of one format.
        given: Options of a run about reading, by name, such as ``{"label": "click"}``.
        classes: Whether labels are classes; None to find out.
        limit: The most features that are told apart.

    Returns:
        The description.

    Raises:
        OptionError: If options are wrong, or the data has decisions of several lines.
        VwliteError: If a file can't be read, or has no example.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "data.vw")
    >>> with open(path, "w") as file:
    ...     _ = file.write("1 | price:2 city=Bonn\\n0 | price:3 city=Rome\\n")
    >>> found = describe([path])
    >>> [(column.name, column.kind, column.rows) for column in found.data.columns]
    [('city', 'category', 2), ('price', 'number', 2)]
    """
    options = options_of(list(paths) or ["-"], given or {})
    found = tally_of(options, bool(classes), limit, classes is None)
    if found is None:
        classes, found = True, tally_of(options_of(list(paths), given or {}), True, limit, False)
    assert found is not None
    tally, feed = found
    problems = [
        {"reason": REASONS_IN_WORDS[reason], "rows": count, "line": line, "column": column}
        for reason, (count, (line, column)) in sorted(tally.problems().items(), key=lambda one: -one[1][0])
    ]
    where = ", ".join(feed.names)
    if tally.rows == 0:
        first = problems[0] if problems else None
        why = (
            f"; the first malformed line is {where}:{first['line']}:{first['column']}: {first['reason']}"
            if first
            else ""
        )
        if feed.selection is not None:
            why += feed.selection.why_nothing()
        raise VwliteError(f"{where}: no example ({tally.malformed} malformed lines){why}")
    label = (given or {}).get("label")
    if label not in (None, "none") and tally.labelled == 0:
        raise OptionError(f"{where}: no row has a label in the column of --label {label}")
    data = description_of(tally, bool(classes))
    suspects = suspects_of(data)
    words = [
        word
        for name in READING
        for value in many((given or {}).get(name))
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    flags = advice.flags_for(data, suspects, advice.is_tabular(feed.format), words)
    return Described(feed.names, data, suspects, flags, problems, feed.note)


def many(value: Any) -> list[Any]:
    """The values of an option that may be repeated; none that are not given."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in values if one not in (None, False)]


def options_of(paths: Sequence[str], given: dict[str, Any]) -> Options:
    """The options of a run that reads the data, predicts nothing, and keeps the number 0."""
    words = [f"--data={path}" for path in paths]
    for name, value in given.items():
        words += [f"--{name}" if one is True else f"--{name}={one}" for one in many(value)]
    options = command_line.parse(["--testonly", *words], command_line.option_groups())
    if options["columns_in"]:
        from vwlite.input.column_map import expand

        options.set("columns_in", expand(options["columns_in"]))
    options.set("transform", ["*:keep"])  # parsers keep features of value 0 for transforms
    return options


def tally_of(options: Options, classes: bool, limit: int, may_be_classes: bool) -> tuple[Tally, Feed] | None:
    """Counts the rows; None if labels turn out to be classes, which is found in the first blocks of a file."""
    feed = Feed(options, True, LabelType.MULTICLASS if classes else LabelType.SIMPLE, False)
    tally = Tally(Interactions(options, 18), limit, classes)
    try:
        for number, block in enumerate(feed.blocks()):
            tally.read(block)
            if not classes and are_costs(tally):
                raise OptionError(
                    f"{', '.join(feed.names)}: labels of costs or actions, and decisions of several lines, can't be "
                    "described: only one number or one class for each line"
                )
            if may_be_classes and number < FIRST_BLOCKS and are_classes(tally, feed):
                if all(is_regular(path) for path in feed.paths):
                    return None
                raise OptionError(f"{', '.join(feed.names)}: labels are no numbers: --kind class if they are classes")
    finally:
        feed.close()
    return tally, feed


def are_classes(tally: Tally, feed: Feed) -> bool:
    """Whether so far labels could not be read as numbers."""
    if tally.labelled or tally.shared:
        return False
    of_label = sum(count for reason, (count, _) in tally.problems().items() if "label" in REASONS_IN_WORDS[reason])
    rows = tally.rows if feed.selection is None else feed.selection.selector.seen  # also those that --where leaves out
    return of_label > 0 and of_label >= 0.5 * (tally.malformed + rows)


def are_costs(tally: Tally) -> bool:
    """Whether most labels so far look like costs, actions or several classes."""
    costs = tally.problems().get(COSTS, (0, None))[0]
    return tally.shared or 0 < tally.labelled + tally.malformed <= 2 * costs
