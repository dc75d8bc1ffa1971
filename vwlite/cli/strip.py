"""``vwlite strip``: a model without its provenance."""

from __future__ import annotations

import click


@click.command("strip")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="FILE", help="The new model; may be MODEL itself.")
@click.option(
    "--keep",
    metavar="PART,..",
    help="What stays, of: journal (the runs), names (of features and entities), notes (and texts of the card), paths "
    "(names of files).",
)
@click.option(
    "--save_journal",
    "--save-journal",
    metavar="FILE",
    help="Write what is removed here, as JSON; the sha256 of this file is in the new model.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: str, output: str, keep: str | None, save_journal: str | None, as_json: bool) -> None:
    """Write a copy of MODEL without its journal, names, notes and paths.

    The copy predicts the same, and can be trained further. It has a sha256 of what was removed, by which the original
    is found again. Names that the model works with stay: of classes, of columns of a table, of namespaces in options.

    \b
      vwlite strip clicks.model -o public.model --save_journal clicks.json
      vwlite strip clicks.model -o public.model --keep names
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.engine.conflicts import Use, check
    from vwlite.engine.provenance import read_list
    from vwlite.journal.editing import strip
    from vwlite.model.stripping import PARTS

    kept = read_list("keep", keep, PARTS)
    if save_journal:
        check([Use("the model", model, False), Use("--save_journal", save_journal, True)])
        check([Use("--output", output, True), Use("--save_journal", save_journal, True)])
    found = strip(model, output, kept, save_journal)
    if as_json:
        click.echo(json.dumps({"path": output, **found}))
    else:
        what = f", without {', '.join(found['removed'])}" if found["removed"] else ""
        click.echo(f"{output}: model {found['id']}{what}; sha256 of what was removed: {found['sha256']}")
