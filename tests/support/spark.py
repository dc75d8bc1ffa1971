"""What tests of vwlite.spark compare with: the command line over the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vwlite import Workspace
from vwlite.cli import main

FLAGS = "--random_effect user:ctx --bayes_logistic --fixed none --posterior diagonal --effect_l2 2 --shrink zero"
COLUMNS = "user:entity city:category@ctx price:number@ctx score:initial"


def clicks(n: int = 4000, users: int = 150, seed: int = 0) -> Any:
    """Rows of a log, in the order of `time`, as a data frame of pandas."""
    import pandas as pd

    g = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user": [f"u{i}" for i in (users * g.random(n) ** 1.6).astype(int)],
            "city": np.array(["Bonn", "Rome", "New York"])[g.integers(0, 3, n)],
            "price": np.round(g.normal(size=n), 3),
            "score": np.round(g.normal(0, 0.5, n), 4).astype(np.float32),
            "y": np.where(g.random(n) < 0.5, 1.0, -1.0),
            "time": np.arange(n),
        }
    )


def learned(
    frame: Any, folder: Path, flags: str = FLAGS, columns: str = COLUMNS, label: str = "y", name: str = "cli.model"
) -> Workspace:
    """The model of the command line over the rows in the order of `time`, which is no feature."""
    ordered = frame.sort_values("time", kind="stable").drop(columns="time")
    pq.write_table(pa.Table.from_pandas(ordered, preserve_index=False), folder / "rows.parquet")
    words = [str(folder / "rows.parquet"), "--label", label, *flags.split(), "-f", str(folder / name), "--quiet"]
    assert main([*words, "--columns_in", columns]) == 0
    return Workspace.load(folder / name)


def loaded(users: Any, folder: Path, name: str = "spark.model") -> Workspace:
    """The model of entities of Spark, by way of its file."""
    users.to_model(str(folder / name))
    return Workspace.load(folder / name)


def entities(workspace: Workspace, effect: str = "user") -> Any:
    """The table of a workspace's entities, without metadata."""
    found = pa.table(workspace.entities(effect)).replace_schema_metadata(None)
    return found.combine_chunks()
