"""Transforms of features, against River and scikit-learn, and against lines that are written as they should become."""

import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from river import compose, datasets, linear_model, optim, preprocessing
from scipy import sparse

from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError, ParseError

SGD = "--sgd -l 0.01 --power_t 0"
WIDE = "--min_prediction -1e30 --max_prediction 1e30"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def numbers(count=200, seed=3):
    choose = random.Random(seed)
    for _ in range(count):
        x = {name: round(choose.gauss(i, 3**i), 3) for i, name in enumerate("abcd") if choose.random() < 0.9}
        if choose.random() < 0.3:
            x["a"] = 0.0
        yield x, round(sum(x.values()) + choose.gauss(0, 1), 3)


def rivers(model, data, probability=False):
    found = []
    for x, y in data:
        found.append(model.predict_proba_one(x)[True] if probability else model.predict_one(x))
        model.learn_one(x, y)
    return found


@pytest.mark.parametrize("dataset", [datasets.TrumpApproval(), datasets.ChickWeights()])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_rivers_scaled_regression_is_translated_exactly(dataset, rate):
    model = preprocessing.StandardScaler() | linear_model.LinearRegression(optimizer=optim.SGD(0.01), intercept_lr=rate)
    workspace = Workspace(f"--scale --constant_rate {rate} {SGD} {WIDE}")
    data = list(dataset)
    ours = workspace.learn([x for x, _ in data], y=[y for _, y in data])
    assert ours == pytest.approx(rivers(model, data), rel=1e-5, abs=1e-5)


def test_rivers_scaled_classification_is_translated_exactly():
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(intercept_lr=0.05)
    workspace = Workspace(f"--scale --loss_function logistic --link logistic --constant_rate 0.05 {SGD}")
    data = list(datasets.Phishing())
    ours = workspace.learn([x for x, _ in data], y=[1 if y else -1 for _, y in data])
    assert ours == pytest.approx(rivers(model, data, probability=True), abs=1e-5)


@pytest.mark.parametrize(
    ("steps", "scaler"),
    [
        ("minmax", preprocessing.MinMaxScaler),
        ("maxabs", preprocessing.MaxAbsScaler),
        ("scale", preprocessing.StandardScaler),
        ("minmax,scale", lambda: preprocessing.MinMaxScaler() | preprocessing.StandardScaler()),
        ("log", lambda: compose.FuncTransformer(logarithms)),
        ("clip(-1,2.5)", lambda: compose.FuncTransformer(clipped)),
    ],
)
def test_each_step_makes_what_rivers_transformer_makes(steps, scaler):
    workspace = Workspace(f"--transform *:{steps} {SGD} {WIDE}")
    data = list(numbers())
    ours = workspace.learn([x for x, _ in data], y=[y for _, y in data])
    theirs = rivers(scaler() | linear_model.LinearRegression(), data)
    assert ours[1:] == pytest.approx(theirs[1:], rel=1e-4, abs=1e-4)  # the first one is NaN after River's MinMaxScaler


def logarithms(x):
    return {name: math.copysign(math.log1p(abs(value)), value) for name, value in x.items()}


def clipped(x):
    return {name: min(max(value, -1), 2.5) for name, value in x.items()}


def audited(capsys, flags, lines, last):
    """The features of the last line as it is predicted after the lines, name -> value."""
    Path("train.vw").write_text("".join(f"{line}\n" for line in lines))
    Path("last.vw").write_text(f"{last}\n")
    assert main(["train.vw", "--quiet", "-f", "m", *flags.split()]) == 0
    capsys.readouterr()
    assert main(["last.vw", "-t", "-i", "m", "--audit", "--quiet", "--noconstant"]) == 0
    cells = capsys.readouterr().out.splitlines()[1].split("\t")[1:]
    return {cell.split(":")[0]: float(cell.split(":")[2]) for cell in cells}


def test_idf_is_that_of_scikit_learn(capsys):
    text = pytest.importorskip("sklearn.feature_extraction.text")
    documents = ["red green", "red red blue", "green", "red blue blue"]
    counts = text.CountVectorizer()
    weighted = text.TfidfTransformer(norm=None).fit_transform(counts.fit_transform(documents)).toarray()
    expected = dict(zip(counts.get_feature_names_out(), weighted[0], strict=True))
    lines = [f"1 |t {document}" for document in documents]
    found = audited(capsys, "--noconstant --transform t^*:idf", lines, "|t red green new")
    assert found["t^red"] == pytest.approx(expected["red"], rel=1e-5)
    assert found["t^green"] == pytest.approx(expected["green"], rel=1e-5)
    assert found["t^new"] == pytest.approx(1 + math.log(5), rel=1e-5)


