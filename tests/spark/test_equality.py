"""Spark learns what the command line learns, bit for bit: over any number of partitions, in days, shuffled."""

import numpy as np
import pytest

from tests.support.spark import COLUMNS, FLAGS, clicks, entities, learned, loaded
from vwlite import Workspace
from vwlite import spark as vws
from vwlite.spark import frames, tasks


def fit(spark, frame, **named):
    settings = {"order": "time", "label": "y", "columns": COLUMNS, **named}
    return vws.fit(spark.createDataFrame(frame), settings.pop("flags", FLAGS), **settings)


@pytest.fixture(scope="module")
def rows():
    return clicks()


@pytest.fixture(scope="module")
def wanted(rows, tmp_path_factory):
    return learned(rows, tmp_path_factory.mktemp("cli"))


@pytest.mark.parametrize("partitions", [1, 3, 7, 16])
def test_any_number_of_partitions_gives_the_model_of_one_process(spark, rows, wanted, tmp_path, partitions):
    shuffled = rows.sample(frac=1, random_state=partitions)
    users = fit(spark, shuffled, partitions=partitions)
    assert entities(loaded(users, tmp_path)).equals(entities(wanted))
    assert users.counts == {"rows": 4000, "malformed": 0, "nameless": 0, "dropped": 0}


def test_the_model_file_has_the_same_bytes_for_any_number_of_partitions(spark, rows, tmp_path):
    for partitions in (2, 5):
        fit(spark, rows, partitions=partitions).to_model(str(tmp_path / f"{partitions}.model"))
    one, other = (Workspace.load(tmp_path / f"{partitions}.model") for partitions in (2, 5))
    assert entities(one).equals(entities(other))
    first, second = (arrays_of(tmp_path / f"{partitions}.model") for partitions in (2, 5))
    sums = {name for name in first if first[name] != second[name]}
    assert sums <= {"random_effect.user.noise_sum"}  # a sum of doubles over partitions


def arrays_of(path):
    from vwlite.model import model_file

    reader = model_file.open(path)
    return {name: bytes(reader.array(name, reader.dtype(name))) for name in reader.names()}


def test_the_command_line_predicts_the_same_by_the_model_of_spark(spark, rows, wanted, tmp_path, capfd):
    from vwlite.cli import main

    fit(spark, rows).to_model(str(tmp_path / "users.model"))
    wanted.save(tmp_path / "cli.model")
    ask = tmp_path / "ask.csv"
    rows.drop(columns=["time", "y"]).head(50).to_csv(ask, index=False)
    printed = []
    for name in ("users.model", "cli.model"):
        assert main(["-t", "-i", str(tmp_path / name), str(ask), "--label", "none", "-p", "-", "--quiet"]) == 0
        printed.append(capfd.readouterr().out)
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 50


@pytest.mark.parametrize(
    "flags",
    [
        "--random_effect user:ctx --bayes_linear --noise 1 --fixed none --effect_l2 3 --shrink zero",
        "--random_effect user:ctx --bayes_logistic --fixed none --effect_l2 3 --shrink zero --batch_size 7",
        "--random_effect user:ctx --bayes_linear --fixed none --effect_l2 3 --shrink zero --forget 0.01",
        "--random_effect user --bayes_linear --noise 2 --fixed none --effect_l2 1 --shrink zero",
    ],
)
def test_flags_of_all_kinds(spark, rows, tmp_path, flags):
    users = fit(spark, rows, flags=flags)
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path, flags)))


def test_a_fit_of_the_whole_pass_differs_by_rounding_alone(spark, rows, tmp_path):
    # columns are scaled by their mean squares over all entities of a task
    flags = "--random_effect user:ctx --square --fixed none --effect_l2 3 --shrink zero"
    models = loaded(fit(spark, rows, flags=flags), tmp_path), learned(rows, tmp_path, flags)
    found, expected = (by_feature(entities(model)) for model in models)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-11, atol=1e-12)


def by_feature(table):
    """The means by entity and feature."""
    rows = zip(table["entity"].to_pylist(), table["hash"].to_pylist(), table["mean"].to_pylist(), strict=True)
    return {(name, key): mean for name, keys, means in rows for key, mean in sorted(zip(keys, means, strict=True))}


def test_days_are_one_run(spark, rows, wanted, tmp_path):
    days = spark.createDataFrame(rows)
    path = str(tmp_path / "lake")
    fit(spark, rows[rows.time < 1500], path=path)
    vws.update(path, days.where("time between 1500 and 2999"), partitions=5)
    users = vws.update(vws.read(path), days.where("time >= 3000"))
    assert entities(loaded(users, tmp_path)).equals(entities(wanted))
    assert users.version.number == 2
    assert users.table.count() == len(set(rows.user))


