"""``vwlite split``: copies the lines of a file into several, by a hash of each example."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import options_of, with_run_options


@click.command("split")
@click.argument("data")
@click.argument("shares", nargs=-1, required=True, type=click.FloatRange(0, 1, min_open=True), metavar="SHARE...")
@click.option(
    "--by",
    default="line",
    show_default=True,
    metavar="tag|line|NAME",
    help="What decides about the part of an example: its tag, its line, or a feature, namespace or column of this "
    "name, such as user. Examples with the same tag or name are in the same part. One without it goes by its line.",
)
@click.option(
    "-o",
    "--output",
    metavar="PREFIX",
    help="The parts are PREFIX.1.vw, PREFIX.2.vw, ... [default: DATA without its suffix]",
)
@click.option(
    "--labels",
    default="simple",
    show_default=True,
    type=click.Choice(("simple", "class", "classes", "costs", "lines", "decisions")),
    help="What the labels are, as for vwlite convert. Examples of several lines (lines, decisions) stay whole.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=1,
    show_default=True,
    help="Another seed makes other parts, independent of these. DATA that is a part itself needs another one. 0 is "
    "what --holdout and the folds of vwlite cv go by.",
)
@with_run_options(
    *("format", "columns_in", "label", "separator", "decimal", "header", "missing", "where", "max_line_bytes", "quiet")
)
def command(
    data: str, shares: tuple[float, ...], by: str, output: str | None, labels: str, seed: int, **given: Any
) -> None:
    """Split DATA into parts of these SHAREs, such as 0.8 0.2; what is beyond their sum is left out.

    Lines are copied as they are. An example is in the same part in each run, whatever else is in the data, so a file
    that grows is split alike. Each part of a CSV file has the header. DATA may be compressed; "-" is standard input.

    \b
      vwlite split clicks.vw.gz 0.8 0.2
      vwlite split trips.csv 0.9 0.1 --by user -o parts
      vwlite split clicks.1.vw 0.5 0.5 --seed 2
      vwlite split log.vw 0.1 --by tag --where 'label == 1' -o sample
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.splitting import Split

    Split(options_of([data], given), list(shares), by, output, labels, seed).run()
