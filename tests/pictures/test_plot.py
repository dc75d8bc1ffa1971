"""vwlite plot and --report FILE.html: what is drawn, by the data in the page, by matplotlib, and in a browser."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_eval import error_of, lines
from vwlite import Workspace
from vwlite.cli import main
from vwlite.pictures import plot

CHROMIUM = "/usr/bin/chromium"
MARKUP = "</script><img src=x onerror=alert(1)>"


def charts(path: str | Path) -> list[dict[str, Any]]:
    """The charts of a page."""
    text = Path(path).read_text()
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def titles(path: str | Path) -> list[str]:
    return [chart["title"] for chart in charts(path)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.vw").write_text("".join(lines(seed=1)))
    Path("test.vw").write_text("".join(lines(seed=2)))
    words = "train.vw --bayes_logistic --random_effect user --invert_hash names -f m.model --quiet"
    assert main(words.split()) == 0
    return tmp_path


def test_a_model_has_its_weights_and_effects(folder):
    assert main(["plot", "m.model", "-o", "m.html"]) == 0
    assert titles("m.html") == ["Weights", "Effects of user"]
    weights, effects = charts("m.html")
    table = {row["feature"]: row for row in Workspace("-t -i m.model").coefficients()}
    for row in weights["content"]["rows"]:
        assert row["value"] == pytest.approx(table[row["label"]]["mean"])
        assert row["sd"] == pytest.approx(table[row["label"]]["sd"])
    assert "a^x" in {row["label"] for row in weights["content"]["rows"]}
    values = [row["value"] for row in effects["content"]["rows"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == 20
    assert all(row["low"] < row["value"] < row["high"] for row in effects["content"]["rows"])


def test_labelled_data_adds_metrics_calibration_lift_slices_and_residuals(folder):
    assert main(["plot", "m.model", "-d", "test.vw", "--by", "user", "--by", "a^country", "-o", "m.html"]) == 0
    assert titles("m.html")[:3] == ["Metrics", "Calibration", "Lift"]
    assert {"logloss by user", "logloss by a^country", "Residuals by user"} <= set(titles("m.html"))
    by_user = next(chart for chart in charts("m.html") if chart["title"] == "Residuals by user")
    texts = Path("test.vw").read_text().splitlines()
    p = np.array(Workspace("-t -i m.model --link logistic").predict(texts))
    y = np.array([text.startswith("1") for text in texts], float)
    users = np.array([text.split("|user ")[1].split()[0] for text in texts])
    for row in by_user["content"]["rows"]:
        of = users == row["label"].split()[0]
        assert row["value"] == pytest.approx((y - p)[of].mean(), abs=1e-6)
        assert row["low"] < row["value"] < row["high"]


def test_an_evaluation_in_json_has_the_same_charts_as_the_model(folder, capsys):
    assert main(["eval", "m.model", "-d", "test.vw", "--by", "a^country", "--json"]) == 0
    Path("e.json").write_text(capsys.readouterr().out)
    assert main(["plot", "e.json", "-o", "e.html"]) == 0
    assert main(["plot", "m.model", "-d", "test.vw", "--by", "a^country", "-o", "m.html"]) == 0
    same = [chart for chart in charts("m.html") if chart["title"] in titles("e.html")]
    assert charts("e.html") == same


def test_comparisons_and_simulations_in_json_are_drawn(folder, capsys):
    assert main(["compare", "m.model", "m.model", "-d", "test.vw", "--json"]) == 0
    Path("c.json").write_text(capsys.readouterr().out)
    assert main(["simulate", "arms", "--rounds", "50", "--seeds", "2", "--json", "--curves", "s.tsv"]) == 0
    Path("s.json").write_text(capsys.readouterr().out)
    assert main(["plot", "c.json", "s.json", "s.tsv", "-o", "all.html"]) == 0
    assert titles("all.html") == ["Differences", "Regret", "Regret"]
    assert charts("all.html")[1]["content"]["rows"][0]["label"] == "thompson"
    assert len(charts("all.html")[2]["content"]["series"]) == 5


def test_searches_folds_and_policies_are_drawn(folder, capsys):
    assert main(["cv", "train.vw", "--loss_function", "logistic", "--quiet", "--json"]) == 0
    Path("cv.json").write_text(capsys.readouterr().out)
    assert main(["sweep", "train.vw", "--loss_function", "logistic", "--grid", "l=.1,.5,2", "--quiet", "--json"]) == 0
    Path("sweep.json").write_text(capsys.readouterr().out)
    for metric in ("loss", "auc"):
        tune = (
            f"tune train.vw --loss_function logistic --holdout 0.3 --tune l=0.01..2 --evaluations 6 --metric {metric}"
        )
        assert main([*tune.split(), "--trace", f"{metric}.jsonl", "--quiet", "--json"]) == 0
    Path("log.vw").write_text("shared | s\n0:-1:0.5 | a\n| b\n\nshared | s\n| a\n1:0:0.5 | b\n\n" * 50)
    for name, flags in (("one", "--cb_explore_adf"), ("two", "--cb_adf")):
        assert main(["log.vw", *flags.split(), "-f", f"{name}.model", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["policies", "log.vw", "one.model", "two.model", "--uniform", "--json"]) == 0
    Path("p.json").write_text(capsys.readouterr().out)
    assert main(["plot", "cv.json", "sweep.json", "loss.jsonl", "auc.jsonl", "p.json", "-o", "all.html"]) == 0
    found = {chart["title"]: chart for chart in charts("all.html")}
    assert list(found)[:3] == ["Metrics", "Calibration", "Lift"]
    settings = found["Settings"]["content"]["rows"]
    assert len(settings) == 3 and settings[0]["value"] == 0 < settings[1]["value"] < settings[2]["value"]
    for metric, best_of in (("loss", min), ("auc", max)):
        trials, best = found[f"Search: {metric}"]["content"]["series"]
        values = [value for _, value in trials["points"]]
        assert len(values) == 6 and values[0] != best["points"][-1][1] == best_of(values)
    for estimate in ("ips", "snips", "dr"):
        chart = found[f"Cost, {estimate}"]["content"]
        rows = {row["label"].partition(" ")[0]: row for row in chart["rows"]}
        assert chart["at"] == -0.5
        assert set(rows) >= {"one.model", "two.model"} and ("(uniform)" in rows) == (estimate != "dr")
        assert rows["one.model"]["low"] <= rows["one.model"]["value"] <= rows["one.model"]["high"]


def test_policies_in_json_are_drawn_with_the_logs_own_cost_and_the_effective_decisions(folder, capsys):
    random = np.random.default_rng(1)
    for name in ("train", "log"):
        rows = []
        for _ in range(300):
            action, user = random.integers(2).item(), random.integers(2).item()
            labels = [f"{k}:{-int(random.random() < (0.8 if user == k else 0.2))}:0.5 " * (k == action) for k in (0, 1)]
            rows.append(f"shared |u {user}\n{labels[0]}|i a\n{labels[1]}|i b\n\n")
        Path(f"{name}.vw").write_text("".join(rows))
    words = "train.vw --cb_adf -q ui -f p.model --quiet"
    assert main(words.split()) == 0
    words = "policies log.vw p.model --uniform --json"
    assert main(words.split()) == 0
    printed = capsys.readouterr().out
    Path("p.json").write_text(printed)
    found = json.loads(printed)
    plot("p.json", "p.html")
    assert titles("p.html")[:4] == [
        "Cost, ips",
        "Less the log's cost, ips",
        "Cost, snips",
        "Less the log's cost, snips",
    ]
    costs, differences = charts("p.html")[:2]
    assert costs["content"]["at"] == found["logged"]["value"]
    log, policy, uniform = costs["content"]["rows"]
    assert (log["label"], log["value"], log["low"]) == ("(logged)", found["logged"]["value"], found["logged"]["low"])
    assert uniform["label"] == "(uniform) (300)" and policy["label"].startswith("p.model (")
    first = found["policies"][0]
    assert (policy["value"], policy["low"], policy["high"]) == tuple(
        first["ips"][key] for key in ("value", "low", "high")
    )
    assert policy["high"] < log["value"]
    assert differences["content"]["at"] == 0 and differences["content"]["rows"][0]["high"] < 0
    words = "policies log.vw p.model --samples 0 --json"
    assert main(words.split()) == 0
    Path("q.json").write_text(capsys.readouterr().out)
    plot("q.json", "q.png")
    assert Path("q.png").read_bytes().startswith(b"\x89PNG")


def test_an_image_needs_only_the_suffix(folder):
    plot(["m.model"], "m.png", "test.vw", by=["a^country"])
    assert Path("m.png").read_bytes().startswith(b"\x89PNG")
    first = Path("m.png").read_bytes()
    plot("m.model", "m.png", "test.vw", by=["a^country"])
    assert Path("m.png").read_bytes() == first


def test_names_from_data_are_never_markup(folder):
    name = MARKUP.replace(" ", "")
    Path("odd.vw").write_text(f"1 |user {name} |a {name} $x_$\n-1 |user b |a y\n" * 20)
    words = "odd.vw --bayes_logistic --random_effect user --invert_hash names -f odd.model --quiet"
    assert main(words.split()) == 0
    assert main(["plot", "odd.model", "-d", "odd.vw", "--by", "user", "-o", "odd.html"]) == 0
    assert "<img" not in Path("odd.html").read_text().partition("<body>")[2]
    assert any(name in row["label"] for chart in charts("odd.html") for row in chart["content"].get("rows", []))
    plot("odd.model", "odd.png", "odd.vw", by=["user"])


def test_the_page_needs_nothing_else(folder):
    assert main(["plot", "m.model", "-o", "m.html"]) == 0
    text = Path("m.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "import " not in text.partition("<body>")[2].replace("important", "")


def test_a_run_writes_its_report(folder, capsys):
    words = "train.vw --loss_function logistic --report auc --report out.html -f r.model --passes 2 --holdout_off"
    assert main(words.split()) == 0
    assert "auc = " in capsys.readouterr().err
    assert titles("out.html") == ["Learning curve", "Metrics", "Calibration", "Lift", "Weights"]
    curve = charts("out.html")[0]["content"]["series"][0]["points"]
    assert main(["train.vw", "--loss_function", "logistic", "-f", "again.model", "--quiet"]) == 0
    assert main(["inspect", "again.model", "--json"]) == 0
    loss = json.loads(capsys.readouterr().out)["journal"][-1]["loss_after"]
    # of the first pass: predictions of the second are of examples that were learned
    assert curve[-1] == pytest.approx([300, loss], rel=1e-6)


def test_a_quiet_run_writes_its_report_too(folder, capsys):
    words = "train.vw --loss_function logistic -f r.model --report"
    assert main([*words.split(), "out.html"]) == 0
    loud = charts("out.html")
    capsys.readouterr()
    assert main([*words.split(), "quiet.html", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert charts("quiet.html") == loud
    text = error_of(capsys, *words.split(), "quiet.html", "--report", "auc", "--quiet")
    assert text.endswith("--report has no effect with --quiet: leave one of them out\n")
    assert "<h1>r.model</h1>" in Path("quiet.html").read_text()


def test_a_report_changes_neither_model_nor_predictions(folder):
    for i, extra in enumerate(("", "--report out.html")):
        words = f"train.vw --loss_function logistic -p p{i} --save_resume --predict_only_model -f m{i} {extra}"
        assert main(words.split()) == 0
    assert Path("p0").read_bytes() == Path("p1").read_bytes()
    first, second = (Workspace(f"-t -i m{i}") for i in range(2))
    assert str([*first.coefficients()]) == str([*second.coefficients()])


def test_decisions_have_a_report_of_their_weights(folder):
    Path("b.vw").write_text("shared | s\n0:1:0.5 | a\n| b\n\n" * 5)
    assert main(["b.vw", "--cb_explore_adf", "--report", "b.html"]) == 0
    assert titles("b.html") == ["Weights"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("plot nothing -o x.html", "nothing: can't be read: no such file"),
        ("plot test.vw -o x.html", "test.vw: neither JSON, nor a table of curves"),
        (
            "plot odd.json -o x.html",
            "odd.json: JSON without any of logged, pooled, results, differences, calibration, policies",
        ),
        (
            "plot cut.json -o x.html",
            "cut.json: is not JSON as vwlite eval, compare, cv, sweep, policies or simulate prints it",
        ),
        ("plot t.jsonl -o x.html", "t.jsonl: is not a trace of vwlite tune"),
        ("plot m.model --by user -o x.html", "--by needs labelled data: give -d DATA"),
        ("plot e.tsv -d test.vw -o x.html", "--data: only for models, and e.tsv is none: leave it out"),
        ("plot e.tsv -o x.html", "e.tsv:2: expected a name, a number and a number"),
        ("plot m.model -o m.model", "are the same file"),
        ("plot m.model -o m.model/x.html", "m.model/x.html: can't write charts"),
        ("plot m.model", "'-o'"),
        ("train.vw --report a.html --report b.html", "--report a.html and b.html: a run writes one page"),
        ("train.vw --report m.model/a.html", "m.model/a.html: can't write the report"),
        ("train.vw --report train.html -d nothing", "nothing: can't read examples"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(words, message, folder, capsys):
    Path("odd.json").write_text("{}")
    Path("cut.json").write_text('{"calibration": [')
    Path("t.jsonl").write_text('{"trace": "vwlite tune"}\n[]\n')
    Path("e.tsv").write_text("policy\tround\tregret\na\tb\tc\n")
    before = sorted(os.listdir("."))
    text = error_of(capsys, *words.split())
    assert message in text
    assert text.count("\n") == 1
    assert sorted(os.listdir(".")) == before


def test_a_page_is_only_of_the_command_line():
    from vwlite.errors import OptionError

    with pytest.raises(OptionError, match=r"--report out.html: a page is of a run of the command line"):
        Workspace("--report out.html")


@pytest.mark.skipif(not os.path.exists(CHROMIUM) and "CI" not in os.environ, reason=f"there is no {CHROMIUM}")
def test_a_browser_draws_every_chart_without_an_error(folder):
    from playwright.sync_api import sync_playwright

    name = MARKUP.replace(" ", "")
    Path("odd.vw").write_text(f"1 |user {name} |a {name}\n-1 |user b |a y:2\n" * 30)
    words = "odd.vw --bayes_logistic --random_effect user --report odd.html --invert_hash names -f odd.model"
    assert main(words.split()) == 0
    assert main(["simulate", "arms", "--rounds", "50", "--seeds", "2", "--curves", "s.tsv"]) == 0
    assert main(["plot", "odd.model", "s.tsv", "-o", "all.html"]) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        for file in ("odd.html", "all.html"):
            page.goto(Path(file).absolute().as_uri())
            drawn = sum(chart["kind"] != "table" for chart in charts(file))
            assert page.locator("svg").count() == drawn
            assert page.locator("section").count() == len(charts(file))
            page.set_viewport_size({"width": 400, "height": 800})
            page.set_viewport_size({"width": 1000, "height": 800})
            assert page.locator("svg").count() == drawn
        browser.close()
    assert errors == []
