"""vwlite policies: the estimates are those of their formulas, and differences those of pairs of decisions."""

import csv
import json
import re
from importlib.metadata import distribution
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimators.bandits import ips, snips

from vwlite.cli import main
from vwlite.judging.intervals import Resampling
from vwlite.judging.policies import compare_policies


def shop(count: int, skip: int = 0) -> str:
    """Decisions of a shop (Open Bandit Dataset, Saito and others 2020): the item that a uniform policy showed."""
    folder = Path(str(distribution("obp").locate_file("obp/dataset/obd/random/men")))
    with open(folder / "item_context.csv") as file:
        items = [f"|i item=n{row['item_id']} {row['item_feature_1'][:6]}" for row in csv.DictReader(file)]
    lines = []
    with open(folder / "men.csv") as file:
        for row in islice(csv.DictReader(file), skip, skip + count):
            user = " ".join(f"{k}={row[f'user_feature_{k}'][:6]}" for k in range(4))
            lines.append(f"shared |u {user}")
            for k, item in enumerate(items):
                label = f"{k}:{-int(row['click'])}:{row['propensity_score']} " if k == int(row["item_id"]) else ""
                lines.append(label + item)
            lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies")
    (path / "train.vw").write_text(shop(1500))
    (path / "log.vw").write_text(shop(2500, 1500))
    for name, flags in (
        ("dr", "--cb_explore_adf --epsilon 0.3 --cb_type dr"),
        ("soft", "--cb_explore_adf --epsilon 0.8 -q ui"),
        ("best", "--cb_adf -q ui"),
        ("thompson", "--thompson --bayes_linear"),
    ):
        assert main([str(path / "train.vw"), *flags.split(), "-f", str(path / f"{name}.model"), "--quiet"]) == 0
    return path


