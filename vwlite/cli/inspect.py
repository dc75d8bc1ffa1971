"""``vwlite inspect``: prints the card of a model, or of one of its entities."""

from __future__ import annotations

import json

import click

from vwlite.errors import OptionError

TOP = 10


@click.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the card as one JSON object, with all arrays.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"How many of the largest weights to list, and of the entities with most examples ({TOP} unless given); with "
    "--entity, how many coefficients (all unless given).",
)
@click.option("--arrays", is_flag=True, help="List the arrays, too, with the values of those that hold one number.")
@click.option("--journal", is_flag=True, help="Print the journal instead: all that is known of each run.")
@click.option("--entity", metavar="NAME", help="Print the card of one entity instead, with its coefficients.")
@click.option("--effect", metavar="NAMESPACE", help="The entity's random effect, if several have such an entity.")
@click.option("--names", metavar="FILE", help="Read the names of the entity's features from the examples in this file.")
def command(
    model: str,
    as_json: bool,
    top: int | None,
    arrays: bool,
    journal: bool,
    entity: str | None,
    effect: str | None,
    names: str | None,
) -> None:
    """Print a card of MODEL: its version, data, learners, options, and largest weights.

    For random effects it lists the standard deviation of the entities' prior, the noise, the number of entities, and
    those with most examples. The digest of every array is verified.

    A model stores hashes of features. It has their names if it was written with --invert_hash; --names FILE reads
    them from examples.

    \b
      vwlite inspect ratings.model
      vwlite inspect ratings.model --journal
      vwlite inspect ratings.model --entity ann --effect user --names ratings.vw
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.cards import entities as entity_card
    from vwlite.cards import model as card

    if entity is None:
        for flag, value in (("--effect", effect), ("--names", names)):
            if value is not None:
                raise OptionError(f"{flag} has no effect without --entity NAME: add that or leave it out")
    if journal:
        for flag, given in (("--top", top is not None), ("--arrays", arrays), ("--entity", entity is not None)):
            if given:
                raise OptionError(f"--journal has no effect with {flag}: leave one of them out")
        from vwlite.journal.rendering import journal_facts, journal_lines, printable

        found = journal_facts(model)
        click.echo(json.dumps(found) if as_json else printable(journal_lines(found)))
        return
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
