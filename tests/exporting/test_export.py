"""vwlite export: what scores without vwlite agrees with vwlite, and what can't be exported says why."""

import csv
import gzip
import io
import json
import os
import random
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError
from vwlite.exporting.commands import export

SOURCE = Path(os.environ.get("VWLITE_SOURCE", Path(__file__).parents[2]))
REAL = SOURCE / "examples" / "data" / "phishing_test.vw.gz"

# Runs away from vwlite: -S leaves site-packages out, -I the current directory and variables.
SCORE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
examples = json.load(open(sys.argv[2]))
print(json.dumps([[module.predict(x), module.score(x)] for x in examples]))
assert not any(name.startswith(("vwlite", "numpy")) for name in sys.modules)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text("".join(lines()))


def lines(n=400, seed=0):
    draw = random.Random(seed)
    for i in range(n):
        x, user = draw.gauss(0, 1), draw.randrange(20)
        label = 1 if x + user / 10 - 1 + draw.gauss(0, 0.3) > 0 else -1
        city = draw.choice(["rome", "bonn", "köln", "12", "007"])
        rest = f"|a x:{x:.4g} w{draw.randrange(9)} z:{i % 3} |b {city} y:2e-1 k:blue |apart:2 p q:-1.5 |{i % 4} 5:3"
        rest += f" | plain 7:{draw.random():.3f}"
        yield f"{label} 1 {i % 7 / 10} t{i}|user u{user} |item i{draw.randrange(9)} {rest}\n"


def learn(*words, data="d.vw"):
    assert main([str(data), "-f", "m", "--quiet", *words]) == 0


def exported(examples, kind="python"):
    """Predictions and scores of the exported module, from a process without vwlite."""
    export("m", kind, "exported.py")
    Path("examples.json").write_text(json.dumps(examples))
    run = subprocess.run(
        [sys.executable, "-S", "-I", "-c", SCORE, "exported.py", "examples.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(json.loads(run.stdout)).T


def agree(examples):
    """Scores differ by less than 1e-6 of 1 and of the sizes of their terms: vwlite adds in single precision."""
    workspace = Workspace.load("m", "-t")
    explained = workspace.explain(examples)
    sizes = np.array([1 + sum(abs(term["term"]) for term in one["terms"]) for one in explained])
    predictions, scores = exported(examples)
    assert np.abs(scores - [one["score"] for one in explained]).max() < (1e-6 * sizes).max()
    assert (np.abs(predictions - workspace.predict(examples)) < 1e-6 * sizes).all()
    assert len(set(scores.round(3))) > 10


LINEAR = [
    "",
    "--loss_function logistic --link logistic",
    "--loss_function logistic --link glf1 -q ab",
    "-q aa --cubic aab --noconstant --hash all",
    "-q :: --hash_seed 7",
    "--interactions abu --interactions :a: -b 12",
    "-q a: --leave_duplicate_interactions --permutations -q aa",
    "--ignore a -q ub",
    "--keep b --keep u",
    "--ignore_linear a -q ab --l1 1e-4",
    "--ftrl",
    "--binary --loss_function hinge",
    "--offset_scale 0.5",
    "--bayes_linear -q ab",
    "--bayes_logistic --link logistic",
    "--bayes_linear --random_effect user",
    "--bayes_linear --random_effect user:a,b --random_effect item",
    "--bayes_linear --random_effect user:a -q ab",
    "--bayes_logistic --random_effect 'user:*' -q ab --fixed gd",
    "--bayes_linear --random_effect user:b --entity_min 20 --shrink mean --fixed gd",
    "--square --random_effect user:b --random_effect item",
    "--bayes_linear --random_effect user --fixed none",
]


@pytest.mark.parametrize("flags", LINEAR)
def test_the_python_module_scores_lines_as_vwlite(flags):
    learn(*shlex.split(flags))
    unseen = [f"|user new{i} |a x:{i} unseen |b zürich y:1" for i in range(20)]
    agree([*(line.rstrip("\n") for line in lines(150, seed=1)), *unseen])


@pytest.mark.parametrize(
    "flags", ["--loss_function logistic --link logistic", "-q pp -b 24", "--bayes_logistic --link logistic"]
)
def test_it_agrees_on_real_data(flags):
    learn(*flags.split(), data=SOURCE / "examples" / "data" / "phishing_train.vw.gz")
    agree(gzip.decompress(REAL.read_bytes()).decode().splitlines())


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_units_do_not_matter(scale):
    rows = [{"a": i * scale, "b": (i % 7) * scale} for i in range(60)]
    workspace = Workspace("--bayes_linear --noise 1 --l2 1e-13")
    for _ in range(5):
        workspace.learn(rows, y=[3 * row["a"] / scale + row["b"] / scale for row in rows])
    workspace.save("m")
    agree(rows)


def records(n=120):
    draw = random.Random(3)
    return [
        {
            "price": round(draw.random() * 10, 3),
            "city": draw.choice(["Rome", "Bonn", "L'Aquila", 'a "b"', "Köln"]),
            "new": draw.random() < 0.5,
            "none": None,
            "store": draw.randrange(5),
            "user": f"u{draw.randrange(8)}",
            "inside": {"age": draw.randrange(9), "kind": "x"},
            "tags": ["red", "blue"][: draw.randrange(3)],
        }
        for _ in range(n)
    ]


@pytest.mark.parametrize("flags", ["", "-q it --loss_function logistic", "--bayes_linear --random_effect user:inside"])
def test_the_python_module_scores_dicts_as_vwlite(flags):
    workspace = Workspace(flags)
    rows = records()
    workspace.learn(rows, y=[1.0 if row["price"] + len(row["user"]) % 3 > 5 else -1.0 for row in rows])
    workspace.save("m")
    agree(rows)


def table_of(rows, path="t.csv"):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["y", *rows[0]])
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "y": round(row["price"] * 0.3 + (row["city"] == "Rome") - 1, 3)})


