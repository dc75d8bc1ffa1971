"""Training in several processes: each reads the data, learns its share of the entities, and the parent merges.

a) A process keeps the rows of its share, by a hash of the entity, so nothing is sent between processes but the tables
   at the end, as files of Arrow in a temporary folder beside the model.
b) The result does not depend on the number of processes: an entity is learned by one, in the order of its rows.
c) A process that dies ends the run with one message; the others are stopped, and no file is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from vwlite.core.paths import explain
from vwlite.engine.workspace import Workspace
from vwlite.entities import arrow_reading, arrow_tables
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.input.column_map import ColumnMap, Rule, read_map
from vwlite.tables.learning import learn
from vwlite.tables.models import to_model
from vwlite.tables.sharing import reasons, shares

ROWS = 1 << 15  # of a batch
PREFIX = ".vwlite-tables-"  # of temporary folders
FILE = "share"  # of a process, in that folder
MOST_PROCESSES = 1024


class Job(NamedTuple):
    """What every process has to know.

    Attributes:
        flags: The options of learning.
        files: The Parquet files, in their order.
        entity: The column that names entities.
        order: The column by which rows are sorted; None if they are already.
        columns: The column map.
        n: The number of processes.
        folder: Where tables are written.
    """

    flags: list[str]
    files: list[str]
    entity: str
    order: str | None
    columns: list[str]
    n: int
    folder: str


def train(  # noqa: DOC503
    data: str,
    flags: Sequence[str],
    output: str,
    *,
    processes: int = 1,
    order: str | None = None,
    report: Callable[[int, int], None] = lambda done, rows: None,
) -> dict[str, Any]:
    """Trains the personal models of a Parquet file in several processes; the model is that of one, bit for bit.

    Args:
        data: A Parquet file, or a folder of them, which are read in the order of their names.
        flags: Options as on the command line, such as --random_effect and --label.
        output: The model file, written when all is done.
        processes: The number of processes.
        order: A column: rows are learned in its order, and it is no feature unless --columns_in says so. By default
            rows are learned as they come.
        report: Called with the rows that were learned so far, and the number of all.

    Returns:
        The numbers of rows, of those that are malformed, of those without an entity, and of entities.

    Raises:
        OptionError: If the options have entities influence each other and there are several processes, or a column is
            missing.
        ModelError: If the model can't be written.
        VwliteError: If the data can't be read, or a process has died.
    """
    workspace = Workspace(list(flags))
    crossed = reasons(workspace, None)
    if crossed and processes > 1:
        raise OptionError(f"{crossed[0]} (--processes 1 learns it in one process)")
    if not 1 <= processes <= MOST_PROCESSES:
        raise OptionError(f"--processes is from 1 to {MOST_PROCESSES:,}, not {processes:,}")
    from vwlite.engine.entity_tables import only_effect
    from vwlite.model.model_file import require_writable

    require_writable(output)
    effect, _ = only_effect(workspace, None)
    files = files_of(data)
    names = [field.name for field in schema_of(files[0])]
    columns, entity = column_map_of(workspace, names, effect, order, data)
    rows, is_sorted = count_rows(files, order)
    place = os.path.dirname(os.path.realpath(output))
    os.makedirs(place, exist_ok=True)
    with temporary_folder(place) as folder:
        job = Job(list(flags), files, entity, None if is_sorted else order, columns, processes, folder)
        if processes == 1:
            work(job, 0, lambda done: report(done, rows))
        else:
            run_all(job, rows, report)
        tables = [stored(job, share) for share in range(processes)]
        to_model(list(flags), tables, output)
        return counts(tables)


@contextlib.contextmanager
def temporary_folder(place: str) -> Iterator[str]:
    """A folder that is deleted afterwards. It is locked; those of killed processes, which are not, are deleted, too.

    Args:
        place: The folder that it is made in.

    Yields:
        Its path.
    """
    for name in os.listdir(place):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError), locked(os.path.join(place, name)):
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Locks a folder until the body ends, or the process. Raises OSError if another one has locked it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def files_of(data: str) -> list[str]:
    """The Parquet files of a path. Raises VwliteError if there is none."""
    if not os.path.isdir(data):
        return [data]
    found = sorted(
        os.path.join(data, name) for name in os.listdir(data) if name.endswith(".parquet") and name[0] not in "._"
    )
    if not found:
        raise VwliteError(f"{data}: there is no .parquet file in this folder")
    return found


def opened(path: str) -> Any:
    """A Parquet file. Raises VwliteError if it can't be read."""
    pa = arrow_tables.pyarrow()
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except OSError as error:
        why = explain(error, path) if error.errno else f"no file of Parquet ({arrow_reading.first_line(error)})"
        raise VwliteError(f"{path}: {why}") from error
    except pa.ArrowException as error:
        raise VwliteError(f"{path}: no file of Parquet, or damaged ({arrow_reading.first_line(error)})") from error


