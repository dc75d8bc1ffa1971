"""vwlite eval and vwlite compare on models, files of predictions and tables."""

import gzip
import json
import math
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

from tests.support.command import VWLITE
from vwlite import Workspace
from vwlite.cli import main


def lines(n: int = 300, seed: int = 0) -> list[str]:
    """Clicks of users in two countries, with an age."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        x, user, age = random.normal(), random.integers(20), random.integers(0, 80)
        y = 1 if random.random() < 1 / (1 + math.exp(-2 * x)) else -1
        country = "NL" if user % 2 else "DE"
        found.append(f"{y} |user u{user} |a x:{x:.4f} country={country} age:{age}\n")
    return found


@pytest.fixture
def clicks(tmp_path, monkeypatch):
    """A model, and labelled data that it has not seen."""
    monkeypatch.chdir(tmp_path)
    Path("train.vw").write_text("".join(lines(seed=1)))
    Path("test.vw").write_text("".join(lines(seed=2)))
    assert main(["-d", "train.vw", "--loss_function", "logistic", "-f", "m.model", "--quiet"]) == 0
    return tmp_path


def judge(capsys, *words: str) -> Any:
    """The JSON object that eval or compare prints."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error_of(capsys, *words: str) -> str:
    assert main(list(words)) == 1
    return capsys.readouterr().err


def test_a_model_has_the_metrics_of_its_predictions(clicks, capsys):
    found = judge(capsys, "eval", "m.model", "-d", "test.vw")
    workspace = Workspace("-t -i m.model --link logistic")
    texts = Path("test.vw").read_text().splitlines()
    p = np.array(workspace.predict(texts))
    y = np.array([text.startswith("1") for text in texts])
    values = {name: each["value"] for name, each in found["metrics"].items()}
    assert values["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-6)
    assert values["logloss"] == pytest.approx(sk.log_loss(y, p), rel=1e-5)
    assert values["accuracy"] == sk.accuracy_score(y, p > 0.5)
    assert found["model"] == json.loads(run("inspect", "m.model", "--json"))["id"]
    for each in found["metrics"].values():
        assert each["low"] <= each["value"] <= each["high"]


def run(*words: str) -> str:
    return subprocess.run([*VWLITE, *words], capture_output=True, text=True, check=True).stdout


def test_the_model_is_unchanged_and_nothing_is_written(clicks):
    before = {path: path.read_bytes() for path in clicks.iterdir()}
    run("eval", "m.model", "-d", "test.vw")
    assert {path: path.read_bytes() for path in clicks.iterdir()} == before


def test_predictions_in_a_file_have_the_metrics_of_the_model(clicks, capsys):
    assert main(["-t", "-i", "m.model", "--link", "logistic", "-d", "test.vw", "-p", "said.txt", "--quiet"]) == 0
    of_model, of_file = (
        judge(capsys, "eval", "m.model", "-d", "test.vw"),
        judge(capsys, "eval", "said.txt", "-d", "test.vw"),
    )
    for name, each in of_model["metrics"].items():
        assert of_file["metrics"][name]["value"] == pytest.approx(each["value"], abs=2e-6)
    with gzip.open("said.txt.gz", "wb") as file:
        file.write(Path("said.txt").read_bytes())
    assert judge(capsys, "eval", "said.txt.gz", "-d", "test.vw")["metrics"] == of_file["metrics"]


def test_a_table_of_predictions_is_judged_alone(clicks, capsys):
    Path("t.csv").write_text("y,score,w,city\n1,.9,1,Rome\n0,.2,2,Bonn\n1,.4,1,Bonn\n,.5,1,Bonn\n")
    words = ["eval", "t.csv", "--label", "y", "--prediction", "score", "--weight", "w", "--by", "city"]
    found = judge(capsys, *words, "--samples", "0")
    assert found["examples"] == 3
    assert found["metrics"]["brier"]["value"] == pytest.approx((0.1**2 + 2 * 0.2**2 + 0.6**2) / 4)
    assert [(one["name"], one["examples"]) for one in found["slices"]["city"]] == [("Bonn", 2), ("Rome", 1)]
    rows = [{"label": 2, "prediction": 1.5}, {"label": 1, "prediction": 1}, {"label": 3, "prediction": 3.5}]
    Path("t.ndjson").write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert judge(capsys, "eval", "t.ndjson")["metrics"]["mae"]["value"] == pytest.approx(1 / 3)


def test_slices_are_texts_namespaces_and_ranges_of_numbers(clicks, capsys):
    words = ["--by", "a^country", "--by", "user", "--by", "a^age", "--entity", "user"]
    found = judge(capsys, "eval", "m.model", "-d", "test.vw", *words)
    assert {one["name"] for one in found["slices"]["a^country"]} == {"NL", "DE"}
    ages = found["slices"]["a^age"]
    assert len(ages) == 4
    assert sum(one["examples"] for one in ages) == 300
    assert all("to" in one["name"] for one in ages)
    starts = [float(one["name"].split()[0]) for one in ages]
    assert starts == sorted(starts)  # a table of ranges is read in their order, whatever their sizes
    assert found["entities"]["user"]["entities"] == 20


def test_slices_of_a_csv_are_its_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 3},{'NL' if i % 2 else 'DE'},{i % 2},{i / 7:.3f}" for i in range(90)]
    Path("d.csv").write_text("\n".join(["y,country,flag,x", *rows]) + "\n")
    assert main(["d.csv", "--label", "y", "-f", "m", "--quiet"]) == 0
    found = judge(capsys, *["eval", "m", "-d", "d.csv", "--by", "country", "--by", "flag"])
    assert {one["name"]: one["examples"] for one in found["slices"]["country"]} == {"NL": 45, "DE": 45}
    # 0 is a number like any other
    assert {one["name"]: one["examples"] for one in found["slices"]["flag"]} == {"0": 45, "1": 45}