SQL = [
    "",
    "--link logistic",
    "--l1 1e-3 --noconstant",
    "--bayes_linear --random_effect user",
    "--bayes_linear",
]


@pytest.mark.parametrize("flags", SQL)
@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_query_predicts_as_vwlite(flags, engine):
    rows = [{k: v for k, v in row.items() if k in ("price", "city", "new", "store", "user")} for row in records(300)]
    for row in rows:
        row["new"] = float(row["new"])
    table_of(rows)
    learn(
        "--label",
        "y",
        "--columns_in",
        "price:number city:category new:number store:category user:auto",
        "--invert_hash",
        "n",
        *flags.split(),
        data="t.csv",
    )
    assert main(["-t", "-i", "m", "t.csv", "--quiet", "-p", "p"]) == 0
    wanted = [float(line) for line in Path("p").read_text().splitlines()]
    query = str(export("m", "sql", table="my table"))
    if engine == "sqlite":
        with sqlite3.connect(":memory:") as shop:
            shop.execute('create table "my table" (price, city, new, store, "user")')
            shop.executemany(
                'insert into "my table" values (?, ?, ?, ?, ?)',
                [(row["price"], row["city"], row["new"], str(row["store"]), row["user"]) for row in rows],
            )
            found = [row[-1] for row in shop.execute(query)]
    else:
        duckdb = pytest.importorskip("duckdb")
        shop = duckdb.connect()
        shop.execute("create table \"my table\" as select * from read_csv('t.csv', types={'store': 'VARCHAR'})")
        found = [row[-1] for row in shop.execute(query).fetchall()]
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)  # -p writes six decimals
    assert len(set(np.round(found, 3))) > 10


def test_a_query_of_text_with_interactions_and_many_features():
    draw = random.Random(5)
    text = "".join(
        f"{draw.choice((1, -1))} |a x:{draw.random():.3f} f{draw.randrange(2000)} |b y:{draw.random():.3f} color=red\n"
        for _ in range(3000)
    )
    Path("d.vw").write_text(text)
    learn("-q", "ab", "-b", "26", "--invert_hash", "n")
    workspace = Workspace.load("m", "-t")
    with sqlite3.connect(":memory:") as shop:
        shop.execute("create table examples (x, f3, f17, y, color)")
        shop.executemany(
            "insert into examples values (?, ?, ?, ?, ?)", [(0.5, 1, None, 0.25, "red"), (1, 0, 1, 0, "blue")]
        )
        names = [row[1] for row in shop.execute("pragma table_info(examples)")]
        for name in sorted({f"f{i}" for i in range(2000)} - set(names)):
            if f"a^{name}" in workspace.names.values():
                shop.execute(f"alter table examples add column {name}")
        found = [row[-1] for row in shop.execute(str(export("m", "sql")))]
    wanted = workspace.predict(["|a x:0.5 f3 |b y:0.25 color=red", "|a x:1 f17 |b color=blue"])
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("flags", ["", "--link logistic", "--link glf1", "--link poisson", "--bayes_linear"])
def test_onnx_predicts_as_vwlite(flags):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    rows = [{k: v for k, v in row.items() if k in ("price", "city", "store")} for row in records(200)]
    table_of(rows)
    learn("--label", "y", "--invert_hash", "n", *flags.split(), data="t.csv")
    assert main(["export", "m", "--to", "onnx", "-o", "m.onnx"]) == 0
    graph = onnx.load("m.onnx")
    names = json.loads(next(one.value for one in graph.metadata_props if one.key == "features"))
    cities = [row["city"].replace(" ", "_") for row in rows]
    x = [
        [row.get(n, float(city == n.partition("=")[2])) for n in names] for row, city in zip(rows, cities, strict=True)
    ]
    predicted, _ = ReferenceEvaluator(graph).run(["prediction", "score"], {"x": np.array(x, np.float32)})
    wanted = np.array(Workspace.load("m", "-t").predict(rows))
    assert predicted == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    learn("-q", "ab", "--invert_hash", "n")
    with pytest.raises(ModelError, match="ONNX: it has interactions; --to python and sql have them"):
        export("m", "onnx")


