"""The results of a simulation: regret and its standard errors, as table, JSON, curves and plot."""

from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vwlite.bandit.replay import Log
from vwlite.bandit.simulation import Game, Play
from vwlite.pictures.png import COLOURS

Array = NDArray[np.float64]


class Row(NamedTuple):
    """The results of a policy. `*_error` are standard errors over seeds, NaN for a single seed.

    regret      mean over seeds of the regret at the end; of a log, of the mean cost
    of_random   its share of the regret of random, NaN if that isn't known
    reward      rewards a round, or -cost
    more        regret beyond that of the first policy, over the same seeds
    counted     mean number of rounds that count
    """

    policy: str
    regret: float
    regret_error: float
    of_random: float
    reward: float
    more: float
    more_error: float
    counted: float


def rows(game: Game, plays: Sequence[Sequence[Play]]) -> list[Row]:
    """Computes a row for each policy from the plays of all seeds."""
    ends = np.array([[play.curve[-1] for play in seed] for seed in plays])
    names = [policy.name for policy in game.policies]
    random = float(ends[:, names.index("random")].mean()) if "random" in names else math.nan
    found = []
    for i, name in enumerate(names):
        own = [seed[i] for seed in plays]
        counted = sum(play.counted for play in own)
        reward = 0.0 - sum(play.cost for play in own) / counted if counted else math.nan
        mean, error = mean_and_error(ends[:, i])
        more, more_error = mean_and_error(ends[:, i] - ends[:, 0])
        if isinstance(game.world, Log):
            mean, error = 0.0 - reward, error_of_a_replay(own)
        share = mean / random if random else math.nan
        found.append(Row(name, mean, error, share, reward, more, more_error, counted / len(own)))
    return found


def mean_and_error(values: Array) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    n = len(values)
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan


def error_of_a_replay(plays: Sequence[Play]) -> float:
    """The standard error of a mean cost.

    All seeds replay the same log, so averaging over them doesn't reduce its sampling error: this is the error of a
    single replay, an upper bound for that of the mean over seeds.
    """
    return float(np.mean([play.errors[-1] for play in plays]))


def number(value: float, form: str) -> str:
    """Formats a number, or n/a for NaN."""
    return format(value, form) if math.isfinite(value) else "n/a"


def table(game: Game, found: Sequence[Row]) -> str:
    """The results as a text table."""
    if isinstance(game.world, Log):
        lines = [["policy", "counted", "of log", "mean cost", "+-"]]
        for row in found:
            of_log = number(100 * row.counted / game.rounds, ".1f") + "%"
            counted = number(row.counted, ".1f")
            lines.append([row.policy, counted, of_log, number(row.regret, ".4f"), number(row.regret_error, ".4f")])
    else:
        known = any(math.isfinite(row.of_random) for row in found)
        first = found[0].policy
        lines = [["policy", "regret", "+-", *(["of random"] if known else []), "reward", f"above {first}", "+-"]]
        for i, row in enumerate(found):
            share = [number(100 * row.of_random, ".1f") + "%"] if known else []
            more = [number(row.more, ".1f"), number(row.more_error, ".1f")] if i else ["", ""]
            regret = [number(row.regret, ".1f"), number(row.regret_error, ".1f")]
            lines.append([row.policy, *regret, *share, number(row.reward, ".4f"), *more])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}" for i, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in (zip(line, widths, strict=True) for line in lines)
    )


def facts(game: Game, found: Sequence[Row], words: Sequence[str]) -> dict[str, Any]:
    """The results as a JSON object; undefined values are null."""
    names = {"regret": "mean_cost", "regret_error": "mean_cost_error"} if isinstance(game.world, Log) else {}
    left_out = {"of_random", "more", "more_error", "reward"} if isinstance(game.world, Log) else {"counted"}
    return {
        "problem": game.world.title,
        "command": shlex.join(words),
        "rounds": game.rounds,
        "policies": [
            {
                names.get(key, key): value if not isinstance(value, float) or math.isfinite(value) else None
                for key, value in row._asdict().items()
                if key not in left_out
            }
            for row in found
        ],
    }


def text(game: Game, found: Sequence[Row], words: Sequence[str], as_json: bool) -> str:
    """The text for standard output: the table, or JSON."""
    if as_json:
        return json.dumps(facts(game, found, words), allow_nan=False)
    return f"{game.world.title}\nagain: {shlex.join(words)}\n\n{table(game, found)}"


def bands(game: Game, plays: Sequence[Sequence[Play]]) -> list[tuple[str, Array, Array]]:
    """For each policy its name, the mean curve, and its standard error at each mark (NaN for a single seed)."""
    found = []
    for i, policy in enumerate(game.policies):
        curves = np.array([seed[i].curve for seed in plays])
        error = np.mean([seed[i].errors for seed in plays], axis=0)
        if len(curves) > 1 and not isinstance(game.world, Log):
            error = curves.std(axis=0, ddof=1) / math.sqrt(len(curves))
        found.append((policy.name, curves.mean(axis=0), error))
    return found


def curves(game: Game, plays: Sequence[Sequence[Play]]) -> bytes:
    """The curves as tab-separated values: policy, round, mean and standard error."""
    lines = [f"policy\tround\t{quantity(game).replace(' ', '_')}\tstandard_error"]
    for name, mean, error in bands(game, plays):
        lines += [
            f"{name}\t{mark}\t{number(m, '.9g')}\t{number(e, '.9g')}"
            for mark, m, e in zip(game.marks.tolist(), mean.tolist(), error.tolist(), strict=True)
        ]
    return ("\n".join(lines) + "\n").encode()


def quantity(game: Game) -> str:
    """The quantity of the curves."""
    return "mean cost" if isinstance(game.world, Log) else "regret"


def plot(game: Game, plays: Sequence[Sequence[Play]]) -> bytes:
    """The curves as a PNG image, with a band of one standard error on either side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for i, (name, mean, error) in enumerate(bands(game, plays)):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(game.marks, mean, label=name, color=colour, linestyle="-" if i < len(COLOURS) else "--")
        axes.fill_between(game.marks, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlim(0, game.rounds)
    if not isinstance(game.world, Log):
        axes.set_ylim(bottom=0)
    axes.set_xlabel("logged decision" if isinstance(game.world, Log) else "round")
    axes.set_ylabel(f"{quantity(game)} so far")
    axes.set_title(game.world.title.partition(";")[0], fontsize=9, wrap=True)
    axes.spines[["top", "right"]].set_visible(False)
    # in the order in which the curves end, the highest first, so that a name stands near its line
    handles, labels = axes.get_legend_handles_labels()
    ends = np.nan_to_num([mean[-1] for _, mean, _ in bands(game, plays)])
    order = np.argsort(-ends, kind="stable")
    figure.legend([handles[i] for i in order], [labels[i] for i in order], frameon=False, loc="outside right upper")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
