"""``vwlite describe``: columns, labels, duplicates and suspects of data, and the flags to start with."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import OF_DATA

TOP = 30


@click.command("describe")
@click.argument("data", nargs=-1, metavar="[DATA]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all columns.")
@click.option(
    "--top", type=click.IntRange(min=0), default=TOP, show_default=True, metavar="N", help="How many columns to print."
)
@click.option(
    "--kind",
    type=click.Choice(("number", "class")),
    help="Of the labels; otherwise labels that can't be read as numbers are classes.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1 << 28),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Tell at most N different features apart, 150 bytes of memory each.",
)
@with_run_options(*OF_DATA, "max_line_bytes")
def command(data: tuple[str, ...], as_json: bool, top: int, kind: str | None, limit: int, **given: Any) -> None:
    """Describe DATA: the kinds of its columns, coverage, ranges, labels, duplicates and suspects.

    DATA is anything that a run reads. At the end it prints the flags that it would start with, and why.

    \b
      vwlite describe clicks.vw
      vwlite describe trips.csv --label 'delay:above(15)' --missing skip
      vwlite describe ratings.parquet --label rating --json
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.describing.reading import describe
    from vwlite.describing.rendering import render

    given = {name: value for name, value in given.items() if value not in (None, False, ())}
    found = describe(data, given, None if kind is None else kind == "class", limit)
    click.echo(json.dumps(found.as_dict()) if as_json else render(found, top))
