"""``vwlite recommend``: items for users, learned from what users have done (implicit feedback)."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import DATA_OPTIONS


@click.command("recommend")
@click.argument("data", nargs=-1, metavar="[DATA]...")
@click.option("-f", "--final_regressor", "--final-regressor", "final", metavar="FILE", help="Write the model to FILE.")
@click.option(
    "-i", "--initial_regressor", "--initial-regressor", "initial", metavar="FILE", help="Load the model FILE."
)
@click.option("--user", metavar="NAME", help="The namespace, feature or column that names the user.")
@click.option("--item", metavar="NAME", help="The namespace, feature or column that names the item.")
@click.option(
    "--factors",
    type=click.IntRange(0, 1000),
    metavar="K",
    help="Factors of each user and item (default: 8); 0: all users have the same probabilities.",
)
@click.option(
    "--item_l2", "--item-l2", type=click.FloatRange(0, 1e12), metavar="L", help="Ridge of the items' effects (0.1)."
)
@click.option(
    "--factor_l2",
    "--factor-l2",
    type=click.FloatRange(0, 1e12),
    metavar="L",
    help="Ridge of the factors (10); with few events of a user or item they shrink to 0.",
)
@click.option("--earlier", metavar="FILE", help="An earlier model of this command, which the new one is mixed with.")
@click.option(
    "--mix",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="The share of the earlier model in each probability (0.5).",
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Measure a model without this share of the pairs of a user and an item; the one that is written learns all.",
)
@click.option(
    "--tune",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Learn at most N models to find the ridges and the mix with the highest log likelihood of the held-out pairs.",
)
@click.option("--iterations", type=click.IntRange(1, 1_000_000), metavar="N", help="Of the fit at most (200).")
@click.option("--random_seed", "--random-seed", "seed", type=click.IntRange(0), metavar="N", help="Of the start (0).")
@click.option(
    "--top",
    type=click.IntRange(1, 1_000_000),
    metavar="K",
    help="Items of a list (10), or of what has most events (5).",
)
@click.option("--list", "listed", is_flag=True, help="Print a list of items for each user of DATA, or of the model.")
@click.option("--for", "users", multiple=True, metavar="USER", help="Print a list for this user. May be repeated.")
@click.option("--repeat", is_flag=True, help="Lists have items that the user had before, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or one for each list.")
@with_run_options(*DATA_OPTIONS)
def command(data: tuple[str, ...], initial: str | None, users: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Learn from events which items a user turns to next, and list them.

    Each example of DATA names a user and an item; its label is the amount, such as 1. The probability of an item is a
    softmax over all items of the user's and the item's factors, and of how popular the item is.

    \b
      vwlite recommend plays.vw --user user --item song --holdout 0.2 -f plays.model    learn
      vwlite recommend -i plays.model later.vw                                          measure
      vwlite recommend -i plays.model --for ann --for bob --top 5                       list
      vwlite recommend -i plays.model new.vw -f updated.model                           learn users only
      vwlite recommend -i plays.model                                                   what the model is
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.recommending.rendering import run

    for line in run(data, initial, users, given):
        click.echo(json.dumps(line.facts) if as_json else line.text)
