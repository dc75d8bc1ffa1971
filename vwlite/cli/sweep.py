"""``vwlite sweep``: models of many settings from one reading of the data, ranked."""

from __future__ import annotations

from vwlite.cli.run_words import RunCommand, split_words
from vwlite.core.options import Option

OWN = (
    Option(
        "grid",
        str,
        "options and their values, such as 'l=.1,.5,1 loss_function=logistic,hinge': all combinations are trained. "
        "'none' leaves an option out, on and off are the values of flags, q=ab+cd gives -q twice",
        many=True,
        metavar="GRID",
    ),
    Option(
        "by_loss",
        str,
        "rank by predictions before learning, or by those of held-out examples (the default if some are held out)",
        choices=("progressive", "holdout"),
    ),
    Option(
        "metric",
        str,
        "what settings are ranked by: by default their loss; if loss functions differ, error (the share of wrong "
        "classes) for two classes, else mse",
        choices=("loss", "error", "mse", "mae", "logloss"),
    ),
    Option("threads", int, "threads that learn; by default one on each core", least=1, most=1024, metavar="N"),
    Option(
        "samples", int, "of the bootstrap of the differences; 0 for no intervals", default=1000, least=0, most=100000
    ),
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
    from vwlite.judging.rendering_runs import render_sweep
    from vwlite.judging.sweeping import sweep

    how = Resampling(own["samples"], own["level"], own["seed"])
    found = sweep(
        others, own["grid"], by_loss=own["by_loss"], metric=own["metric"], how=how, threads=own["threads"] or 0
    )
    click.echo(json.dumps(found.as_dict()) if own["json"] else render_sweep(found))


command = RunCommand(
    "sweep",
    OWN,
    callback=run,
    help="""Train a model with each setting of a grid, in one pass over one reading of DATA, and rank them.

    All flags of a run hold for every setting; -f saves the best model. Each model is that of a run with its setting
    alone, whatever the number of threads. Differences to the best have intervals, from a bootstrap of pieces of the
    data that all models have predicted.

    \b
      vwlite sweep clicks.vw --grid 'l=.1,.5,1 loss_function=logistic,hinge' -f best.model
      vwlite sweep clicks.vw --grid 'b=18,22 q=none,ab' --loss_function logistic --holdout 0.1 --report auc
      vwlite sweep ratings.csv --label rating --grid 'l2=none,1e-6,1e-5' --passes 5 --json
    """,
)
