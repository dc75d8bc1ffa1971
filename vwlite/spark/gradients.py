"""Exact fit of a fixed part: loss and gradient of a linear model, added up over partitions; L-BFGS at the driver.

The objective is the sum of w * loss(offset + x'b, y), plus l2/2 times the squares of all coefficients but the
constant's. Each step of L-BFGS (Liu and Nocedal 1989) is one job, whose partitions' gradients meet in a tree of two
levels. Columns are divided by their root mean square, so that the units of features matter little. The order of the
sums is that of the partitions: a repeated job gives the same bits.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from vwlite import __version__
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.spark import tasks
from vwlite.spark.checks import require_session
from vwlite.spark.failures import in_a_task, one_line
from vwlite.spark.fixed import FixedRows, blocks_of, read_fixed, require_gd
from vwlite.spark.frames import sent_to_workers
from vwlite.spark.reading import Columns

CHUNK = 1 << 17  # rows of one piece of the design matrix
PIECES = "number int, labels binary, weights binary, offsets binary, begins binary, places binary, values binary"
SUMS = "number int, loss double, gradient binary"
MOST_FEATURES = 50_000_000  # whose gradient a task can hold
BRANCHES = 16  # partitions from which gradients are added in two levels


class FixedFit(NamedTuple):
    """What a fit has reached.

    Args:
        rows: Rows learned.
        left_out: Rows that are no examples.
        features: Features met, with the constant.
        loss: The mean of the losses, without the penalty.
        steps: Steps of L-BFGS.
        converged: Whether the gradient is below the tolerance.
    """

    rows: int
    left_out: int
    features: int
    loss: float
    steps: int
    converged: bool


def fit_fixed(  # noqa: DOC503
    rows: Any,
    flags: str,
    path: str | os.PathLike[str],
    *,
    label: str | None = None,
    weight: str | None = None,
    columns: Columns = None,
    l2: float = 1.0,
    tolerance: float = 1e-6,
    most_steps: int = 500,
) -> FixedFit:
    """Fits a linear or logistic model to all rows at once, and writes it as a model file of the command line.

    Args:
        rows: A DataFrame; columns that are no features have the role ignore.
        flags: Options as on the command line: --loss_function squared or logistic, -b, -q, --noconstant and the like.
        path: The model file.
        label: The column of the label, as --label.
        weight: The column of importance weights.
        columns: The column map, as --columns_in; the role initial is an offset.
        l2: Half of this times the square of each coefficient but the constant's is added to the sum of the losses
            (squared: (y - p)^2; logistic: log(1 + exp(-y p))).
        tolerance: The fit ends when no element of the gradient of the mean loss, by columns of mean square 1, is
            above this; coefficients then agree with the optimum to about as many digits.
        most_steps: The most steps of L-BFGS.

    Returns:
        What was reached.

    Raises:
        OptionError: If options or columns can't be used.
        VwliteError: If a task fails, or there are no rows.
        ModelError: If the model can't be written.
    """
    from pyspark import StorageLevel

    spark = rows.sparkSession
    require_session(spark)
    workspace = Workspace(flags)
    require_gd(workspace, flags)
    loss = workspace.options["loss_function"]
    if loss not in LOSSES:
        raise OptionError(
            f"--loss_function {loss}: fitted here are {' and '.join(LOSSES)}, which are smooth and convex"
        )
    if not (l2 >= 0 and tolerance > 0 and most_steps >= 1):
        raise OptionError("l2 is at least 0, tolerance above 0, most_steps at least 1")
    task = read_fixed(rows.schema, flags, label, weight, columns)
    pieces = rows.mapInArrow(partial(design_of, task), PIECES).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        found = Moments.of(pieces)
        hashes, scale = found.columns()
        sent = sent_to_workers(spark, hashes)
        placed = pieces.mapInArrow(partial(place, sent), PIECES).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            optimum = minimised(Objective(spark, placed, loss, found, scale, l2, workspace), tolerance, most_steps)
        finally:
            placed.unpersist()
    finally:
        pieces.unpersist()
    write_model(workspace, task, hashes, optimum[0], found, path)
    return FixedFit(found.rows, found.left_out, len(hashes), optimum[1], optimum[2], optimum[3])


def design_of(task: FixedRows, batches: Iterable[Any]) -> Iterator[Any]:
    """The rows of a partition as pieces of a sparse matrix.

    Args:
        task: How rows are read.
        batches: The partition.

    Yields:
        A batch of one row for each piece; the last tells of rows that were left out.
    """
    from vwlite.engine.design import Design

    with in_a_task("reading"):
        tasks.require_version(task.version)
        workspace = Workspace(task.flags)
        options = workspace.options
        design = Design(workspace.interactions, not options["noconstant"], options["bit_precision"])
        for block in blocks_of(workspace, task, batches):
            design.add(block)
            if len(design) >= CHUNK:
                yield piece_of(0, design.arrays())
        yield piece_of(design.problems, design.arrays())


def piece_of(number: int, arrays: Any) -> Any:
    """A piece as a batch of one row."""
    import pyarrow as pa

    names = ("labels", "weights", "offsets", "begins", "places", "values")
    found = {name: [array.tobytes()] for name, array in zip(names, arrays, strict=True)}
    return pa.RecordBatch.from_arrays(
        [pa.array([number], pa.int32()), *(pa.array(found[name], pa.binary()) for name in names)], ["number", *names]
    )


def arrays_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Labels, weights, offsets, begins, places and values of a piece."""
    import numpy as np

    kinds = {"labels": "f4", "weights": "f4", "offsets": "f4", "begins": "i8", "places": "u4", "values": "f4"}
    return tuple(np.frombuffer(row[name], kind) for name, kind in kinds.items())