def test_a_rule_is_of_a_feature_or_else_of_its_namespace_or_else_of_all(capsys):
    rules = "--noconstant --transform price:clip(0,1) --transform u^*:clip(0,2) --transform *:clip(0,3)"
    last = "| price:9 other:9 word |u price:9 x:9 word |v y:9"
    assert audited(capsys, rules, ["1 | a"], last) == {
        "price": 1, "other": 3, "word": 1, "u^price": 2, "u^x": 2, "u^word": 1, "v^y": 3,
    }  # fmt: skip
    rules = "--noconstant --transform u^price:clip(0,1) --transform /^clk_|^u^x$/:clip(0,2)".replace("^x", r"\^x")
    last = "| price:9 clk_a:9 |u price:9 x:9 clk_b:9"
    assert audited(capsys, rules, ["1 | a"], last) == {
        "price": 9, "clk_a": 2, "u^price": 1, "u^x": 2, "u^clk_b": 2,
    }  # fmt: skip


def test_features_are_dropped_and_kept(capsys):
    rules = "--noconstant --transform /^(a|city)(=|$)/:drop --transform b:keep --transform *:clip(0,1)"
    found = audited(capsys, rules, ["1 | a:1"], "| a:3 b:3 c:3 city=Bonn red")
    assert found == {"b": 3, "c": 1, "red": 1}
    decisions = Workspace("--csoaa_ldf m --transform b:drop")
    plain = Workspace("--csoaa_ldf m")
    for i in range(9):
        with_b = f"0:{i % 2} | a:{i} b:3\n1:0.5 | a:2.5 b:{i}"
        without = f"0:{i % 2} | a:{i}\n1:0.5 | a:2.5"
        assert decisions.learn(with_b) == plain.learn(without)


def test_categories_and_words_keep_their_value(capsys):
    found = audited(
        capsys, "--noconstant --scale", ["1 | x:1 red |u v:2 city:Bonn", "1 | x:3 red"], "| x:3 red city:Rome"
    )
    assert found == {"x": 1, "red": 1, "city^Rome": 1}


@pytest.mark.parametrize(
    ("rule", "last", "written"),
    [
        ("onehot", "1 | hour:13 rate:0.1 big:-1e10 red", "1 | hour=13 rate=0.1 big=-1e+10 red"),
        ("onehot", "1 | zip:1000000 zero:-0", "1 | zip=1000000 zero=0"),
        ("log,onehot", "1 | zero:0 x:0", "1 | zero=0 x=0"),
        ("ngrams(2)", "1 | new york pizza |u x", "1 | new york pizza new_york york_pizza |u x"),
        ("ngrams(3)", "1 | a b:2 c", "1 | a b:2 c a_b:2 a_b_c:2 b_c:2"),
    ],
)
@pytest.mark.parametrize("flags", ["", "-q ::", "--hash all", "--ignore u"])
def test_features_that_a_transform_makes_can_be_written(rule, last, written, flags):
    transformed, plain = Workspace(f"--transform *:{rule} {flags}"), Workspace(flags)
    for _ in range(3):
        assert transformed.learn(last) == plain.learn(written)
    assert transformed.predict(written.replace("1 |", "|", 1)) != 0


def test_made_names_reach_learners_that_read_names(capsys):
    lines = ["1 | hour:13 |user ann", "0 | hour:14 |user bob"] * 20
    transformed, plain = (
        Workspace("--bayes_linear --noise 1 --random_effect user:hours --transform hours^*:onehot") for _ in range(2)
    )
    for line in lines:
        written = line.replace("| hour:13", "|hours h=13").replace("| hour:14", "|hours h=14")
        raw = line.replace("| hour:", "|hours h:")
        assert transformed.learn(raw) == plain.learn(written)
    found = audited(capsys, "--noconstant --transform *:onehot", ["1 | hour:13"], "| hour:13 red")
    assert found == {"hour=13": 1, "red": 1}


