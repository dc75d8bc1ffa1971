"""What can't be learned or read: one line at the driver, nothing half written, what was written before is readable."""

import datetime
import decimal
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support import leftovers
from tests.support.spark import COLUMNS, FLAGS, clicks, entities, learned, loaded
from vwlite import spark as vws
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.spark import checks

PLAIN = "--random_effect user --bayes_linear --noise 1 --fixed none --effect_l2 1 --shrink zero"


def fit(spark, frame, flags=FLAGS, **named):
    frame = frame if hasattr(frame, "sparkSession") else spark.createDataFrame(frame)
    return vws.fit(frame, flags, **{"order": "time", "label": "y", "columns": COLUMNS, **named})


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.fixture(scope="module")
def rows():
    return clicks(600, users=30)


def test_odd_ids_are_names_or_counted(spark, tmp_path):
    rows = clicks(60, users=5)
    odd = ["b c", "b_c", "a|b:c", "x" * 10_000, "né ü", "日本", "tab\there", "\x00nul", " ", "_"]
    for i, name in enumerate(odd * 3):
        rows.loc[i, "user"] = name
    rows.loc[40, "user"], rows.loc[41, "user"] = "", None
    users = fit(spark, rows, partitions=7)
    assert users.counts == {"rows": 58, "malformed": 0, "nameless": 2, "dropped": 0}
    expected = learned(rows.drop(index=[40, 41]), tmp_path)
    assert entities(loaded(users, tmp_path)).equals(entities(expected))
    # "b c" and "b_c" are one name, as in all formats, though Spark had dealt them to two tasks
    assert {row.entity for row in users.table.where("entity like 'b%'").collect()} == {"b_c"}
    scored = users.transform(spark.createDataFrame(rows), broadcast=False)
    assert scored.where("vw_prediction is null").count() == 1  # an empty name is malformed; a null one names no entity


def test_whole_numbers_are_names(spark):
    big = 2**62 + 1
    frame = spark.createDataFrame([(big, 1.0, 0), (big - 1, 2.0, 1), (-5, 3.0, 2)], "user long, y double, time long")
    users = fit(spark, frame, PLAIN, columns=None)
    assert {row.entity for row in users.table.collect()} == {str(big), str(big - 1), "-5"}


def test_a_poisoned_row_is_counted_and_shown(spark, rows):
    poisoned = rows.copy()
    poisoned.loc[17, "price"] = float("inf")
    users = fit(spark, poisoned)
    assert users.counts["malformed"] == 1
    assert users.counts["rows"] == 600
    assert "price=inf" in users.problem


def test_a_poisoned_row_ends_the_job_with_strict_parse(spark, rows, tmp_path):
    poisoned = rows.copy()
    poisoned.loc[17, "price"] = float("inf")
    path = str(tmp_path / "lake")
    with pytest.raises(VwliteError) as error:
        fit(spark, poisoned, FLAGS + " --strict_parse", path=path)
    assert "not a finite number" in one_line(error)
    with pytest.raises(ModelError, match="there is no table of entities here"):
        vws.read(path, spark)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"columns": COLUMNS + " size:number@ctx"}, "no column matches --columns_in size:number@ctx"),
        ({"columns": "user:entity"}, "no rule of --columns_in matches the column 'city'"),
        ({"label": "clicked", "columns": COLUMNS + " /.*/:ignore"}, "no column matches --label clicked"),
        ({"order": "ts"}, "there is no column 'ts', only user, city, price, score, y, time"),
        ({"order": None}, "name the column by which rows are learned"),
        ({"columns": "/.*/:auto"}, None),
        ({"columns": "user:category /.*/:ignore"}, "expected one column that names the entities"),
        ({"max_rows": 0}, "at least one row of each entity"),
        ({"flags": "--random_effect user --random_effect city --bayes_linear --fixed none"}, "game() fits several"),
        ({"flags": "--bayes_linear"}, "one --random_effect is fitted at a time, and there are 0"),
        ({"flags": "--random_effect user --bayes_linear"}, "add --fixed none"),
        ({"flags": FLAGS.replace("--shrink zero", "--shrink mean")}, "--shrink mean"),
        ({"flags": FLAGS + " --no_such_option 3"}, "no_such_option"),
        ({"flags": FLAGS + " --count_weight 0.5"}, "--count_weight"),
    ],
)
def test_options_and_columns_that_cannot_be_used(spark, rows, named, message):
    named = dict(named)
    flags = named.pop("flags", FLAGS)
    if message is None:
        fit(spark, rows, flags, **named)
        return
    with pytest.raises(OptionError) as error:
        fit(spark, rows, flags, **named)
    assert message in one_line(error)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (decimal.Decimal("1.50"), "decimal(10,2)", None),  # a number
        (True, "boolean", None),  # a flag
        (["a", "b"], "array<string>", None),  # words
        (datetime.datetime(2026, 1, 1), "timestamp", "the column 'extra' holds times"),
        (datetime.date(2026, 1, 1), "date", "the column 'extra' holds times"),
        ({"a": 1}, "map<string,int>", "the column 'extra' is of a type of Arrow"),
    ],
)
def test_types_of_columns(spark, value, kind, message):
    frame = spark.createDataFrame(
        [("a", value, 1.0, 0), ("b", value, 2.0, 1)], f"user string, extra {kind}, y double, time long"
    )
    flags = PLAIN.replace("user", "user:*")
    if message is None:
        users = fit(spark, frame, flags, columns=None)
        assert len(users.table.first()["hash"]) >= 2
        return
    with pytest.raises(OptionError) as error:
        fit(spark, frame, flags, columns=None)
    assert message in one_line(error)


