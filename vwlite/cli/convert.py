"""``vwlite convert``: writes the examples of any format that is read as VW's text, NDJSON, CSV or Parquet."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import options_of, with_run_options


@click.command("convert")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write here instead of to standard output.")
@click.option(
    "--to",
    type=click.Choice(("vw", "json", "csv", "parquet")),
    help="The format to write. [default: as the name of FILE says, otherwise vw]",
)
@click.option(
    "--labels",
    default="simple",
    show_default=True,
    type=click.Choice(("simple", "class", "classes", "costs", "lines", "decisions")),
    help="What the labels are: a number; a class; several classes (1,3); costs of classes (1:0.5 2:0); examples of "
    "several lines, each with its cost (1:0.5); decisions of several lines (0:-1:0.5).",
)
@with_run_options(
    *("format", "columns_in", "label", "separator", "decimal", "header", "missing"),
    *("where", "sample", "shuffle", "interleave", "random_seed"),
    *("strict_parse", "max_line_bytes", "quiet"),
)
def command(sources: tuple[str, ...], output: str, to: str | None, labels: str, **given: Any) -> None:
    """Write the examples of each SOURCE, one after the other, in another format.

    A SOURCE is what a run reads: VW's text, CSV, JSON, Parquet, Arrow, a query of a database; "-" is standard input.
    Learning from the output is learning from the sources, to the last bit. Malformed lines are left out, and shown. An
    example that the format has no way to write ends the conversion. An output file appears when it is complete.

    CSV and Parquet need to know all columns first, so they are written from files, which are read twice.

    \b
      vwlite convert trips.csv --label delay > trips.vw
      vwlite convert clicks.vw.gz -o clicks.ndjson
      zcat log.gz | vwlite convert --format json --to vw | vwlite -f model
      vwlite convert trips.csv --label delay --where 'hour >= 6' --shuffle 1000 -o trips.parquet
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conversion import Conversion

    Conversion(options_of(sources, given), output, to, labels).run()
