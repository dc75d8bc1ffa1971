"""Benchmark of vwlite.spark: learning, updating and scoring by Spark on one and two cores, beside the command line.

    python -m benchmarks.spark     in the root of the repository, in an environment with pyspark (`make bench-spark`)

CPU seconds are those of a process and all that it starts: the JVM, its compiler, and the Python workers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.run import machine, publish, rows, verdict

HERE = Path(__file__).resolve().parent
MARKERS = ("<!-- spark -->", "<!-- end of spark -->")
FLAGS = "--random_effect user:ctx --bayes_logistic --fixed none --posterior diagonal --effect_l2 4 --shrink zero"
COLUMNS = (
    "user:entity c1:category@ctx c2:category@ctx c3:category@ctx x1:number@ctx x2:number@ctx score:initial y:label "
    "seq:ignore"
)
ROWS, USERS = 2_000_000, 200_000
LARGE_ROWS, LARGE_USERS = 10_000_000, 1_000_000
STEPS = ("read rows", "shuffle and sort", "learn", "read table", "score by a shuffle", "update 1%")
CPU_WANTED, CORES_WANTED, LARGE_WANTED, UPDATE_WANTED, BYTES_WANTED = 1.8, 1.7, 60.0, 0.05, 300


def say(what: str) -> None:
    """Print progress on standard error."""
    print(what, file=sys.stderr, flush=True)


def make(path: Path, n: int, users: int) -> None:
    """Write rows of users, the frequent ones first in the alphabet of numbers: a Parquet file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    g = np.random.default_rng(7)
    bias, slope = g.normal(size=users), g.normal(0, 0.5, users)
    schema = None
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder, "part")
        writer = None
        for begin in range(0, n, 500_000):
            m = min(500_000, n - begin)
            user = (users * g.random(m) ** 1.6).astype(np.int64)
            c, x = g.integers(0, 20, (3, m)), np.round(g.normal(size=(2, m)), 3).astype(np.float32)
            score = np.round(g.normal(0, 0.5, m), 4).astype(np.float32)
            total = score + bias[user] + slope[user] * x[0] + 0.3 * (c[0] % 3 - 1)
            table = pa.table(
                {
                    "seq": np.arange(begin, begin + m),
                    "user": pc.binary_join_element_wise("u", pa.array(user).cast("string"), ""),
                    "y": np.where(g.random(m) < 1 / (1 + np.exp(-total)), 1.0, -1.0).astype(np.float32),
                    "score": score,
                    **{f"c{i + 1}": pa.array(c[i], pa.int8()) for i in range(3)},
                    **{f"x{i + 1}": x[i] for i in range(2)},
                }
            )
            schema = schema or table.schema
            writer = writer or pq.ParquetWriter(part, schema)
            writer.write_table(table, row_group_size=250_000)
        assert writer is not None
        writer.close()
        part.rename(path)


def cpu_of(root: int) -> float:
    """CPU seconds of a process and all that came from it, those that have ended among them."""
    children: dict[int, list[int]] = {}
    cpu: dict[int, float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found = Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(found[1]), []).append(int(name))
        cpu[int(name)] = sum(int(found[k]) for k in range(11, 15)) / tick
    waiting, total = [root], 0.0
    while waiting:
        number = waiting.pop()
        total += cpu.get(number, 0.0)
        waiting += children.get(number, [])
    return total


