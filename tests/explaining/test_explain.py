"""vwlite explain: terms that add up to the score, beside VW's audit; parts, decisions, and what has no terms."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError


def lines(n=300, seed=0, size=1.0):
    draw = random.Random(seed)
    for i in range(n):
        x, user = draw.gauss(0, 1), draw.randrange(20)
        label = 1 if x + user / 10 - 1 + draw.gauss(0, 0.3) > 0 else -1
        city = draw.choice(["rome", "bonn", 'a"b\\c', "köln"])
        entities = f"|user u{user} |item i{draw.randrange(9)}"
        yield f"{label} t{i}{entities} |a x:{x * size:.6g} w{draw.randrange(9)} |b {city} y:{i % 5}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text("".join(lines()))


def learn(*words, data="d.vw"):
    assert main([data, "-f", "m", "--quiet", *words]) == 0


def explained(*words, data="d.vw"):
    assert main(["explain", "m", data, "--json", "-o", "e.json", *words]) == 0
    return [json.loads(line) for line in Path("e.json").read_text().splitlines()]


def scores(data="d.vw"):
    assert main(["-t", "-i", "m", data, "-r", "raw", "-p", "p", "--quiet"]) == 0
    return [[float(line.split()[0]) for line in Path(name).read_text().splitlines()] for name in ("raw", "p")]


LINEAR = [
    "",
    "-q ab --loss_function logistic --link logistic",
    "--cubic aab --noconstant",
    "--interactions abab --leave_duplicate_interactions --permutations",
    "-q :: --l1 1e-4 --l2 1e-3",
    "--ignore user --ignore item",
    "--ignore_linear a -q ab",
    "--feature_limit a:1",
    "--ftrl",
    "--coin",
    "--loss_function quantile",
    "--binary --loss_function hinge",
    "--transform '/x/:scale'",
    "--bayes_linear -q ab",
    "--bayes_logistic --link logistic",
    "--bayes_linear --random_effect user",
    "--bayes_linear --random_effect user:a,b --random_effect item",
    "--bayes_linear --random_effect 'user:*'",
    "--bayes_logistic --random_effect user --random_effect item:b --fixed gd",
    "--bayes_linear --random_effect user:b --entity_min 14",
    "--square --random_effect user:b",
    "--bayes_linear --random_effect user:b --fixed none",
]


@pytest.mark.parametrize("flags", LINEAR)
def test_terms_add_up_to_the_score(flags):
    import shlex

    learn(*shlex.split(flags))
    raw, predicted = scores()
    found = explained()
    assert len(found) == len(raw) == 300
    for one, score, prediction, line in zip(found, raw, predicted, Path("d.vw").read_text().splitlines(), strict=True):
        assert one["score"] == pytest.approx(score, abs=2e-6)
        assert one["prediction"] == pytest.approx(prediction, abs=2e-6)
        assert one["tag"] == line.split()[1].partition("|")[0]
        assert math.fsum(term["term"] for term in one["terms"]) == pytest.approx(one["score"], abs=1e-5)
        assert all(term["term"] == pytest.approx(term["value"] * term["weight"], rel=1e-6) for term in one["terms"])
        if "--coin" not in flags:
            assert "(rest)" not in {term["feature"] for term in one["terms"]}
        parts = one.get("parts", {None: one["score"]})
        for part, total in parts.items():
            own = [term["term"] for term in one["terms"] if term.get("part") == part]
            assert math.fsum(own) == pytest.approx(total, abs=1e-5)
            assert [abs(term) for term in own] == sorted((abs(term) for term in own), reverse=True)


@pytest.mark.parametrize(
    "flags", ["", "-q ab", "--loss_function logistic -q aa", "--cubic aab --noconstant", "-q :: --ignore user"]
)
@pytest.mark.parametrize("size", [1, 1e-3, 1e4])
def test_terms_are_those_of_an_audit_of_vowpal_wabbit(flags, size):
    Path("d.vw").write_text("".join(lines(size=size)).replace('"', "").replace("\\", ""))
    learn(*flags.split())
    command = [sys.executable, "-m", "vowpalwabbit", "--quiet", *flags.split()]
    subprocess.run([*command, "-d", "d.vw", "-f", "theirs"], check=True)
    audit = [*command[:4], "-t", "-i", "theirs", "-d", "d.vw", "--audit"]
    rows = subprocess.run(audit, check=True, capture_output=True, text=True).stdout.splitlines()
    for one, row in zip(explained(), rows[1::2], strict=True):
        theirs: dict[str, float] = {}
        for cell in row.split("\t")[1:]:
            name, _, value, weight = cell.split("@")[0].rsplit(":", 3)
            theirs[name] = theirs.get(name, 0) + float(value) * float(weight)
        ours: dict[str, float] = {}
        for term in one["terms"]:
            ours[term["feature"]] = ours.get(term["feature"], 0) + term["term"]
        assert ours.keys() == theirs.keys()
        assert ours == pytest.approx(theirs, abs=1e-5, rel=2e-5)  # VW prints six digits
        assert sum(theirs.values()) == pytest.approx(one["score"], abs=1e-5, rel=2e-5)


def test_standard_deviations_are_those_of_the_posterior():
    learn("--bayes_linear", "--noise", "1", "--l2", "2", "--noconstant", "--keep", "b")
    rows = [line.split("|")[4].split()[1:] for line in Path("d.vw").read_text().splitlines()]
    names = sorted({name.partition(":")[0] for row in rows for name in row})
    x = np.zeros((300, len(names)))
    for i, row in enumerate(rows):
        for name in row:
            x[i, names.index(name.partition(":")[0])] = float(name.partition(":")[2] or 1)
    covariance = np.linalg.inv(x.T @ x + 2 * np.eye(len(names)))
    for i, one in enumerate(explained()):
        assert one["sd"] == pytest.approx(math.sqrt(x[i] @ covariance @ x[i]), rel=1e-4)
        for term in one["terms"]:
            place = names.index(term["feature"].partition("^")[2])
            assert term["sd"] == pytest.approx(math.sqrt(covariance[place, place]), rel=1e-4)


def test_the_initial_prediction_and_a_fixed_effect_are_terms():
    Path("i.vw").write_text("".join(line.replace(" t", " 1 0.5 t", 1) for line in lines()))
    learn()
    os.rename("m", "fixed")
    learn("--fixed_effect", "fixed", "--offset_scale", "0.5", "-q", "ab", data="i.vw")
    raw, _ = scores("i.vw")
    for one, score in zip(explained(data="i.vw"), raw, strict=True):
        named = {term["feature"]: term for term in one["terms"]}
        assert named["(initial)"]["term"] == pytest.approx(0.25) and named["(fixed effect)"]["weight"] == 0.5
        assert sum(term["term"] for term in one["terms"]) == pytest.approx(score, abs=1e-5)
    learn(data="i.vw")
    assert {"(initial)"} <= {term["feature"] for term in explained(data="i.vw")[0]["terms"]}


@pytest.mark.parametrize(
    "flags", ["--oaa 3", "--oaa 3 --probabilities --loss_function logistic", "--oaa 3 --bayes_linear"]
)
def test_the_score_of_the_predicted_class_is_explained(flags):
    text = "".join(f"{1 + i % 3} |a x{i % 3}:2 y{i % 7}\n" for i in range(90))
    Path("c.vw").write_text(text)
    learn(*flags.split(), data="c.vw")
    assert main(["-t", "-i", "m", "c.vw", "-p", "p", "-r", "raw", "--quiet"]) == 0
    raw = [dict(cell.split(":") for cell in line.split()) for line in Path("raw").read_text().splitlines()]
    for i, one in enumerate(explained(data="c.vw")):
        assert one["prediction"] == 1 + i % 3
        if "--probabilities" not in flags:
            assert one["score"] == pytest.approx(float(raw[i][str(1 + i % 3)]), abs=1e-5)
        assert sum(term["term"] for term in one["terms"]) == pytest.approx(one["score"], abs=1e-5)
        assert f"a^x{i % 3}" in {term["feature"] for term in one["terms"][:2]}


def decisions(n=200):
    draw = random.Random(1)
    for i in range(n):
        yield f"shared d{i}|u age:{draw.random():.3f}\n"
        taken = draw.randrange(3)
        for k in range(3):
            label = f"{k}:{abs(k - 1) + draw.random():.3f}:0.333" if k == taken else ""
            yield f"{label} |a act{k} z:{draw.random():.3f}\n"
        yield "\n"


@pytest.mark.parametrize(
    "flags",
    [
        "--cb_explore_adf -q ua",
        "--cb_adf --cb_type dr",
        "--cb_explore_adf --epsilon 0.5 --bayes_linear",
        "--thompson --bayes_linear",
        "--explore ucb --bayes_linear",
    ],
)
def test_a_decision_is_explained_by_the_scores_of_its_actions(flags):
    Path("dec.vw").write_text("".join(decisions()))
    learn(*flags.split(), data="dec.vw")
    assert main(["-t", "-i", "m", "dec.vw", "-p", "p", "--quiet"]) == 0
    predicted = [line.split()[0] for line in Path("p").read_text().splitlines() if line]
    found = explained(data="dec.vw")
    assert len(found) == 200
    for i, (one, said) in enumerate(zip(found, predicted, strict=True)):
        assert one["tag"] == f"d{i}" and one["scores_are"] == "costs"
        actions = one["actions"]
        for action in actions:
            assert sum(term["term"] for term in action["terms"]) == pytest.approx(action["score"], abs=1e-5)
        assert one["best"] == 1 + min(range(3), key=lambda k: actions[k]["score"])
        if ":" in said:
            cells = dict(cell.split(":") for cell in said.split(","))
            for k in range(3):
                assert actions[k]["probability"] == pytest.approx(float(cells[str(k)]), rel=1e-3)
        rows = one["between"]
        assert sum(row["difference"] for row in rows) == pytest.approx(one["apart"], abs=1e-5)
        chosen, other = (actions[one[name] - 1]["score"] for name in ("chosen", "runner_up"))
        assert one["apart"] == pytest.approx(chosen - other, abs=1e-6)
        assert [abs(row["difference"]) for row in rows] == sorted(
            (abs(row["difference"]) for row in rows), reverse=True
        )
    assert any(row["feature"].startswith("a^act") for row in found[0]["between"])


def test_rewards_are_better_if_they_are_higher(capfd):
    rows = [line.partition("|") for line in decisions()]
    rows = [(f"0:{-(i % 2)}:0.33 " if ":" in head else head, bar, rest) for i, (head, bar, rest) in enumerate(rows)]
    Path("dec.vw").write_text("".join("".join(row) for row in rows))
    learn("--thompson", "--bayes_logistic", data="dec.vw")
    one = explained(data="dec.vw")[0]
    assert one["scores_are"] == "rewards"
    assert one["best"] == 1 + max(range(3), key=lambda k: one["actions"][k]["score"])
    assert main(["explain", "m", "dec.vw", "--top", "2"]) == 0
    said = capfd.readouterr().out
    assert "higher scores are better" in said and "what separates it from action" in said


def test_text_shows_the_largest_terms_of_each_part(capfd):
    learn("--bayes_linear", "--random_effect", "user:b")
    capfd.readouterr()
    assert main(["explain", "m", "d.vw", "--top", "1", "--examples", "1"]) == 0
    head, score, *rest = capfd.readouterr().out.splitlines()
    assert head.endswith(" t0") and score.startswith("  score ") and ", sd " in score
    assert [row.split()[0] for row in rest if row.startswith("  ") and row[2] != " "] == ["fixed", "user"]
    assert sum(" more" in row for row in rest) == 2 and rest[-1] == ""
    assert main(["explain", "m", "d.vw", "--effect", "user", "--examples", "1"]) == 0
    assert "  fixed" not in capfd.readouterr().out
    assert main(["explain", "m", "d.vw", "--effect", "film"]) == 1
    assert (
        capfd.readouterr().err == "vwlite: error: --effect film: there is no such part of the score, only fixed, user\n"
    )


def test_python_explains_lines_dicts_and_tables():
    workspace = Workspace("--bayes_linear --random_effect user")
    rows = [
        {"user": f"u{i % 3}", "price": float(i), "city": "Bonn" if i % 2 else "Rome", "new": True} for i in range(50)
    ]
    workspace.learn(rows, y=[i % 3 + i / 10 for i in range(50)])
    before = workspace.to_bytes()
    predicted = workspace.predict(rows)
    found = workspace.explain(rows)
    for one, prediction, row in zip(found, predicted, rows, strict=True):
        assert one["prediction"] == prediction
        assert sum(term["term"] for term in one["terms"]) == pytest.approx(one["score"], abs=1e-5)
        names = {term["feature"] for term in one["terms"] if term["part"] == "fixed"}
        assert names <= {"price", f"city={row['city']}", "new", "Constant"}
    assert workspace.explain(rows[1]) == found[1]
    assert workspace.explain(rows[1], effect="user")["terms"] == [t for t in found[1]["terms"] if t["part"] == "user"]
    assert workspace.explain("|user u1 | price:1")["terms"]
    assert workspace.explain("") is None
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows[:3])
    again = workspace.explain(frame)
    assert [one["score"] for one in again] == pytest.approx([one["score"] for one in found[:3]])
    assert workspace.to_bytes() == before
    assert workspace.predict(rows[4]) == predicted[4]


def test_names_may_hold_anything():
    text = b'1 |a qu"ote back\\slash k\xc3\xb6ln bad\xff\xfe ctrl\x01 x:2\n'
    Path("n.vw").write_bytes(text)
    learn(data="n.vw")
    names = {term["feature"] for term in explained(data="n.vw")[0]["terms"]}
    assert names == {'a^qu"ote', "a^back\\slash", "a^köln", "a^bad\ufffd\ufffd", "a^ctrl\x01", "a^x", "Constant"}


def test_what_has_no_terms_says_so(capsys):
    Path("m.vw").write_text("1,2 | a\n2 | b\n" * 9)
    learn("--multilabel_oaa", "3", data="m.vw")
    assert main(["explain", "m", "m.vw"]) == 1
    assert capsys.readouterr().err == "vwlite: error: a prediction of classes is no single score: it has no terms\n"
    with pytest.raises(OptionError, match="it has no terms"):
        Workspace(["-i", "m"]).explain("| a")
    learn()
    assert main(["explain", "m", "nothing.vw"]) == 1
    assert main(["explain", "m", "d.vw", "-o", "d.vw"]) == 1
    assert main(["explain", "d.vw", "d.vw"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and all(line.startswith("vwlite: error: ") for line in errors)
    Path("bad.vw").write_text("1 | a\nx | b\n1 | c\n")
    assert len(explained(data="bad.vw")) == 2
    assert "skipped malformed lines = 1 of 3" in capsys.readouterr().err
    assert not Path("out.json").exists()
    assert main(["explain", "m", "bad.vw", "--strict_parse", "-o", "out.json"]) == 1
    assert not Path("out.json").exists()
