"""The estimator and the model of pyspark.ml, and what a table of entities offers beside."""

import doctest
import importlib
import pkgutil

import pytest

import vwlite.spark
from tests.support.spark import COLUMNS, FLAGS, clicks
from vwlite import spark as vws
from vwlite.spark.ml import VWLite, VWLiteModel


def test_a_pipeline_fits_predicts_and_is_read_again(spark, tmp_path):
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import SQLTransformer

    frame = spark.createDataFrame(clicks(600, users=20))
    doubled = SQLTransformer(statement="SELECT *, price * 2 AS twice FROM __THIS__")
    learner = VWLite(FLAGS, order="time", label="y", columns=COLUMNS + " twice:ignore", outputs=["prediction", "sd"])
    model = Pipeline(stages=[doubled, learner]).fit(frame)
    scored = model.transform(frame)
    assert scored.columns[-2:] == ["vw_prediction", "vw_sd"]
    last = model.stages[-1]
    last.write().save(str(tmp_path / "model"))
    again = VWLiteModel.load(str(tmp_path / "model"))
    one, other = (
        each.transform(scored.drop("vw_prediction", "vw_sd")).orderBy("time").toPandas() for each in (last, again)
    )
    assert one.vw_prediction.equals(other.vw_prediction)
    with pytest.raises(Exception, match="already exists"):
        last.write().save(str(tmp_path / "model"))


def test_estimated_ridge_is_one_for_all_entities(spark):
    frame = spark.createDataFrame(clicks(900, users=60))
    flags = FLAGS.replace("--effect_l2 2", "--effect_l2 auto")
    found = [vws.fit(frame, flags, order="time", label="y", columns=COLUMNS, partitions=n) for n in (1, 4)]
    ridge = [float(users.flags.split("--effect_l2 ")[1].split()[0]) for users in found]
    assert ridge[0] == pytest.approx(ridge[1], rel=1e-9)
    assert ridge[0] > 3  # labels are random: there is little to learn


@pytest.mark.parametrize("name", [name for _, name, _ in pkgutil.walk_packages(vwlite.spark.__path__, "vwlite.spark.")])
def test_examples_in_docstrings_are_true(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