def test_classes_go_by_their_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = ["cat", "dog", "fox"]
    texts = [f"{names[i % 3]} | f{i % 3} g{i % 5}\n" for i in range(200)]
    Path("d.vw").write_text("".join(texts))
    Path("e.vw").write_text("".join(texts) + "yak | f1\n")
    assert main(["d.vw", "--oaa", "3", "--probabilities", "--loss_function", "logistic", "-f", "m", "--quiet"]) == 0
    found = judge(capsys, "eval", "m", "-d", "e.vw")
    assert found["kind"] == "class"
    assert found["confusion"]["classes"] == ["cat", "dog", "fox", "yak"]
    assert found["confusion"]["weights"][3] == [0, 1, 0, 0]
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(200 / 201)
    assert found["classes"]["yak"]["recall"] == 0
    assert main(["-t", "-i", "m", "-d", "e.vw", "-p", "said", "--quiet"]) == 0
    plain = [f"{names[i % 3]}\n" for i in range(200)] + ["dog\n"]
    Path("named").write_text("".join(plain))
    by_file = judge(capsys, *["eval", "named", "-d", "e.vw", "--kind", "class"])
    assert by_file["metrics"]["accuracy"]["value"] == pytest.approx(200 / 201)


def test_regression_has_the_metrics_of_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text("".join(f"{i % 7} | x:{i % 7}\n" for i in range(100)))
    assert main(["d.vw", "-f", "m", "--quiet"]) == 0
    found = judge(capsys, "eval", "m", "-d", "d.vw")
    assert set(found["metrics"]) == {"rmse", "mae", "r2", "bias"}
    assert found["kind"] == "number"


def test_a_model_that_ignores_all_features_is_a_baseline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    labels = {"train": np.arange(300) % 7, "test": np.arange(50) % 4}
    for name, y in labels.items():
        Path(f"{name}.vw").write_text("".join(f"{label} |a x{i}\n" for i, label in enumerate(y)))
    assert main(["train.vw", "--bayes_linear", "--ignore", "a", "--allow_empty", "-f", "mean.model", "--quiet"]) == 0
    found = judge(capsys, "eval", "mean.model", "-d", "test.vw")
    error = np.sqrt(np.mean((labels["test"] - labels["train"].mean()) ** 2))
    assert found["metrics"]["rmse"]["value"] == pytest.approx(error, abs=0.01)
    Path("wrong.csv").write_text("a,b\n1,2\n")
    assert "no example with a feature" in error_of(capsys, "eval", "mean.model", "-d", "wrong.csv", "--format", "vw")


def test_examples_from_standard_input(clicks):
    found = subprocess.run(
        [*VWLITE, "eval", "m.model", "--json"], input=Path("test.vw").read_bytes(), capture_output=True, check=True
    )
    assert json.loads(found.stdout)["examples"] == 300


def test_a_pipe_is_read_once_and_has_no_digest(clicks, capsys):
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(Path("test.vw").read_bytes(),), daemon=True)
    writer.start()
    found = judge(capsys, "eval", "m.model", "-d", "pipe")
    writer.join()
    assert (found["examples"], found["data"]) == (300, [{"path": "pipe"}])


def test_predictions_from_a_pipe_are_those_of_a_file(clicks, capsys):
    assert main(["-t", "-i", "m.model", "--link", "logistic", "-d", "test.vw", "-p", "said.txt", "--quiet"]) == 0
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(Path("said.txt").read_bytes(),), daemon=True)
    writer.start()
    found = judge(capsys, "eval", "pipe", "-d", "test.vw")
    writer.join()
    assert found["metrics"] == judge(capsys, "eval", "said.txt", "-d", "test.vw")["metrics"]


