"""``vwlite explain``: why predictions are what they are, term by term."""

from __future__ import annotations

from typing import Any

import click

from vwlite.cli.data_options import with_run_options
from vwlite.cli.judging_options import OF_DATA


@click.command("explain")
@click.argument("model")
@click.argument("data", nargs=-1, metavar="[DATA]...")
@click.option("--effect", metavar="NAME", help="Only this part of the score: fixed, or a random effect such as user.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="The N largest terms of each part only.")
@click.option("--json", "as_json", is_flag=True, help="Write a line of JSON for each example.")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write here instead of standard output.")
@with_run_options(*OF_DATA, "examples")
def command(
    model: str,
    data: tuple[str, ...],
    effect: str | None,
    top: int | None,
    as_json: bool,
    output: str,
    **given: Any,
) -> int:
    """Print why MODEL predicts what it predicts for the examples in DATA (standard input without any).

    Each term of a score is a feature's value times its weight, largest first; random effects have their own parts.
    Learners with a posterior give standard deviations. What terms leave of a score is (rest). For a decision: the
    scores of all actions, and what separates the action taken from the next.

    \b
      vwlite explain clicks.model ask.vw --top 5
      vwlite explain ratings.model ask.vw --effect user --json
    """
    # Imported here: `vwlite --help` loads this module too.
    from vwlite.engine.conflicts import Use, check
    from vwlite.explaining.running import Explaining
    from vwlite.judging.reading import words_of

    paths = list(data) or ["-"]
    uses = [Use("the model", model, False), *(Use("the data", path, False) for path in paths if path != "-")]
    check([*uses, *([Use("--output", output, True)] if output != "-" else [])])
    words = [*words_of(given), *(f"--data={path}" for path in paths), f"--initial_regressor={model}"]
    return Explaining(words, effect, top or 0, as_json, output).main()
