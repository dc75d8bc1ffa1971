"""``vwlite plot``: pictures of models and of what other commands print, as one page of HTML or as PNG."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import DATA, DATA_OPTIONS


@click.command("plot")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@DATA
@click.option("-o", "--output", required=True, metavar="FILE", help="The page, or with the suffix .png the image.")
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="With data: the metrics of each value of a feature, namespace or column, and the mean residual of those for "
    "which it is farthest from zero. May be repeated.",
)
@click.option("--top", type=click.IntRange(1, 1000), default=30, show_default=True, help="How many weights of a model.")
@with_run_options(*DATA_OPTIONS)
def command(
    files: tuple[str, ...], data: tuple[str, ...], output: str, by: tuple[str, ...], top: int, **given: Any
) -> None:
    """Draw FILEs: models, or what other commands have printed.

    A model has charts of its largest weights, and of the effects of entities with their intervals; with labelled data
    also of metrics, calibration, lift, slices and residuals. JSON of vwlite eval, compare, policies and simulate, and
    the curves of vwlite simulate --curves and vwlite curve, have charts of their own.

    The page is one file that needs nothing else. An image needs matplotlib: pip install 'vwlite[plot]'.

    \b
      vwlite plot clicks.model -d test.vw --by country -o clicks.html
      vwlite plot clicks.json -o clicks.png
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.pictures.commands import charts_of, write

    check_subcommand([*files, *data], output=output)
    if output.lower().endswith(".png"):
        from vwlite.pictures.png import require_matplotlib

        require_matplotlib(f"-o {output}")
    charts = [chart for path in files for chart in charts_of(path, data, by=by, top=top, given=given)]
    about = f"Data: {', '.join(data)}." if data else ""
    write(output, ", ".join(files), about, charts)