def test_coefficients_are_written_as_csv_and_json():
    learn("--bayes_linear", "--random_effect", "user:b", "--invert_hash", "n")
    workspace = Workspace.load("m", "-t")
    rows = list(csv.DictReader(io.StringIO(str(export("m", "csv")))))
    entities = {
        (row["entity"], int(row["key"])): (float(row["weight"]), float(row["sd"]))
        for row in rows
        if row["part"] == "user"
    }
    table = workspace.coefficients("user")
    assert len(entities) == len(table)
    for row in table:
        assert entities[row["entity"], row["number"]] == pytest.approx((row["mean"], row["sd"]))
    found = json.loads(export("m", "json"))
    assert found["effects"][0]["of"] == ["b"] and found["settings"]["range"] == [-1, 1]
    named = {one["name"]: one["weight"] for one in found["weights"]}
    assert named["a^x"] == pytest.approx(next(float(row["weight"]) for row in rows if row["feature"] == "a^x"))


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--oaa 3", "it predicts class, and only predictions of one number are exported"),
        ("--coin", "the scores of ftrl-Coin Betting are no sums of weights"),
        ("--initial_weight 0.1", "--initial_weight 0.1 gives a weight to every feature"),
        ("--transform '/x/:scale'", "--transform changes the values of features"),
        ("--feature_limit 3", "--feature_limit leaves out features"),
        ("--fixed_effect f", "it has another model inside"),
        ("--redefine a:=b", "--redefine renames namespaces"),
    ],
)
def test_what_can_not_be_exported_says_why(flags, why, capsys):
    if "--oaa" in flags:
        Path("d.vw").write_text("1 | a\n2 | b\n3 | c\n")
    if "fixed" in flags:
        learn()
        os.rename("m", "f")
    learn(*shlex.split(flags))
    capsys.readouterr()
    assert main(["export", "m", "--to", "python", "-o", "out.py"]) == 1
    assert capsys.readouterr().err == f"vwlite: error: m: can't be exported: {why}\n"
    assert not Path("out.py").exists()


def test_models_without_names_stripped_and_damaged_ones_say_so(capsys):
    learn()
    for kind in ("sql", "onnx"):
        if kind == "onnx":
            pytest.importorskip("onnx")
        with pytest.raises(ModelError, match="which needs names, and the model has none: train it with --invert_hash"):
            export("m", kind)
    learn("--bayes_linear", "--random_effect", "user", "--invert_hash", "n")
    assert main(["strip", "m", "-o", "bare"]) == 0
    with pytest.raises(ModelError, match="bare: can't be exported: the entities of user have no names"):
        export("bare", "python")
    with pytest.raises(OptionError, match="--to excel: is none of csv, json, python, sql, onnx"):
        export("m", "excel")
    capsys.readouterr()
    Path("damaged").write_bytes(Path("m").read_bytes()[:-9])
    for words in (
        ["damaged", "--to", "csv"],
        ["d.vw", "--to", "csv"],
        ["m", "--to", "csv", "-o", "m"],
        ["m", "--to", "csv", "--table", "x"],
    ):
        assert main(["export", *words]) == 1
        said = capsys.readouterr().err
        assert said.startswith("vwlite: error: ") and said.count("\n") == 1