def compared(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["policies", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def probabilities(folder: Path, model: str) -> list[dict[int, float]]:
    """What a run predicts for each decision of the log."""
    out = folder / "predicted"
    assert main([str(folder / "log.vw"), "-t", "-i", str(folder / model), "-p", str(out), "--quiet"]) == 0
    found = []
    for line in out.read_text().splitlines():
        if line.strip():
            pairs = [word.split(":") for word in line.split(",")]
            found.append({int(pair[0]): float(pair[1]) if len(pair) > 1 else 1.0 for pair in pairs})
    return found


def labels(folder: Path) -> list[tuple[int, float, float]]:
    """Action, cost and probability of each decision of the log."""
    return [
        (int(a), float(c), float(p))
        for a, c, p in re.findall(r"^(\d+):(\S+):(\S+) ", (folder / "log.vw").read_text(), re.M)
    ]


def test_estimates_are_those_of_the_estimators_of_vowpal_wabbit(folder, capsys):
    models = ("dr.model", "soft.model", "best.model")
    found = compared(folder, capsys, str(folder / "log.vw"), *(str(folder / model) for model in models))
    logged = labels(folder)
    assert found["decisions"] == len(logged) == 2500
    assert found["logged"]["value"] == pytest.approx(np.mean([cost for _, cost, _ in logged]))
    for model, policy in zip(models, found["policies"], strict=True):
        plain, normalized = ips.Estimator(), snips.Estimator()
        weights = []
        for (action, cost, p), predicted in zip(logged, probabilities(folder, model), strict=True):
            share = predicted.get(action, 0.0)
            plain.add_example(p, cost, share)
            normalized.add_example(p, cost, share)
            weights.append(share / p)
        w = np.array(weights)
        assert policy["ips"]["value"] == pytest.approx(plain.get(), rel=2e-4, abs=1e-9)
        assert policy["snips"]["value"] == pytest.approx(normalized.get(), rel=2e-4, abs=1e-9)
        assert policy["effective"] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-3)
        assert policy["overlap"] == pytest.approx(np.mean(w > 0), abs=1e-3)
        assert policy["ips"]["low"] <= policy["ips"]["value"] <= policy["ips"]["high"]


def test_differences_are_those_of_pairs(folder, capsys):
    models = [str(folder / "dr.model"), str(folder / "soft.model")]
    found = compared(folder, capsys, str(folder / "log.vw"), *models)
    logged = labels(folder)
    w = np.array(
        [
            [
                predicted.get(action, 0.0) / p
                for (action, _, p), predicted in zip(logged, probabilities(folder, m), strict=True)
            ]
            for m in ("dr.model", "soft.model")
        ]
    )
    cost = np.array([c for _, c, _ in logged])
    difference = next(d for d in found["differences"] if d["other"] == models[0] and d["estimate"] == "ips")
    terms = (w[1] - w[0]) * cost
    half = 1.96 * terms.std(ddof=1) / np.sqrt(len(terms))
    assert difference["value"] == pytest.approx(terms.mean(), rel=1e-3)
    assert difference["low"] == pytest.approx(terms.mean() - half, abs=0.3 * half)
    assert difference["high"] == pytest.approx(terms.mean() + half, abs=0.3 * half)
    own = next(d for d in found["differences"] if d["other"] == "(logged)" and d["estimate"] == "ips")
    assert own["value"] == pytest.approx((w[0] * cost).mean() - cost.mean(), rel=1e-3)


def test_a_policy_of_which_few_decisions_say_anything_is_warned_of(tmp_path, capsys):
    random = np.random.default_rng(1)
    taken = random.random(2000) < 0.002
    lines = [f"shared | s\n{'' if rare else '0:0:0.998 '}| a\n{'1:-1:0.002 ' if rare else ''}| b\n" for rare in taken]
    (tmp_path / "log.vw").write_text("\n".join(lines) + "\n")
    model = str(tmp_path / "b.model")
    assert main([str(tmp_path / "log.vw"), "--cb_adf", "--cb_type", "ips", "-f", model, "--quiet"]) == 0
    assert main(["policies", str(tmp_path / "log.vw"), model, "--uniform"]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("[warning]")]
    assert any(line.startswith(f"[warning] {model}: only {taken.sum()} effective decisions") for line in rows)


def test_arms_have_their_share_and_cost_and_each_policy_its_own(folder, capsys):
    models = [str(folder / "dr.model"), str(folder / "best.model")]
    found = compared(folder, capsys, str(folder / "log.vw"), *models, "--arms", "i^item", "--uniform")
    logged = labels(folder)
    items = len(found["arms"])
    assert items == 34
    assert [arm["n"] for arm in found["arms"]] == sorted((arm["n"] for arm in found["arms"]), reverse=True)
    predicted = {model: probabilities(folder, Path(model).name) for model in models}
    for arm in found["arms"]:
        action = int(arm["name"].removeprefix("n"))
        costs = [cost for taken, cost, _ in logged if taken == action]
        assert arm["n"] == len(costs) and arm["share"] == pytest.approx(len(costs) / len(logged))
        assert arm["cost"] == pytest.approx(np.mean(costs))
        assert arm["shares"]["(uniform)"] == pytest.approx(1 / items)
        for model in models:
            first = (
                [next(iter(each)) == action for each in predicted[model]]
                if "best" in model
                else [each.get(action, 0.0) for each in predicted[model]]
            )
            assert arm["shares"][model] == pytest.approx(np.mean(first), abs=2e-3)
    # the log's policy is uniform, and its mean cost is the log's own
    even = found["policies"][-1]
    assert even["name"] == "(uniform)"
    assert even["snips"]["value"] == pytest.approx(found["logged"]["value"], abs=1e-6)
    assert even["overlap"] == 1


def test_a_doubly_robust_estimate_is_that_of_a_run(folder, capsys):
    found = compared(folder, capsys, str(folder / "log.vw"), str(folder / "dr.model"), "--samples", "0")
    assert main([str(folder / "log.vw"), "-t", "-i", str(folder / "dr.model")]) == 0
    summary = capsys.readouterr().err
    for name in ("ips", "snips", "dr"):
        line = re.search(rf"^{name} = (\S+)$", summary, re.M)
        assert line and found["policies"][0][name]["value"] == pytest.approx(float(line[1]), abs=1e-6)
    assert found["differences"][0]["low"] is None


def test_the_differences_hold_what_is_true(tmp_path):
    """Of 60 simulated logs, nearly all 90% intervals hold the difference of two policies whose costs are known."""
    random = np.random.default_rng(0)
    models = []
    for name, taken in (("a", 0), ("b", 1)):
        text = "".join(f"{'0:-1:0.5 ' * (taken == 0)}|x a\n{'1:-1:0.5 ' * (taken == 1)}|x b\n\n" for _ in range(50))
        (tmp_path / "t.vw").write_text(text)
        models.append(str(tmp_path / f"{name}.model"))
        assert main([str(tmp_path / "t.vw"), "--cb_explore_adf", "--epsilon", "0.2", "-f", models[-1], "--quiet"]) == 0
    truth = (0.9 - 0.1) * (0.5 - 0.3)  # shares of the better action, 0.9 and 0.1; it costs -0.5, the other -0.3
    held = 0
    for _ in range(60):
        lines = []
        for _ in range(500):
            action = int(random.random() < 0.4)
            cost = -int(random.random() < (0.3 if action else 0.5))
            label = f"{action}:{cost}:{0.4 if action else 0.6} "
            lines.append(f"{label * (action == 0)}|x a\n{label * (action == 1)}|x b\n\n")
        (tmp_path / "log.vw").write_text("".join(lines))
        found = compare_policies([str(tmp_path / "log.vw")], models, how=Resampling(200, 0.9))
        one = next(d for d in found.differences if d.other == models[0] and d.estimate == "snips")
        assert one.low is not None and one.high is not None
        held += one.low <= truth <= one.high
    assert held >= 48


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("|x a\n|x b\n\n" * 3, ["dr.model"], "no decision has a cost"),
        ("0:1 |x a\n|x b\n\n" * 3, ["dr.model"], "expected action:cost:probability"),
        ("", ["dr.model"], "no example with a feature"),
        ("0:1:.5 |x a\n|x b\n\n", ["train.vw"], "train.vw is no model"),
        ("0:1:.5 |x a\n|x b\n\n", ["dr.model", "dr.model"], "is there twice"),
        ("0:1:.5 |x a\n|x b\n\n", ["none.model"], "none.model"),
        ("0:1:.5 |x a\n|x b\n\n", ["line.model"], "learn"),
        ("0:1:.5 |x a\n|x b\n\n", ["dr.model", "--arms", "item"], "item: no action has a feature"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(text, words, message, folder, tmp_path, capsys):
    (tmp_path / "log.vw").write_text(text)
    (tmp_path / "one.vw").write_text("1 | a\n")
    if not (folder / "line.model").exists():
        assert main([str(tmp_path / "one.vw"), "-f", str(folder / "line.model"), "--quiet"]) == 0
    paths = [str(folder / word) if "." in word else word for word in words]
    assert main(["policies", str(tmp_path / "log.vw"), *paths]) == 1
    out, err = capsys.readouterr()
    assert message in err and not out and "Traceback" not in err


def test_decisions_without_a_cost_or_probability_are_left_out_and_counted(folder, tmp_path, capsys):
    (tmp_path / "log.vw").write_text("0:-1:.5 |i a\n|i b\n\n|i a\n|i b\n\n1:0 |i a\n|i b\n\n0:0:.25 |i a\n|i b\n\n")
    assert main(["policies", str(tmp_path / "log.vw"), str(folder / "soft.model")]) == 0
    out = capsys.readouterr().out
    assert "decisions = 2, weight = 2, 1 left out without a cost" in out


def test_an_action_that_the_log_lacks_is_said(tmp_path, capsys):
    text = "".join(f"0:{-(i % 2)}:1 |x a\n|x b\n\n" for i in range(300))
    (tmp_path / "log.vw").write_text(text)
    other = "".join("|x a\n1:-1:1 |x b\n\n" for _ in range(300))
    (tmp_path / "t.vw").write_text(other)
    assert (
        main([str(tmp_path / "t.vw"), "--cb_explore_adf", "--epsilon", ".1", "-f", str(tmp_path / "m"), "--quiet"]) == 0
    )
    assert main(["policies", str(tmp_path / "log.vw"), str(tmp_path / "m")]) == 0
    assert "the log lacks actions that this policy takes" in capsys.readouterr().out
