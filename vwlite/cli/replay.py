"""``vwlite replay``: trains a model again, by its journal, and says whether the result is the same."""

from __future__ import annotations

import click

from vwlite.errors import OptionError

DIFFERS = 1  # exit status


@click.command("replay")
@click.argument("model")
@click.option("--check", is_flag=True, help="Exit with status 1 unless the model is reproduced bit for bit.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change an option in all runs, such as l2=0.1; NAME alone gives a flag, NAME= leaves an option out.",
)
@click.option(
    "-d",
    "--data",
    multiple=True,
    metavar="FILE",
    help="Other data, or a copy of it: of one run, its sources; of several runs, one for each.",
)
@click.option("-o", "--output", metavar="FILE", help="Save the new model here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str, check: bool, settings: tuple[str, ...], data: tuple[str, ...], output: str | None, as_json: bool
) -> int | None:
    """Train MODEL again, by the runs in its journal, and print what differs.

    The journal has the options and the data of each run, those of earlier models included. Prints "reproduced bit for
    bit", or what differs: data that has changed, flags, version, and the arrays of the model. Runs that were fed by
    sockets, HTTP, pipes or Python can't be replayed.

    \b
      vwlite replay clicks.model --check
      vwlite replay clicks.model --set l2=0.1 -o other.model
    """
    # Imported here: `vwlite --help` loads this module too.
    import json

    from vwlite.engine.conflicts import Use
    from vwlite.engine.conflicts import check as check_files
    from vwlite.journal.rendering import printable
    from vwlite.journal.replay import replay

    if check and settings:
        raise OptionError(
            "--check with --set: a model that is trained otherwise is not reproduced; leave one of them out"
        )
    read = [Use("the model", model, False), *(Use("the data", path, False) for path in data if path != "-")]
    check_files([*read, *([Use("--output", output, True)] if output else [])])
    found = replay(model, settings, data, output)
    if as_json:
        click.echo(json.dumps({"model": model, "reproduced": found.reproduced, **found._asdict()}))
        return DIFFERS if check and not found.reproduced else 0
    lines = [f"changed: {text}" for text in found.changed]
    lines += [f"note: {text}" for text in found.remarks]
    if found.reproduced:
        lines.append(f"{model}: reproduced bit for bit")
    else:
        lines.append(f"{model}: {'trained again' if settings or data else 'not reproduced'}; what differs:")
        lines += [f"  {text}" for text in found.differences]
        for number, losses in enumerate(found.losses, 1):
            before, after = ("none" if loss is None else f"{loss:.6g}" for loss in losses)
            lines.append(f"  run {number}: loss {before}, now {after}")
    click.echo(printable(lines))
    return DIFFERS if check and not found.reproduced else 0
