"""--min_prediction and --max_prediction: one of them alone leaves the other end to the labels."""

import pytest

from vwlite.cli import main
from vwlite.engine.workspace import Workspace

STARS = ["3 | a", "4 | b", "5 | a", "1 | c"] * 5


def trained(flags, lines=STARS):
    workspace = Workspace(flags)
    workspace.learn(lines)
    return workspace


@pytest.mark.parametrize(
    "learner", ["", "--bayes_linear", "--loss_function quantile", "--random_effect u --bayes_linear"]
)
def test_the_end_that_is_not_given_follows_the_labels(learner):
    low = trained(f"{learner} --min_prediction 2")
    assert low.predict("| c:100") >= 2
    assert max(low.predict([f"| {f}:1000" for f in "abc"])) == 5
    high = trained(f"{learner} --max_prediction -2", [f"-{line}" for line in STARS])
    assert min(high.predict([f"| {f}:1000" for f in "abc"])) == -5
    assert max(high.predict([f"| {f}:-1000" for f in "abc"])) == -2


def test_it_starts_at_the_one_that_is_given():
    assert Workspace("--min_prediction 1").predict("| a") == 1
    assert Workspace("--max_prediction -1").predict("| a") == -1


def test_a_model_keeps_the_end_that_came_from_labels(tmp_path):
    path = str(tmp_path / "m")
    trained("--min_prediction 2").save(path)
    for flags in ("", "-t", "-t --min_prediction 4"):
        again = Workspace.load(path, flags)
        assert again.predict("| a:1000") == 5, flags
        assert again.predict("| a:-1000") == (4 if "4" in flags else 2), flags
    again = Workspace.load(path, "-t --max_prediction 4.5")
    assert (again.predict("| a:1000"), again.predict("| a:-1000")) == (4.5, 2)
    # a new end beyond what the labels were leaves one prediction
    assert Workspace.load(path, "-t --min_prediction 7").predict("| a") == 7


def test_an_empty_range_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("1 | a\n")
    for flags in ("--min_prediction 2 --max_prediction 1", "--loss_function logistic --min_prediction 60"):
        assert main(["data", *flags.split()]) == 1
        assert "range of predictions is empty" in capsys.readouterr().err