def test_parts_of_a_timestamp_are_features(spark):
    frame = spark.createDataFrame(
        [("a", datetime.datetime(2026, 1, 1, 7), 1.0, 0)], "user string, at timestamp, y double, time long"
    )
    users = fit(spark, frame, PLAIN.replace("user", "user:*"), columns="user:entity at:date(hour,dow)")
    assert len(users.table.first()["hash"]) == 3


@pytest.mark.parametrize("kind", ["double", "boolean", "timestamp", "decimal(10,2)", "struct<a:string>", "binary"])
def test_columns_that_are_no_names(spark, kind):
    frame = spark.createDataFrame([], f"user {kind}, y double, time long")
    with pytest.raises(OptionError) as error:
        fit(spark, frame, PLAIN, columns="user:entity")
    assert "'user" in one_line(error)


def test_no_rows_make_a_table_without_entities(spark, rows, tmp_path):
    users = fit(spark, spark.createDataFrame(rows).where("time < 0"))
    assert users.table.count() == 0
    assert loaded(users, tmp_path).predict({"user": "u1"}) == 0
    later = vws.update(users, spark.createDataFrame(rows))
    assert entities(loaded(later, tmp_path)).equals(entities(learned(rows, tmp_path)))


def test_most_partitions_are_empty(spark, tmp_path):
    rows = clicks(20, users=2)
    users = fit(spark, rows, partitions=16)
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path)))


def test_rows_of_the_next_day_with_other_columns(spark, rows):
    users = fit(spark, rows)
    today = spark.createDataFrame(rows)
    with pytest.raises(OptionError) as error:
        vws.update(users, today.drop("price"))
    assert "price" in one_line(error)
    with pytest.raises(OptionError) as error:
        vws.update(users, today.withColumn("price", today.price.cast("timestamp")))
    assert "the column 'price' is of the type timestamp, and those learned were of double" in one_line(error)
    with pytest.raises(OptionError) as error:
        users.transform(today.withColumn("city", today.price))
    assert "the column 'city' is of the type double, and those learned were of string" in one_line(error)
    with pytest.raises(OptionError) as error:
        fit(spark, today.withColumn("price", today.price.cast("timestamp")))
    assert "the column 'price' holds times" in one_line(error)
    with pytest.raises(OptionError) as error:
        users.transform(today.drop("city"))
    assert "city" in one_line(error)
    with pytest.raises(OptionError, match="give another prefix"):
        users.transform(today.withColumn("vw_prediction", today.price))


@pytest.fixture
def lake(spark, rows, tmp_path):
    path = tmp_path / "lake"
    fit(spark, rows, path=str(path))
    return path


def test_a_folder_without_a_table(spark, tmp_path):
    with pytest.raises(ModelError) as error:
        vws.read(str(tmp_path / "nothing"), spark)
    assert "there is no table of entities here" in one_line(error)


def test_a_table_of_a_later_format(spark, lake):
    rewrite(lake, {"format": 2})
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark)
    assert "a table in format 2, and this vwlite reads up to 1: update vwlite" in one_line(error)


def test_metadata_of_a_later_version(spark, lake, tmp_path):
    line = json.loads(manifest(lake).read_text())
    rewrite(lake, {"head": json.dumps({**json.loads(line["head"]), "version": 9})})
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark).to_model(str(tmp_path / "m"))
    assert "of version 9" in one_line(error)


def test_a_damaged_manifest(spark, lake):
    manifest(lake).write_text(manifest(lake).read_text()[:100])
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark)
    assert "the manifest of the table is damaged" in one_line(error)


def manifest(lake):
    (found,) = (lake / "manifest").glob("part-*.txt")
    return found


