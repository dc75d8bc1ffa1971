"""Tasks that fail, run twice, or get far more rows than others."""

import pytest

from tests.support.spark import COLUMNS, FLAGS, clicks, entities, learned, loaded
from vwlite import spark as vws
from vwlite.spark import tasks


def fit(spark, frame, flags=FLAGS, **named):
    return vws.fit(spark.createDataFrame(frame), flags, **{"order": "time", "label": "y", "columns": COLUMNS, **named})


def test_a_task_that_fails_after_its_output_is_repeated(spark, tmp_path, monkeypatch):
    learn = tasks.learn

    def failing(task, batches):
        from pyspark import TaskContext

        yield from learn(task, batches)
        if TaskContext.get().attemptNumber() == 0 and TaskContext.get().partitionId() == 1:
            raise RuntimeError("lost executor")

    monkeypatch.setattr(tasks, "learn", failing)
    rows = clicks(1500, users=60)
    users = fit(spark, rows, path=str(tmp_path / "lake"))
    monkeypatch.undo()
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path)))
    assert users.counts["rows"] == 1500


def test_a_task_writes_nothing_but_its_output(tmp_path, monkeypatch):
    # what speculative execution needs: two attempts of a task at a time don't meet
    import builtins
    import tempfile

    import pyarrow as pa

    from vwlite import __version__

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = []
    original = builtins.open

    def noted(*args, **named):
        opened.append(args)
        return original(*args, **named)

    monkeypatch.setattr(builtins, "open", noted)
    rows = pa.Table.from_pandas(clicks(500, users=9).drop(columns="time"), preserve_index=False)
    task = tasks.Learning(__version__, FLAGS, COLUMNS, "y", "user")
    first, second = (list(tasks.learn(task, rows.to_batches(max_chunksize=100))) for _ in range(2))
    assert first == second
    assert not list(tmp_path.iterdir())
    assert not [args for args in opened if len(args) > 1 and "w" in str(args[1])]


def test_workers_with_another_vwlite_say_so():
    from vwlite.errors import VwliteError
    from vwlite.spark.failures import TaskError, explained

    task = tasks.Learning("0.0.0", FLAGS, COLUMNS, "y", "user")
    with pytest.raises(TaskError) as error:
        list(tasks.learn(task, []))
    found = explained(error.value)
    assert isinstance(found, VwliteError)
    assert "Spark's workers have vwlite" in str(found)


def test_of_an_entity_with_too_many_rows_the_newest_are_learned(spark, tmp_path):
    rows = clicks(3000, users=40)
    rows.loc[rows.index % 2 == 0, "user"] = "half"
    users = fit(spark, rows, max_rows=50)
    newest = rows.groupby("user").tail(50)
    assert entities(loaded(users, tmp_path)).equals(entities(learned(newest, tmp_path)))
    assert users.counts["dropped"] == 3000 - len(newest)
    assert users.counts["rows"] == len(newest)


def test_an_entity_with_half_of_all_rows_is_learned(spark, tmp_path):
    rows = clicks(3000, users=40)
    rows.loc[rows.index % 2 == 0, "user"] = "half"
    users = fit(spark, rows, partitions=4)
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path)))
