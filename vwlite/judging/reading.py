"""Reading of what is judged: the predictions of a model for data, or a file of predictions beside data, or a table."""

from __future__ import annotations

import csv
import json
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from vwlite.core.elementary import array_exp
from vwlite.core.options import Options
from vwlite.core.paths import explain
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import command_line
from vwlite.engine.feed import Feed
from vwlite.engine.run import Run
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.input.naming import Naming
from vwlite.input.predicate import Predicate
from vwlite.input.sources import open_source
from vwlite.input.where import looking_for
from vwlite.judging.recorder import NO_CLASS, Recorder
from vwlite.judging.records import Judged, Slice, judged, slice_of, slices_of
from vwlite.parsers.entities import entity_namespaces

COLUMNS = {"label": ("label", "y"), "prediction": ("prediction", "p"), "weight": ("weight", "w")}
SHOWN = 40  # characters of a cell in a message


def is_model(path: str) -> bool:
    """Whether a file is a model rather than predictions: a model begins with the length of a header in JSON.

    A pipe is none: what is read to find out would be lost. Raises VwliteError if there is no such file.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise VwliteError(f"{path}: can't be read: {explain(error, path)}") from error
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32


def words_of(given: dict[str, Any]) -> list[str]:
    """The words of a command line for the options of a subcommand; None, False and () are not given."""
    words: list[str] = []
    for name, value in given.items():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if one is True:
                words.append(f"--{name}")
            elif one not in (None, False):
                words.append(f"--{name}={one}")
    return words


def names_of_slices(options: Options, by: Sequence[str]) -> Predicate | None:
    """What finds the slices in an example; None without any."""
    if not by:
        return None
    return Predicate(options, Naming(options, entity_namespaces(options)), looking_for(by))


def options_of(paths: Sequence[str], given: dict[str, Any], by: Sequence[str], words: Sequence[str]) -> Options:
    """The options of a run over data."""
    options = command_line.parse(
        [*words, *words_of(given), *(f"--data={path}" for path in paths)], command_line.option_groups()
    )
    options.noted = list(by)
    return options


def recorder_of(top: Any, predicate: Predicate | None) -> Recorder | None:
    """A Recorder for a stack, with the slices of a predicate; None if it predicts neither numbers nor one class."""
    if top.takes_label is LabelType.SIMPLE and top.gives_prediction is PredictionType.SCALAR:
        return Recorder(predicate)
    if top.takes_label is LabelType.MULTICLASS and top.gives_prediction in (
        PredictionType.CLASS,
        PredictionType.PROBABILITIES,
    ):
        return Recorder(predicate, True, top.classes, top.gives_prediction is PredictionType.PROBABILITIES)
    return None


class Scoring(Run):
    """A run that predicts, prints no table and no summary, and is observed by a Recorder."""

    def __init__(self, options: Options, by: Sequence[str]) -> None:
        workspace = Workspace(options, "command")
        top = workspace.top
        recorder = recorder_of(top, names_of_slices(options, by))
        if recorder is None:
            of_policies = "; vwlite policies judges decisions" if top.takes_label is LabelType.CONTEXTUAL_BANDIT else ""
            raise OptionError(
                f"{options['initial_regressor']} predicts {top.gives_prediction.value} of {top.takes_label.value} "
                f"labels: models of numbers and of one class for each example can be evaluated{of_policies}"
            )
        self.recorder = recorder
        workspace.driver.observer = self.recorder
        workspace.driver.needs_names = workspace.driver.needs_names or bool(by)
        super().__init__(options, workspace)

    def main(self) -> int:
        """Executes the run; returns the exit status."""
        try:
            self.prepare()
            self.driver.quiet = True
            with self.signals():
                self.passes()
        finally:
            self.progress.clear()
            self.feed.close()
        if self.stopped_by is not None:
            raise KeyboardInterrupt
        self.print_skipped()
        return 0

    def refuse_empty(self) -> None:  # noqa: DOC502
        """Accepts data of which the model uses no feature, if its options say so: it predicts the mean, a baseline.

        Raises:
            VwliteError: If there is no feature for another reason.
        """
        if not self.left_out() or any("--keep" in line for line in self.workspace.unmatched()):
            super().refuse_empty()


def predictions_of(  # noqa: DOC502
    model: str,
    paths: Sequence[str],
    by: Sequence[str] = (),
    given: dict[str, Any] | None = None,
    entities: Collection[str] = (),
) -> Judged:
    """The predictions of a model for labelled data; the model is unchanged.

    Args:
        model: The model file.
        paths: The data.
        by: Names of slices.
        given: Options about the data, by name.
        entities: Which of the slices are entities.

    Returns:
        The judged examples.

    Raises:
        OptionError: If the model predicts neither numbers nor classes, or options don't fit it.
        VwliteError: If a file can't be read.
    """
    options = options_of(paths, given or {}, by, ["--testonly", f"--initial_regressor={model}"])
    run = Scoring(options, by)
    run.main()
    return judged_by(run.recorder, run.workspace, by, entities)


def judged_by(recorder: Any, workspace: Workspace, by: Sequence[str], entities: Collection[str] = ()) -> Judged:
    """The judged examples that a Recorder has of a workspace's predictions."""
    top = workspace.top
    places, labels, weights, predictions, scores, *classes = columns_of(recorder)
    slices = slices_of(by, [recorder.slice(i) for i in range(len(by))], entities)
    if classes:
        return of_classes(recorder, top.classes, places, weights, classes, slices, top)
    if "logistic" in top.loss.name or workspace.options["link"] == "logistic":
        probabilities = 1 / (1 + array_exp(-scores))
        return judged(labels, scores, weights, kind="binary", probabilities=probabilities, slices=slices, places=places)
    kind = "binary" if top.loss.name == "hinge" or set(np.unique(labels[:1000])) == {-1, 1} else "number"
    return judged(labels, predictions, weights, kind=kind, slices=slices, places=places)


