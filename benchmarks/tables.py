"""Benchmark of tables of entities: merging models, bytes in Parquet, and training in processes.

    python -m benchmarks.tables     in the root of the repository

Prints a table in Markdown. CPU time is that of all processes; on a busy machine only that means anything.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vwlite import tables
from vwlite.engine import entity_tables
from vwlite.entities.flat import Flat
from vwlite.tables.workspaces import Task

VWLITE = [sys.executable, "-P", "-m", "vwlite"]
FLAGS = "--random_effect user:ctx --bayes_logistic --fixed none --shrink zero --effect_l2 1"
MAP = "user:entity off:initial /^c/:category@ctx /^x/:number@ctx"
DIAGONAL = ("--posterior", "diagonal")
PARTS = 5  # models that are merged


@contextmanager
def measured(name: str, wanted: str = "") -> Iterator[None]:
    """Prints the time of its body, and of the processes in it."""
    began = time.perf_counter()
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    yield
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    print(f"| {name} | {time.perf_counter() - began:.2f} | {cpu:.2f} | {wanted} |", flush=True)


def make_rows(rows: int, users: int, path: Path) -> None:
    """Writes rows of users, of whom a few have many: three categories of 20 levels, two numbers, and an offset."""
    random = np.random.default_rng(7)
    user = (users * random.random(rows) ** 1.6).astype(np.int64)
    x = np.round(random.normal(size=(2, rows)), 3)
    offset = np.round(random.normal(0, 0.5, rows), 4)
    score = offset + random.normal(size=users)[user] + random.normal(0, 0.5, users)[user] * x[0]
    columns = {
        "user": pa.array(np.char.add("u", user.astype(str))),
        "off": offset.astype(np.float32),
        **{f"c{k}": pa.array(random.integers(0, 20, rows).astype(str)).dictionary_encode() for k in range(3)},
        **{f"x{k}": x[k].astype(np.float32) for k in range(2)},
        "y": np.where(random.random(rows) < 1 / (1 + np.exp(-score)), 1.0, -1.0),
    }
    pq.write_table(pa.table(columns), path)


def renamed(entities: Flat, number: int, namespace: int) -> Flat:
    """The same entities under other names."""
    names = [b"%d_" % number + name for name in entities.names()]
    arrays = {
        **entities.arrays,
        "name": np.frombuffer(b"".join(names), np.uint8),
        "name_length": np.array([len(name) for name in names], np.uint32),
    }
    other = Flat(arrays)
    return Flat({**arrays, "key": other.hashes(namespace)})


def make_models(model: Path, folder: Path) -> list[str]:
    """Models with the entities of one under other names each."""
    task = Task(["-i", str(model)], None, loads=True)
    arrays = entity_tables.as_numbers(entity_tables.arrays_of(task.workspace))
    own = entity_tables.head_of(task.workspace, task.effect, task.learner.owner, arrays)
    entities = entity_tables.flat_of(arrays, own.owner, own.full)
    paths = []
    for number in range(PARTS):
        paths.append(str(folder / f"part{number}.model"))
        part = entity_tables.placed(own, renamed(entities, number, own.namespace), own, arrays)
        entity_tables.write_model(task.workspace, own, part, paths[-1])
    return paths


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    options = parser.parse_args()
    flags = [*FLAGS.split(), "--label", "y", "--columns_in", MAP]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, model = folder / "rows.parquet", folder / "cli.model"
        make_rows(options.rows, options.users, data)
        print(f"load average {os.getloadavg()[0]:.1f}\n\n| what | wall s | CPU s | wanted |\n|---|---:|---:|---|")
        with measured("vwlite DATA -f MODEL"):
            subprocess.run([*VWLITE, "-d", str(data), *flags, *DIAGONAL, "-f", str(model), "--quiet"], check=True)
        for posterior in ("diagonal", "full"):
            for n in (1, 2):
                name = f"vwlite train-tables, {posterior} posteriors, {n} process{'es' if n > 1 else ''}"
                with measured(name, "1.7 times one process" * (n > 1)):
                    words = ["train-tables", str(data), "-o", str(folder / "T"), "--processes", str(n), "--quiet", "--"]
                    subprocess.run([*VWLITE, *words, *flags, "--posterior", posterior], check=True)
        with measured("vwlite entities MODEL -o TABLE"):
            subprocess.run([*VWLITE, "entities", str(model), "-o", str(folder / "users.parquet")], check=True)
        table = tables.read(folder / "users.parquet")
        n = len(table["mean"].combine_chunks().flatten())
        size = (folder / "users.parquet").stat().st_size
        paths = make_models(model, folder)
        with measured(f"vwlite merge of {PARTS} models, {PARTS * len(table):,} entities", "3 s"):
            subprocess.run([*VWLITE, "merge", *paths, "-o", str(folder / "merged.model")], check=True)
        for number, path in enumerate(paths):
            tables.write(tables.export(path), folder / f"part{number}.parquet")
        parts = [str(folder / f"part{number}.parquet") for number in range(PARTS)]
        with measured(f"vwlite merge of {PARTS} tables, {PARTS * len(table):,} entities"):
            subprocess.run([*VWLITE, "merge", *parts, "-o", str(folder / "merged.parquet")], check=True)
        print(f"\nParquet: {size / len(table):.0f} bytes an entity of {n / len(table):.1f} coefficients")


if __name__ == "__main__":
    main()
