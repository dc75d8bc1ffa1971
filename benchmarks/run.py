"""Benchmark of vwlite against Vowpal Wabbit: whole processes, alternately, on the same data with the same flags.

This module imports nothing large: Linux counts the memory of the process that starts a program towards that program's
own peak, so only a small starter gives correct peaks. For the same reason, a separate process generates the data.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MEMORY_ALLOWANCE = 60  # MB above VW's peak
STARTUP_LIMIT = 100  # ms
STARTUP_ROUNDS = 20  # a start takes a fraction of a second, and its noise is a large part of it
LOSS_TOLERANCE = 0.5e-4  # equal to 4 digits
MARKERS = ("<!-- results -->", "<!-- end of results -->")

LOGISTIC = ("--loss_function", "logistic")
BITS = ("-b", "22")
TRAIN = (*LOGISTIC, *BITS)


@dataclass(frozen=True)
class Case:
    """One comparison; every command runs in a scratch folder of its tool, where `data.vw` is the data."""

    name: str
    about: str
    arguments: tuple[str, ...]
    data: str = "named"
    lines: int = 5_000_000
    wanted: float | None = None  # VW's time over ours; None: a start-up case, judged by STARTUP_LIMIT
    piped: bool = False
    prepare: tuple[str, ...] = ()  # run once by each tool for itself, untimed


CASES = (
    Case("named", "train on 12 named features a line", (*TRAIN, "-d", "data.vw"), wanted=7),
    Case("named-1m", "train on a fifth of it", (*TRAIN, "-d", "data.vw"), lines=1_000_000, wanted=5.5),
    Case("numeric", "train on 75 `id:value` a line", (*TRAIN, "-d", "data.vw"), "numeric", 400_000, wanted=5),
    Case(
        "exponents", "train on 60 `id:1.2345678e-02` a line", (*TRAIN, "-d", "data.vw"), "exponents", 400_000, wanted=4
    ),
    Case(
        "predict",
        "predict the named data to a file with a stored model",
        (*LOGISTIC, "-t", "-i", "model", "-p", "predictions", "-d", "data.vw"),
        wanted=22,
        prepare=(*TRAIN, "-d", "data.vw", "-f", "model"),
    ),
    Case("quadratic", "train on the named data with `-q ab`", (*TRAIN, "-q", "ab", "-d", "data.vw"), wanted=5.5),
    Case("ftrl", "as named, with `--ftrl`", (*TRAIN, "--ftrl", "-d", "data.vw"), wanted=4),
    Case("named-pipe", "as named, from a pipe", TRAIN, wanted=5.5, piped=True),
    Case("numeric-pipe", "as numeric, from a pipe", TRAIN, "numeric", 400_000, wanted=4, piped=True),
    Case(
        "passes",
        "three passes over a cache of a fifth of the named data",
        (*TRAIN, "-d", "data.vw", "-c", "--passes", "3"),
        lines=1_000_000,
        wanted=5.5,
        prepare=(*TRAIN, "-d", "data.vw", "-c", "-k"),
    ),
    Case("oaa10", "train on ten classes", ("--oaa", "10", *BITS, "-d", "data.vw"), "classes10", 1_000_000, wanted=5),
    Case("oaa100", "train on 100 classes", ("--oaa", "100", *BITS, "-d", "data.vw"), "classes100", 100_000, wanted=5),
    Case(
        "csoaa_ldf",
        "train on examples of ten lines with costs",
        ("--csoaa_ldf", "m", *BITS, "-d", "data.vw"),
        "costs",
        200_000,
        wanted=3,
    ),
    Case(
        "cb_explore_adf",
        "train on logged decisions of ten actions",
        ("--cb_explore_adf", "--epsilon", "0.1", *BITS, "-d", "data.vw"),
        "decisions",
        200_000,
        wanted=5,
    ),
    Case("startup-version", "`--version`", ("--version",), lines=1),
    Case("startup-train", "train on one line", (*TRAIN, "-d", "data.vw"), lines=1),
)


@dataclass(frozen=True)
class Tool:
    """A command under test; `stdin` has the flags with which it reads standard input."""

    name: str
    command: tuple[str, ...]
    stdin: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """Resource usage of one process, as the kernel reports it at its end."""

    wall: float  # seconds, from before the start to after the end
    cpu: float  # seconds, user + system
    memory: float  # peak resident MB
    summary: str  # its stderr


class CommandError(Exception):
    """A benchmarked command failed or did other work than requested."""


def run(command: Sequence[str], folder: Path, piped: Path | None = None) -> Run:
    """Run one command to its end in `folder`, with `cat PIPED |` in front of it if given."""
    with tempfile.TemporaryFile() as stderr:
        begin = time.perf_counter()
        cat = subprocess.Popen(["cat", piped], stdout=subprocess.PIPE) if piped else None
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=cat.stdout if cat else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        if cat and cat.stdout:
            cat.stdout.close()  # otherwise cat gets no SIGPIPE when its reader ends
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, which Popen can't know
        if cat:
            cat.wait()
        stderr.seek(0)
        summary = stderr.read().decode(errors="replace")
    if process.returncode != 0:
        last = summary.strip().splitlines()[-1:] or ["no message"]
        raise CommandError(f"`{shlex.join(command)}` ended with status {process.returncode}: {last[0]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, summary)


def summary_number(summary: str, what: str) -> float | None:
    """The number after `what = ` in a tool's summary, or None."""
    found = re.search(rf"^{what} = ([-+.\deE]+)", summary, re.MULTILINE)
    return float(found[1]) if found else None


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """Statistics of one tool's runs: median times, range of the wall time, highest peak, numbers of the summary."""
    walls = [each.wall for each in runs]
    return {
        "wall": statistics.median(walls),
        "wall_least": min(walls),
        "wall_most": max(walls),
        "cpu": statistics.median(each.cpu for each in runs),
        "memory": max(each.memory for each in runs),
        "loss": summary_number(runs[-1].summary, "average loss"),
        "examples": summary_number(runs[-1].summary, r"number of examples(?: per pass)?"),
    }


