"""``vwlite eval``: metrics of a model's predictions, or of a file of predictions, with intervals."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import DATA, DATA_OPTIONS, KIND, LEVEL, PREDICTION, RESAMPLE, SAMPLES, SEED, WEIGHT


@click.command("eval")
@click.argument("judged", metavar="MODEL|PREDICTIONS")
@DATA
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="The metrics of each value of a feature, namespace or column, too; numbers are cut into ranges. May be "
    "repeated.",
)
@click.option("--entity", multiple=True, metavar="NAME", help="The mean of each metric over the entities of NAME, too.")
@RESAMPLE
@SAMPLES
@LEVEL
@SEED
@KIND
@PREDICTION
@WEIGHT
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all numbers.")
@with_run_options(*DATA_OPTIONS)
def command(
    judged: str,
    data: tuple[str, ...],
    by: tuple[str, ...],
    entity: tuple[str, ...],
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
    """Compute metrics of predictions for labelled data, with bootstrap intervals.

    What is judged is a MODEL, which predicts for DATA without learning; or a file of PREDICTIONS as -p writes it, one
    for each example of DATA; or, without --data, a table (CSV, NDJSON) with columns label and prediction.

    Two classes have auc, logloss and brier (if predictions are probabilities or log-odds), accuracy, precision, recall,
    f1, bias (mean prediction less mean label), a confusion matrix, calibration and lift. Numbers have rmse, mae, r2 and
    bias, classes accuracy, macro f1, and precision and recall of each.

    \b
      vwlite eval clicks.model -d test.vw --by country --resample user
      vwlite eval predictions.txt -d test.vw
      vwlite eval predictions.csv --json
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.judging.commands import evaluation_of, facts_of
    from vwlite.judging.intervals import Resampling
    from vwlite.judging.rendering import render

    how = Resampling(samples, level, seed)
    columns = {"prediction": prediction, "weight": weight}
    found = evaluation_of(
        judged, data, how, by=by, entities=entity, resample=resample, kind=kind, columns=columns, given=given
    )
    click.echo(json.dumps({**facts_of(judged, data), **found.as_dict()}) if as_json else render(found, samples))