def test_days_in_memory_are_one_run(spark, rows, wanted, tmp_path):
    days = spark.createDataFrame(rows)
    users = fit(spark, rows[rows.time < 1500])
    users = vws.update(users, days.where("time between 1500 and 2999"))
    users = vws.update(users, days.where("time >= 3000"))
    assert entities(loaded(users, tmp_path)).equals(entities(wanted))


def test_an_update_learns_and_writes_only_entities_seen_today(spark, rows, tmp_path):
    path = str(tmp_path / "lake")
    fit(spark, rows, path=path)
    today = clicks(30, users=5, seed=1)
    today["time"] += 4000
    users = vws.update(path, spark.createDataFrame(today))
    assert {row.entity for row in users.changed.select("entity").collect()} == set(today.user)
    assert users.version.entities == (len(set(rows.user)), len(set(today.user)))
    tonight = clicks(20, users=3, seed=2)
    tonight["time"] += 5000
    users = vws.update(path, spark.createDataFrame(tonight))
    files = list((tmp_path / "lake" / "parts" / users.version.parts[-1]).glob("*.parquet"))
    assert len(files) <= 2  # few entities are the work of as many tasks as run at a time
    together = np.concatenate([rows.user, today.user, tonight.user])
    assert {row.entity: row["count"] for row in users.table.collect()} == {
        name: int((together == name).sum()) for name in set(together)
    }


@pytest.mark.parametrize("broadcast", [True, False])
def test_scores_are_those_of_the_command_lines_model(spark, rows, wanted, tmp_path, broadcast):
    wanted.save(tmp_path / "cli.model")
    columns = ["prediction", "sd", "user"]
    model = Workspace.load(tmp_path / "cli.model", f"-t --columns {','.join(columns)}")
    ask = rows.drop(columns="y").head(500).copy()
    ask.loc[3, "user"], ask.loc[4, "user"] = "a stranger", None
    users = fit(spark, rows)
    scored = users.transform(spark.createDataFrame(ask), columns, broadcast=broadcast).orderBy("time").toPandas()
    expected = model.predict(ask.drop(columns="time"))
    assert scored.columns.tolist() == [*ask.columns, "vw_prediction", "vw_sd", "vw_user"]
    found = scored[["vw_prediction", "vw_sd", "vw_user"]].to_numpy(np.float32)
    np.testing.assert_array_equal(found, expected)


def test_rows_come_back_as_they_were_given(spark, rows):
    users = fit(spark, rows)
    ask = rows[["user", "city", "price", "score", "time"]].head(40).copy()
    ask["words"] = [None if i % 3 else ["a", "b"][: i % 2 + 1] for i in range(40)]
    frame = spark.createDataFrame(ask)
    for broadcast in (True, False):
        found = users.transform(frame, broadcast=broadcast).orderBy("time").collect()
        assert [row.asDict() | {"vw_prediction": 0} for row in found] == [
            row.asDict() | {"vw_prediction": 0} for row in frame.orderBy("time").collect()
        ]


def test_entities_before_rows_have_no_null_lists(spark, rows):
    # Arrow goes through the null lists in a batch again for each row that Spark puts into it
    users = fit(spark, rows)
    frame = spark.createDataFrame(rows)
    both = frames.stream_of_both(users.states, frame, frame.user, ())
    lists = [field.name for field in users.states.schema.fields if field.dataType.typeName() == "array"]
    assert len(lists) > 5
    nulls = " or ".join(f"{tasks.GIVEN}.{name} is null" for name in lists)
    assert both.count() == len(rows) + users.table.count()
    assert both.where(nulls).count() == 0


def test_forty_columns(spark, tmp_path):
    rows = clicks(800, users=20)
    g = np.random.default_rng(1)
    for i in range(20):
        rows[f"n{i}"] = np.round(g.normal(size=800), 3)
        rows[f"c{i}"] = [f"v{j}" for j in g.integers(0, 5, 800)]
    columns = COLUMNS + " /^n/:number@ctx /^c/:category@ctx"
    users = fit(spark, rows, columns=columns)
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path, columns=columns)))


def test_columns_without_a_map_are_read_by_their_types(spark, tmp_path):
    rows = clicks(600, users=20).drop(columns="score")
    flags = "--random_effect user:* --bayes_linear --noise 1 --fixed none --effect_l2 1 --shrink zero"
    rows["late"] = rows.time % 3 == 0
    users = vws.fit(spark.createDataFrame(rows), flags, order="time", label="y")
    import pyarrow as pa

    cli = Workspace(flags)
    cli.learn(pa.Table.from_pandas(rows.drop(columns="time"), preserve_index=False), y="y")
    assert entities(loaded(users, tmp_path)).equals(entities(cli))
    assert users.reading.columns == "user:entity city:category price:number late:flag"
