"""``vwlite train-tables``: personal models of a Parquet file, learned in several processes."""

from __future__ import annotations

import signal
import sys

import click

from vwlite.errors import OptionError


@click.command("train-tables")
@click.argument("data")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="-- FLAGS...")
@click.option("-o", "--output", required=True, metavar="FILE", help="Write the model here.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that learn.",
)
@click.option(
    "--order",
    metavar="COLUMN",
    help="Learn rows in the order of this column, which is then no feature. [default: as they are in the file]",
)
@click.option("--quiet", is_flag=True, help="Print neither progress nor a summary.")
def command(data: str, flags: tuple[str, ...], output: str, processes: int, order: str | None, quiet: bool) -> None:
    """Train the models of a random effect's entities on DATA, a Parquet file or a folder of them, with these FLAGS.

    Each process reads DATA and learns its share of the entities; the parent merges them. The model is that of a run of
    the command line, bit for bit, for any number of processes. FLAGS have to leave entities independent of each other:
    --fixed none, --shrink zero, and --effect_l2 with a number. The score of a fixed part comes as a column of the role
    initial. A process needs memory for its share of the entities, and for its share of the rows if they are not in
    order yet.

    \b
      vwlite train-tables clicks.parquet -o users.model --processes 4 -- --bayes_logistic --random_effect user:a \\
        --fixed none --shrink zero --effect_l2 2 --label click
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.report.outputs import Progress
    from vwlite.tables import processes as training

    if not flags:
        raise OptionError("the flags of learning come after --: vwlite train-tables DATA -o FILE -- FLAGS")
    check_subcommand([data], output=output)
    progress: Progress | None = None

    def report(done: int, rows: int) -> None:
        nonlocal progress
        if progress is None:
            progress = Progress(sys.stderr, rows, not quiet)
        progress.update(lambda: done, done)

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)  # so that processes are ended and files removed

    before = signal.signal(signal.SIGTERM, stop)
    try:
        found = training.train(data, list(flags), output, processes=processes, order=order, report=report)
    finally:
        signal.signal(signal.SIGTERM, before)
        if progress is not None:
            progress.clear()
    if quiet:
        return
    print(f"rows = {found['rows']}\nentities = {found['entities']}", file=sys.stderr)
    if found["nameless"]:
        print(f"rows without an entity = {found['nameless']}", file=sys.stderr)
    if found["malformed"]:
        print(f"skipped malformed rows = {found['malformed']}; one is {found['problem']}", file=sys.stderr)