def test_text_names_the_metrics_and_replaces_control_characters(clicks, capsys):
    Path("t.csv").write_text("label,prediction,g\n1,.9,a\x1b[31m\n0,.2,b\n")
    assert main(["eval", "t.csv", "--by", "g"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "auc" in text and "calibration" in text


def test_compare_says_which_is_better(clicks, capsys):
    assert main(["-d", "train.vw", "--loss_function", "logistic", "-f", "none.model", "--ignore", "a", "--quiet"]) == 0
    assert main(["compare", "none.model", "m.model", "-d", "test.vw", "--resample", "user"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("logloss: m.model is better")
    found = judge(capsys, *["compare", "m.model", "none.model", "-d", "test.vw"])
    assert (found["metric"], found["better"]) == ("logloss", "first")
    auc = next(one for one in found["differences"] if one["name"] == "auc")
    assert auc["test"] == "DeLong" and auc["p"] < 1e-6
    assert main(["compare", "m.model", "m.model", "-d", "test.vw"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("logloss: the difference may be chance")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("eval nothing -d test.vw", "nothing: can't be read: no such file"),
        ("eval m.model -d nothing", "nothing: can't read examples"),
        ("eval m.model -d test.vw --by town", "town: no example has a feature, namespace or column of this name"),
        (
            "eval m.model -d test.vw --kind class",
            "--kind: only for files of predictions, and m.model is a model",
        ),
        ("eval m.model -d unlabelled.vw", "no example has a label and a weight"),
        ("eval short.txt -d test.vw", "short.txt: 2 predictions, and 300 examples in test.vw: there has to be one"),
        ("eval words.txt -d three.vw", "words.txt: prediction 2 is 'x', not a number"),
        ("eval z.csv", "z.csv: no column 'label'; there are 'z', 'prediction' (--label NAME says which it is)"),
        ("eval t.csv --label y --prediction p", "t.csv: no column 'p'"),
        ("eval t.csv --label y", "t.csv: row 2: 'x' is no number in prediction"),
        ("eval t.csv --label y --format csv", "--format: a table of predictions has no DATA: leave it out"),
        ("eval empty.csv", "empty.csv: no row"),
        ("eval ragged.csv", "ragged.csv: row 2 has another number of cells than the header"),
        ("eval m.model -d test.vw --level 1", "'--level'"),
        ("compare m.model", "'OTHER...'"),
        ("compare m.model m.model -d -", "-d -: standard input can't be read for each of both: name a file"),
        ("compare m.model short.txt -d test.vw", "short.txt: 2 predictions, and 300 examples"),
        ("eval b.model -d test.vw", "b.model predicts action_probabilities of contextual_bandit labels"),
        ("eval b.model -d test.vw", "can be evaluated; vwlite policies judges decisions"),
    ],
)
def test_bad_input_is_one_line(words, message, clicks, capsys):
    Path("unlabelled.vw").write_text("| x\n| y\n")
    Path("three.vw").write_text("1 | x\n2 | y\n3 | z\n")
    Path("short.txt").write_text("1\n2\n")
    Path("words.txt").write_text("1\nx\n2\n")
    Path("t.csv").write_text("y,prediction\n1,2\n2,x\n")
    Path("z.csv").write_text("z,prediction\n1,2\n")
    Path("empty.csv").write_text("label,prediction\n")
    Path("ragged.csv").write_text("label,prediction\n1,2\n1\n")
    Path("b.vw").write_text("shared | s\n0:1:0.5 | a\n| b\n\n")
    assert main(["-d", "b.vw", "--cb_explore_adf", "-f", "b.model", "--quiet"]) == 0
    capsys.readouterr()
    text = error_of(capsys, *words.split())
    assert message in text
    assert text.count("\n") == 1


def test_python_has_the_same(clicks, capsys):
    from vwlite.judging import compare, evaluate

    found = evaluate("m.model", "test.vw", by=["a^country"], samples=50, seed=3)
    words = ["--by", "a^country", "--samples", "50", "--seed", "3"]
    printed = judge(capsys, "eval", "m.model", "-d", "test.vw", *words)
    assert found.value("auc") == printed["metrics"]["auc"]["value"]
    assert found.as_dict()["slices"] == printed["slices"]
    labels, said = [1, 0, 1], [0.9, 0.2, 0.4]
    assert evaluate(said, labels).value("brier") == pytest.approx((0.1**2 + 0.2**2 + 0.6**2) / 3)
    assert compare("m.model", "m.model", "test.vw", samples=10).main.change == 0
    assert compare(said, said, labels, samples=10).n == 3
    assert os.listdir(".")
