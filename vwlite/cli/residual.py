"""``vwlite residual``: writes predictions of one model as the initial predictions of the next."""

from __future__ import annotations

import math
import sys

import click

from vwlite.errors import OptionError


@click.command("residual")
@click.argument("data")
@click.argument("predictions")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write here instead of to standard output.")
@click.option(
    "--dummy_label",
    "--dummy-label",
    metavar="LABEL",
    help="Give lines without a label this one, with importance 0: they are predicted, but not learned.",
)
@click.option("--vw_compat", "--vw-compat", is_flag=True, help="The predictions were made with --vw_compat.")
@click.option(
    "--max_line_bytes",
    "--max-line-bytes",
    type=click.IntRange(1 << 10, 1 << 30),
    default=1 << 26,
    show_default=True,
    help="Longest line that is read, in bytes.",
)
def command(
    data: str, predictions: str, output: str, dummy_label: str | None, vw_compat: bool, max_line_bytes: int
) -> None:
    """Write PREDICTIONS into the lines of DATA as initial predictions, so that the next model learns the residual.

    The first number of each line of PREDICTIONS becomes the initial prediction of an example, and replaces an existing
    one, which the prediction includes. A missing importance is written as 1; nothing else changes. Empty and malformed
    lines have no prediction and are copied. "-" is standard input.

    The predictions must be scores without clipping and link, as -r writes them:

    \b
      vwlite -t -i first.model -d train.txt -r scores.txt
      vwlite residual train.txt scores.txt | vwlite -f second.model
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.core.options import Options
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.input.residual import Residual
    from vwlite.parsers.text import OPTIONS, TextParser
    from vwlite.report.outputs import Sink

    if data == predictions == "-":
        raise OptionError("DATA and PREDICTIONS can't both be standard input: give one of them as a file")
    check_subcommand([predictions], output=output)  # the output may replace DATA
    options = Options([OPTIONS])
    options.set("vw_compat", vw_compat)
    options.set("max_line_bytes", max_line_bytes)
    names = ["stdin" if path == "-" else path for path in (data, predictions)]
    parser = TextParser(options, [data])
    residual = Residual(parser, names[0], predictions, names[1], max_line_bytes, label(dummy_label))
    sink = Sink(output, "examples")
    try:
        for text in residual.blocks():
            sink.write(text)
        sink.commit()
    finally:
        sink.discard()
        residual.close()
        parser.close()
    if residual.problems:
        click.echo(
            f"{names[0]}: malformed lines copied unchanged = {residual.problems}, "
            f"the first at line {residual.first_problem}: {residual.problem()}",
            file=sys.stderr,
        )


def label(text: str | None) -> bytes | None:
    """Formats a label as bytes; raises OptionError if it is not a finite number."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (text.isascii() and math.isfinite(value)):
        raise OptionError(f"--dummy_label expects a finite number, not {text!r}")
    return f"{value:.9g}".encode()
