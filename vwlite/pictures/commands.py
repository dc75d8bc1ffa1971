"""What the command line and Python ask for: the charts of models and files, written as a page or as PNG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from vwlite.errors import OptionError
from vwlite.pictures.chart import Chart
from vwlite.pictures.page import page
from vwlite.report.outputs import Sink


def charts_of(  # noqa: DOC502, DOC503
    path: str, data: Sequence[str] = (), *, by: Sequence[str] = (), top: int = 30, given: dict[str, Any] | None = None
) -> list[Chart]:
    """The charts of a model, or of what another command printed.

    Args:
        path: The file.
        data: Of a model: labelled data, for calibration and residuals.
        by: Names whose groups are shown: metrics of slices, residuals of entities.
        top: Of a model: how many weights.
        given: Options about the data, by name.

    Returns:
        The charts.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read.
    """
    from vwlite.judging.reading import is_model
    from vwlite.pictures.of_files import charts_of_file

    if not is_model(path):
        refused = [*(["--data"] if data else []), *(["--by"] if by else [])]
        if refused:
            raise OptionError(f"{' and '.join(refused)}: only for models, and {path} is none: leave it out")
        return charts_of_file(path)
    charts = [] if not data else of_predictions(path, data, by, given or {})
    if by and not data:
        raise OptionError("--by needs labelled data: give -d DATA")
    return [*charts, *of_model(path, top)]


def of_predictions(path: str, data: Sequence[str], by: Sequence[str], given: dict[str, Any]) -> list[Chart]:
    """The charts of a model's predictions for labelled data."""
    from vwlite.judging.commands import examples_of, named
    from vwlite.judging.evaluation import evaluate
    from vwlite.pictures.of_evaluation import charts_of, residuals

    examples = examples_of(path, data, list(by), None, {}, given)
    named(examples, by)
    charts = charts_of(evaluate(examples))
    return charts + [chart for one in examples.slices if (chart := residuals(examples, one)) is not None]


def of_model(path: str, top: int) -> list[Chart]:
    """The charts of a model alone."""
    from vwlite.engine.workspace import Workspace
    from vwlite.pictures.of_model import caterpillar, effects_of, weights

    with Workspace(["-t", "-i", path]) as workspace:
        found = [weights(workspace, top), *(caterpillar(workspace, effect) for effect in effects_of(workspace))]
    return [chart for chart in found if chart is not None]


def write(output: str, title: str, about: str, charts: Sequence[Chart]) -> None:  # noqa: DOC502, DOC503
    """Writes charts: PNG if the name of the file ends so, else a page of HTML.

    Args:
        output: The file; "-" is standard output.
        title: The title.
        about: A sentence below it.
        charts: The charts.

    Raises:
        VwliteError: If the file can't be written, or matplotlib is missing.
        OptionError: If there is no chart.
    """
    if not charts:
        raise OptionError(f"{output}: there is nothing to draw")
    if output.lower().endswith(".png"):
        from vwlite.pictures.png import png, require_matplotlib

        require_matplotlib(f"-o {output}")
        content = png(title, charts)
    else:
        content = page(title, about, charts).encode()
    sink = Sink(output, "charts")
    try:
        sink.write(content)
        sink.commit()
    finally:
        sink.discard()


def plot(  # noqa: DOC502, DOC503
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    data: Sequence[str] | str = (),
    *,
    by: Sequence[str] = (),
    top: int = 30,
    **options: Any,
) -> None:
    """Draws models, or what other commands printed, as one page of HTML or as PNG; the same as ``vwlite plot``.

    Args:
        paths: A model, JSON of vwlite eval, compare, policies or simulate, a table of curves; or several.
        output: The file to write, .html or .png.
        data: Of a model: labelled data, one path or several.
        by: Names whose groups are shown.
        top: Of a model: how many weights.
        **options: About the data, as on the command line.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If a file can't be read or written.
    """
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    names = [os.fspath(path) for path in several]
    sources = [data] if isinstance(data, str) else list(data)
    charts = [chart for name in names for chart in charts_of(name, sources, by=by, top=top, given=options)]
    write(os.fspath(output), ", ".join(os.path.basename(name) for name in names), "", charts)
