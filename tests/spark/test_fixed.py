"""The fixed part: scored by a model of the command line, fitted exactly by gradients, or by parameter mixing."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.spark import COLUMNS, FLAGS, clicks
from vwlite import Workspace
from vwlite import spark as vws
from vwlite.cli import main
from vwlite.errors import OptionError, VwliteError
from vwlite.spark import fixed, frames, gradients

MAP = "city:category price:number y:label /.*/:ignore"


@pytest.fixture(scope="module")
def rows():
    frame = clicks(3000, users=50)
    signal = 1.5 * frame.price - 0.7 * (frame.city == "Rome") + 0.3 + frame.score
    frame["y"] = np.where(np.random.default_rng(5).random(len(frame)) < 1 / (1 + np.exp(-signal)), 1.0, -1.0)
    return frame


def objective(frame, l2, offset, units=1.0):
    """The optimum by scikit-learn's features and SciPy's Newton method; an oracle of a few dense columns."""
    from scipy.optimize import minimize

    x = np.column_stack([frame.city == name for name in ("Bonn", "Rome", "New York")]).astype(float)
    x = np.column_stack([x, np.float32(frame.price * units), np.ones(len(frame))])
    start, y = np.asarray(frame.score, float) if offset else 0.0, frame.y.to_numpy()
    penalty = np.array([l2, l2, l2, l2, 0.0])

    def value(b):
        margin = y * (start + x @ b)
        return np.logaddexp(0, -margin).sum() + 0.5 * penalty @ (b * b)

    def slope(b):
        margin = y * (start + x @ b)
        return x.T @ (-y / (1 + np.exp(margin))) + penalty * b

    def curvature(b):
        p = 1 / (1 + np.exp(-(start + x @ b)))
        return (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)

    done = minimize(value, np.zeros(5), jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
    return x @ done.x, value(done.x)


@pytest.mark.parametrize(
    ("partitions", "offset", "units"), [(1, False, 1.0), (5, True, 1.0), (3, False, 1e6), (20, False, 1e-6)]
)
def test_gradients_over_partitions_reach_the_optimum(spark, rows, tmp_path, partitions, offset, units):
    frame = rows.assign(price=rows.price * units)
    columns = MAP.replace("/.*/", "score:initial /.*/") if offset else MAP
    l2 = 1.0 if units == 1 else 0.0  # a penalty depends on units
    if l2 == 0:
        columns = columns.replace("city:category ", "")
    fit = vws.fit_fixed(
        spark.createDataFrame(frame).repartition(partitions),
        "--loss_function logistic",
        tmp_path / "m",
        columns=columns,
        l2=l2,
    )
    assert fit.converged
    assert (fit.rows, fit.left_out) == (3000, 0)
    asked = pa.Table.from_pandas(frame.drop(columns=["y", "score"]), preserve_index=False)
    given = columns.replace("y:label ", "").replace("score:initial ", "")
    found = Workspace.load(tmp_path / "m", "-t --columns score").predict(asked, columns=given).ravel()
    if l2:
        expected, best = objective(rows, l2, offset)
    else:
        from sklearn.linear_model import LogisticRegression

        x = rows[["price"]].to_numpy()
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, rows.y)
        expected = model.decision_function(x)
        best = np.logaddexp(0, -rows.y * expected).sum()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    if l2 == 0:
        assert fit.loss * 3000 == pytest.approx(best, rel=1e-9)


def test_squared_loss_is_ridge_regression(spark, rows, tmp_path):
    vws.fit_fixed(spark.createDataFrame(rows), "", tmp_path / "m", columns=MAP, l2=4.0)
    asked = pa.Table.from_pandas(rows[["city", "price"]], preserve_index=False)
    found = (
        Workspace.load(tmp_path / "m", "-t --columns score")
        .predict(asked, columns="city:category price:number")
        .ravel()
    )
    x = np.column_stack([rows.city == name for name in ("Bonn", "Rome", "New York")]).astype(float)
    x = np.column_stack([x, np.float32(rows.price), np.ones(len(rows))])
    b = np.linalg.solve(2 * x.T @ x + np.diag([4.0, 4, 4, 4, 0]), 2 * x.T @ rows.y.to_numpy())
    np.testing.assert_allclose(found, x @ b, atol=2e-5)


def test_crossed_features_and_labels_of_zero_and_one(spark, rows, tmp_path):
    frame = rows.assign(y=(rows.y > 0).astype(float))
    columns = "city:category@c price:number@p y:label /.*/:ignore"
    flags = "--loss_function logistic -q cp -b 12"
    fit = vws.fit_fixed(spark.createDataFrame(frame), flags, tmp_path / "m", columns=columns)
    assert fit.features == 3 + 1 + 3 + 1
    again = vws.fit_fixed(spark.createDataFrame(rows), flags, tmp_path / "n", columns=columns)
    assert fit.loss == pytest.approx(again.loss, rel=1e-9)


def test_the_model_works_on_the_command_line(spark, rows, tmp_path, capfd):
    vws.fit_fixed(spark.createDataFrame(rows), "--loss_function logistic", tmp_path / "m", columns=MAP)
    rows[["city", "price"]].head(20).to_csv(tmp_path / "ask.csv", index=False)
    assert (
        main(
            [
                "-t",
                "-i",
                str(tmp_path / "m"),
                str(tmp_path / "ask.csv"),
                "--label",
                "none",
                "-p",
                "-",
                "--quiet",
                "--columns_in",
                "city:category price:number",
            ]
        )
        == 0
    )
    printed = [float(line) for line in capfd.readouterr().out.split()]
    scored = vws.score_fixed(spark.createDataFrame(rows.head(20)), tmp_path / "m", "fixed").toPandas()
    np.testing.assert_allclose(scored.fixed, printed, atol=1e-5)


def test_a_model_of_the_command_line_gives_the_offsets_of_users(spark, rows, tmp_path):
    table = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(table, tmp_path / "rows.parquet")
    words = ["--loss_function", "logistic", "--columns_in", MAP, "--label", "y", "-f", str(tmp_path / "m"), "--quiet"]
    assert main([str(tmp_path / "rows.parquet"), *words]) == 0
    frame = spark.createDataFrame(rows.drop(columns="score"))
    scored = vws.score_fixed(frame, tmp_path / "m")
    expected = Workspace.load(tmp_path / "m", "-t --columns score").predict(
        table, columns="city:category price:number /.*/:ignore"
    )
    found = scored.orderBy("time").toPandas().score.to_numpy()
    np.testing.assert_array_equal(found.astype(np.float32), expected.ravel())
    users = vws.fit(scored, FLAGS, order="time", label="y", columns=COLUMNS)
    assert users.counts["rows"] == len(rows)
    with pytest.raises(OptionError, match="the rows have a column 'score' already"):
        vws.score_fixed(scored, tmp_path / "m")


def test_mixing_two_large_shards_comes_near_one_stream(spark, rows, tmp_path):
    frame = spark.createDataFrame(rows)
    named: dict[str, Any] = {"order": "time", "columns": MAP, "label": "y"}
    flags = "--loss_function logistic"
    with pytest.raises(OptionError, match="2 shards of 1,500 rows: weights that are mixed"):
        vws.mix_fixed(frame, flags, tmp_path / "m", shards=2, **named)
    counts = vws.mix_fixed(frame, flags, tmp_path / "m", shards=2, least_rows=1000, **named)
    assert sum(counts) == 3000
    assert min(counts) > 1000
    asked = pa.Table.from_pandas(rows, preserve_index=False)
    loss = {}
    one = Workspace(flags)
    one.learn(asked, y="y", columns=MAP.replace("y:label ", ""))
    for name, model in (("mixed", Workspace.load(tmp_path / "m")), ("one", one)):
        p = model.predict(asked, columns=MAP.replace("y:label ", ""))
        loss[name] = np.logaddexp(0, -rows.y * p).mean()
    assert loss["mixed"] < loss["one"] + 0.01
    one_shard = vws.mix_fixed(frame, flags, tmp_path / "s", shards=1, passes=1, least_rows=1000, **named)
    assert one_shard == [3000]
    alone = Workspace.load(tmp_path / "s").predict(asked, columns=MAP.replace("y:label ", ""))
    np.testing.assert_array_equal(alone, one.predict(asked, columns=MAP.replace("y:label ", "")))


@pytest.mark.parametrize(
    ("flags", "named", "message"),
    [
        ("--loss_function quantile", {}, "fitted here are squared and logistic"),
        ("--bayes_logistic", {}, "by gradient descent alone"),
        ("--loss_function logistic --oaa 3", {}, "by gradient descent alone"),
        ("", {"l2": -1.0}, "l2 is at least 0"),
        ("", {"columns": "city:category /.*/:ignore"}, "name the column of the label"),
        (
            "--loss_function logistic",
            {"columns": MAP.replace("y:label", "price:label").replace("price:number ", "")},
            "labels are -1 and 1",
        ),
    ],
)
def test_what_cannot_be_fitted(spark, rows, tmp_path, flags, named, message):
    with pytest.raises(OptionError, match=message):
        vws.fit_fixed(spark.createDataFrame(rows), flags, tmp_path / "m", **{"columns": MAP, **named})
    assert not (tmp_path / "m").exists()


def test_no_rows_and_malformed_rows(spark, rows, tmp_path):
    with pytest.raises(VwliteError, match="no rows with a label"):
        vws.fit_fixed(spark.createDataFrame(rows).where("time < 0"), "", tmp_path / "m", columns=MAP)
    frame = rows.head(100).copy()
    frame.loc[3, "price"] = math.inf
    frame.loc[4, "y"] = math.nan
    fit = vws.fit_fixed(spark.createDataFrame(frame), "", tmp_path / "m", columns=MAP)
    assert (fit.rows, fit.left_out) == (98, 2)


def test_without_broadcast_variables_models_travel_with_the_tasks(spark, rows, tmp_path, monkeypatch):
    frame = spark.createDataFrame(rows)
    wanted = vws.fit_fixed(frame, "--loss_function logistic", tmp_path / "wanted.model", columns=MAP)
    scores = vws.score_fixed(frame, str(tmp_path / "wanted.model"), "fixed", MAP).orderBy("time").collect()
    assert len({row.fixed for row in scores}) > 100
    connect = SimpleNamespace(_sc=None)  # a session of Spark Connect has no context
    for module in (fixed, gradients):
        monkeypatch.setattr(module, "sent_to_workers", lambda _, value: frames.sent_to_workers(connect, value))
    found = vws.fit_fixed(frame, "--loss_function logistic", tmp_path / "found.model", columns=MAP)
    assert found == wanted
    assert vws.score_fixed(frame, str(tmp_path / "found.model"), "fixed", MAP).orderBy("time").collect() == scores
