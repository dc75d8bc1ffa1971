"""The short way of an Arrow stream: rows go to the learners as they are, without text between, in arrays.

It is for what needs no text: predictions, and learning without a journal, of models whose labels and predictions are
numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vwlite.errors import VwliteError
from vwlite.http.calls import ARROW, Answer
from vwlite.http.kinds import Binary, Regression
from vwlite.http.model import Model
from vwlite.http.problems import Problem
from vwlite.http.turns import Turn


def is_short(batches: Any, model: Model, what: str, table: Any, query: dict[str, str], keyed: bool) -> bool:
    """Whether the rows of a table can go the short way."""
    house, driver = batches.house, model.engine.driver
    kind = model.kind
    if not isinstance(kind, (Regression, Binary)) or not kind.is_number or driver.gate is not None or keyed:
        return False
    return what == "predict" or (house.journal is None and query.get("label") in table.column_names)


async def run(batches: Any, model: Model, what: str, table: Any, blocks: Iterator[Any], label: str | None) -> Answer:
    """Runs the rows of a table.

    Args:
        batches: Runs slices.
        model: The model.
        what: "predict" or "learn".
        table: The table, with labels as the model learns them.
        blocks: Its rows.
        label: The column of labels; None without one.

    Returns:
        A stream with the columns `prediction` and `error`.

    Raises:
        Problem: If a row can't be read; those before were used.
    """
    learning = what == "learn"
    labels = None
    if learning:
        column = table.column(label)
        labels = column.to_numpy(zero_copy_only=False).astype(np.float64)
    predictions = np.full(table.num_rows, np.nan, np.float32)
    errors: dict[int, str] = {}
    done = 0
    turn = Turn()
    try:
        for block in blocks:
            found, caught = model.engine.run_rows(block, learning)
            n = block.n_rows
            good = np.ones(n, bool)
            for row, reason in caught.items():  # numbered from 1, over all blocks
                good[row - 1 - done] = False
                errors[row - 1] = reason
            predictions[done : done + n][good] = found
            if learning and labels is not None:
                model.note_loss()
                model.failures += len(caught)
                scores: Any = model.scores
                scores.take_arrays(labels[done : done + n][good], np.asarray(found, np.float64))
            done += n
            if await turn.over() and model.gone:
                raise Problem(410, f"the model was deleted or replaced after {done} rows")
    except (VwliteError, TypeError, ValueError) as error:
        raise Problem(400, f"{error}; {done} rows before were used" if done else str(error)) from None
    if learning and done:
        batches.house.tell("learn", model, examples=done)
    return Answer(stream_of(predictions, errors), 200, ARROW, {"Model-Id": model.id})


def stream_of(predictions: Any, errors: dict[int, str]) -> bytes:
    """An Arrow stream of predictions; null where there is none."""
    import pyarrow as pa

    texts = pa.nulls(len(predictions), pa.string())
    if errors:
        texts = pa.array([errors.get(i) for i in range(len(predictions))], pa.string())
    table = pa.table({"prediction": pa.array(predictions, from_pandas=True), "error": texts})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found
