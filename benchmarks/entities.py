"""Benchmark of models of entities: against Lambda Learner, a million entities at once, and on real ratings.

    python -m benchmarks.entities     in the root of the repository

Like `run.py`, this imports nothing large, so that peaks of memory are those of the processes that it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.run import (
    CommandError,
    Run,
    Tool,
    machine,
    make_data,
    parsed,
    parser_of,
    publish,
    rows,
    run,
    summary_number,
    verdict,
    words,
)

HERE = Path(__file__).resolve().parent
MARKERS = ("<!-- entities -->", "<!-- end of entities -->")
LAMBDA_LEARNER = ("lambda-learner==0.1.0", "scipy<1.18")  # it passes arguments that SciPy 1.18 no longer accepts
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # with more, Lambda Learner is slower, most so beside other processes
COEFFICIENTS_AGREE = 1e-3
QUIET = 0.7  # load average over a minute, under which a run begins
SPLITS = 8
RATINGS_LEARNT = 80_003

LOGISTIC = ("--bayes_logistic",)
USERS = ("--random_effect", "user:*", *LOGISTIC, "--posterior", "diagonal", "--fixed", "none")
BATCH = ("--square", "--fixed", "none", "--shrink", "mean", "--effect_l2", "auto", "--sweeps", "10")


@dataclass(frozen=True)
class Contest:
    """Comparison of Lambda Learner and vwlite on one model, batch after batch."""

    name: str
    data: str
    features: int
    batch: int
    lines: int  # for vwlite; enough that its start-up time is negligible
    records: int  # of these lines for Lambda Learner, whose rate is the same for more
    wanted: float  # times its records per second


@dataclass(frozen=True)
class Crowd:
    """Benchmark of a very large number of entities."""

    name: str
    data: str
    lines: int


CONTESTS = (
    Contest("21 coefficients, batches of 10", "dense20", 20, 10, 2_000_000, 40_000, 100),
    Contest("200 coefficients, batches of 1000", "dense199", 199, 1000, 400_000, 40_000, 10),
)
CROWDS = (Crowd("1,000,000 users", "users1m", 2_000_000), Crowd("2,000,000 users", "users2m", 4_000_000))
GROWTH = (Crowd("80 at once", "whole250k", 250_000), Crowd("20 in each of four examples", "growing250k", 1_000_000))
BYTES_WANTED = 24  # of a coefficient, with all that belongs to its entity
MODELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the mean", ("--ignore", "um", "--ignore", "g", "--allow_empty")),
    ("users and movies as features of gd", ("--ignore", "g")),
    ("users", (*BATCH, "--random_effect", "user", "--ignore", "mg")),
    ("users + movies", (*BATCH, "--random_effect", "user", "--random_effect", "movie", "--ignore", "g")),
    ("users with tastes in genres + movies", (*BATCH, "--random_effect", "user:genre", "--random_effect", "movie")),
)
RATINGS_WANTED = {"users + movies": 0.8917}


def printed(command: Sequence[str], stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """Output of a command; raises CommandError if it fails."""
    environ = os.environ | (environment or {})
    done = subprocess.run(command, input=stdin, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise CommandError(f"`{shlex.join(command)}` ended with status {done.returncode}: {last[0]}")
    return done.stdout


def say(what: str) -> None:
    """Print progress on standard error."""
    print(what, file=sys.stderr, flush=True)


def scaled(lines: int, scale: float) -> int:
    """A fraction of the lines, at least 100."""
    return max(100, round(lines * scale))


def lambda_learner(folder: Path) -> tuple[str, ...]:
    """The command that times Lambda Learner, in a virtual environment in the folder, which is created if missing."""
    environment = folder / "lambda-learner"
    python = environment / "bin" / "python"
    if not (environment / "installed").exists():
        say("installing Lambda Learner")
        printed([sys.executable, "-m", "venv", "--clear", str(environment)])
        printed([str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *LAMBDA_LEARNER])
        (environment / "installed").touch()
    return (str(python), str(HERE / "lambda_learner.py"))


def rate(runs: Sequence[Run], lines: int) -> dict[str, float]:
    """Records per second of whole processes: median, minimum and maximum."""
    rates = [lines / each.wall for each in runs]
    return {"rate": statistics.median(rates), "least": min(rates), "most": max(rates)}


def learned(vwlite: Sequence[str], model: Path, features: int) -> list[float]:
    """The coefficients of a model, the intercept first: differences of scores."""
    lines = "| \n" + "".join(f"| {i}:1\n" for i in range(features))
    raw = [
        float(line) for line in printed([*vwlite, "-t", "-i", str(model), "-r", "-", "--quiet"], stdin=lines).split()
    ]
    return [raw[0], *(score - raw[0] for score in raw[1:])]


def largest_difference(left: Sequence[float], right: Sequence[float]) -> float:
    """Largest difference of two lists of coefficients."""
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


def compete(
    contest: Contest,
    vwlite: Sequence[str],
    theirs: Sequence[str],
    data: Path,
    scratch: Path,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    """Alternate runs of Lambda Learner's train(), vwlite from text and vwlite from its cache, on the same batches."""
    lines, records = scaled(contest.lines, chosen.scale), scaled(contest.records, chosen.scale)
    (scratch / "data.vw").symlink_to(data)
    command = [*vwlite, *LOGISTIC, "--batch_size", str(contest.batch), "-d", "data.vw"]
    run([*command, "-c", "-k"], scratch)
    text, cache, rates, busy = [], [], [], []
    lambda_learner = [*theirs, str(data), f"--records={min(lines, records)}", f"--batch={contest.batch}"]
    found: dict[str, Any] = {}
    for i in range(chosen.rounds):
        found = json.loads(printed(lambda_learner, environment=ONE_THREAD))
        rates.append(found["records"] / found["seconds"])
        busy.append(found["records"] / found["cpu"])
        text.append(run(command, scratch))
        cache.append(run([*command, "-c"], scratch))
        say(f"{contest.name} {i + 1}/{chosen.rounds}: {rates[-1]:,.0f} a second, vwlite {lines / text[-1].wall:,.0f}")
    run([*command, "--examples", str(found["records"]), "-f", "model"], scratch)
    own = learned(vwlite, scratch / "model", contest.features)
    exact = json.loads(printed([*lambda_learner, "--precision=1"], environment=ONE_THREAD))
    return {
        "lambda_learner": {"rate": statistics.median(rates), "least": min(rates), "most": max(rates)},
        "versions": found["versions"],
        "text": rate(text, lines),
        "cache": rate(cache, lines),
        "ratio": statistics.median(lines / mine.wall / their for mine, their in zip(text, rates, strict=True)),
        "cache_ratio": statistics.median(lines / mine.wall / their for mine, their in zip(cache, rates, strict=True)),
        "cpu_ratio": statistics.median(lines / mine.cpu / their for mine, their in zip(text, busy, strict=True)),
        "cache_cpu_ratio": statistics.median(lines / mine.cpu / their for mine, their in zip(cache, busy, strict=True)),
        "wanted": contest.wanted,
        "lines": lines,
        "records": found["records"],
        "differ": largest_difference(own, exact["coefficients"]),
        "differ_as_it_comes": largest_difference(own, found["coefficients"]),
    }


