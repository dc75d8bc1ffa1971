"""``vwlite card``: the card of a model, as Markdown or HTML."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.errors import OptionError

DATA_OPTIONS = (
    *("format", "columns_in", "label", "separator", "decimal", "header", "missing", "where", "max_line_bytes"),
    "strict_parse",
)


@click.command("card")
@click.argument("model")
@click.option("-d", "--data", multiple=True, metavar="FILE", help="Measure metrics on these labelled examples.")
@click.option("-o", "--output", metavar="FILE", help="Write here: HTML if the name ends in .html, else Markdown.")
@click.option("--config", metavar="FILE", help="Read the texts of the card from the table [card] of this TOML file.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=TEXT",
    help="A text of the card, such as intended_use, users, out_of_scope, limitations, contact, licence.",
)
@click.option("--save", is_flag=True, help="Keep the texts in MODEL, too, and so in models that are trained from it.")
@click.option(
    "--to", "form", type=click.Choice(("md", "html")), help="Markdown or HTML, whatever the name of the file."
)
@click.option(
    "--samples",
    type=click.IntRange(0, 100_000),
    metavar="N",
    default=1000,
    show_default=True,
    help="Of the bootstrap of the metrics' intervals; 0 for none.",
)
@click.option(
    "--top", type=click.IntRange(min=0), default=15, show_default=True, metavar="N", help="Of the largest weights."
)
@with_run_options(*DATA_OPTIONS)
def command(
    model: str,
    data: tuple[str, ...],
    output: str | None,
    config: str | None,
    settings: tuple[str, ...],
    save: bool,
    form: str | None,
    samples: int,
    top: int,
    **given: Any,
) -> None:
    """Write the card of MODEL: a document with all that it knows of itself, and what its makers say.

    Details, data and runs come from the model; metrics are measured with -d; what it is for is said by --set, by
    [card] of --config, or was kept in the model when it was trained with such a file.

    \b
      vwlite card clicks.model -d test.vw -o CARD.md
      vwlite card clicks.model --set intended_use='ranking of ads' --set contact=ads@example.org -o card.html
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.cards.card import card, texts_of
    from vwlite.core.options import Options
    from vwlite.engine.command_line import Reader
    from vwlite.engine.conflicts import Use, check
    from vwlite.model.model_file import require_writable, write_text

    useless = [name for name, value in given.items() if value]
    if useless and not data:
        raise OptionError(f"--{useless[0]} has no effect without -d DATA: add that or leave it out")
    uses = [Use("the model", model, False), *(Use("--data", path, False) for path in data if path != "-")]
    uses += [Use("--config", config, False)] if config else []
    check([*uses, *([Use("--output", output, True)] if output else [])])
    texts: dict[str, str] = {}
    if config:
        reader = Reader(Options([]))
        reader.read_card_of(config)
        if reader.errors:
            raise OptionError(reader.errors)
        texts = reader.options.card
    texts = texts_of(settings, texts)
    if output:
        require_writable(output)
    if form is None:
        form = "html" if (output or "").lower().endswith((".html", ".htm")) else "md"
    found = card(model, texts, data, form=form, samples=samples, top=top, given=given, save=save)
    if output:
        write_text(output, found)
    else:
        click.echo(found, nl=False)