def schema_of(path: str) -> Any:
    """The columns of a Parquet file."""
    with opened(path) as file:
        return file.schema_arrow


def column_map_of(
    workspace: Workspace, names: list[str], effect: str, order: str | None, data: str
) -> tuple[list[str], str]:
    """The rules of the columns, and the column of the entities.

    Args:
        workspace: The workspace, whose options have rules.
        names: The columns of the data.
        effect: The effect.
        order: The column by which rows are sorted, which is no feature.
        data: The data, for messages.

    Returns:
        The rules, and the name of the column.

    Raises:
        OptionError: If a column is missing, or none is the label.
    """
    options = workspace.options
    if not options["label"] and not any(rule.role == "label" for rule in read_map(options["columns_in"]).rules):
        raise OptionError(f"{data}: which column is the label? --label NAME says it")
    if order is not None and order not in names:
        raise OptionError(f"{data}: has no column {order!r}, which --order names; there are {', '.join(names[:12])}")
    rules = list(options["columns_in"])
    found = read_map(rules, options["label"])
    if order is not None and not any(rule.matches(order) for rule in found.rules):
        rules = [str(Rule(order, "ignore")), *(rules or ["/.*/:auto"])]
        found = read_map(rules, options["label"])
    of_entities = [
        name
        for name, rule in zip(
            names, ColumnMap(found.rules, found.label).resolve(names, data, True, [effect]), strict=True
        )
        if rule.role == "entity" and (rule.namespace or name) == effect
    ]
    if not of_entities:
        raise OptionError(
            f"{data}: no column names entities of {effect!r}: call it so, or say which by --columns_in "
            f"NAME:entity@{effect}"
        )
    return rules, of_entities[0]


def count_rows(files: Sequence[str], order: str | None) -> tuple[int, bool]:
    """The number of all rows, and whether they are in the order of a column.

    Args:
        files: The Parquet files.
        order: The column; None for the order in which rows come.

    Returns:
        The number, and whether they are sorted.

    Raises:
        VwliteError: If a file can't be read, or a value of the column is missing.
    """
    pa = arrow_tables.pyarrow()
    rows, last, is_sorted = 0, None, True
    for path in files:
        with opened(path) as file:
            rows += file.metadata.num_rows
            if order is None:
                continue
            try:
                for batch in file.iter_batches(1 << 20, columns=[order]):
                    column = batch.column(0)
                    if column.null_count:
                        raise VwliteError(f"{path}: a row has no {order!r}, so it has no place in the order")
                    if is_sorted:
                        last, is_sorted = _continues(column, last)
            except pa.ArrowException as error:
                raise VwliteError(f"{path}: can't be read: {arrow_reading.first_line(error)}") from error
    return rows, is_sorted


def _continues(column: Any, last: Any) -> tuple[Any, bool]:
    """The last value of a column, and whether the column is sorted and begins at or after a value."""
    import pyarrow.compute as pc

    if not len(column):
        return last, True
    rising = len(column) < 2 or pc.all(pc.less_equal(column.slice(0, len(column) - 1), column.slice(1))).as_py()
    begins = last is None or pc.less_equal(last, column[0]).as_py()
    return column[len(column) - 1], bool(rising and begins)


