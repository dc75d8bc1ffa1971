"""``vwlite diff``: what two models differ in."""

from __future__ import annotations

import click

from vwlite.errors import VwliteError

DIFFERENT, TROUBLE = 1, 2  # exit statuses, as of diff


@click.command("diff")
@click.argument("first")
@click.argument("second")
@click.option(
    "--only",
    metavar="SECTION,..",
    help="Compare only these, of: options, stack, journal, metrics, weights, entities, other (arrays).",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    default=10,
    show_default=True,
    help="How many of the largest differences to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(first: str, second: str, only: str | None, top: int, as_json: bool) -> int:
    """Compare two models: options, learners, runs, counts and losses, weights by name, entities.

    Times and ids are not compared. The exit status is 0 if there is no difference, 1 if there is one, 2 if a model
    can't be read.

    \b
      vwlite diff monday.model tuesday.model --top 3
      vwlite diff monday.model tuesday.model --only weights,entities
    """
    # Imported here: `vwlite --help` loads this module too.
    import json
    import sys

    from vwlite.engine.provenance import read_list
    from vwlite.journal.differing import SECTIONS, diff, lines_of
    from vwlite.journal.rendering import printable

    try:
        found = diff(first, second, read_list("only", only, SECTIONS) or SECTIONS, top)
    except VwliteError as error:
        for line in str(error).split("\n"):
            print(f"vwlite: error: {line}", file=sys.stderr)
        return TROUBLE
    click.echo(json.dumps(found) if as_json else printable(list(lines_of(found))))
    return 0 if found["equal"] else DIFFERENT