def test_bins_are_quantiles_in_order_and_the_same_after_a_save(capsys):
    choose = random.Random(1)
    values = [choose.random() for _ in range(2000)]
    workspace = Workspace("--transform *:bins(4) --noconstant")
    workspace.learn([{"x": value} for value in values], y=[0] * len(values))
    Path("m").write_bytes(b"")
    workspace.save("m")
    found = []
    Path("last.vw").write_text("".join(f"| x:{value}\n" for value in (0.01, 0.3, 0.55, 0.9, 7)))
    assert main(["last.vw", "-t", "-i", "m", "--audit", "--quiet", "-p", "/dev/null"]) == 0
    for line in capsys.readouterr().out.splitlines():
        found += [cell.split(":")[0] for cell in line.split("\t") if "=" in cell]
    assert found == ["x=bin1", "x=bin2", "x=bin3", "x=bin4", "x=bin4"]
    again = Workspace.from_bytes(workspace.to_bytes())
    assert again.to_bytes() == workspace.to_bytes()
    assert again.learn({"x": 0.5}, y=1) == workspace.learn({"x": 0.5}, y=1)
    assert again.to_bytes() == workspace.to_bytes()


RULES = "--transform 'a:log,scale b:minmax c:bins(3) /^d/:maxabs w^*:ngrams(2),idf *:scale'"


def mixed(count=300):
    choose = random.Random(8)
    for x, y in numbers(count):
        words = " ".join(choose.choice(("red", "green", "blue")) for _ in range(3))
        yield f"{y} | " + " ".join(f"{name}:{value}" for name, value in x.items()) + f" e |w {words} |u u{y > 3}"


@pytest.mark.parametrize("flags", ["", "-q wu", "--bayes_linear --noise 1 --random_effect u", "--ftrl"])
def test_two_runs_are_one(flags):
    lines = list(mixed())
    whole = Workspace(f"{RULES} {flags}")
    first = whole.learn(lines)
    half = Workspace(f"{RULES} {flags}")
    predictions = half.learn(lines[:137])
    half.save("m")
    rest = Workspace("-i m")
    assert [*predictions, *rest.learn(lines[137:])] == first
    whole.save("one")
    rest.save("two")
    assert tensors("one") == tensors("two")


def tensors(path):
    from vwlite.model import model_file

    reader = model_file.open(path)
    return {name: bytes(reader.array(name, dtype)) for name, dtype in kinds(reader)}


def kinds(reader):
    return [(name, reader.dtype(name)) for name in reader.names()]


def test_predicting_changes_nothing():
    workspace = Workspace(RULES)
    workspace.learn(list(mixed(50)))
    before = workspace.to_bytes()
    for line in mixed(60):
        workspace.predict(line)
        workspace.predict("| new:3 d9:1 a:1e30 |w words")
    assert workspace.to_bytes() == before
    frozen = Workspace("-t --scale")
    frozen.learn(["1 | a:1", "2 | a:5"])
    assert frozen.predict("| a:9") == 0


def test_a_run_over_a_file_equals_one_line_after_the_other_whatever_else_is_read():
    lines = list(mixed())
    expected = Workspace(RULES).learn(lines)
    Path("data.vw").write_text("\n".join(lines) + "\n")
    words = RULES.replace("'", "").replace("--transform ", "").split()
    rules = [word for rule in words for word in ("--transform", rule)]
    assert main(["data.vw", "--quiet", "-p", "p", *rules]) == 0
    found = [float(line) for line in Path("p").read_text().splitlines()]
    assert found == pytest.approx(expected, abs=1e-5)
    for passes in ("--passes", "2", "--holdout_off"), ("-c", "-k"), ("-c",):
        assert main(["data.vw", "--quiet", "-p", "p", *rules, *passes]) == 0
        found = [float(line) for line in Path("p").read_text().splitlines()]
        assert found[: len(expected)] == pytest.approx(expected, abs=1e-5)


def test_a_cache_without_transforms_is_not_used_with_them():
    Path("data.vw").write_text("1 | a:0\n0 | a:2\n" * 20)
    assert main(["data.vw", "-c", "--quiet"]) == 0
    assert main(["data.vw", "-c", "--quiet", "--scale", "-p", "p"]) == 0
    assert [float(line) for line in Path("p").read_text().splitlines()] == pytest.approx(
        Workspace("--scale").learn(["1 | a:0", "0 | a:2"] * 20), abs=1e-5
    )