def rows_of(job: Job, share: int, done: Callable[[int], None]) -> Iterator[Any]:
    """The batches of a share, in the order of the rows.

    Args:
        job: The job.
        share: The number of the process.
        done: Called with the number of rows that were read, of all shares.

    Yields:
        A pyarrow.RecordBatch.

    Raises:
        VwliteError: If a file can't be read.
    """
    pa = arrow_tables.pyarrow()
    read = 0
    kept = []
    for path in job.files:
        with opened(path) as file:
            try:
                for batch in file.iter_batches(ROWS, use_threads=False):
                    read += batch.num_rows
                    if job.n > 1:
                        batch = batch.filter(pa.array(shares(batch.column(job.entity), job.n) == share))
                    if job.order is not None:
                        kept.append(batch)
                    else:
                        yield batch
                    done(read)
            except pa.ArrowException as error:
                raise VwliteError(f"{path}: can't be read: {arrow_reading.first_line(error)}") from error
    if kept:
        import pyarrow.compute as pc

        table = pa.Table.from_batches(kept)
        kept.clear()
        # stable: rows of one time stay as they are in the file
        yield from table.take(pc.sort_indices(table, [(job.order, "ascending")])).to_batches(ROWS)


def work(job: Job, share: int, done: Callable[[int], None]) -> None:
    """Learns a share, and writes its table."""
    pa = arrow_tables.pyarrow()
    path = os.path.join(job.folder, f"{FILE}{share}.arrow")
    try:
        with contextlib.ExitStack() as stack:
            writer = None
            for batch in learn(job.flags, rows_of(job, share, done), columns=job.columns or None):
                if writer is None:
                    writer = stack.enter_context(pa.ipc.new_file(path, batch.schema))
                writer.write_batch(batch)
    except OSError as error:
        why = explain(error, path) if error.errno else arrow_reading.first_line(error)
        raise ModelError(f"{os.path.dirname(job.folder)}: tables are not written there: {why}") from error


def stored(job: Job, share: int) -> Any:
    """The table that a process has written, mapped into memory."""
    pa = arrow_tables.pyarrow()
    return pa.ipc.open_file(pa.memory_map(os.path.join(job.folder, f"{FILE}{share}.arrow"))).read_all()


def counts(tables: Sequence[Any]) -> dict[str, Any]:
    """The numbers of rows of all shares."""
    from vwlite.entities import heads

    found: dict[str, Any] = {"entities": sum(len(table) for table in tables), "problem": ""}
    for table in tables:
        head = heads.read(arrow_reading.metadata_of(table.schema) or "", "a share")
        for name in heads.COUNTED:
            found[name] = found.get(name, 0) + head.skipped.get(name, 0)
        found["problem"] = found["problem"] or re.sub(r"^row \d+: ", "", head.problem)  # the number of its share
    return found


def run_all(job: Job, rows: int, report: Callable[[int, int], None]) -> None:
    """Runs a process for each share, and waits for all. Raises VwliteError for the first that fails."""
    context = multiprocessing.get_context("spawn")
    running: dict[Any, Any] = {}
    read = [0] * job.n
    try:
        for share in range(job.n):
            end, sender = context.Pipe(duplex=False)
            process = context.Process(target=child, args=(job, share, sender), daemon=True)
            process.start()
            sender.close()
            running[end] = share, process
        while running:
            for ready in wait(list(running)):
                receiver: Any = ready
                share, process = running[receiver]
                try:
                    message = receiver.recv()
                except EOFError:
                    process.join()
                    raise VwliteError(died(share, job.n, process.exitcode)) from None
                if isinstance(message, int):
                    read[share] = message
                    report(sum(read) // job.n, rows)
                elif message is None:
                    process.join()
                    del running[receiver]
                else:
                    raise message
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def died(share: int, n: int, status: int | None) -> str:
    """The message about a process that has ended without one of its own."""
    which = f"process {share + 1} of {n}"
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in {*signal.Signals} else f"signal {-status}"
        why = " (is the memory full?)" if -status == signal.SIGKILL else ""
        return f"{which} was ended by {name}{why}; no model was written"
    return f"{which} ended with status {status}; no model was written"


def child(job: Job, share: int, sender: Any) -> None:
    """The main function of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    told = 0

    def done(read: int) -> None:
        nonlocal told
        if read - told >= ROWS * 4:
            told = read
            sender.send(read)

    try:
        work(job, share, done)
        sender.send(None)
    except VwliteError as error:
        sender.send(error)
    except MemoryError as error:
        sender.send(VwliteError(f"process {share + 1} of {job.n} is out of memory{f': {error}' if str(error) else ''}"))
    except BrokenPipeError:
        pass  # the parent is gone
    sender.close()