def compare(case: Case, tools: Sequence[Tool], data: Path, rounds: int, scratch: Path) -> dict[str, Any]:
    """Run both tools (VW, then vwlite) alternately on one case and return its results."""
    folders = []
    with data.open("rb", buffering=0) as warmed:  # into the page cache, so that the first run has no disk to wait for
        while warmed.read(1 << 22):
            pass
    for tool in tools:
        folder = scratch / case.name / tool.name
        folder.mkdir(parents=True)
        (folder / "data.vw").symlink_to(data)
        if case.prepare:
            print(f"{case.name}: {tool.name} prepares", file=sys.stderr, flush=True)
            run([*tool.command, *case.prepare], folder)
        folders.append(folder)
    taken: list[list[Run]] = [[], []]
    for i in range(rounds):
        for tool, folder, runs in zip(tools, folders, taken, strict=True):
            command = [*tool.command, *case.arguments, *(tool.stdin if case.piped else ())]
            runs.append(run(command, folder, data if case.piped else None))
            print(f"{case.name} {i + 1}/{rounds}: {tool.name} {runs[-1].wall:.3f} s", file=sys.stderr, flush=True)
    vw, ours = figures(taken[0]), figures(taken[1])
    if vw["examples"] != ours["examples"] or vw["examples"] == 0:
        raise CommandError(f"VW saw {vw['examples']} examples, vwlite {ours['examples']}: nothing to compare")
    pairs = [theirs.wall / mine.wall for theirs, mine in zip(*taken, strict=True)]
    result = {"vw": vw, "vwlite": ours, "ratio": statistics.median(pairs), "rounds": rounds}
    if "predictions" in case.arguments:
        with (folders[0] / "predictions").open() as left, (folders[1] / "predictions").open() as right:
            result["predictions_differ"] = max(
                abs(float(a.split()[0]) - float(b.split()[0])) for a, b in zip(left, right, strict=True)
            )
    shutil.rmtree(scratch / case.name)
    return result


def verdict(reached: bool, wanted: str) -> str:
    """Verdict of a result in words."""
    return f"reached (wanted {wanted})" if reached else f"**short** (wanted {wanted})"


