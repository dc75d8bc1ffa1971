"""``vwlite tag``: notes of a model."""

from __future__ import annotations

import click


@click.command("tag")
@click.argument("model")
@click.argument("notes", nargs=-1, required=True, metavar="NAME=TEXT...")
def command(model: str, notes: tuple[str, ...]) -> None:
    """Add notes to MODEL, and print all that it has; NAME= removes a note.

    Notes are saved in the model, and in those that are trained from it. `vwlite inspect` prints them. The id of the
    model changes; its predictions do not.

    \b
      vwlite tag clicks.model owner=ads 'ticket=A 42'
    """
    from vwlite.journal.editing import tag
    from vwlite.journal.rendering import printable

    found = tag(model, notes)
    click.echo(printable([f"{name} = {text}" for name, text in found.items()]))
