"""Tables of entities: personal models learned, scored, merged and stored as tables of Arrow, outside of any engine.

A table has a row for each entity of a random effect, with its posterior. Entities are independent of each other given
the fixed part. So rows are split by entity among processes or machines, each learns its share (`learn`), and the tables
are merged. The model is that of one process, bit for bit, unless `crossing` gives a reason why not. Spark, Ray, Dask
and others only have to call `learn` with an iterator of batches.

Needs the package pyarrow: ``pip install 'vwlite[parquet]'``.
"""

from __future__ import annotations

from vwlite.entities.arrow_tables import pyarrow

pyarrow()

from vwlite.tables.files import export, read, write  # noqa: E402
from vwlite.tables.learning import learn, schema  # noqa: E402
from vwlite.tables.merging import merge, merge_metadata  # noqa: E402
from vwlite.tables.models import to_model  # noqa: E402
from vwlite.tables.scoring import score  # noqa: E402
from vwlite.tables.sharing import crossing, hyperparameters, shares  # noqa: E402

__all__ = [
    "crossing",
    "export",
    "hyperparameters",
    "learn",
    "merge",
    "merge_metadata",
    "read",
    "schema",
    "score",
    "shares",
    "to_model",
    "write",
]