def rows(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, or nothing if it has no body."""
    if not body:
        return []
    rule = ["---", *["---:"] * (len(header) - 2), "---"]
    return ["", *("| " + " | ".join(cells) + " |" for cells in (header, rule, *body))]


def wall_range(taken: dict[str, Any], scale: float, decimals: int) -> str:
    """`median (least to most)` of one tool's wall times, in units of 1 / scale seconds."""
    median, least, most = (f"{taken[key] * scale:.{decimals}f}" for key in ("wall", "wall_least", "wall_most"))
    return f"{median} ({least} to {most})"


def markdown(results: dict[str, Any]) -> str:
    """The report: machine, speed, memory and agreement, start-up, and what failed."""
    speed, memory, agreement, startup, failed = [], [], [], [], []
    for name, case in results["cases"].items():
        if "error" in case:
            failed.append(f"- {name}: {case['error']}")
            continue
        vw, ours = case["vw"], case["vwlite"]
        loss = "n.a."
        if vw["loss"] is not None and ours["loss"] is not None:
            loss = verdict(abs(vw["loss"] - ours["loss"]) <= LOSS_TOLERANCE, "equal to 4 digits")
        if case["wanted"] is None:
            judged = verdict(ours["wall"] * 1000 <= STARTUP_LIMIT, f"at most {STARTUP_LIMIT} ms")
            startup.append([name, case["about"], wall_range(vw, 1000, 0), wall_range(ours, 1000, 0), judged])
            continue
        judged = verdict(case["ratio"] >= case["wanted"], f"at least {case['wanted']:g}")
        speed.append([name, wall_range(vw, 1, 2), wall_range(ours, 1, 2), f"{case['ratio']:.2f}", judged])
        limit = vw["memory"] + MEMORY_ALLOWANCE
        judged = verdict(ours["memory"] <= limit, f"at most {limit:.0f}")
        costs = (f"{tool[key]:.{decimals}f}" for key, decimals in (("cpu", 2), ("memory", 0)) for tool in (vw, ours))
        memory.append([name, *costs, judged])
        differ = f"{case['predictions_differ']:.2g}" if "predictions_differ" in case else ""
        agreement.append([name, str(vw["loss"]), str(ours["loss"]), differ, loss])
    report = [
        "{date}, {cpu}, {cores} cores, {kernel}, huge pages: {huge_pages}, Python {python}, VW {vw}, vwlite {vwlite}; "
        "{rounds} rounds ({startup_rounds} of a start-up), scale {scale:g}.".format(**results["machine"], **results)
    ]
    report += rows(("case", "VW, s", "vwlite, s", "times faster", "verdict"), speed)
    report += rows(("case", "VW CPU, s", "vwlite CPU, s", "VW peak MB", "vwlite peak MB", "memory"), memory)
    report += rows(("case", "VW loss", "vwlite loss", "largest difference of predictions", "loss"), agreement)
    report += rows(("start-up", "what", "VW, ms", "vwlite, ms", "verdict"), startup)
    if failed:
        report += ["", "Failed:", "", *failed]
    return "\n".join(report)


def machine(tools: Sequence[Tool]) -> dict[str, Any]:
    """The machine and the versions, for the report."""
    info, huge = Path("/proc/cpuinfo"), Path("/sys/kernel/mm/transparent_hugepage/enabled")
    model = re.search(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.exists() else None
    chosen = re.search(r"\[(\w+)\]", huge.read_text()) if huge.exists() else None
    described: dict[str, Any] = {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "huge_pages": chosen[1] if chosen else "unknown",
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    for tool in tools:
        printed = subprocess.run([*tool.command, "--version"], capture_output=True, text=True, check=False).stdout
        # Either a bare version or the program's name before it; VW adds its commit.
        found = re.search(r"\d+\.\d\S*", printed)
        described[tool.name] = found[0] if found else "unknown"
    return described


def rewrite(readme: str, report: str, markers: tuple[str, str]) -> str:
    """The README with `report` between its two markers."""
    before, first, rest = readme.partition(markers[0])
    _, second, after = rest.partition(markers[1])
    if not first or not second:
        raise ValueError(f"the README has no {markers[0]} ... {markers[1]} section to rewrite")
    return f"{before}{first}\n{report}\n{second}{after}"


def words(command: str) -> tuple[str, ...]:
    """A command line's words, its program made absolute because each tool runs in a folder of its own."""
    program, *rest = shlex.split(command)
    return (str(Path(program).absolute()) if os.sep in program else program, *rest)


def parser_of(description: str, epilog: str, rounds: str) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    parser = argparse.ArgumentParser(description=description, epilog=epilog)
    parser.add_argument("--rounds", type=int, default=5, help=f"{rounds} (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the lines (%(default)s)")
    parser.add_argument("--vwlite", type=words, default=(str(Path(sys.executable).with_name("vwlite")),), metavar="CMD")
    parser.add_argument("--data", type=Path, help="folder that keeps the data (vwlite-bench in the temporary folder)")
    parser.add_argument("--seed", type=int, default=1, help="of the data (%(default)s)")
    parser.add_argument("--output", type=Path, help="write the JSON here; a full run without it rewrites the results")
    return parser


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    chosen = parser.parse_args(argv)
    if chosen.rounds < 1 or chosen.scale <= 0:
        parser.error("--rounds and --scale must be positive")
    return chosen


def make_data(kind: str, lines: int, chosen: argparse.Namespace) -> Path:
    """Generate the data in a separate process; returns its path."""
    command = [sys.executable, str(HERE / "generate.py"), kind, f"--lines={lines}", f"--seed={chosen.seed}"]
    if chosen.data:
        command.append(f"--data={chosen.data}")
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()).resolve()


def publish(
    results: dict[str, Any], report: str, output: Path | None, kept: Path | None, markers: tuple[str, str]
) -> None:
    """Print the report; write the JSON to `output` or else to `kept`, and in that case the report into the README."""
    print(report)
    path = output or kept
    if path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    if kept and not output:
        readme = HERE / "README.md"
        readme.write_text(rewrite(readme.read_text(), report, markers))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    parser = parser_of(
        "Compare vwlite with Vowpal Wabbit.",
        "A full run rewrites README.md and results.json; one with --output, --case or --scale doesn't.",
        "timed runs of each tool in each case",
    )
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="repeatable")
    parser.add_argument("--vw", type=words, default=(sys.executable, "-m", "vowpalwabbit"), metavar="CMD")
    chosen = parsed(parser, argv)
    for option in ("vw", "vwlite"):
        program = getattr(chosen, option)[0]
        if not shutil.which(program):
            parser.error(f"{program} isn't there to run: install it, or give --{option} CMD")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen cases; the status is 1 if a command failed, regardless of the results."""
    chosen = arguments(argv)
    # VW's Python package has no standard input of its own, but can open the device.
    tools = (Tool("vw", chosen.vw, ("-d", "/dev/stdin")), Tool("vwlite", chosen.vwlite))
    results: dict[str, Any] = {
        "machine": machine(tools),
        "rounds": chosen.rounds,
        "startup_rounds": max(chosen.rounds, STARTUP_ROUNDS),
        "scale": chosen.scale,
        "seed": chosen.seed,
        "cases": {},
    }
    for case in CASES:
        if chosen.case and case.name not in chosen.case:
            continue
        lines = max(1, round(case.lines * chosen.scale)) if case.wanted is not None else case.lines
        data = make_data(case.data, lines, chosen)
        results["cases"][case.name] = figured = {
            "about": case.about,
            "arguments": shlex.join(case.arguments),
            "lines": lines,
            "wanted": case.wanted,
        }
        # Beside the data, so that models, caches and predictions go to the same disk.
        with tempfile.TemporaryDirectory(prefix="run-", dir=data.parent) as scratch:
            try:
                rounds = results["startup_rounds" if case.wanted is None else "rounds"]
                figured.update(compare(case, tools, data, rounds, Path(scratch)))
            except (CommandError, OSError, ValueError) as error:
                figured["error"] = str(error)
                print(f"{case.name}: {error}", file=sys.stderr)
    kept = HERE / "results.json" if not chosen.case and chosen.scale == 1 else None
    publish(results, markdown(results), chosen.output, kept, MARKERS)
    return int(any("error" in each for each in results["cases"].values()))


if __name__ == "__main__":
    sys.exit(main())
