"""Benchmark of Workspace in Python: dicts, arrays and tables beside River, scikit-learn and VW's own classes.

Both sides run in one process, alternately, and are judged by the CPU time of the process. Formats of the command line
run as whole processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entities import attempt, say, scaled, wait_for_quiet
from benchmarks.run import Tool, machine, parsed, parser_of, publish, rows, verdict, words

HERE = Path(__file__).resolve().parent
MARKERS = ("<!-- python -->", "<!-- end of python -->")
ROWS = 20_000
WIDTH = 12
MORE = 10  # times the rows, for arrays, tables and files
BATCH = 1000
FLAGS = "--loss_function logistic --link logistic"
SGD = f"{FLAGS} --sgd -l 0.01 --power_t 0"
WORKSPACES = 1000

# what: (how it is read, wanted ratio, of rates or of memory)
WANTED: dict[str, tuple[str, float | None]] = {
    "dict": ("`learn(dict)` / predict and learn of River's `LogisticRegression`", 5),
    "scaled dict": ("the same with `--scale` / River's `StandardScaler \\| LogisticRegression`", 15),
    "numpy": ("`learn(NumPy)` / `SGDClassifier.partial_fit` by 1000 rows", 2.5),
    "vw numpy": ("`learn(NumPy)` / `fit` of VW's `VWClassifier`", 50),
    "vw arrow": ("`learn(Arrow)` / `fit` of VW's `VWClassifier`", 50),
    "arrow": ("`learn(Arrow)` with mixed columns / `learn(lines)` of the same", 3),
    "lines": ("`learn(lines)` / the command line over the same file (wall)", 1 / 1.5),
    "csv": ("CSV / VW's text of the same content, whole processes", 1),
    "ndjson": ("NDJSON / VW's text of the same content, whole processes", 0.7),
    "parquet": ("Parquet / VW's text of the same content, whole processes", 2),
}
# the flags that the estimators choose by themselves for tables like these
CLASSIFIER = "--bayes_logistic --posterior_full 65 --intercept_l2 0.1 --link logistic"
REGRESSOR = (
    "--bayes_linear --posterior_full 65 --intercept_l2 1e-6 --l2 0.1 --min_prediction -3e38 --max_prediction 3e38"
)
SETS = ("Phishing", "TrumpApproval", "ChickWeights")


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process for a piece of work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def wall(command: Sequence[str], folder: Path) -> float:
    """Wall seconds of a command."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def compete(
    name: str, rounds: int, count: int, ours: Callable[[], float], theirs: Callable[[], float], few: int = 0
) -> dict[str, Any]:
    """Microseconds an example of both, alternately, and the median of the pairs' ratios.

    `count` examples are ours, `few` of them the other side's, by default as many.
    """
    left, right = [], []
    for i in range(rounds):
        left.append(1e6 * ours() / count)
        right.append(1e6 * theirs() / (few or count))
        say(f"{name} {i + 1}/{rounds}: {left[-1]:.3g} us beside {right[-1]:.3g}")
    ratios = [b / a for a, b in zip(left, right, strict=True)]
    return {
        "ours": statistics.median(left),
        "theirs": statistics.median(right),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All comparisons."""
    import numpy as np

    source = np.random.default_rng(1)
    count = scaled(ROWS, chosen.scale)
    x = source.normal(size=(count * MORE, WIDTH)) * np.arange(1, WIDTH + 1) + np.arange(WIDTH)
    y = np.where(x.sum(axis=1) + source.normal(size=len(x)) > x.sum(axis=1).mean(), 1, -1)
    found = dicts(chosen.rounds, x[:count], y[:count])
    found |= arrays(chosen.rounds, x, y)
    found |= tables(chosen, folder, x, y)
    return found


def dicts(rounds: int, x: Any, y: Any) -> dict[str, Any]:
    """One dict at a time, beside River."""
    from river import linear_model, preprocessing

    from vwlite import Workspace

    records = [dict(zip([f"x{i}" for i in range(WIDTH)], row, strict=True)) for row in x.tolist()]
    labels = y.tolist()

    def ours(flags: str) -> float:
        learn = Workspace(flags).learn
        return cpu(lambda: [learn(record, label) for record, label in zip(records, labels, strict=True)])

    def rivers(make: Callable[[], Any]) -> float:
        model = make()

        def work() -> None:
            for record, label in zip(records, labels, strict=True):
                model.predict_proba_one(record)
                model.learn_one(record, label > 0)

        return cpu(work)

    def scaled_one() -> Any:
        return preprocessing.StandardScaler() | linear_model.LogisticRegression()

    return {
        "dict": compete("dict", rounds, len(x), partial(ours, FLAGS), partial(rivers, linear_model.LogisticRegression)),
        "scaled dict": compete(
            "scaled dict", rounds, len(x), partial(ours, f"{SGD} --scale"), partial(rivers, scaled_one)
        ),
    }


def arrays(rounds: int, x: Any, y: Any) -> dict[str, Any]:
    """Arrays and tables of numbers, beside scikit-learn and VW's class for it."""
    import pyarrow as pa
    from sklearn.linear_model import SGDClassifier
    from vowpalwabbit.sklearn import VWClassifier

    from vwlite import Workspace

    table = pa.table({f"x{i}": column for i, column in enumerate(x.T)})
    few = len(x) // MORE

    def ours(data: Any, labels: Any) -> float:
        workspace = Workspace(FLAGS)
        return cpu(lambda: workspace.learn(data, y=labels))

    def scikit() -> float:
        model = SGDClassifier(loss="log_loss")

        def work() -> None:
            for i in range(0, len(x), BATCH):
                model.partial_fit(x[i : i + BATCH], y[i : i + BATCH], classes=[-1, 1])

        return cpu(work)

    def vws() -> float:
        model = VWClassifier(loss_function="logistic")
        return cpu(lambda: model.fit(x[:few], y[:few]))

    return {
        "numpy": compete("numpy", rounds, len(x), partial(ours, x, y), scikit),
        "vw numpy": compete("vw numpy", rounds, len(x), partial(ours, x, y), vws, few),
        "vw arrow": compete("vw arrow", rounds, len(x), partial(ours, table, y), vws, few),
    }


def tables(chosen: argparse.Namespace, folder: Path, x: Any, y: Any) -> dict[str, Any]:
    """Tables of numbers and texts: from Python, and as files on the command line."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    from vwlite import Workspace

    half, count = WIDTH // 2, len(x)
    names = [f"x{i}" for i in range(half)]
    columns: dict[str, Any] = {name: np.round(x[:, i], 5) for i, name in enumerate(names)}
    columns |= {f"c{i}": np.char.add("v", (np.abs(x[:, half + i]) * 7).astype(int).astype(str)) for i in range(half)}
    table = pa.table(columns)
    rows_of = table.to_pylist()
    lines = [
        f"{label} | " + " ".join(f"{k}={v}" if isinstance(v, str) else f"{k}:{v!r}" for k, v in row.items())
        for label, row in zip(y.tolist(), rows_of, strict=True)
    ]
    whole = table.append_column("y", pa.array(y.astype(float)))
    write_files(folder, whole, lines)
    parquet.write_table(whole, folder / "t.parquet")

    def learned(data: Any, labels: Any = None) -> float:
        workspace = Workspace(FLAGS)
        return cpu(lambda: workspace.learn(data, y=labels))

    def lines_wall() -> float:
        workspace = Workspace(FLAGS)
        begun = time.perf_counter()
        workspace.learn(lines)
        return time.perf_counter() - begun

    def command(name: str) -> float:
        label = [] if name == "t.vw" else ["--label", "y"]
        return wall([*chosen.vwlite, *FLAGS.split(), "--quiet", *label, name], folder)

    rounds = chosen.rounds
    found = {
        "arrow": compete("arrow", rounds, count, partial(learned, table, y), partial(learned, lines)),
        "lines": compete("lines", rounds, count, lines_wall, partial(command, "t.vw")),
    }
    for name, file in (("csv", "t.csv"), ("ndjson", "t.ndjson"), ("parquet", "t.parquet")):
        found[name] = compete(name, rounds, count, partial(command, file), partial(command, "t.vw"))
    return found


def write_files(folder: Path, table: Any, lines: Sequence[str]) -> None:
    """The same rows as VW's text, CSV and NDJSON."""
    import json

    from pyarrow import csv

    (folder / "t.vw").write_text("".join(f"{line}\n" for line in lines))
    csv.write_csv(table, folder / "t.csv", csv.WriteOptions(quoting_style="needed"))
    (folder / "t.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))


MEMORY = f"""
import gc, os, sys
from vwlite import Workspace

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

rows = [{{f"x{{i}}": float(i) for i in range(300)}}]
Workspace("-b 10").learn(rows, y=[1.0])
before = resident()
kept = [Workspace("-b 10") for _ in range({WORKSPACES})]
for workspace in kept:
    workspace.learn(rows, y=[1.0])
print((resident() - before) / {WORKSPACES})
del kept, workspace
gc.collect()
after = []
for turn in range(2):
    for _ in range({WORKSPACES}):
        Workspace("-b 10").learn(rows, y=[1.0])
    gc.collect()
    after.append(resident())
print(after[1] / after[0])
"""


def memory() -> dict[str, float]:
    """Megabytes of each of many workspaces of 300 features, and growth while as many are made and dropped."""
    done = subprocess.run([sys.executable, "-P", "-c", MEMORY], capture_output=True, text=True, check=True)
    each, growth = map(float, done.stdout.split())
    return {"each": each, "growth": growth}


def startup(vwlite: Sequence[str], rounds: int, folder: Path) -> dict[str, float]:
    """Milliseconds of `vwlite --help`, and of learning one line."""
    (folder / "one.vw").write_text("1 | a\n")

    def middle(*flags: str) -> float:
        runs = []
        for _ in range(5 * rounds):
            begun = time.perf_counter()
            subprocess.run([*vwlite, *flags], cwd=folder, check=True, capture_output=True)
            runs.append(time.perf_counter() - begun)
        return 1000 * statistics.median(runs)

    return {"help": middle("--help"), "train": middle("one.vw", "--quiet")}


def quality(folder: Path, vwlite: Sequence[str], vw: Sequence[str]) -> dict[str, list[float]]:
    """The progressive loss on River's three sets of each way in: log loss, or mean absolute error."""
    import numpy as np
    from river import datasets, evaluate, linear_model, metrics, preprocessing

    from vwlite.river import VWClassifier as RiverClassifier
    from vwlite.river import VWRegressor as RiverRegressor
    from vwlite.sklearn import VWClassifier, VWRegressor

    found = {}
    for name in SETS:
        data = list(getattr(datasets, name)())
        classifies = name == "Phishing"
        metric = metrics.LogLoss if classifies else metrics.MAE
        rival = linear_model.LogisticRegression() if classifies else linear_model.LinearRegression()
        models = [RiverClassifier() if classifies else RiverRegressor(), preprocessing.StandardScaler() | rival]
        losses = [evaluate.progressive_val_score(data, model, metric()).get() for model in models]
        matrix = np.array([list(x.values()) for x, _ in data])
        labels = np.array([y for _, y in data])
        model: Any = VWClassifier() if classifies else VWRegressor()
        total = 0.0
        for i in range(len(data)):
            if classifies:
                p = model.predict_proba(matrix[i : i + 1])[0, 1] if i else 0.5
                total -= np.log(p if labels[i] else 1 - p)
                model.partial_fit(matrix[i : i + 1], labels[i : i + 1], classes=[False, True])
            else:
                total += abs((model.predict(matrix[i : i + 1])[0] if i else 0.0) - labels[i])
                model.partial_fit(matrix[i : i + 1], labels[i : i + 1])
        losses.insert(0, total / len(data))
        text = "".join(
            f"{(2 * int(y) - 1) if classifies else y} | " + " ".join(f"{k}:{v!r}" for k, v in x.items()) + "\n"
            for x, y in data
        )
        (folder / "set.vw").write_text(text)
        bayes = CLASSIFIER if classifies else REGRESSOR
        gd = "--loss_function logistic --link logistic" if classifies else ""
        for command, flags in ((vwlite, bayes), (vwlite, gd), (vw, gd)):
            words_ = [*command, "-d", "set.vw", "--quiet", "-p", "p", *flags.split()]
            subprocess.run(words_, cwd=folder, check=True, capture_output=True)
            predicted = np.array([float(line.split()[0]) for line in (folder / "p").read_text().splitlines()])
            if classifies:
                predicted = np.clip(predicted, 1e-15, 1 - 1e-15)
                losses.append(float(-np.log(np.where(labels, predicted, 1 - predicted)).mean()))
            else:
                losses.append(float(np.abs(predicted - labels).mean()))
        found[name] = [float(loss) for loss in losses]
        say(f"{name}: {', '.join(f'{loss:.3g}' for loss in losses)}")
    return found


def markdown(results: dict[str, Any]) -> str:
    """The report."""
    found = results["figures"]
    head = (
        "{date}, {cpu}, {cores} cores, {kernel}, Python {python}, VW {vw}, vwlite {vwlite}; {rounds} rounds, "
        "scale {scale:g}, load average before: {load:.2f}."
    ).format(**results["machine"], **results)
    if "error" in found:
        return f"{head}\n\nFailed: {found['error']}"
    body = []
    for name, (what, wanted) in WANTED.items():
        each = found["speed"][name]
        spread = f"{each['ratio']:.2f} ({min(each['ratios']):.2f} to {max(each['ratios']):.2f})"
        judged = "" if wanted is None else verdict(each["ratio"] >= wanted, f"at least {wanted:.2g}")
        body.append([what, f"{each['ours']:.3g}", f"{each['theirs']:.3g}", spread, judged])
    memory_, start = found["memory"], found["startup"]
    others = [
        [f"memory of each of {WORKSPACES:,} workspaces of 300 features, MB", f"{memory_['each']:.2f}",
         verdict(memory_["each"] <= 1, "at most 1")],
        [f"memory after {2 * WORKSPACES:,} made and dropped / after half of them", f"{memory_['growth']:.3f}",
         verdict(memory_["growth"] < 1.02, "flat")],
        ["`vwlite --help`, ms", f"{start['help']:.0f}", verdict(start["help"] <= 100, "at most 100")],
        ["`vwlite` over one line, ms", f"{start['train']:.0f}", verdict(start["train"] <= 100, "at most 100")],
    ]  # fmt: skip
    losses = [[name, *(f"{loss:.3g}" for loss in found["quality"][name])] for name in SETS]
    ways = [
        "scikit-learn",
        "River",
        "River's own, scaled",
        "command line, their flags",
        "command line, its defaults",
        "VW",
    ]
    return "\n".join(
        [
            head,
            *rows(["what", "us an example", "beside", "ratio", "verdict"], body),
            *rows(["what", "found", "verdict"], others),
            "",
            "Progressive log loss (Phishing) and mean absolute error, defaults of each:",
            *rows(["data", *ways], losses),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; the status is 1 if anything failed, regardless of the results."""
    parser = parser_of("Time Python.", "A full run rewrites README.md and python.json.", "turns of each comparison")
    parser.add_argument("--wait", type=float, default=10, help="minutes to wait for an idle machine (%(default)s)")
    parser.add_argument("--vw", type=words, default=(sys.executable, "-P", "-m", "vowpalwabbit"), metavar="CMD")
    parser.set_defaults(vwlite=(sys.executable, "-P", "-m", "vwlite"))
    chosen = parsed(parser, argv)
    sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]  # the installed package
    results: dict[str, Any] = {
        "machine": machine([Tool("vw", chosen.vw), Tool("vwlite", chosen.vwlite)]),
        "rounds": chosen.rounds,
        "scale": chosen.scale,
        "load": wait_for_quiet(chosen.wait),
    }
    with tempfile.TemporaryDirectory(prefix="vwlite-python-") as name:
        folder = Path(name)

        def everything() -> dict[str, Any]:
            return {
                "speed": measure(chosen, folder),
                "memory": memory(),
                "startup": startup(chosen.vwlite, chosen.rounds, folder),
                "quality": quality(folder, chosen.vwlite, chosen.vw),
            }

        results["figures"] = attempt(everything, "python")
    publish(results, markdown(results), chosen.output, HERE / "python.json" if chosen.scale == 1 else None, MARKERS)
    return int("error" in results["figures"])


if __name__ == "__main__":
    sys.exit(main())