def raw_columns(recorder: Any) -> list[Any]:
    """The columns of a Recorder as arrays, as they are stored."""
    types = (np.uint64, np.float32, np.float32, np.float32, np.float32, np.uint32, np.uint32, np.float32)
    return [np.frombuffer(view, kind) for view, kind in zip(recorder.columns(), types, strict=False)]


def columns_of(recorder: Any) -> list[Any]:
    """The columns of a Recorder as arrays of 64 bits."""
    found = raw_columns(recorder)
    return [column.astype(float) if column.dtype == np.float32 else column.astype(np.int64) for column in found]


def of_classes(
    recorder: Recorder, stack: Any, places: Any, weights: Any, classes: list[Any], slices: list[Slice], top: Any
) -> Judged:
    """The judged examples of a stack that predicts classes."""
    labels, predictions, probabilities = classes
    names = [name.decode("utf-8", "replace") for name in recorder.label_classes()]
    number = {name: i for i, name in enumerate(names)}
    of_stack = np.full(len(predictions), -1)
    for code in np.unique(predictions):
        name = "(none)" if code == NO_CLASS else str(stack.value(int(code)))
        if name not in number:
            number[name] = len(names)
            names.append(name)
        of_stack[predictions == code] = number[name]
    order = sorted(range(len(names)), key=lambda i: (not names[i].isdecimal(), names[i].zfill(12), names[i]))
    rank = np.argsort(order)
    has_probabilities = top.gives_prediction is PredictionType.PROBABILITIES
    return judged(
        rank[labels] if len(labels) else labels,
        rank[of_stack] if len(labels) else labels,
        weights,
        kind="class",
        probabilities=probabilities if has_probabilities else None,
        slices=slices,
        places=places,
        names=[names[i] for i in order] or ["(none)"],
    )


def beside_data(  # noqa: DOC502
    predictions: str,
    paths: Sequence[str],
    by: Sequence[str] = (),
    kind: str | None = None,
    given: dict[str, Any] | None = None,
    entities: Collection[str] = (),
) -> Judged:
    """Predictions in a file, one for each example of labelled data.

    Args:
        predictions: The file: a prediction begins each line, as -p writes them; or a JSON object with "prediction".
        paths: The data.
        by: Names of slices.
        kind: One of records.KINDS; by default that which the labels show.
        given: Options about the data, by name.
        entities: Which of the slices are entities.

    Returns:
        The judged examples.

    Raises:
        VwliteError: If a file can't be read, or there are not as many predictions as examples.
    """
    options = options_of(paths, given or {}, by, ["--testonly"])
    of_class = kind == "class"
    feed = Feed(options, bool(by), LabelType.MULTICLASS if of_class else LabelType.SIMPLE, False)
    recorder = Recorder(names_of_slices(options, by), of_class)
    try:
        for block in feed.blocks():
            recorder.read(block)
    finally:
        feed.close()
    said = list(lines_of_predictions(predictions))
    if len(said) != recorder.seen:
        raise VwliteError(
            f"{predictions}: {len(said)} predictions, and {recorder.seen} examples in {', '.join(feed.names)}: there "
            "has to be one for each, of the same examples in the same order"
        )
    places, labels, weights = columns_of(recorder)[:3]
    slices = slices_of(by, [recorder.slice(i) for i in range(len(by))], entities)
    chosen = [said[place] for place in places]
    if of_class:
        names = [name.decode("utf-8", "replace") for name in recorder.label_classes()]
        labels = np.array([*names, ""])[columns_of(recorder)[5]]
        return judged(labels, np.array(chosen, str), weights, kind="class", slices=slices, places=places)
    numbers = np.array([as_number(one, predictions, int(place)) for one, place in zip(chosen, places, strict=True)])
    return judged(labels, numbers, weights, kind=kind, slices=slices, places=places)


