"""Options that the subcommands about predictions share."""

from __future__ import annotations

import click

# of a run: how data are read
OF_DATA = ("format", "columns_in", "label", "separator", "decimal", "header", "missing", "where", "sample")
DATA_OPTIONS = (*OF_DATA, "max_line_bytes", "strict_parse")

DATA = click.option(
    "-d", "--data", multiple=True, metavar="DATA", help="Labelled examples; may be repeated. - is standard input."
)
RESAMPLE = click.option(
    "--resample",
    metavar="NAME",
    help="Draw whole entities of NAME, such as user, for the intervals: examples of one resemble each other.",
)
# of the bootstrap
SAMPLES = click.option(
    "--samples",
    type=click.IntRange(0, 100_000),
    metavar="N",
    default=1000,
    show_default=True,
    help="Of the bootstrap; 0 for no intervals.",
)
LEVEL = click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
SEED = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the bootstrap."
)
# of predictions in files
KIND = click.option(
    "--kind",
    type=click.Choice(("number", "binary", "class")),
    help="Of the labels; otherwise two labels, 1 and 0 or -1, are binary, and texts are classes.",
)
PREDICTION = click.option("--prediction", metavar="NAME", help="The column of predictions in tables of them.")
WEIGHT = click.option("--weight", metavar="NAME", help="The column of weights in tables of predictions.")
