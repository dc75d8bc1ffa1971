"""``vwlite curve``: metrics of held-out data after training on more and more examples."""

from __future__ import annotations

import json

import click

from vwlite.cli.judging_options import LEVEL, SAMPLES, SEED
from vwlite.errors import OptionError


@click.command("curve", context_settings={"ignore_unknown_options": True})
@click.argument("data")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS OF TRAINING]...")
@click.option("--test", multiple=True, required=True, metavar="DATA", help="The held-out data; may be repeated.")
@click.option(
    "--sizes", metavar="N,N,..", help="Numbers of examples to train on [default: 100, 200, 400, ... and all of them]"
)
@click.option("--metric", metavar="NAME", help="The metric of the table [default: logloss, auc, rmse or accuracy]")
@SAMPLES
@LEVEL
@SEED
@click.option("-o", "--output", metavar="FILE", help="Write the curves here, tab-separated, for vwlite plot.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each size, with all metrics.")
def command(
    data: str,
    flags: tuple[str, ...],
    test: tuple[str, ...],
    sizes: str | None,
    metric: str | None,
    samples: int,
    level: float,
    seed: int,
    output: str | None,
    as_json: bool,
) -> None:
    """Train on the first examples of DATA, on more and more of them, and evaluate each model on the same held-out data.

    A curve that still falls at its end says that more data would help; one that is level says that other features or
    flags might. All flags of training can be given; after -- also those that have another meaning here.

    \b
      vwlite curve train.vw --test test.vw --loss_function logistic
      vwlite curve train.vw --test test.vw -o curve.tsv -q ab
      vwlite plot curve.tsv -o curve.html
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import check_subcommand
    from vwlite.judging.comparison import MAIN
    from vwlite.judging.evaluation import of_metrics
    from vwlite.judging.intervals import Resampling
    from vwlite.judging.learning import learning_curve
    from vwlite.judging.rendering import cells_of, number
    from vwlite.report.outputs import Sink

    if data.startswith("-") and data != "-":
        raise OptionError(f"{data}: the data come first: vwlite curve DATA --test DATA {data} ...")
    check_subcommand([data, *test], output=output)
    sink = None if output is None else Sink(output, "curves")
    try:
        lines: list[str] = []
        points = learning_curve([data], test, flags, read_sizes(sizes), Resampling(samples, level, seed))
        for i, point in enumerate(points):
            there = {one.name for one in point.metrics}
            wanted = metric or next(name for name in (*MAIN, *there) if name in there)
            shown = point.value(wanted)
            if as_json:
                facts = {"examples": point.examples, "loss": point.loss, "metrics": of_metrics(point.metrics)}
                click.echo(json.dumps(facts))
            else:
                if i == 0:
                    click.echo(f"{'examples':>12}  {'progressive loss':>16}  {wanted:>12}  interval")
                value, span = cells_of(shown)
                click.echo(f"{point.examples:>12,}  {number(point.loss):>16}  {value:>12}  {span}".rstrip())
            lines += [] if lines else [f"curve\texamples\t{wanted.replace(' ', '_')}\n"]
            if shown.value is not None:
                lines.append(f"held out\t{point.examples}\t{shown.value:.9g}\n")
        if sink is not None:
            sink.write("".join(lines).encode())
            sink.commit()
    finally:
        if sink is not None:
            sink.discard()


def read_sizes(text: str | None) -> list[int]:
    """The numbers of --sizes. Raises OptionError for others."""
    if text is None:
        return []
    words = [word.strip().replace("_", "") for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and 0 < int(word) < 1 << 62 for word in words):
        raise OptionError(f"--sizes {text}: expected positive whole numbers such as 100,1000,10000")
    return [int(word) for word in words]
