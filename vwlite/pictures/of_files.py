"""Charts of what other commands print: evaluations, comparisons, searches and policies in JSON, and curves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from vwlite.core.paths import explain
from vwlite.errors import VwliteError
from vwlite.pictures.chart import NORMAL_95, Chart, curves, intervals

MOST_BYTES = 1 << 28
PRINTERS = "vwlite eval, compare, cv, sweep, policies or simulate"
ESTIMATES = {
    "ips": "inverse propensity scores",
    "snips": "self-normalized inverse propensity scores",
    "dr": "the doubly robust estimate",
}


def charts_of_file(path: str) -> list[Chart]:
    """The charts of a file.

    Args:
        path: JSON that vwlite eval, compare, cv, sweep, policies or simulate has printed; the trace of vwlite tune; or
            a table of curves, tab-separated, as of vwlite simulate --curves and vwlite curve: name, place, value.

    Returns:
        The charts.

    Raises:
        VwliteError: If the file can't be read, or is of another kind.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = explain(error, path) if isinstance(error, OSError) else "it is no text"
        raise VwliteError(f"{path}: can't be read: {reason}") from error
    if len(content) > MOST_BYTES:
        raise VwliteError(f"{path}: longer than {MOST_BYTES:,} characters")
    if content.startswith('{"trace":'):
        return [of_trace(path, content)]
    if content.lstrip().startswith("{"):
        return [chart for line in content.splitlines() if line.strip() for chart in of_json(path, line)]
    return [of_curves(path, content)]