def rewrite(lake, values):
    path = manifest(lake)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}) + "\n")
    for checksum in (lake / "manifest").glob(".*.crc"):
        checksum.unlink()


def test_a_part_that_is_cut_short(spark, lake, tmp_path):
    part = max(lake.glob("parts/*/*.parquet"), key=lambda path: path.stat().st_size)
    part.write_bytes(part.read_bytes()[:-100])
    for checksum in part.parent.glob(".*.crc"):
        checksum.unlink()
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark).to_model(str(tmp_path / "m"))
    assert "damaged or cut short" in one_line(error)
    assert part.name in one_line(error)
    assert not (tmp_path / "m").exists()


def test_a_part_that_lacks_a_file(spark, lake, tmp_path):
    max(lake.glob("parts/*/*.parquet"), key=lambda path: path.stat().st_size).unlink()
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark).to_model(str(tmp_path / "m"))
    assert "files are missing" in one_line(error)


def test_two_writers_at_a_time(spark, lake):
    shutil.copy(manifest(lake), lake / "manifest" / "part-other.txt")
    with pytest.raises(ModelError) as error:
        vws.read(str(lake), spark)
    assert "version 0 was written twice, by two programs at a time" in one_line(error)


def test_a_full_disk_leaves_what_was_written_before(spark, rows, tmp_path):
    with leftovers.small_disk(tmp_path / "disk", 200_000) as disk:
        path = str(disk / "lake")
        fit(spark, rows.head(20), path=path)
        with pytest.raises(VwliteError) as error:
            vws.update(path, spark.createDataFrame(clicks(6000, users=5000)))
        assert "found its disk full" in one_line(error)
        users = vws.read(path, spark)
        assert users.version.number == 0
        assert entities(loaded(users, tmp_path)).equals(entities(learned(rows.head(20), tmp_path)))


def test_a_python_of_workers_without_what_tasks_need(tmp_path):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'pyarrow'\" >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(VwliteError) as error:
        checks.require_python(str(fake))
    text = one_line(error)
    assert "No module named 'pyarrow'" in text
    assert "PYSPARK_PYTHON" in text
    with pytest.raises(VwliteError, match="can't be started"):
        checks.require_python(str(tmp_path / "nothing"))


def test_a_python_of_workers_of_another_version(tmp_path):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho 3 9 0.0.1\n")
    fake.chmod(0o755)
    with pytest.raises(VwliteError, match=r"of Python 3\.9 with vwlite 0\.0\.1, and this is Python"):
        checks.require_python(str(fake))


def test_the_session_of_tests_runs_this_python(spark):
    assert shutil.which(spark.sparkContext.pythonExec) == sys.executable
    checks.require_session(spark)


@pytest.mark.parametrize(
    ("package", "version", "message"),
    [
        ("pandas", "3.0.1", "needs pandas of at least 2 and below 3, and 3.0.1 is installed"),
        ("pyspark", "3.5.1", "needs pyspark of at least 4 and below 5, and 3.5.1 is installed"),
        ("pyspark", "5.0.0", "below 5"),
        ("pyspark", None, "needs pyspark of at least 4 and below 5, which is not installed"),
        ("pyarrow", "9", "needs pyarrow of at least 17, and 9 is installed"),
        ("pyspark", "4.0.0.dev1", ""),
    ],
)
def test_versions_of_packages(package, version, message):
    found = checks.wrong_version(package, version)
    assert message in found
    assert bool(found) == bool(message)
    assert not found or found.endswith("pip install 'vwlite[spark]'")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "there is none"),
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "is Java 11"),
        ("echo 'java version \"1.8.0_292\"' >&2", "is Java 8"),
        ("true", "reports no version"),
        ("echo 'openjdk version \"17.0.15\" 2025-04-15' >&2", None),
        ("echo 'openjdk version \"21\" 2023-09-19' >&2", None),
    ],
)
def test_java(tmp_path, monkeypatch, script, message):
    (tmp_path / "bin").mkdir()
    if script is not None:
        java = tmp_path / "bin" / "java"
        java.write_text(f"#!/bin/sh\n{script}\n")
        java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if message is None:
        checks.require_java()
        return
    with pytest.raises(VwliteError) as error:
        checks.require_java()
    assert message in one_line(error)


def test_without_java_a_session_says_so_in_one_line():
    program = (
        "from vwlite import errors, spark\ntry:\n    spark.session()\nexcept errors.VwliteError as e:\n    print(e)\n"
    )
    environment = {**os.environ, "JAVA_HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Spark needs Java 17 or later, and there is none under JAVA_HOME=/nonexistent")
    assert "apt-get install openjdk-17-jre-headless" in done.stdout
    assert not done.stderr
