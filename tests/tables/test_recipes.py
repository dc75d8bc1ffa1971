"""The recipes of docs/scale.md for Ray and Dask, which run where these are installed."""

import os
import re
import runpy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.spark import clicks, entities
from vwlite import Workspace, tables

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[2]))


def program(title):
    """A program of docs/scale.md, by its title."""
    text = (SOURCE / "docs" / "scale.md").read_text()
    found = re.search(rf'```python title="{re.escape(title)}"\n(.*?)```', text, re.DOTALL)
    assert found, title
    return found[1]


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_a_recipe_learns_what_one_process_learns(engine, tmp_path):
    pytest.importorskip(engine)
    rows = clicks(2000, users=50)[["user", "y", "time"]]
    pq.write_table(
        pa.Table.from_pandas(rows.sample(frac=1, random_state=1), preserve_index=False), tmp_path / "rows.parquet"
    )
    (tmp_path / "recipe.py").write_text(program(f"on_{engine}.py"))
    names = runpy.run_path(str(tmp_path / "recipe.py"), run_name="recipe")
    if engine == "ray":
        import ray

        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        found = names["users_of"](str(tmp_path / "rows.parquet"))
    finally:
        if engine == "ray":
            ray.shutdown()
    one = Workspace(names["FLAGS"])
    one.learn(pa.Table.from_pandas(rows.drop(columns="time"), preserve_index=False), y="y")
    merged = tables.merge(found) if engine == "dask" else merged_by_hand(found)
    assert merged.equals(entities(one))
    tables.to_model(names["FLAGS"], found, tmp_path / "users.model")
    assert Workspace.load(tmp_path / "users.model").predict({"user": "u1"}) == one.predict({"user": "u1"})


def merged_by_hand(found):
    """The table of several, whatever an engine has left of their metadata."""
    return tables.merge(found).replace_schema_metadata(None).combine_chunks()