def of_json(path: str, line: str) -> list[Chart]:
    """The charts of an object in JSON."""
    try:
        found = json.loads(line)
        for key, make in KINDS.items():
            if key in found:
                return make(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VwliteError(f"{path}: is not JSON as {PRINTERS} prints it: {error}") from error
    raise VwliteError(f"{path}: JSON without any of {', '.join(KINDS)}: give that of {PRINTERS} --json")


def of_evaluation(found: dict[str, Any]) -> list[Chart]:
    """The charts of vwlite eval --json."""
    from vwlite.judging.evaluation import Bin, Evaluation, Group, Metric
    from vwlite.pictures.of_evaluation import charts_of

    def metrics(given: dict[str, Any]) -> list[Metric]:
        return [Metric(name, one["value"], one["low"], one["high"], one.get("note", "")) for name, one in given.items()]

    def groups(given: list[dict[str, Any]]) -> list[Group]:
        return [Group(one["name"], one["examples"], one["weight"], metrics(one["metrics"])) for one in given]

    return charts_of(
        Evaluation(
            found["kind"],
            found["examples"],
            found["weight"],
            found["resampled"],
            found["level"],
            metrics(found["metrics"]),
            {name: groups(given) for name, given in found["slices"].items()},
            [Bin(**one) for one in found["calibration"]],
            None,
            [],
            [(one["share"], one["positive"], one["lift"]) for one in found["lift"]],
            {},
        )
    )


def of_comparison(found: dict[str, Any]) -> list[Chart]:
    """The chart of vwlite compare --json."""
    rows = [
        (one["name"], float(one["change"]), one["low"], one["high"])
        for one in found["differences"]
        if one["change"] is not None
    ]
    about = (
        f"The other one's metric less the first's, with intervals of {found['level']:.0%}, of {found['n']:,} examples."
    )
    return [intervals("Differences", about, rows, 0.0)]


def of_policies(found: dict[str, Any]) -> list[Chart]:
    """The charts of vwlite policies --json: the costs by each estimate, and their differences to the log's own."""
    logged, level = found["logged"], f"{found['level']:.0%}"
    own = float(logged["value"])
    log = ("(logged)", own, logged["low"], logged["high"])
    remarks = "".join(f" {one['name']}: {remark}." for one in found["policies"] for remark in one["remarks"])
    charts = []
    for key, words in ESTIMATES.items():
        rows = [
            (f"{one['name']} ({one['effective']:,.0f})", float(one[key]["value"]), one[key]["low"], one[key]["high"])
            for one in found["policies"]
            if one[key]["value"] is not None
        ]
        if not rows:
            continue
        about = (
            f"The mean cost of each policy by {words}, with intervals of {level}, of {found['decisions']:,} decisions; "
            f"in brackets how many of equal weight would say as much. The line is the log's own cost.{remarks}"
        )
        charts.append(intervals(f"Cost, {key}", about, [log, *rows], own))
        less = [
            (str(one["policy"]), float(one["value"]), one["low"], one["high"])
            for one in found["differences"]
            if one["estimate"] == key and one["other"] == "(logged)"
        ]
        about = f"The cost of each policy less the log's own, by {words}, with intervals of {level} of pairs."
        charts.append(intervals(f"Less the log's cost, {key}", about, less, 0.0))
    return charts


def of_folds(found: dict[str, Any]) -> list[Chart]:
    """The charts of vwlite cv --json: those of all examples, each predicted by the model without its fold."""
    return of_evaluation(found["pooled"])


def of_sweep(found: dict[str, Any]) -> list[Chart]:
    """The chart of vwlite sweep --json."""
    rows = [(one["name"], float(one["difference"] or 0), one["low"], one["high"]) for one in found["results"]]
    about = f"More {found['side']} {found['metric']} than the best setting, with intervals of {found['level']:.0%}."
    return [intervals("Settings", about, rows, 0.0)]


def of_trace(path: str, content: str) -> Chart:
    """The chart of the trace of vwlite tune: the loss of each trial, and the best so far."""
    from vwlite.tuning.trial import RISING

    trials: list[tuple[float, float]] = []
    best: list[tuple[float, float]] = []
    try:
        about, *lines = [json.loads(line) for line in content.splitlines(True) if line.endswith("\n")]
        metric = str(about["metric"])
        sign = -1 if metric.partition(":")[0] in RISING else 1
        lowest = math.inf
        for line in lines:
            if line["loss"] is not None:
                lowest = min(lowest, line["loss"])
                trials.append((line["evaluation"], sign * line["loss"]))
                best.append((line["evaluation"], sign * lowest))
    except (ValueError, KeyError, TypeError) as error:
        raise VwliteError(f"{path}: is not a trace of vwlite tune: {error}") from error
    if not trials:
        raise VwliteError(f"{path}: a trace without a trial")
    return curves(f"Search: {metric}", "Of each trial, and the best so far.", {"trial": trials, "best": best}, "trial")


def of_simulation(found: dict[str, Any]) -> list[Chart]:
    """The chart of vwlite simulate --json."""
    name = "mean_cost" if "mean_cost" in found["policies"][0] else "regret"
    rows = []
    for one in found["policies"]:
        value, error = float(one[name]), one[f"{name}_error"]
        ends = (None, None) if error is None else (value - NORMAL_95 * error, value + NORMAL_95 * error)
        rows.append((str(one["policy"]), value, *ends))
    about = f"After {found['rounds']:,} rounds, with intervals of 95%. {found['problem']}."
    return [intervals(name.replace("_", " ").capitalize(), about, rows)]


def of_curves(path: str, content: str) -> Chart:
    """The chart of a table of curves."""
    lines = [line.split("\t") for line in content.splitlines() if line]
    if len(lines) < 2 or len(lines[0]) < 3:
        raise VwliteError(
            f"{path}: neither JSON, nor a table of curves (tab-separated, with a header: name, place, value)"
        )
    series: dict[str, list[tuple[float, float]]] = {}
    for number, cells in enumerate(lines[1:], 2):
        try:
            name, place, value = cells[0], float(cells[1]), float(cells[2])
        except (ValueError, IndexError):
            if len(cells) > 2 and cells[2] == "n/a":
                continue
            raise VwliteError(
                f"{path}:{number}: expected a name, a number and a number: {' '.join(cells)[:60]}"
            ) from None
        series.setdefault(name, []).append((place, value))
    if not series:
        raise VwliteError(f"{path}: no point of a curve")
    head = lines[0]
    return curves(head[2].replace("_", " ").capitalize(), "", series, head[1].replace("_", " "))


# By a key that only this kind of JSON has, or that is looked for first: a comparison has no metrics of its own, and a
# comparison of policies has differences, too.
KINDS: dict[str, Callable[[dict[str, Any]], list[Chart]]] = {
    "logged": of_policies,
    "pooled": of_folds,
    "results": of_sweep,
    "differences": of_comparison,
    "calibration": of_evaluation,
    "policies": of_simulation,
}
