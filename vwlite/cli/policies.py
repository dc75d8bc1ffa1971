"""``vwlite policies``: off-policy estimates of several policies over one log, with differences in pairs."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options

DATA_OPTIONS = ("format", "where", "sample", "sample_weights", "max_line_bytes", "strict_parse")


@click.command("policies")
@click.argument("log")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--uniform", is_flag=True, help="Add the policy that takes each action with the same probability.")
@click.option(
    "--arms",
    metavar="NAME",
    help="What tells arms apart: a namespace of the actions' lines, or a feature, namespace^name; otherwise their "
    "positions.",
)
@click.option(
    "--samples",
    type=click.IntRange(0, 100_000),
    metavar="N",
    default=1000,
    show_default=True,
    help="Of the bootstrap of the differences; 0 for no intervals of them.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    default=0.95,
    show_default=True,
    help="Of all intervals.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all numbers.")
@with_run_options(*DATA_OPTIONS)
def command(
    log: str,
    models: tuple[str, ...],
    uniform: bool,
    arms: str | None,
    samples: int,
    level: float,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Estimate what the policies of MODELs would have cost on the LOG of another one, in one reading.

    The log's own cost comes first. Each model predicts and does not learn. Differences between policies have intervals
    of their own, from the same samples of decisions: they are narrower than those of the estimates. The overlap is the
    share of the decisions whose action the policy may take; the effective sample size says how many decisions of equal
    weight would say as much.

    \b
      vwlite policies log.vw old.model new.model --uniform
      vwlite policies log.dsjson a.model b.model --arms item --json
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.judging.intervals import Resampling
    from vwlite.judging.policies import compare_policies
    from vwlite.judging.rendering_policies import render

    how = Resampling(samples, level, seed)
    found = compare_policies([log], models, uniform=uniform, arms=arms, how=how, given=given)
    click.echo(json.dumps(found.as_dict()) if as_json else render(found))
