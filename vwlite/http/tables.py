"""Batches as Arrow streams: a row is an example, and the answer is a stream of predictions."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from vwlite.core.types import LabelType
from vwlite.errors import VwliteError
from vwlite.http import rows_of_tables
from vwlite.http.arrow_streams import read
from vwlite.http.calls import ARROW, Answer
from vwlite.http.entries import Header, labels_of
from vwlite.http.kinds import Binary
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.input.column_map import ColumnMap, Rule, read_label, read_map
from vwlite.input.naming import Naming
from vwlite.input.writing import Lines
from vwlite.parsers.arrow import Tables
from vwlite.parsers.entities import entity_namespaces


async def arrow(
    batches: Any, model: Model, what: str, content: bytes, query: dict[str, str], header: Header | None
) -> Answer:
    """Runs the rows of an Arrow stream.

    Args:
        batches: Runs slices.
        model: The model.
        what: "predict" or "learn".
        content: The stream.
        query: `label` and `weight` are the names of columns, `columns` is a column map.
        header: Of a request with a key.

    Returns:
        A stream with the columns `prediction` and `error`.

    Raises:
        Problem: If the stream can't be read, or its columns are not as they have to be.
    """
    if model.engine.blocks:
        raise Problem(400, "decisions of several lines can't be rows of a table: send JSON or VW's text")
    table = read(content, batches.service.settings.max_body)
    batches.require_size(table.num_rows)
    if what == "learn" and "label" not in query:
        raise Problem(400, "the query names the column of labels: ?label=click")
    options = model.engine.workspace.options
    labels = model.engine.workspace.top.takes_label
    naming = Naming(options, entity_namespaces(options))
    problems: dict[int, str] = {}
    lines = Lines(labels, False, False, lambda s, line, c, reason, text: problems.update({line: reason}), [""], naming)
    table, label = with_labels(model, table, query.get("label"), what == "learn")
    table = with_weights(table, label, query.get("weight"))
    if model.writer.scales and "columns" not in query:
        table = with_numbers(table, label)
    output: list[bytes] = []
    entry = 0
    start = 0 if header is None else min(header.done, table.num_rows)
    began = time.monotonic()
    try:
        column_map = map_of(query, label)
        short = rows_of_tables.is_short(batches, model, what, table, query, header is not None)
        rows = Tables(naming, labels, not short or model.engine.driver.needs_names, options["missing"] == "skip")
        blocks = rows.blocks(table, column_map, None, None, None, what == "learn")
        if short:
            return await rows_of_tables.run(batches, model, what, table, blocks, label)
        for block in blocks:
            problems.clear()
            first = 1 + len(output)
            text = lines.text(block).splitlines(keepends=True)
            good, places = [], []
            answers = [b""] * block.n_rows
            fresh = iter(text)
            for i in range(block.n_rows):
                if first + i in problems:
                    answers[i] = ERROR + problems[first + i].encode()
                    continue
                line = next(fresh)
                if len(output) + i < start:
                    answers[i] = ERROR + b"repeated"
                else:
                    good.append(line)
                    places.append(i)
            if what == "predict":
                found = model.predict(good) if good else []
            else:
                values: list[Label] = labels_of(good, labels)
                found, number = batches.learn(model, good, values, header, len(output) + block.n_rows)
                entry = number or entry
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
            output += answers
            if time.monotonic() - began > 0.004:
                await asyncio.sleep(0)
                began = time.monotonic()
    except (VwliteError, TypeError, ValueError) as error:
        if output:
            await batches.house.commits.wait(entry)
        raise Problem(400, f"{error}; {len(output)} rows before were used" if output else str(error)) from None
    given = Answer(answer_table(model, output), 200, ARROW, {"Model-Id": model.id})
    await batches.finish(header, entry, given)
    if what == "learn" and output:
        batches.house.tell("learn", model, examples=len(output))
    return given


def with_labels(model: Model, table: Any, label: str | None, learns: bool) -> tuple[Any, str | None]:
    """The table with labels as the model learns them, of which a binary model's may be any two; none to predict by."""
    if label is None or label not in table.column_names:
        return table, label
    import pyarrow as pa

    if not learns:
        nothing = pa.nulls(table.num_rows, pa.float32())
        return table.set_column(table.column_names.index(label), label, nothing), label
    if not isinstance(model.kind, Binary):
        return table, label
    column = table.column(label)
    values = {value: model.kind.label(value) for value in column.unique().to_pylist() if value is not None}
    numbers = pa.array([values.get(value) for value in column.to_pylist()], pa.float32())
    return table.set_column(table.column_names.index(label), label, numbers), label


def with_weights(table: Any, label: str | None, weight: str | None) -> Any:
    """The table without the weights of rows that have no label, for which text has no place."""
    if label not in table.column_names or weight not in table.column_names:
        return table
    import pyarrow as pa
    import pyarrow.compute as pc

    weights = pc.if_else(pc.is_null(table.column(label)), pa.scalar(1.0), pc.cast(table.column(weight), pa.float64()))
    return table.set_column(table.column_names.index(weight), weight, weights)


def with_numbers(table: Any, label: str | None) -> Any:
    """The table with the numbers 1 and 0 for true and false, as the steps of River's pipelines see them."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_boolean(field.type) and field.name != label:
            table = table.set_column(place, field.name, table.column(place).cast(pa.int8()))
    return table


def map_of(query: dict[str, str], label: str | None) -> ColumnMap:
    """The column map of a request. Raises OptionError."""
    given = query.get("columns")
    found = read_map(given.split() if given else [], None)
    rules = [Rule(query["weight"], "weight")] if "weight" in query else []
    return ColumnMap((*rules, *found.rules), read_label(label) if label is not None else None, bool(found.rules))


def answer_table(model: Model, answers: list[bytes]) -> bytes:
    """An Arrow stream of answers."""
    import pyarrow as pa

    errors = [
        each.removeprefix(ERROR).decode("utf-8", "replace") if each.startswith(ERROR) else None for each in answers
    ]
    if model.engine.workspace.top.takes_label is LabelType.SIMPLE:
        names = model.engine.columns
        columns: dict[str, Any] = {}
        words = [[] if each.startswith(ERROR) else each.split() for each in answers]
        for i, name in enumerate(names):
            values = [float(row[i]) if len(row) > i else math.nan for row in words]
            columns[name] = pa.array([None if value != value else value for value in values], pa.float32())
    else:
        shown = [
            None if error is not None else str(model.kind.prediction(each))
            for each, error in zip(answers, errors, strict=True)
        ]
        columns = {"prediction": pa.array(shown, pa.string())}
    columns["error"] = pa.array(errors, pa.string())
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found
