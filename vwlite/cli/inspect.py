"""``vwlite inspect``: print the card of a model, or of one of its entities."""

from __future__ import annotations

import json

import click

from vwlite.errors import OptionError

TOP = 10


@click.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as one JSON object, with all arrays.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"How many of the largest weights to list, and of the entities with most examples ({TOP} unless given); with "
    "--entity, how many coefficients (all unless given).",
)
@click.option("--arrays", is_flag=True, help="List the arrays, too, and the single numbers among them.")
@click.option("--entity", metavar="NAME", help="Print what the model knows of one entity instead: its coefficients.")
@click.option("--effect", metavar="NAMESPACE", help="Which random effect the entity is of, where several have it.")
@click.option("--names", metavar="FILE", help="Call the entity's features as the examples in this file do.")
def command(
    model: str,
    as_json: bool,
    top: int | None,
    arrays: bool,
    entity: str | None,
    effect: str | None,
    names: str | None,
) -> None:
    """Say what MODEL is: who wrote it, from which data, with which learners and options, and its largest weights.

    Of random effects it says how far entities lie apart (the standard deviation of their prior), the noise, how many
    there are, and which have most examples. Every array is checked against its digest on the way.

    A model knows features by their hash. It has their names if it was made with --invert_hash; --names FILE reads
    them from examples.

    \b
      vwlite inspect ratings.model
      vwlite inspect ratings.model --entity ann --effect user --names ratings.vw
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.cards import entities as entity_card
    from vwlite.cards import model as card

    if entity is None:
        for flag, value in (("--effect", effect), ("--names", names)):
            if value is not None:
                raise OptionError(f"{flag} has no effect without --entity NAME: add that or leave it out")
    for flag in ("--json",) * as_json + ("--entity",) * (entity is not None):
        if arrays:
            raise OptionError(f"--arrays has no effect with {flag}: leave one of them out")
    if entity is not None:
        facts = entity_card.describe(model, entity, effect, names)
        if as_json:
            facts["coefficients"] = facts["coefficients"][:top]
            click.echo(json.dumps(facts))
        else:
            click.echo(card.render_entity(facts, top))
        return
    facts = card.describe(model, TOP if top is None else top)
    click.echo(json.dumps(facts) if as_json else card.render(facts, arrays))
