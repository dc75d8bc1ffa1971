"""Benchmark of mix_fixed: the loss of a fixed part whose shards are averaged after each pass, beside one stream.

    python -m benchmarks.mixing     in the root of the repository, in an environment with pyspark (build/spark/venv)

The figures of docs/scale.md come from here. Loss is the mean logistic loss of rows that no model has seen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LEVELS, COLUMNS = 300, 3  # 900 features and the constant
TESTED = 100_000
FLAGS = "--loss_function logistic"
PASSES = (1, 2, 3)


def make(n: int, seed: int = 11) -> tuple[Any, np.ndarray[Any, Any]]:
    """Rows of three categories with some hundred levels each, and the probabilities of their labels."""
    import pandas as pd

    g = np.random.default_rng(seed)
    effects = g.normal(0, 0.8, (COLUMNS, LEVELS))
    codes = (LEVELS * g.random((COLUMNS, n)) ** 2).astype(int)
    p = 1 / (1 + np.exp(1.5 - sum(effects[k][codes[k]] for k in range(COLUMNS))))
    columns = {f"c{k}": np.char.add("v", codes[k].astype(str)) for k in range(COLUMNS)}
    return pd.DataFrame({"y": np.where(g.random(n) < p, 1.0, -1.0), "seq": np.arange(n), **columns}), p


def loss(y: np.ndarray[Any, Any], p: np.ndarray[Any, Any]) -> float:
    """Mean logistic loss of probabilities."""
    return float(-np.mean(np.log(np.where(y > 0, p, 1 - p))))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="to learn (%(default)s)")
    options = parser.parse_args()
    sys.path[:] = [place for place in sys.path if place not in ("", str(ROOT))]  # the installed package
    os.chdir(tempfile.gettempdir())
    from vwlite import Workspace
    from vwlite import spark as vws

    rows, p = make(options.rows + TESTED)
    learned, tested = rows.iloc[: options.rows], rows.iloc[options.rows :]
    truth = p[options.rows :]
    y = tested.y.to_numpy()
    plain = tested.drop(columns=["y", "seq"])
    print(f"{options.rows:,} rows; best possible loss {loss(y, truth):.5f}, of the base rate "
          f"{loss(y, np.full(len(y), (learned.y > 0).mean())):.5f}\n")  # fmt: skip
    print("| | " + " | ".join(f"pass {number}" for number in PASSES) + " |\n|---|" + "---:|" * len(PASSES))
    spark = vws.session("local[2]", spark__sql__shuffle__partitions="4")
    spark.sparkContext.setLogLevel("OFF")
    with tempfile.TemporaryDirectory() as folder:
        frame = spark.createDataFrame(learned).cache()
        for shards in (1, 4, 32):
            found = []
            for passes in PASSES:
                path = os.path.join(folder, f"{shards}-{passes}.model")
                vws.mix_fixed(frame, FLAGS, path, order="seq", shards=shards, label="y", passes=passes, least_rows=1)
                model = Workspace.load(path, "--link logistic")
                found.append(loss(y, np.asarray(model.predict(plain), float)))
            what = "one stream" if shards == 1 else f"{shards} shards of {options.rows // shards:,} rows"
            print(f"| {what} | " + " | ".join(f"{one:.5f}" for one in found) + " |", flush=True)
        path = os.path.join(folder, "exact.model")
        vws.fit_fixed(frame.drop("seq"), FLAGS, path, label="y", l2=1.0)
        model = Workspace.load(path, "--link logistic")
        print(f"| `fit_fixed`, exact (l2 1) | {loss(y, np.asarray(model.predict(plain), float)):.5f} | | |")
    spark.stop()


if __name__ == "__main__":
    main()