class Moments(NamedTuple):
    """Sums over all rows: what columns there are, and their mean squares.

    Args:
        rows: Rows learned.
        left_out: Rows that are no examples.
        weight: The sum of weights.
        labels: The smallest and the largest label.
        hashes: Of the features.
        squares: The sum of w x^2 of each.
    """

    rows: int
    left_out: int
    weight: float
    labels: tuple[float, float]
    hashes: Any
    squares: Any

    @classmethod
    def of(cls, pieces: Any) -> Moments:
        """The sums over all pieces; raises VwliteError if there are no rows."""
        import numpy as np

        kinds = "rows long, left_out long, weight double, low double, high double, hashes binary, squares binary"
        with one_line():
            found = pieces.mapInArrow(moments, kinds).collect()
        rows = sum(row.rows for row in found)
        if not rows:
            raise VwliteError("there are no rows with a label to fit to")
        hashes = np.concatenate([np.frombuffer(row.hashes, "u4") for row in found])
        distinct, at = np.unique(hashes, return_inverse=True)
        if len(distinct) > MOST_FEATURES:
            raise OptionError(
                f"{len(distinct):,} features: at most {MOST_FEATURES:,} are fitted here; give a smaller -b"
            )
        squares = np.bincount(at, np.concatenate([np.frombuffer(row.squares) for row in found]), len(distinct))
        there = [row for row in found if row.rows]
        return cls(
            rows,
            sum(row.left_out for row in found),
            math.fsum(row.weight for row in found),
            (min(row.low for row in there), max(row.high for row in there)),
            distinct,
            squares,
        )

    def columns(self) -> tuple[Any, Any]:
        """The hashes in order, and the root mean square of each column."""
        import numpy as np

        scale = np.sqrt(self.squares / self.weight)
        return self.hashes, np.where(scale > 0, scale, 1.0)


def moments(batches: Iterable[Any]) -> Iterator[Any]:
    """The sums over the pieces of a partition.

    Args:
        batches: The pieces.

    Yields:
        A batch of one row.
    """
    import numpy as np
    import pyarrow as pa

    with in_a_task("reading"):
        rows, left_out, weight, low, high = 0, 0, 0.0, math.inf, -math.inf
        all_hashes: Any = np.zeros(0, np.uint32)
        all_squares: Any = np.zeros(0)
        for batch in batches:
            for row in batch.to_pylist():
                labels, weights, _, begins, hashes, values = arrays_of(row)
                left_out += row["number"]
                if not len(labels):
                    continue
                rows += len(labels)
                weight += float(weights.sum(dtype=float))
                low, high = min(low, float(labels.min())), max(high, float(labels.max()))
                each = np.repeat(weights, np.diff(begins)) * values.astype(float) ** 2
                joined = np.concatenate([all_hashes, hashes])
                all_hashes, at = np.unique(joined, return_inverse=True)
                all_squares = np.bincount(at, np.concatenate([all_squares, each]), len(all_hashes))
        columns = [[rows], [left_out], [weight], [low], [high], [all_hashes.tobytes()], [all_squares.tobytes()]]
        names = ["rows", "left_out", "weight", "low", "high", "hashes", "squares"]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names)