def crowd(vwlite: Sequence[str], paths: Sequence[Path], scratch: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Alternate runs of the crowds from text and from their caches; then save and load the first one."""
    texts: list[list[Run]] = [[] for _ in CROWDS]
    caches: list[list[Run]] = [[] for _ in CROWDS]
    saves: list[Run] = []
    loads: list[Run] = []
    for i, path in enumerate(paths):
        (scratch / f"{i}.vw").symlink_to(path)
        run([*vwlite, *USERS, "-d", f"{i}.vw", "-c", "-k"], scratch)
    (scratch / "one.vw").write_text("|user 1 |f a:0.5\n")
    for turn in range(chosen.rounds):
        for i, each in enumerate(CROWDS):
            texts[i].append(run([*vwlite, *USERS, "-d", f"{i}.vw"], scratch))
            caches[i].append(run([*vwlite, *USERS, "-d", f"{i}.vw", "-c"], scratch))
            say(f"{each.name} {turn + 1}/{chosen.rounds}: {texts[i][-1].wall:.2f} s, {texts[i][-1].memory:.0f} MB")
        saves.append(run([*vwlite, *USERS, "-d", "0.vw", "-f", "model"], scratch))
        loads.append(run([*vwlite, "-t", "-i", "model", "-d", "one.vw"], scratch))
    figured: dict[str, Any] = {}
    for i, each in enumerate(CROWDS):
        lines = scaled(each.lines, chosen.scale)
        seen = summary_number(texts[i][-1].summary, "number of examples")
        if seen != lines:
            raise CommandError(f"vwlite saw {seen} examples of {lines}")
        figured[each.name] = {
            "lines": lines,
            "text": rate(texts[i], lines),
            "cache": rate(caches[i], lines),
            "cpu": lines / statistics.median(one.cpu for one in texts[i]),
            "cache_cpu": lines / statistics.median(one.cpu for one in caches[i]),
            "memory": max(one.memory for one in texts[i]),
        }
    plain = statistics.median(one.wall for one in texts[0])
    return {
        "crowds": figured,
        "model": {
            "save": statistics.median(one.wall for one in saves) - plain,
            "load": statistics.median(one.wall for one in loads),
            "size": (scratch / "model").stat().st_size / 1e6,
            "save_memory": max(one.memory for one in saves),
            "load_memory": max(one.memory for one in loads),
        },
    }


def growth(vwlite: Sequence[str], paths: Sequence[Path], scratch: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Bytes per coefficient if entities have all of theirs from the start, and if they get them later."""
    (scratch / "one.vw").write_text("1 |user 1 |f a:0.5\n")
    empty = min(run([*vwlite, *USERS, "-d", "one.vw"], scratch).memory for _ in range(chosen.rounds))
    figured: dict[str, Any] = {}
    for i, (each, path) in enumerate(zip(GROWTH, paths, strict=True)):
        (scratch / f"{i}.vw").symlink_to(path)
        lines = scaled(each.lines, chosen.scale)
        width = 80 * GROWTH[0].lines // each.lines  # new features of a line; each user has a constant, too
        coefficients = width * lines + min(lines, GROWTH[0].lines)
        runs = [run([*vwlite, *USERS, "-d", f"{i}.vw"], scratch) for _ in range(chosen.rounds)]
        memory = max(one.memory for one in runs)
        figured[each.name] = {
            "text": rate(runs, lines),
            "memory": memory,
            "bytes": (memory - empty) * 1e6 / coefficients,
        }
        say(f"{each.name}: {memory:.0f} MB, {figured[each.name]['bytes']:.1f} bytes a coefficient")
    return figured


def ratings(vwlite: Sequence[str], scratch: Path) -> dict[str, Any]:
    """RMSE of held-out ratings of MovieLens for several random splits, the first being that of examples/game."""
    printed([sys.executable, str(HERE.parent / "examples" / "game" / "movies.py"), str(scratch)])
    lines = (scratch / "split.vw").read_text().splitlines(keepends=True)
    errors: dict[str, list[float]] = {name: [] for name, _ in MODELS}
    for seed in range(SPLITS):
        if seed:
            random.Random(seed).shuffle(lines)
        (scratch / "data.vw").write_text("".join(lines))
        for name, flags in MODELS:
            command = [*vwlite, "-d", "data.vw", "--holdout_after", str(RATINGS_LEARNT), "--report", "rmse", *flags]
            error = summary_number(run(command, scratch).summary, "rmse held out")
            if error is None:
                raise CommandError(f"`{shlex.join(command)}` reports no RMSE")
            errors[name].append(error)
        say(f"ratings, split {seed + 1}/{SPLITS}")
    return errors


def span(figures: dict[str, float]) -> str:
    """`median (least to most)`, in records per second."""
    return f"{figures['rate']:,.0f} ({figures['least']:,.0f} to {figures['most']:,.0f})"


def markdown(results: dict[str, Any]) -> str:
    """The report: machine, Lambda Learner, crowds, ratings, and what failed."""
    contests, agreement, crowds, accuracy, failed = [], [], [], [], []
    versions = ""
    for name, case in results["contests"].items():
        if "error" in case:
            failed.append(f"- {name}: {case['error']}")
            continue
        versions = ", ".join(f"{package} {version}" for package, version in case["versions"].items())
        for source, prefix in (("text", ""), ("cache", "cache_")):
            ratio, cpu = case[f"{prefix}ratio"], case[f"{prefix}cpu_ratio"]
            judged = verdict(ratio >= case["wanted"], f"at least {case['wanted']:g}")
            speeds = (span(case["lambda_learner"]), span(case[source]), f"{ratio:.1f}", f"{cpu:.1f}")
            contests.append([name, source, *speeds, judged])
        judged = verdict(case["differ"] <= COEFFICIENTS_AGREE, f"at most {COEFFICIENTS_AGREE:g}")
        row = [name, f"{case['records']:,}", f"{case['differ_as_it_comes']:.1e}", f"{case['differ']:.1e}", judged]
        agreement.append(row)
    entities = results.get("entities", {})
    if "error" in entities:
        failed.append(f"- entities: {entities['error']}")
    elif entities:
        crowds = crowd_rows(entities)
    grown = results.get("growth", {})
    if "error" in grown:
        failed.append(f"- growth: {grown['error']}")
    else:
        crowds = crowds + growth_rows(grown)
    found = results.get("ratings", {})
    if "error" in found:
        failed.append(f"- ratings: {found['error']}")
    else:
        for name, errors in found.items():
            middle = statistics.median(errors)
            wanted = RATINGS_WANTED.get(name)
            judged = verdict(middle <= wanted, f"at most {wanted}") if wanted else ""
            row = [name, f"{errors[0]:.4f}", f"{middle:.4f} ({min(errors):.4f} to {max(errors):.4f})", judged]
            accuracy.append(row)
    report = [
        "{date}, {cpu}, {cores} cores, {kernel}, huge pages: {huge_pages}, Python {python}, vwlite {vwlite}".format(
            **results["machine"]
        )
        + (f", {versions}" if versions else "")
        + "; {rounds} rounds, scale {scale:g}, load average before: {load:.2f}.".format(**results)
    ]
    header = ("model", "from", "Lambda Learner, records/s", "vwlite, records/s", "times", "times by CPU", "verdict")
    report += rows(header, contests)
    columns = ("model", "after records", "coefficients differ by", "once its search is exact, by", "verdict")
    report += rows(columns, agreement)
    report += rows(("entities", "what", "found", "verdict"), crowds)
    report += rows(("ratings", "first split, RMSE", f"of {SPLITS} splits", "verdict"), accuracy)
    if failed:
        report += ["", "Failed:", "", *failed]
    return "\n".join(report)


def crowd_rows(entities: dict[str, Any]) -> list[list[str]]:
    """Rows about large numbers of entities: results of the first crowd, and the second relative to it."""
    one, two = (entities["crowds"][each.name] for each in CROWDS)
    first, second = (each.name for each in CROWDS)
    model = entities["model"]
    growth, slower = two["memory"] / one["memory"], two["text"]["rate"] / one["text"]["rate"]
    rate_text, rate_cache = one["text"]["rate"], one["cache"]["rate"]
    return [
        [first, "peak memory, MB", f"{one['memory']:.0f}", verdict(one["memory"] < 800, "less than 800")],
        [first, "examples/s from text", span(one["text"]), verdict(rate_text >= 300_000, "at least 300,000")],
        [first, "examples/s from a cache", span(one["cache"]), verdict(rate_cache >= 500_000, "at least 500,000")],
        [first, "examples/s of CPU, from text, cache", f"{one['cpu']:,.0f}, {one['cache_cpu']:,.0f}", ""],
        [second, "peak memory, MB", f"{two['memory']:.0f}, {growth:.2f} times", verdict(growth <= 2.1, "2 times")],
        [
            second,
            "examples/s from text",
            span(two["text"]),
            verdict(slower >= 0.7, f"at least 0.7 of {rate_text:,.0f}"),
        ],
        [second, "examples/s from a cache", span(two["cache"]), ""],
        [first, "saving, s more", f"{model['save']:.2f}, peak {model['save_memory']:.0f} MB", ""],
        [first, "loading and predicting one line, s", f"{model['load']:.2f}, peak {model['load_memory']:.0f} MB", ""],
        [first, "size of the model, MB", f"{model['size']:.0f}", ""],
    ]


def growth_rows(figured: dict[str, Any]) -> list[list[str]]:
    """Rows about entities that get coefficients later."""
    found = []
    for name, case in figured.items():
        title = f"{GROWTH[0].lines:,} users, {name}"
        judged = verdict(case["bytes"] <= BYTES_WANTED, f"at most {BYTES_WANTED}")
        found.append([title, "bytes a coefficient", f"{case['bytes']:.1f}", judged])
        found.append([title, "examples/s from text", span(case["text"]), ""])
    return found


def attempt(work: Callable[[], dict[str, Any]], what: str) -> dict[str, Any]:
    """The results, or the error."""
    try:
        return work()
    except (CommandError, OSError, ValueError) as error:
        say(f"{what}: {error}")
        return {"error": str(error)}


def wait_for_quiet(minutes: float) -> float:
    """Wait until the machine is idle or the time is over; returns the load average."""
    end = time.monotonic() + 60 * minutes
    while os.getloadavg()[0] >= QUIET and time.monotonic() < end:
        time.sleep(2)
    return os.getloadavg()[0]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    parser = parser_of(
        "Measure vwlite's models of entities.",
        "A full run rewrites README.md and entities.json; one with --output, --only or --scale doesn't.",
        "turns of everything",
    )
    parser.set_defaults(rounds=3)
    parser.add_argument("--only", action="append", choices=("contests", "entities", "ratings"), help="repeatable")
    parser.add_argument("--lambda-learner", type=words, metavar="CMD", help="what times it (installed if not given)")
    parser.add_argument(
        "--wait", type=float, default=10, help="minutes at most to wait for an idle machine (%(default)s)"
    )
    return parsed(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; the status is 1 if a command failed, whatever the figures."""
    chosen = arguments(argv)
    only = chosen.only or ("contests", "entities", "ratings")
    vwlite = chosen.vwlite
    needed = [*(CONTESTS if "contests" in only else ()), *((*CROWDS, *GROWTH) if "entities" in only else ())]
    data = {each.data: make_data(each.data, scaled(each.lines, chosen.scale), chosen) for each in needed}
    folder = (chosen.data or Path(tempfile.gettempdir()) / "vwlite-bench").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    theirs = chosen.lambda_learner or (lambda_learner(folder) if "contests" in only else ())
    results: dict[str, Any] = {
        "machine": machine([Tool("vwlite", vwlite)]),
        "rounds": chosen.rounds,
        "scale": chosen.scale,
        "seed": chosen.seed,
        "load": wait_for_quiet(chosen.wait),
        "contests": {},
    }
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as name:
        scratches = (Path(name) / str(i) for i in range(len(CONTESTS) + 3))

        def scratch() -> Path:
            made = next(scratches)
            made.mkdir()
            return made

        for contest in CONTESTS if "contests" in only else ():
            work = partial(compete, contest, vwlite, theirs, data[contest.data], scratch(), chosen)
            results["contests"][contest.name] = attempt(work, contest.name)
        if "entities" in only:
            work = partial(crowd, vwlite, [data[each.data] for each in CROWDS], scratch(), chosen)
            results["entities"] = attempt(work, "entities")
            work = partial(growth, vwlite, [data[each.data] for each in GROWTH], scratch(), chosen)
            results["growth"] = attempt(work, "growth")
        if "ratings" in only:
            results["ratings"] = attempt(partial(ratings, vwlite, scratch()), "ratings")
    kept = HERE / "entities.json" if not chosen.only and chosen.scale == 1 else None
    publish(results, markdown(results), chosen.output, kept, MARKERS)
    parts = [*results["contests"].values(), *(results.get(name, {}) for name in ("entities", "growth", "ratings"))]
    return int(any("error" in part for part in parts))


if __name__ == "__main__":
    sys.exit(main())
