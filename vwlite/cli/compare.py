"""``vwlite compare``: whether one model, or file of predictions, is better than another on the same data."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import DATA, DATA_OPTIONS, KIND, LEVEL, PREDICTION, RESAMPLE, SAMPLES, SEED, WEIGHT


@click.command("compare")
@click.argument("first", metavar="FIRST")
@click.argument("others", nargs=-1, required=True, metavar="OTHER...")
@DATA
@RESAMPLE
@SAMPLES
@LEVEL
@SEED
@KIND
@PREDICTION
@WEIGHT
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each comparison.")
@with_run_options(*DATA_OPTIONS)
def command(
    first: str,
    others: tuple[str, ...],
    data: tuple[str, ...],
    resample: str | None,
    samples: int,
    level: float,
    seed: int,
    kind: str | None,
    prediction: str | None,
    weight: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Compare FIRST with each OTHER on the same labelled data.

    Each is a model, a file of predictions, or a table of labels and predictions, as for vwlite eval. Metrics are
    paired: the bootstrap draws the same examples, or entities, for both. The area under the curve has DeLong's test,
    accuracy McNemar's.

    \b
      vwlite compare old.model new.model -d test.vw
      vwlite compare old.model new.model -d test.vw --resample user
      vwlite compare old.csv new.csv --json
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.judging.commands import comparison_of, facts_of
    from vwlite.judging.intervals import Resampling
    from vwlite.judging.rendering import render_comparison

    columns = {"prediction": prediction, "weight": weight}
    how = Resampling(samples, level, seed)
    for i, other in enumerate(others):
        found = comparison_of(first, other, data, how, resample=resample, kind=kind, columns=columns, given=given)
        if as_json:
            facts = {"first": facts_of(first, data), "other": facts_of(other, data)}
            click.echo(json.dumps({**facts, **found.as_dict()}))
        else:
            click.echo(("\n" if i else "") + render_comparison(found, first, other, samples))
