"""``vwlite entities``: the posteriors of a model's entities as a table in Parquet, and back."""

from __future__ import annotations

import click

from vwlite.errors import OptionError


@click.command("entities")
@click.argument("source")
@click.option("-o", "--output", required=True, metavar="FILE", help="Write here: a table, or with --like a model.")
@click.option("--effect", metavar="NAMESPACE", help="The random effect, if the model has several.")
@click.option(
    "--like",
    metavar="MODEL",
    help="Write a model of the table SOURCE: this one, with the table's entities in place of its own.",
)
def command(source: str, output: str, effect: str | None, like: str | None) -> None:
    """Write the entities of the model SOURCE as a table in Parquet, with all that the model stores of them.

    A row is an entity: its name, key, number of examples, and lists with the hash, mean and precision of each
    coefficient. With --like the other way: SOURCE is such a table, or a folder of them.

    \b
      vwlite entities ratings.model -o users.parquet
      vwlite entities users.parquet -o new.model --like ratings.model
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import check_subcommand

    check_subcommand([source, like], output=output)
    from vwlite.tables import files

    is_table = bool(files.paths_of([source]))
    if is_table and like is None:
        raise OptionError(f"{source} is a table of entities: --like MODEL says what the other parts of the model are")
    if like is None:
        files.write(files.export(source, effect), output)
        return
    from vwlite.tables.models import replace_entities

    replace_entities(like, files.read(source), output, effect)