def place(sent: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """The pieces of a partition with the numbers of columns in place of hashes.

    Args:
        sent: The broadcast variable with all hashes, in order.
        batches: The pieces.

    Yields:
        The pieces.
    """
    import numpy as np

    with in_a_task("reading"):
        hashes = sent.value
        for batch in batches:
            for row in batch.to_pylist():
                labels, weights, offsets, begins, found, values = arrays_of(row)
                if len(labels):
                    columns = np.searchsorted(hashes, found).astype(np.uint32)
                    yield piece_of(0, (labels, weights, offsets, begins, columns, values))


def squared(score: Any, y: Any) -> tuple[Any, Any]:
    """Losses and their derivatives by the score."""
    return (score - y) ** 2, 2 * (score - y)


def logistic(score: Any, y: Any) -> tuple[Any, Any]:
    """Losses and their derivatives by the score, for labels of -1 and 1."""
    import numpy as np

    from vwlite.core.elementary import array_exp, array_log1p

    margin = score * y
    small = array_exp(-np.abs(margin))  # of exponents that are at most 0
    losses = array_log1p(small) + np.maximum(-margin, 0)
    return losses, -y * np.where(margin > 0, small, 1.0) / (1 + small)


LOSSES: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {"squared": squared, "logistic": logistic}


class Evaluation(NamedTuple):
    """What a task needs to know for a gradient.

    Args:
        version: The version of vwlite at the driver.
        loss: A key of LOSSES.
        zero: Whether the labels are 0 and 1 where the loss has -1 and 1.
    """

    version: str
    loss: str
    zero: bool


def gradient(task: Evaluation, sent: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """Loss and gradient over the pieces of a partition.

    Args:
        task: What to do.
        sent: The broadcast variable with the coefficients.
        batches: The pieces.

    Yields:
        A batch of one row; nothing for no rows.
    """
    import numpy as np
    from scipy import sparse

    with in_a_task("computing a gradient"):
        tasks.require_version(task.version)
        from pyspark import TaskContext

        b = sent.value
        total, slope, n = 0.0, np.zeros(len(b)), 0
        for batch in batches:
            for row in batch.to_pylist():
                labels, weights, offsets, begins, places, values = arrays_of(row)
                x = sparse.csr_array((values.astype(float), places.astype(np.int32), begins), (len(labels), len(b)))
                y = labels.astype(float) * 2 - 1 if task.zero else labels.astype(float)
                losses, derivative = LOSSES[task.loss](offsets + x @ b, y)
                total += float((weights * losses).sum())
                slope += x.T @ (weights * derivative)
                n += len(labels)
        if n:
            yield sum_of(TaskContext.get().partitionId(), total, slope)


def sum_of(number: int, total: float, slope: Any) -> Any:
    """A loss and a gradient as a batch of one row."""
    import pyarrow as pa

    columns = [pa.array([number], pa.int32()), pa.array([total]), pa.array([slope.tobytes()], pa.binary())]
    return pa.RecordBatch.from_arrays(columns, ["number", "loss", "gradient"])


def add_up(batches: Iterable[Any]) -> Iterator[Any]:
    """Adds losses and gradients, in the order of the partitions that they come from.

    Args:
        batches: Those of several partitions.

    Yields:
        A batch of one row; nothing for none.
    """
    import numpy as np

    with in_a_task("adding up gradients"):
        rows = sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["number"])
        if rows:
            total = math.fsum(row["loss"] for row in rows)
            slope = sum((np.frombuffer(row["gradient"]) for row in rows[1:]), np.frombuffer(rows[0]["gradient"]).copy())
            yield sum_of(rows[0]["number"], total, slope)


class Objective:
    """The mean loss with its penalty, and its gradient, by coefficients of columns of mean square 1.

    Args:
        spark: The session.
        placed: The pieces of the design matrix.
        loss: A key of LOSSES.
        found: Sums over all rows.
        scale: The root mean square of each column.
        l2: The penalty.
        workspace: A workspace of the options.

    Raises:
        OptionError: If the labels are not those of the loss.
    """

    def __init__(
        self, spark: Any, placed: Any, loss: str, found: Moments, scale: Any, l2: float, workspace: Any
    ) -> None:
        import numpy as np

        from vwlite.core.view import CONSTANT

        self.spark, self.placed, self.scale, self.weight = spark, placed, scale, found.weight
        low, high = found.labels
        if loss == "logistic" and {low, high} - {-1.0, 0.0, 1.0}:
            raise OptionError(
                f"--loss_function logistic: labels are -1 and 1, or 0 and 1, and there is {low:g} or {high:g}"
            )
        self.zero = loss == "logistic" and low == 0
        self.task = Evaluation(__version__, loss, self.zero)
        mask = (1 << workspace.options["bit_precision"]) - 1
        self.penalty = np.where(found.hashes == (CONSTANT & mask), 0.0, l2)
        self.partitions = placed.rdd.getNumPartitions() if getattr(spark, "_sc", None) is not None else 0
        self.steps = 0
        self.last = math.nan

    def __call__(self, u: Any) -> tuple[float, Any]:
        """The value and the gradient."""
        from pyspark.sql import functions

        b = u / self.scale
        sent = sent_to_workers(self.spark, b)
        sums = self.placed.mapInArrow(partial(gradient, self.task, sent), SUMS)
        if self.partitions > BRANCHES:
            branches = math.isqrt(self.partitions)
            sums = sums.repartition(branches, functions.expr(f"number % {branches}")).mapInArrow(add_up, SUMS)
        with one_line():
            rows = sorted(sums.collect(), key=lambda row: row.number)
        sent.destroy()
        return self.value(b, rows)

    def value(self, b: Any, rows: Any) -> tuple[float, Any]:
        """The value and the gradient, from those of the partitions."""
        import numpy as np

        total = math.fsum(row.loss for row in rows)
        slope = np.zeros(len(b))
        for row in rows:
            slope += np.frombuffer(row.gradient)
        self.last = total / self.weight
        value = self.last + float(self.penalty @ (b * b)) / 2 / self.weight
        return value, (slope + self.penalty * b) / self.scale / self.weight


def minimised(objective: Objective, tolerance: float, most_steps: int) -> tuple[Any, float, int, bool]:
    """The coefficients at the optimum, the mean loss there, the steps, and whether the tolerance was reached."""
    import numpy as np
    from scipy.optimize import minimize

    done = minimize(
        objective,
        np.zeros(len(objective.scale)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": most_steps, "maxfun": 2 * most_steps, "gtol": tolerance, "ftol": 0.0, "maxcor": 20},
    )
    reached = bool(np.abs(done.jac).max() <= tolerance)
    return done.x / objective.scale, objective.last, int(done.nit), reached


def write_model(
    workspace: Workspace, task: FixedRows, hashes: Any, b: Any, found: Moments, path: str | os.PathLike[str]
) -> None:
    """Writes the coefficients as a model of the command line, which has weights only."""
    import numpy as np

    from vwlite.engine import storing
    from vwlite.model import model_file

    workspace.options.set("columns_in", [task.columns], "model")
    workspace.options.set("predict_only_model", True, "model")
    arrays, metadata = storing.contents(workspace)
    owner = workspace.bottom.owner
    weights = np.ascontiguousarray(b, np.float32)
    arrays[f"{owner}.index"] = "U32", [len(hashes)], np.ascontiguousarray(hashes, "<u4").tobytes()
    arrays[f"{owner}.weight"] = "F32", [len(weights)], weights.tobytes()
    if workspace.options["loss_function"] == "squared":
        for name, value in zip(("min_label", "max_label"), found.labels, strict=True):
            arrays[f"{owner}.{name}"] = "F32", [], np.float32(value).tobytes()
    model_file.write(path, arrays, metadata)
