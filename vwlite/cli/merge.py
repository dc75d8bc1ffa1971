"""``vwlite merge``: one model of several, or one table of entities of several."""

from __future__ import annotations

import sys

import click

from vwlite.errors import OptionError


@click.command("merge")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "--output", required=True, metavar="FILE", help="Write the merged model here.")
@click.option(
    "--same",
    type=click.Choice(("error", "add", "newest")),
    default="error",
    show_default=True,
    help="What becomes of an entity that several models have: an error; the posterior of the data of all (add), exact "
    "for squared loss and an approximation for logistic models; or the state that learned last (newest).",
)
@click.option("--quiet", is_flag=True, help="Print no remarks.")
def command(models: tuple[str, ...], output: str, same: str, quiet: bool) -> None:
    """Merge MODELs that were trained with the same options on different examples.

    Entities of random effects are put together exactly. A table of weights is mixed, which is another estimator than
    one run over all examples. Other parts have to be equal. The result does not depend on the order of the MODELs, and
    its journal lists them. Tables of entities (.parquet, or folders of such files) are merged into a table.

    \b
      vwlite merge monday.model tuesday.model -o both.model
      vwlite merge shop1.model shop2.model -o all.model --same add
      vwlite merge users1.parquet users2.parquet -o users.parquet
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import check_subcommand

    if len(models) < 2:
        raise OptionError("one model alone is no merge: name at least two")
    check_subcommand(models, output=output)

    def note(text: str) -> None:
        if not quiet:
            print(f"[info] {text}", file=sys.stderr)

    from vwlite.tables import files, merging

    tables = files.paths_of(models)
    if tables and len(tables) < len(models):
        model = next(name for name in models if name not in tables)
        raise OptionError(f"{tables[0]} is a table of entities, and {model} a model: merge things of one kind")
    if tables:
        files.write(merging.merge([files.read(path) for path in tables], same), output)
        return
    from vwlite.tables.model_merging import merge_models

    merge_models(models, output, same, note)
