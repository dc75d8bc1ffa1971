"""The examples of vwlite in scikit-learn and River run, and vwlite is at least as good as what it is beside."""

import re
import subprocess
import sys

import pytest

from tests.support.scripts import EXAMPLES


def printed(script, folder):
    command = [sys.executable, str(EXAMPLES / "estimators" / script)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_a_pipeline_with_a_grid_search(tmp_path):
    text = printed("pipeline.py", tmp_path)
    assert "learner=bayes" in text
    losses = dict(re.findall(r"^(\w+): log loss ([\d.]+)", text, re.M))
    assert float(losses["vwlite"]) < 1.1 * float(losses["LogisticRegression"])


def test_a_stream_through_rivers_evaluator(tmp_path):
    found = re.findall(r"^(\w+), (\w+): \w+: ([\d.]+)$", printed("stream.py", tmp_path), re.M)
    assert len(found) == 6
    for data in {each[0] for each in found}:
        loss = {name: float(value) for of, name, value in found if of == data}
        assert loss["vwlite"] < 0.96 * loss["River"], data


@pytest.mark.parametrize("script", ["pipeline.py", "stream.py"])
def test_an_example_is_short(script):
    assert len((EXAMPLES / "estimators" / script).read_text().splitlines()) < 40