def command_line(data: Path, folder: Path) -> dict[str, float]:
    """Time a run of the command line over the Parquet file."""
    before, start = os.times(), time.perf_counter()
    command = [
        sys.executable,
        "-P",
        "-m",
        "vwlite",
        str(data),
        "--label",
        "y",
        "--columns_in",
        COLUMNS.replace("y:label ", ""),
    ]
    subprocess.run([*command, *FLAGS.split(), "-f", str(folder / "cli.model"), "--quiet"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall": time.perf_counter() - start, "cpu": cpu}


def on_spark(
    master: str, data: Path, folder: Path, names: Sequence[str], rounds: int, partitions: int, cores: int | None = None
) -> Any:
    """Time steps in a session of their own, in a process of its own, bound to a number of cores if one is given."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.spark",
        "--child",
        master,
        "--data",
        str(data),
        "--folder",
        str(folder),
    ]
    command += ["--rounds", str(rounds), "--partitions", str(partitions), "--steps", ",".join(names)]
    if cores is not None:
        command = ["taskset", "--cpu-list", f"0-{cores - 1}", *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=HERE.parent, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(master: str, data: Path, folder: Path, names: Sequence[str], rounds: int, partitions: int) -> dict[str, Any]:
    """The steps, in this process: wall and CPU seconds of each round; the first is cold."""
    os.chdir(folder)  # the installed package, here and in the workers of Spark: not ./vwlite
    sys.path[:] = [place for place in sys.path if place not in ("", str(HERE.parent))]
    from pyspark.sql import functions

    from vwlite import spark as vws

    start = time.perf_counter()
    spark = vws.session(master, spark__driver__memory="2g", spark__sql__shuffle__partitions=str(partitions))
    spark.sparkContext.setLogLevel("OFF")
    found: dict[str, Any] = {"session": time.perf_counter() - start}
    frame = spark.read.parquet(str(data))
    path = str(folder / f"lake-{master[6:-1]}")
    named: dict[str, Any] = {
        "order": "seq",
        "label": "y",
        "columns": COLUMNS.replace("y:label ", "").replace(" seq:ignore", ""),
    }
    few = frame.where(functions.pmod(functions.xxhash64("user"), functions.lit(100)) == 0)

    def learn() -> None:
        shutil.rmtree(path, ignore_errors=True)
        vws.fit(frame, FLAGS, path=path, **named)

    def noop(some: Any) -> None:
        some.write.format("noop").mode("overwrite").save()

    today = str(folder / f"today-{master[6:-1]}")

    def update() -> None:
        vws.update(path, spark.read.parquet(today))

    steps: dict[str, Callable[[], object]] = {
        "read rows": lambda: noop(frame),
        "shuffle and sort": lambda: noop(frame.repartition(partitions, "user").sortWithinPartitions("seq")),
        "learn": learn,
        "read table": lambda: noop(vws.read(path, spark).table),
        "score by a shuffle": lambda: noop(vws.read(path, spark).transform(frame, ["prediction"], broadcast=False)),
        "update 1%": update,
    }
    for name in names:
        if name == "update 1%":
            few.withColumn("seq", few.seq + 10**9).write.mode("overwrite").parquet(today)
            found["today"] = spark.read.parquet(today).count()
        found[name] = []
        for _ in range(rounds if name == "learn" else rounds + 2):  # short steps warm up more slowly
            before, start = cpu_of(os.getpid()), time.perf_counter()
            steps[name]()
            found[name].append({"wall": time.perf_counter() - start, "cpu": cpu_of(os.getpid()) - before})
            say(f"{master} {name}: {found[name][-1]}")
    if "learn" in names:
        users = vws.read(path, spark, 0)
        found["entities"] = users.version.entities[0]
        base = Path(path, "parts", users.version.parts[0])
        found["bytes"] = sum(file.stat().st_size for file in base.glob("*.parquet"))
    spark.stop()
    return found


def warm(runs: Sequence[dict[str, float]], what: str) -> float:
    """The median after the first, cold run."""
    return statistics.median(run[what] for run in (runs[1:] or runs))


def steps_of(found: dict[str, Any], where: str, n: int) -> list[list[str]]:
    """Rows of the table: the steps of a session."""
    body = []
    for name in STEPS:
        if name in found:
            m = {"update 1%": found.get("today", 0), "read table": found.get("entities", 0)}.get(name, n)
            wall, cpu = warm(found[name], "wall"), warm(found[name], "cpu")
            body.append([f"{where}: {name}", f"{wall:.1f}", f"{cpu:.1f}", f"{m / cpu:,.0f}"])
    return body


def of_update(found: dict[str, Any], n: int) -> str:
    """The line about an update of 1% of the users."""
    beside = {what: warm(found["update 1%"], what) - warm(found["read table"], what) for what in ("wall", "cpu")}
    share = {what: max(0.0, beside[what]) / warm(found["learn"], what) for what in beside}
    return (
        f"- an update of 1% of the users, beside reading the table, as a share of learning all {n:,} rows: "
        f"{share['wall']:.1%} of the wall time, {share['cpu']:.1%} of the CPU time, "
        + verdict(share["cpu"] <= UPDATE_WANTED, f"at most {UPDATE_WANTED:.0%}")
        + f"; the whole update takes {warm(found['update 1%'], 'wall'):.1f} s"
    )


def report(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    n, cli = found["rows"], found["cli"]
    cli_wall, cli_cpu = (statistics.median(run[what] for run in cli) for what in ("wall", "cpu"))
    two, one, bound = found["local[2]"], found["local[1]"], found["one core"]
    body = [["command line, Parquet to model", f"{cli_wall:.1f}", f"{cli_cpu:.1f}", f"{n / cli_cpu:,.0f}"]]
    body += steps_of(bound, "local[1] on one core", n) + steps_of(one, "local[1]", n) + steps_of(two, "local[2]", n)
    ratio = warm(two["learn"], "cpu") / cli_cpu
    cores, free = (warm(each["learn"], "wall") / warm(two["learn"], "wall") for each in (bound, one))
    size = two["bytes"] / two["entities"]
    lines = [
        f"- CPU a row of learning, beside the command line's: {ratio:.2f} times, "
        + verdict(ratio <= CPU_WANTED, f"at most {CPU_WANTED}"),
        f"- local[2] over local[1] on one core: {cores:.2f}, " + verdict(cores >= CORES_WANTED, f"{CORES_WANTED}"),
        f"- local[2] over a local[1] that may use both cores, and does, for its JVM beside Python: {free:.2f}",
        of_update(two, n),
        f"- Parquet, an entity: {size:.0f} bytes, "
        + verdict(size <= BYTES_WANTED, f"at most {BYTES_WANTED} for 25 coefficients"),
    ]
    if "large" in found:
        body += steps_of(found["large"], f"local[2], {LARGE_ROWS:,} rows", LARGE_ROWS)
        wall = max(run["wall"] for run in found["large"]["learn"])
        lines += [
            f"- {LARGE_ROWS:,} rows of {LARGE_USERS:,} users, local[2]: {wall:.0f} s at most, "
            + verdict(wall <= LARGE_WANTED, f"{LARGE_WANTED:.0f}"),
            of_update(found["large"], LARGE_ROWS),
        ]
    table = rows(["step, warm", "wall s", "CPU s", "rows a CPU second"], body)
    described = found["machine"]
    head = f"{described['cpu']}, {described['cores']} cores, load {found['load']}; {described['date']}."
    return "\n".join([head, *table, "", *lines])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--rounds", type=int, default=4, help="of each step; the first is cold")
    parser.add_argument("--large", action="store_true", help="also 10,000,000 rows of 1,000,000 users")
    parser.add_argument("--output", type=Path, help="a file for the results; nothing else is written then")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--steps", help=argparse.SUPPRESS)
    parser.add_argument("--partitions", type=int, default=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        found = child(args.child, args.data, args.folder, args.steps.split(","), args.rounds, args.partitions)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="vwlite-bench-spark-") as name:
        folder = Path(name)
        n = max(1000, round(ROWS * args.scale))
        say("making data")
        make(folder / "rows.parquet", n, max(100, round(USERS * args.scale)))
        load = [f"{number:.1f}" for number in os.getloadavg()]
        results: dict[str, Any] = {"machine": machine([]), "rows": n, "load": " ".join(load), "cli": []}
        data = folder / "rows.parquet"

        def by_command_line() -> None:
            for _ in range(args.rounds):
                results["cli"].append(command_line(data, folder))
                say(f"command line: {results['cli'][-1]}")

        by_command_line()
        results["one core"] = on_spark("local[1]", data, folder, ["learn"], args.rounds, 4, 1)
        results["local[1]"] = on_spark("local[1]", data, folder, ["learn"], args.rounds, 4)
        results["local[2]"] = on_spark("local[2]", data, folder, STEPS, args.rounds, 4)
        by_command_line()
        if args.large:
            large = folder / "large.parquet"
            make(large, LARGE_ROWS, LARGE_USERS)
            results["large"] = on_spark("local[2]", large, folder, ["learn", "read table", "update 1%"], 2, 16)
        whole = args.scale == 1 and args.large
        publish(results, report(results), args.output, HERE / "spark.json" if whole else None, MARKERS)


if __name__ == "__main__":
    main()