def test_all_doors_make_the_same_of_the_same_data():
    rows = [{name: x.get(name, 0.0) for name in "abcd"} for x, _ in numbers()]
    y = [label for _, label in numbers()]
    frame = pd.DataFrame(rows)
    by_dicts = Workspace("--scale").learn(rows, y=y)
    lines = [
        f"{label} | " + " ".join(f"{name}:{value!r}" for name, value in row.items())
        for row, label in zip(rows, y, strict=True)
    ]
    assert Workspace("--scale").learn(lines) == by_dicts
    assert list(Workspace("--scale").learn(frame, y=y)) == by_dicts
    assert list(Workspace("--scale").learn(frame.to_numpy(), y=y, columns=list("abcd"))) == by_dicts
    frame.assign(label=y).to_csv("data.csv", index=False)
    assert main(["data.csv", "--label", "label", "--scale", "--quiet", "-p", "p"]) == 0
    assert [float(line) for line in Path("p").read_text().splitlines()] == pytest.approx(by_dicts, abs=1e-4)
    absent = sparse.csr_array(frame.to_numpy())
    left_out = [{name: value for name, value in row.items() if value} for row in rows]
    by_dicts = Workspace("--scale").learn(left_out, y=y)
    assert list(Workspace("--scale").learn(absent, y=y, columns=list("abcd"))) == by_dicts


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_make_no_difference(unit):
    data = list(numbers())
    y = [label for _, label in data]
    plain = Workspace("--scale").learn([x for x, _ in data], y=y)
    other = [{name: value * unit for name, value in x.items()} for x, _ in data]
    assert Workspace("--scale").learn(other, y=y) == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_lines_of_decisions_are_scaled_by_what_was_learned_before():
    flags = "--csoaa_ldf m --noconstant"
    scaled, plain = Workspace(f"{flags} --scale"), Workspace(flags)
    seen: list[float] = []
    for i in range(60):
        costs, values = (i % 3, (i + 1) % 2), (100 * (i % 7) + 3, 50 + i)
        mean, spread = (float(np.mean(seen)), float(np.std(seen))) if seen else (0.0, 0.0)
        made = [(value - mean) / spread if spread else 0 for value in values]
        lines = [
            "\n".join(
                f"{k}:{cost} |a x:{value:.9g} word" for k, (cost, value) in enumerate(zip(costs, each, strict=True))
            )
            for each in (values, made)
        ]
        assert scaled.learn(lines[0]) == pytest.approx(plain.learn(lines[1]), abs=1e-5)
        seen += values
    before = scaled.to_bytes()
    assert scaled.predict("0 |a x:7\n1 |a x:900") != scaled.predict("0 |a x:900\n1 |a x:7")
    assert scaled.to_bytes() == before


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("scale", "expected SELECTOR:STEP"),
        ("*:", "expected SELECTOR:STEP"),
        ("*:scale,", "expected SELECTOR:STEP"),
        ("*:scael", "'scael' is no step; steps are scale"),
        ("*:clip", r"expected clip\(LOW,HIGH\)"),
        ("*:clip(1)", r"expected clip\(LOW,HIGH\)"),
        ("*:clip(5,1)", "the lower number first"),
        ("*:clip(a,b)", "with numbers"),
        ("*:clip(0,nan)", "the lower number first"),
        ("*:bins(1)", "from 2 to 1000"),
        ("*:bins(2.5)", "from 2 to 1000"),
        ("*:ngrams(9)", "from 2 to 8"),
        ("*:scale(3)", "expected scale"),
        ("*:scale,scale", "a step is given twice"),
        ("*:onehot,scale", "onehot is the last step"),
        ("*:idf,ngrams(2)", "ngrams is the first step"),
        ("*:ngrams(2),scale", "scale is of numbers"),
        ("*:drop,idf", "drop is the only step of its rule"),
        ("/(/:scale", "not a regular expression"),
        ("u^:scale", "expected namespace"),
        ("^x:scale", "expected namespace"),
        ("a:scale a:log", "two rules for a"),
        ("'a:scale", "no closing quotation"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules, why):
    with pytest.raises(OptionError, match=why):
        Workspace(["--transform", rules])


def test_scale_beside_a_rule_for_all_is_refused():
    with pytest.raises(OptionError, match=r"two rules for \* \(--scale is \*:scale\)"):
        Workspace("--scale --transform *:log")


