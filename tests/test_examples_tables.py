"""The examples with tables run: a CSV, text, a data frame, a database; and what is learned is worth it."""

import re
import subprocess
import sys

import pytest

from tests.support import postgres
from tests.support.scripts import EXAMPLES, play

TABLES = EXAMPLES / "tables"


def figure(text, name):
    return [float(value) for value in re.findall(rf"^{name} = ([\d.]+)$", text, re.M)]


def test_customers_who_leave(tmp_path):
    text = play("tables", "churn.sh", tmp_path / "out").printed
    gd, scaled, raw, bayes = figure(text, "auc held out")
    assert min(gd, scaled) > 0.82
    assert min(raw, bayes) > 0.835
    losses = figure(text, "logloss")
    assert losses[3] < 0.8 * losses[2]
    likely = [float(line.split()[1]) for line in text.splitlines()[-3:]]
    assert likely == sorted(likely, reverse=True)
    assert likely[-1] > 0.7


def test_tweets_by_device(tmp_path):
    text = play("tables", "tweets.sh", tmp_path / "out").printed
    assert figure(text, "auc")[0] > 0.91
    assert figure(text, "logloss")[0] < 0.37
    assert "text^#Trump2016:-" in text


def test_flights_from_a_file_and_from_a_database(tmp_path):
    if postgres.programs() is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    with postgres.server() as url:
        text = play("tables", "flights.sh", tmp_path / "out", url).printed
    plain, pairs, stored = figure(text, "auc")
    assert pairs > plain + 0.02
    assert plain == stored > 0.74
    assert text.endswith("identical\n")


def test_ratings_of_a_data_frame(tmp_path):
    command = [sys.executable, str(TABLES / "ratings.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mean, model = (float(value) for value in re.findall(r"RMSE ([\d.]+)", done.stdout))
    assert model < 0.84 * mean
    assert "Shawshank Redemption" in done.stdout
