"""``vwlite tune``: searches for the values of options with the lowest loss, and learns a model with them."""

from __future__ import annotations

import click


@click.command("tune", context_settings={"ignore_unknown_options": True})
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="DATA [FLAGS OF TRAINING]...")
@click.option(
    "--tune",
    "ranges",
    multiple=True,
    required=True,
    metavar="RANGES",
    help="Options and their ranges: 'l=0.01..10 effect_l2.user=0.1..100'. A range above 0 is searched on the scale of "
    "logarithms. May be repeated.",
)
@click.option(
    "--method",
    type=click.Choice(("nelder-mead", "grid", "optuna")),
    default="nelder-mead",
    show_default=True,
    help="The simplex method, all points of a grid, or a sampler of the package optuna (extra tune).",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Models that are learned and measured at most.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Stop after so many evaluations in a row without a better one; 0: don't.",
)
@click.option(
    "--min_improvement",
    "--min-improvement",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    default=0.0,
    show_default=True,
    help="A loss is better if it is lower by this share; of evaluations and of passes.",
)
@click.option(
    "--metric",
    default="loss",
    show_default=True,
    metavar="NAME[:NAMESPACE]",
    help="What is compared: loss, or one of auc, accuracy, brier, logloss, mae, mse, rmse; rmse:user is its mean over "
    "users.",
)
@click.option("--validation", multiple=True, metavar="FILE", help="Measure on this file. May be repeated.")
@click.option(
    "--test",
    metavar="SHARE|FILE",
    help="Measure the final model on this share of the examples, which nothing else sees, or on a file.",
)
@click.option("--by", metavar="NAME", help="The entities of the next two options, such as user.")
@click.option(
    "--entities",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="SHARE",
    help="Search with the examples of this share of the entities, chosen by their names.",
)
@click.option(
    "--cold",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="SHARE",
    help="Hold this share of the entities out, and measure how well they are predicted after 0, 1, 3, 5, 10 and 15 of "
    "their examples, with all else frozen.",
)
@click.option(
    "--final",
    metavar="FLAGS",
    help="Flags of the final model only: --final '--passes 100 --early_terminate 10'.",
)
@click.option(
    "--refit",
    metavar="NAME",
    help="At the end learn the random effect NAME, such as user, once more, with all else frozen, as new users are "
    "learned later. The best number of passes is kept in the model.",
)
@click.option("--trace", metavar="FILE", help="Write a line of JSON for each evaluation.")
@click.option("--resume", metavar="FILE", help="Go on with the search of this trace.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    flags: tuple[str, ...],
    ranges: tuple[str, ...],
    method: str,
    evaluations: int,
    patience: int,
    min_improvement: float,
    metric: str,
    validation: tuple[str, ...],
    test: str | None,
    by: str | None,
    entities: float,
    cold: float,
    final: str | None,
    refit: str | None,
    trace: str | None,
    resume: str | None,
    as_json: bool,
) -> None:
    """Tune numeric options, and learn a model with the best values.

    All flags of training can be given, also -f for the model. The search begins at the values that flags give, else in
    the middle of the ranges. Losses are of examples that are held out (--holdout, --holdout_after, --holdout_period) or
    of --validation; with neither, the progressive loss of one pass. Data are parsed once and kept in memory.

    \b
      vwlite tune clicks.vw --loss_function logistic --tune 'l=0.01..10 power_t=0..1' -f clicks.model
      vwlite tune ratings.vw --square --random_effect user --random_effect movie --holdout 0.1 --test 0.1 \\
          --tune 'effect_l2.user=0.1..100 effect_l2.movie=0.1..100' --trace search.jsonl -f ratings.model
    """
    # Imported here: `vwlite --help` loads this module too.
    import json
    import shlex
    import sys

    from vwlite.engine.conflicts import check_subcommand
    from vwlite.errors import OptionError
    from vwlite.tuning.interrupts import interruptible
    from vwlite.tuning.rendering import Table, as_dict, render
    from vwlite.tuning.tuner import Request, Tuner

    try:
        last = shlex.split(final or "")
    except ValueError as error:
        raise OptionError(f"--final {final!r} can't be read: {str(error).lower()}") from error
    about = (ranges, method, evaluations, patience, min_improvement, metric, validation)
    request = Request(*about, test or "", by or "", entities, cold, last, trace, resume, refit or "")
    quiet = "--quiet" in flags
    with interruptible() as stopped:
        tuner = Tuner(list(flags), request, Table(sys.stderr, quiet, metric), stopped)
        check_subcommand(
            [*tuner.paths, *validation],
            trace=trace,
            resume=resume,
            final_regressor=tuner.options["final_regressor"],
        )
        found = tuner.main()
    click.echo(json.dumps(as_dict(found)) if as_json else render(found))
