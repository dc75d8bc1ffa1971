"""Rows of users in Parquet, and models of their entities: compared however entities are ordered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vwlite import tables
from vwlite.cli import main
from vwlite.entities import flat
from vwlite.entities.flat import Flat
from vwlite.model import model_file

COLUMNS = "user:entity off:initial x:number@ctx city:category@ctx"
INDEPENDENT = "--random_effect user:ctx --fixed none --shrink zero --effect_l2 2"  # of each other
LEARNED = ("--label", "y:number", "--columns_in", COLUMNS)


def rows(n: int = 1200, users: int = 60, seed: int = 0, unit: float = 1.0) -> pa.Table:
    """Rows of users, with labels -1 and 1."""
    random = np.random.default_rng(seed)
    user = random.integers(0, users, n)
    x = np.round(random.normal(size=n), 3)
    score = random.normal(size=users)[user] + 0.5 * x
    return pa.table(
        {
            "user": [f"u{i}" for i in user],
            "x": x * unit,
            "city": [f"c{i}" for i in random.integers(0, 5, n)],
            "off": np.round(random.normal(0, 0.3, n), 2).astype(np.float32),
            "y": np.where(random.random(n) < 1 / (1 + np.exp(-score)), 1.0, -1.0),
        }
    )


def command_line(table: pa.Table, flags: str, model: Path, words: Sequence[str] = LEARNED) -> Path:
    """The model that the command line learns of a table."""
    data = model.with_suffix(".parquet")
    pq.write_table(table, data)
    assert main(["-d", str(data), *flags.split(), *words, "-f", str(model), "--quiet"]) == 0
    return model


def learned(flags: str | list[str], table: pa.Table, **options: Any) -> list[pa.RecordBatch]:
    """The table of the entities of some rows, as batches."""
    words = {"label": "y:number", "columns": COLUMNS, **options}
    return list(tables.learn(flags, table.to_batches(250), **words))


def in_shares(flags: str | list[str], table: pa.Table, n: int, **options: Any) -> list[pa.RecordBatch]:
    """The tables of all shares of some rows."""
    share = tables.shares(table["user"], n)
    parts = [learned(flags, table.filter(pa.array(share == i)), **options) for i in range(n)]
    return [batch for part in parts for batch in part]


def entities_in(path: Path, effect: str = "user") -> Flat:
    """The entities of a model, in the order of their keys."""
    reader = model_file.open(path)
    owner = f"random_effect.{effect}."
    found = flat.of_arrays(
        lambda name: np.array(reader.array(owner + name, flat.FIELDS[name]), flat.DTYPES[flat.FIELDS[name]]),
        lambda name: owner + name in reader.names(),
        reader.metadata["options"].get("posterior", "auto") in ("auto", "full"),
    )
    return found.take(np.argsort(found["key"]))


def sums_in(path: Path) -> dict[str, list[Any]]:
    """All arrays of a model other than those of entities."""
    reader = model_file.open(path)
    return {
        name: list(reader.array(name, reader.dtype(name)))
        for name in reader.names()
        if name.rpartition(".")[2] not in flat.FIELDS or name.count(".") != 2
    }


def require_same(path: Path, other: Path, rounded: Sequence[str] = ("noise_sum",)) -> None:
    """Asserts that two models are equal to the last bit, but for the order of entities and sums that are rounded."""
    one, two = entities_in(path), entities_in(other)
    for name in flat.FIELDS:
        assert one[name].tobytes() == two[name].tobytes(), name
    sums, others = sums_in(path), sums_in(other)
    assert sums.keys() == others.keys()
    for name in sums:
        if name.rpartition(".")[2] in rounded:
            np.testing.assert_allclose(sums[name], others[name], rtol=1e-12)
        else:
            assert sums[name] == others[name], name
    metadata = [model_file.open(each).metadata for each in (path, other)]
    for key in ("options", "stack"):
        assert metadata[0][key] == metadata[1][key]
    assert metadata[0]["figures"]["example_number"] == metadata[1]["figures"]["example_number"]


def means(table: Any) -> dict[str, dict[int, float]]:
    """The mean of each coefficient by hash, of each entity by name."""
    columns = [table[name].to_pylist() for name in ("entity", "hash", "mean")]
    return {name: dict(zip(hashes, values, strict=True)) for name, hashes, values in zip(*columns, strict=True)}
