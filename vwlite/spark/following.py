"""Following a stream: each micro-batch of Structured Streaming updates a table of entities in a folder."""

from __future__ import annotations

import json
from typing import Any

from vwlite.errors import ModelError, OptionError
from vwlite.spark import storage
from vwlite.spark.checks import require_session
from vwlite.spark.failures import one_line
from vwlite.spark.fitting import fit, update
from vwlite.spark.reading import Columns, columns_of, the_effect


def follow(
    stream: Any,
    path: str,
    checkpoint: str,
    flags: str = "",
    *,
    order: str | list[str] | tuple[str, ...] | None = None,
    label: str | None = None,
    weight: str | None = None,
    columns: Columns = None,
    partitions: int | None = None,
    max_rows: int | None = None,
    trigger: dict[str, Any] | None = None,
) -> Any:
    """Learns the rows of a stream: each micro-batch is the next version of a table of entities.

    A batch that Spark repeats after a crash is not learned twice: the line of the manifest that makes a version valid
    has the number of the batch, beside the identity of the stream, which is that of its checkpoint. The model is that
    of one run over all batches, in their order, bit for bit.

    Args:
        stream: A streaming DataFrame.
        path: The folder of the table; the first batch makes it if there is none.
        checkpoint: The folder of the checkpoint of Structured Streaming.
        flags: Options as of `fit`; "" to go on with the table in the folder.
        order: As of `fit`, within a batch.
        label: As of `fit`.
        weight: As of `fit`.
        columns: As of `fit`.
        partitions: As of `fit`.
        max_rows: As of `fit`, within a batch.
        trigger: As of DataStreamWriter.trigger, such as ``{"availableNow": True}``.

    Returns:
        The StreamingQuery.

    Raises:
        OptionError: If there is no table and no flags, or no order.
    """
    spark = stream.sparkSession
    require_session(spark)
    there = storage.there_is_one(spark, path)
    if not there:
        if not flags:
            raise OptionError(f"{path}: there is no table of entities here yet: give flags, order, label and columns")
        the_effect(flags)
        columns_of(order)

    def learn(batch: Any, number: int) -> None:
        session = batch.sparkSession
        which = identity(session, checkpoint), int(number)
        if storage.there_is_one(session, path):
            update(path, batch, partitions=partitions, max_rows=max_rows, stream=which)
            return
        fit(
            batch,
            flags,
            order=order or (),
            label=label,
            weight=weight,
            columns=columns,
            partitions=partitions,
            max_rows=max_rows,
            path=path,
            stream=which,
        )

    writer = stream.writeStream.foreachBatch(learn).option("checkpointLocation", checkpoint)
    return (writer.trigger(**trigger) if trigger else writer).start()


def identity(spark: Any, checkpoint: str) -> str:
    """The identifier of a stream, which its checkpoint keeps over restarts.

    Args:
        spark: The session.
        checkpoint: The folder.

    Returns:
        The identifier.

    Raises:
        ModelError: If the checkpoint has none.
    """
    with one_line():
        lines = [row.value for row in spark.read.schema("value string").text(f"{checkpoint}/metadata").collect()]
    try:
        return str(json.loads("".join(lines))["id"])
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{checkpoint}: the checkpoint has no identity of its stream") from None