def as_number(text: str, path: str, place: int) -> float:
    """A prediction as a number. Raises VwliteError with its place."""
    try:
        return float(text)
    except ValueError:
        raise VwliteError(
            f"{path}: prediction {place + 1} is {text[:SHOWN]!r}, not a number (--kind class if labels are classes)"
        ) from None


def lines_of_predictions(path: str) -> Iterator[str]:
    """The predictions in a file: the first word of each line, or "prediction" of a JSON object."""
    for number, line in enumerate(lines_of(path), 1):
        text = line.strip()
        if not text:
            continue
        if text.startswith("{"):
            try:
                found = json.loads(text)["prediction"]
            except (ValueError, KeyError, TypeError):
                raise VwliteError(f'{path}:{number}: no JSON object with a "prediction": {text[:SHOWN]}') from None
            yield str(found)
            continue
        yield text.split()[0].partition(",")[0]


def lines_of(path: str) -> Iterator[str]:
    """The lines of a text, which may be compressed; "-" is standard input."""
    source = open_source(path)
    try:
        with os.fdopen(os.dup(source.fd), encoding="utf-8", errors="replace", newline="") as file:
            yield from file
    finally:
        source.close()


def of_table(  # noqa: DOC502
    path: str, by: Sequence[str] = (), kind: str | None = None, names: dict[str, str] | None = None
) -> Judged:
    """A table of labels and predictions: CSV, TSV or NDJSON.

    Args:
        path: The file, with columns label and prediction, and perhaps weight.
        by: Columns that are slices.
        kind: One of records.KINDS; by default that which the labels show.
        names: Other names of the columns, by "label", "prediction" or "weight".

    Returns:
        The judged examples; rows without a label are left out.

    Raises:
        VwliteError: If the file can't be read, a column is missing, or a cell is no number.
    """
    rows = list(records_of(path))
    if not rows:
        raise VwliteError(f"{path}: no row")
    found = {role: column_of(path, rows[0], role, (names or {}).get(role)) for role in COLUMNS}
    missing = [name for name in by if not any(name in row for row in rows)]
    if missing:
        raise VwliteError(f"{path}: no column {missing[0]!r}; there are {', '.join(map(repr, rows[0]))}")
    labels = [row.get(found["label"]) for row in rows]
    used = [i for i, label in enumerate(labels) if label not in (None, "")]

    def column(role: str) -> Any:
        cells = [rows[i].get(found[role]) for i in used]
        if kind == "class" and role != "weight":
            return np.array([str(cell) for cell in cells])
        numbers = np.empty(len(cells))
        for i, cell in enumerate(cells):
            try:
                numbers[i] = float(cell)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                if kind is None and role == "label" and i == 0:
                    return np.array([str(cell) for cell in cells])
                raise VwliteError(
                    f"{path}: row {used[i] + 1}: {str(cell)[:SHOWN]!r} is no number in {found[role]}"
                    + (" (--kind class if labels are classes)" if role != "weight" else "")
                ) from None
        return numbers

    label = column("label")
    if label.dtype.kind == "U":
        kind = "class"
    slices = [slice_of(name, [rows[i].get(name) for i in used]) for name in by]
    weight = column("weight") if found["weight"] else None
    return judged(label, column("prediction"), weight, kind=kind, slices=slices, places=used)


def column_of(path: str, row: dict[str, Any], role: str, given: str | None) -> str:
    """The name of a column; "" for a weight that there is none of. Raises VwliteError for a missing one."""
    for name in (given,) if given else COLUMNS[role]:
        if name in row:
            return name
    if role == "weight" and not given:
        return ""
    raise VwliteError(
        f"{path}: no column {given or COLUMNS[role][0]!r}; there are {', '.join(map(repr, row))} (--{role} NAME says "
        "which it is)"
    )


def records_of(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a table in text."""
    lines = lines_of(path)
    first = next(lines, "")
    whole = (line for part in ((first,), lines) for line in part)
    if first.lstrip().startswith("{"):
        for number, line in enumerate(whole, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise VwliteError(f"{path}:{number}: no JSON object: {error}") from None
            if not isinstance(row, dict):
                raise VwliteError(f"{path}:{number}: no JSON object: {line[:SHOWN]}")
            yield row
        return
    separator = max(",;\t", key=first.count)
    try:
        for number, row in enumerate(csv.DictReader(whole, delimiter=separator), 1):
            if None in row or None in row.values():
                raise VwliteError(f"{path}: row {number} has another number of cells than the header")
            yield row
    except csv.Error as error:
        raise VwliteError(f"{path}: {error}") from error
