"""``vwlite inspect``: print the card of a model."""

import json

import click

from vwlite.card import describe, render


@click.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as one JSON object.")
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True, help="How many of the largest weights to list."
)
def command(model: str, as_json: bool, top: int) -> None:
    """Say what MODEL is: who wrote it, from which data, with which learners and options, and its largest weights.

    Every array is checked against its digest on the way.
    """
    facts = describe(model, top)
    click.echo(json.dumps(facts) if as_json else render(facts))