def test_two_own_rules_for_a_feature_are_refused_where_it_is():
    workspace = Workspace(["--transform", "/^a/:scale /z$/:log"])
    workspace.learn("1 | abc:2 xyz:3")
    with pytest.raises(ParseError, match=r"two rules of --transform match the feature") as caught:
        workspace.learn("1 | b:1 az:3")
    assert caught.value.args[:3] == ("<line>", 1, 9)
    assert workspace.learn("1 | abc:2 xyz:3") is not None
    decisions = Workspace(["--cb_explore_adf", "--transform", "/^a/:scale /z$/:log"])
    with pytest.raises(ParseError, match=r"two rules of --transform match the feature"):
        decisions.learn("0:1:0.5 |a x:1 az:2\n|a x:2\n")
    assert len(decisions.learn("0:1:0.5 |a x:1\n|a x:2")) == 2


def test_a_rule_that_matches_nothing_is_reported(capsys):
    Path("data.vw").write_text("1 | price:3\n2 | price:5\n")
    assert main(["data.vw", "--transform", "prise:scale *:scale"]) == 0
    assert "nothing matched --transform prise:scale" in capsys.readouterr().err


def test_rules_of_a_model_can_not_be_changed():
    Workspace("--scale").save("m")
    with pytest.raises(OptionError, match="transform"):
        Workspace("-i m --transform x:log")
    Workspace("").save("plain")
    with pytest.raises(OptionError, match="scale"):
        Workspace("-i plain --scale")


def test_decisions_have_no_made_features():
    with pytest.raises(OptionError, match="onehot is of single lines"):
        Workspace("--cb_explore_adf --transform *:onehot")


def test_many_features_keep_their_statistics():
    workspace = Workspace("--scale -b 20")
    rows = [{f"x{(i * 7 + j) % 5000}": float(i % 11 + j) for j in range(5)} for i in range(6000)]
    workspace.learn(rows, y=[i % 2 for i in range(6000)])
    again = Workspace.from_bytes(workspace.to_bytes())
    assert again.predict(rows) == workspace.predict(rows)


@pytest.mark.parametrize("damage", ["rule", "state", "hash"])
def test_a_model_whose_statistics_do_not_fit_is_refused(damage):
    from vwlite.model import model_file

    workspace = Workspace("--scale")
    workspace.learn(["1 | a:1 b:2", "0 | a:3 b:7"])
    workspace.save("m")
    reader = model_file.open("m")
    arrays = {}
    for name, dtype in kinds(reader):
        data = bytearray(bytes(reader.array(name, dtype)))
        if name == f"transforms.{damage}":
            data = bytearray(b"\x09" * len(data)) if damage != "state" else data[:-8]
        arrays[name] = (dtype, [len(data) // {"U8": 1, "U32": 4, "F32": 4}.get(dtype, 8)], bytes(data))
    model_file.write("bad", arrays, {key: value for key, value in reader.metadata.items() if key != "id"})
    with pytest.raises(ModelError, match="transforms can't be restored"):
        Workspace("-i bad")


@pytest.mark.parametrize("flags", ["", "--sgd", "--adaptive", "--normalized", "--loss_function logistic", "--l2 1e-4"])
def test_the_rate_of_the_constant(flags):
    choose = random.Random(2)
    lines = [f"{choose.choice((-1, 1))} | x:{choose.gauss(0, 1):.3f} a{i % 3}" for i in range(100)]
    workspace = Workspace(f"{flags} -l 0.3")
    plain = workspace.learn(lines)
    assert Workspace(f"{flags} -l 0.3 --constant_rate 0.3").learn(lines) == pytest.approx(plain, abs=1e-6)
    still, without = Workspace(f"{flags} -l 0.3 --constant_rate 1e-9"), Workspace(f"{flags} -l 0.3")
    still.learn(lines)
    without.learn(lines)
    assert abs(still.predict("|")) < 1e-6 < abs(without.predict("|"))


def test_the_rate_of_the_constant_is_one_of_each_class():
    lines = [f"{1 + i % 3} | x:{i % 7}" for i in range(90)]
    slow, plain = Workspace("--oaa 3 --scores --constant_rate 1e-9"), Workspace("--oaa 3 --scores")
    slow.learn(lines)
    plain.learn(lines)
    largest = [max(map(abs, model.predict("|").values())) for model in (slow, plain)]
    assert largest[0] < 1e-6 < largest[1]
