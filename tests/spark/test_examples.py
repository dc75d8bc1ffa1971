"""The examples of vwlite on Spark run as they stand, in the session of the tests."""

import re
import runpy
import sys

import pytest

from tests.support.scripts import EXAMPLES
from vwlite import Workspace


@pytest.fixture
def printed(spark, monkeypatch, capfd):
    """Runs an example; what it prints."""

    def run(script, *words):
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        monkeypatch.setattr(type(spark), "stop", lambda session: None)
        runpy.run_path(str(EXAMPLES / "spark" / script), run_name="__main__")
        return capfd.readouterr().out

    return run


def test_movies_of_users_who_rate_alike(printed):
    text = printed("movies.py")
    plain, fitted = (float(number) for number in re.findall(r"^RMSE of .*: ([\d.]+)$", text, re.M))
    assert fitted < 0.91 < plain
    assert "user: 671 entities" in text


def test_days_and_the_model_file_that_comes_out(printed, tmp_path):
    text = printed("daily.py", tmp_path)
    assert "day 3: 100 users learned, 300 known" in text
    likes = {name: float(p) for name, p in re.findall(r"^(\w+): ([\d.]+), sd", text, re.M)}
    assert likes["u0"] > 0.5 > likes["u1"]
    asked = Workspace.load(tmp_path / "users.model").predict({"user": "u0", "topic": "car", "price": 0.1})
    assert asked == pytest.approx(likes["u0"], abs=0.006)
