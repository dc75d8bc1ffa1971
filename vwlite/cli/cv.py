"""``vwlite cv``: cross-validation from one reading of the data."""

from __future__ import annotations

from vwlite.cli.run_words import RunCommand, split_words
from vwlite.core.options import Option

OWN = (
    Option("folds", int, "the number of folds", short="k", default=5, least=2, most=100, metavar="K"),
    Option(
        "group",
        str,
        "hold whole groups out: examples with the same value of this feature, namespace or column, such as user, are "
        "in the same fold",
        metavar="NAME",
    ),
    Option("by", str, "the metrics of each value of NAME, too", many=True, metavar="NAME"),
    Option("entity", str, "the mean of each metric over the entities of NAME, too", many=True, metavar="NAME"),
    Option(
        "resample",
        str,
        "draw whole entities of NAME for the intervals; by default those of --group",
        metavar="NAME",
    ),
    Option("threads", int, "threads that learn; by default one on each core", least=1, most=1024, metavar="N"),
    Option("samples", int, "of the bootstrap; 0 for no intervals", default=1000, least=0, most=100000),
    Option("level", float, "of the intervals", default=0.95, above=0, most=0.9999),
    Option("seed", int, "of the bootstrap", default=0, least=0),
    Option("json", bool, "print one JSON object"),
)


def run(words: list[str]) -> None:
    """Runs the subcommand."""
    # Imported here: `vwlite --help` loads this module too.
    import json

    import click

    own, others = split_words(words, OWN)

    from vwlite.judging.intervals import Resampling
    from vwlite.judging.rendering_runs import render_validation
    from vwlite.judging.validation import cross_validate

    found = cross_validate(
        others,
        own["folds"],
        group=own["group"],
        by=own["by"],
        entities=own["entity"],
        resample=own["resample"],
        how=Resampling(own["samples"], own["level"], own["seed"]),
        threads=own["threads"] or 0,
    )
    click.echo(json.dumps(found.as_dict()) if own["json"] else render_validation(found, own["samples"]))


command = RunCommand(
    "cv",
    OWN,
    callback=run,
    help="""Train K models in one reading of DATA, each without one fold, and predict that fold by it.

    Each example is in one fold: by a hash of its tag, or of its number without one. All flags of a run hold for every
    model, which is that of a run over the data without its fold. Metrics are those of vwlite eval: of all examples,
    with intervals, and their mean and standard deviation over the folds. -p writes the predictions in the order of
    DATA, -f FILE the models as FILE.1, FILE.2, ...

    \b
      vwlite cv clicks.vw --loss_function logistic -q ab
      vwlite cv ratings.csv --label rating -k 10 --group user --passes 5 -p predictions
      vwlite cv digits.vw --oaa 10 --by writer --json
    """,
)
