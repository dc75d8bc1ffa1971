"""``vwlite export``: a model in another form."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("model")
@click.option(
    "--to",
    "kind",
    type=click.Choice(("csv", "json", "python", "sql", "onnx")),
    required=True,
    help="csv and json: the coefficients. python: a module with predict(x). sql: a query. onnx: a graph.",
)
@click.option("-o", "--output", metavar="FILE", help="Write here instead of standard output.")
@click.option("--table", metavar="NAME", help="Of sql: the table of examples ('examples' unless given).")
def command(model: str, kind: str, output: str | None, table: str | None) -> None:
    """Export MODEL: its coefficients, or a function, query or graph that predicts without vwlite.

    Linear models are exported (gd, ftrl, --bayes_linear, --bayes_logistic, links, --offset_scale), with interactions
    and random effects where the form has them. The Python module reads VW's text and dicts, and needs no names. SQL and
    ONNX need the names of the features: train with --invert_hash.

    \b
      vwlite export clicks.model --to python -o clicks.py
      vwlite export clicks.model --to sql --table visits -o clicks.sql
    """
    # Imported here: `vwlite --help` loads this module too.
    import sys

    from vwlite.engine.conflicts import Use, check
    from vwlite.errors import OptionError
    from vwlite.exporting.commands import export

    if table is not None and kind != "sql":
        raise OptionError(f"--table has no effect with --to {kind}: leave it out")
    check([Use("the model", model, False), *([Use("--output", output, True)] if output else [])])
    found = export(model, kind, output, table or "examples")
    if output is None and isinstance(found, bytes):
        sys.stdout.buffer.write(found)
    elif output is None:
        click.echo(found, nl=False)
