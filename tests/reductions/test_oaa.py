"""One class against all others: beside Vowpal Wabbit, numbers and names of classes, learners below, its promises."""

import json
import math
import re

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.support.models import arrays, rewrite, saved
from tests.support.multiclass import against, both, differences, examples, ours, scores, unlabelled
from tests.support.promises import two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.types import LabelType
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.feed import Feed
from vwlite.errors import ModelError, OptionError, ParseError, StackError

NAMES = ("cat", "dog", "größe")
GIVEN = f"--named_labels {','.join(NAMES)}"
NUMBERED, NAMED = examples(200), examples(200, NAMES)
PETS = ["cat | fur", "dog | bark", "cat | fur tail", "dog | bark tail"]
ANY = "--min_prediction -1e9 --max_prediction 1e9"  # labels of all classes bound the predictions of each


def listed(text: str) -> list[str]:
    """The flags of several cases."""
    return [" ".join(flags.split()) for flags in text.split(";")]


# Beside Vowpal Wabbit

LINES = f"""
; -l 0.1; -q ab --cubic aab; --loss_function logistic; --loss_function hinge; --loss_function quantile; --sgd -l 0.1;
--adaptive -l 0.1; --power_t 0.3; --noconstant --ignore a; -b 4; -b 6 -q ::; --l1 0.0005; --l2 0.001;
--binary; --binary --loss_function logistic; --oaa_subsample 1;
--oaa_subsample 2 --random_seed 5; --oaa_subsample 3;
--oaa_subsample 1 -q ab --loss_function logistic --passes 3 -c -k --holdout_off;
--passes 3 -c -k --holdout_off; --passes 4 -c -k; --holdout_after 150; -t; -P 1 --examples 50; --indexing 1; --scores;
--scores --passes 2 -c -k --holdout_off; --probabilities --loss_function logistic;
--probabilities --loss_function logistic -q ab --passes 2 -c -k --holdout_off; {GIVEN}; {GIVEN} -P 1;
{GIVEN} --scores; {GIVEN} --probabilities --loss_function logistic
"""


@pytest.mark.parametrize("flags", listed(LINES))
def test_predictions_scores_table_and_summary_are_those_of_vowpal_wabbit(tmp_path, flags):
    classes = NAMES if GIVEN in flags else (1, 2, 3)
    text = examples(100, classes, noise=0) + examples(150, classes, seed=4, noise=0.3)
    found, expected = both(tmp_path, text, f"--oaa 3 {flags}")
    assert expected.predictions and not differences(found.predictions, expected.predictions)
    if any(expected.raw) and GIVEN not in flags:  # VW writes none of lists of scores, and has numbers for names
        assert not differences(found.raw, expected.raw)
    if not re.search("--oaa_subsample [12]", flags):  # VW has no loss then
        assert not differences(
            sorted(map(":".join, found.summary.items())), sorted(map(":".join, expected.summary.items()))
        )
        if not re.search(
            "--prob|--named.*--scores", flags
        ):  # VW shows probabilities, too, and knows no names of scores
            assert not differences(found.rows, expected.rows, 2e-4)


@pytest.mark.parametrize("first", ["", "--loss_function logistic -q ab", "--oaa_subsample 1", "--passes 3 -c -k"])
def test_a_saved_model_predicts_as_that_of_vowpal_wabbit(tmp_path, first):
    found, expected = both(tmp_path, NUMBERED, f"--oaa 3 {first} -f model", "-t -i model")
    assert not differences(found.predictions, expected.predictions)
    assert not differences(found.raw, expected.raw)


@pytest.mark.parametrize(
    "flags", ["--oaa 2", "--oaa 4", "--oaa 5 --oaa_subsample 3", "--oaa 9 --oaa_subsample 2 -q ab"]
)
def test_any_number_of_classes_is_learned_as_in_vowpal_wabbit(tmp_path, flags):
    found, expected = both(tmp_path, examples(300, range(1, int(flags[6]) + 1)), f"{flags} -b 8")
    assert not differences([*found.predictions, *found.raw], [*expected.predictions, *expected.raw])


@pytest.mark.parametrize("flags", ["", "--indexing 0", "-q ab --loss_function logistic"])
@pytest.mark.parametrize("classes", [(0, 1, 2), (1, 0, 2)])
def test_classes_from_0_are_those_of_vowpal_wabbit_once_the_first_0_has_come(tmp_path, flags, classes):
    # its scores are those of the classes before, and of --oaa_subsample it predicts these
    lines = examples(200, classes)
    found, expected = both(tmp_path, lines, f"--oaa 3 {flags}")
    if classes[0] and not flags.startswith("--indexing"):  # VW takes what it has learned of 1 for what is known of 0
        found = found._replace(predictions=ours(tmp_path, f"--oaa 3 {flags} --vw_compat", lines).predictions)
    assert not differences(found.predictions[2:], expected.predictions[2:])
    assert "--indexing" in flags or re.search(r"\[info\] .*\b0\b", found.said)


def test_digits_are_told_apart_as_by_vowpal_wabbit(tmp_path):
    data = load_digits()
    rows = [" ".join(f"{k}:{v:g}" for k, v in enumerate(row) if v) for row in data.data[:600]]
    text = [f"{label + 1} | {row}" for label, row in zip(data.target, rows, strict=False)]
    found, expected = both(tmp_path, text, "--oaa 10")
    assert not differences(found.predictions, expected.predictions)
    assert found.loss == pytest.approx(expected.loss, abs=1e-4)
    assert found.loss < 0.2


def test_weights_of_every_class_are_exported_as_in_vowpal_wabbit(tmp_path):
    both(tmp_path, NUMBERED, "--oaa 3 -b 10 --predict_only_model --invert_hash names")
    found, expected = (
        {name: float(value) for name, value in re.findall(r"^(\S+):\d+:(\S+)$", text, re.MULTILINE)}
        for text in ((tmp_path / program / "names").read_text() for program in ("ours", "vw"))
    )
    assert {"a^x", "a^x[1]", "a^x[2]"} <= found.keys()
    assert found == pytest.approx(expected, abs=1e-4)


# What is written


@pytest.mark.parametrize(("lines", "known"), [(NUMBERED, {"1", "2", "3"}), (NAMED, set(NAMES))])
def test_classes_are_written_as_the_labels_have_them(tmp_path, lines, known):
    found = ours(tmp_path, "--oaa 3", lines)
    words = [line.split() for line in found.predictions]
    assert {word for word, _ in words[1:]} == known  # before the first label nothing is known of names
    assert [tag for _, tag in words] == [f"tag{i}" for i in range(len(lines))]
    assert scores(found.raw)[-1].keys() == known
    assert {word for row in found.rows for word in row.split()[4:6]} <= {*known, "1"}
    assert found.summary["weighted label sum"] == "0.000000" and "best constant" not in found.summary


@pytest.mark.parametrize("flags", ["", "--oaa_subsample 1", "--bayes_linear", "--scores", "--indexing 1"])
def test_the_loss_is_the_weight_of_wrong_predictions(tmp_path, flags):
    found = ours(tmp_path, f"--oaa 3 {flags}", NUMBERED)
    labels = [line.split("'")[0].split() for line in NUMBERED]
    weights = [float((*words, "1")[1]) for words in labels]
    told = [max(line, key=line.__getitem__) for line in scores(found.raw)]
    wrong = sum(w for w, (label, *_), c in zip(weights, labels, told, strict=True) if c != label)
    assert found.loss == pytest.approx(wrong / sum(weights), abs=1e-5)


# Numbers


@pytest.mark.parametrize(
    ("flags", "classes", "bad"),
    [
        ("", (1, 2, 3), "4 0 1.5 -1 cat nan 1e0 1,2 0:1:0.5 4294967295 4294967297 999999999999999999999999999999"),
        ("", (0, 1, 2), "3 4294967295 1:1 x"),
        ("--indexing 0", (2, 1, 0), "3 -0.5"),
        ("--indexing 1", (1, 2, 3), "0 4"),
        ("--bayes_logistic", (1, 2, 3), "0 4 1.5 -1"),
        ("", NAMES, "fox 7 0"),
        (GIVEN, NAMES, "fox 1 0"),
    ],
)
def test_what_is_no_class_is_a_line_skipped_and_learning_goes_on(tmp_path, flags, classes, bad):
    lines = examples(60, classes)
    expected = ours(tmp_path, f"--oaa 3 {flags} -f plain", lines)
    for label in bad.split():
        found = ours(tmp_path, f"--oaa 3 {flags} -f model", [*lines[:30], f"{label} |a w1 x", *lines[30:]])
        assert "skipped data:31:1: " in found.said and "skipped malformed lines = 1 of 61" in found.said
        assert (found.predictions, found.raw) == (expected.predictions, expected.raw)
        assert arrays(tmp_path / "model") == arrays(tmp_path / "plain")


@pytest.mark.parametrize(
    ("label", "column"),
    [("1 -1", 3), ("2 nan", 3), ("2 x", 3), ("2 1 1", 5), ("cat -1", 5), ("-1", 1), ("1.5", 1), ("0:1:0.5", 1)],
)
def test_a_first_line_that_is_malformed_settles_nothing(tmp_path, label, column):
    found = ours(tmp_path, "--oaa 3", [f"{label} |a w1 x", *NUMBERED])
    assert f"skipped data:1:{column}: " in found.said
    assert found.predictions == ours(tmp_path, "--oaa 3", NUMBERED).predictions


@pytest.mark.parametrize(
    ("flags", "classes"), [("", (0, 1, 2)), ("--indexing 0", (2, 1, 0)), ("--oaa_subsample 1", (0, 1, 2))]
)
def test_classes_from_0_are_learned_as_those_from_1(tmp_path, flags, classes):
    found = ours(tmp_path, f"--oaa 3 {flags}", examples(100, classes))
    expected = ours(tmp_path, f"--oaa 3 {flags.replace('0', '1')}", examples(100, [c + 1 for c in classes]))
    shifted = [{str(int(c) - 1): score for c, score in line.items()} for line in scores(expected.raw)]
    assert "skipped" not in found.said
    assert scores(found.raw)[3:] == shifted[3:]


def test_how_classes_are_numbered_is_kept_with_the_model(tmp_path):
    ours(tmp_path, "--oaa 3 -f zero", examples(30, (0, 1, 2)))
    ours(tmp_path, "--oaa 3 -f one", NUMBERED)
    for model, bad, good in (("zero", "3", "0"), ("one", "0", "3"), ("one", "cat", "1")):
        found = ours(tmp_path, f"-i {model}", [f"{bad} |a x", f"{good} |a x"])
        assert "skipped data:1:1: " in found.said and len(found.predictions) == 1


@pytest.mark.parametrize(
    "flags", ["", "--bayes_linear", "--oaa_subsample 1", "--loss_function logistic --probabilities"]
)
def test_class_0_may_come_after_all_others(tmp_path, flags):
    words = {1: "a", 2: "b", 0: "c"}
    lines = [f"{c} | {words[c]}" for c in (1, 2, 0) for _ in range(50)]
    ours(tmp_path, f"--oaa 3 {flags} -f model", lines)
    told = Workspace.load(tmp_path / "model").predict(["| a", "| b", "| c"])
    assert [max(each, key=each.__getitem__) if isinstance(each, dict) else each for each in told] == [1, 2, 0]
    ours(tmp_path, f"--oaa 3 {flags} -f first", lines[:100])
    ours(tmp_path, "-i first -f second", lines[100:])
    assert arrays(tmp_path / "second") == arrays(tmp_path / "model")


def test_indexing_does_not_change_how_a_model_numbers_its_classes(tmp_path):
    ours(tmp_path, "--oaa 3 -f model", ["1 | a", "2 | b"])
    assert "numbered from 1, not 0" in ours(tmp_path, "-i model --indexing 0", ["2 | b"]).said
    assert ours(tmp_path, "-i model --indexing 1 -f model", ["3 | c"]).status == 0
    assert "skipped" in ours(tmp_path, "-i model", ["0 | c", "1 | a"]).said


# Names


def test_python_speaks_in_names_or_in_whole_numbers():
    workspace, numbers = Workspace("--oaa 3"), Workspace("--oaa 3")
    workspace.learn(PETS * 3)
    assert workspace.predict("| fur") == "cat"
    assert workspace.predict(["| fur", "| bark"]) == ["cat", "dog"]
    numbers.learn(["1 | fur", "2 | bark"] * 3)
    assert numbers.predict(["| fur", "| bark"]) == [1, 2]
    assert type(numbers.predict("| fur")) is int


def test_names_are_numbered_in_order_of_appearance(tmp_path):
    numbered = [[*line.values()] for line in scores(ours(tmp_path, "--oaa 3", NUMBERED).raw)]
    for flags in ("", GIVEN):
        found = scores(ours(tmp_path, f"--oaa 3 {flags}", NAMED).raw)
        assert [*found[-1]] == [*NAMES]
        assert [[*line.values()] for line in found[3:]] == numbered[3:]


def test_names_are_kept_with_the_model_and_go_on_there(tmp_path):
    ours(tmp_path, "--oaa 3 -f model", PETS)
    assert arrays(tmp_path / "model")["oaa.class_counts"][2] == np.array([2, 2, 0]).tobytes()
    found = ours(tmp_path, "-i model -f model", ["7 | wing", "fox | tail", "7 | wing"])
    assert "skipped data:2:1: " in found.said and len(found.predictions) == 2
    assert Workspace.load(tmp_path / "model").predict(["| fur", "| bark", "| wing"]) == ["cat", "dog", "7"]


@pytest.mark.parametrize("k", [31, 32, 33, 200])
@pytest.mark.parametrize("given", [False, True])
def test_many_names_survive_a_save(tmp_path, k, given):
    names = [f"{'long' * (i % 40)}{i}é" for i in range(k)]
    lines = [f"{name} | {i}:9" for i, name in enumerate(names)] * 2
    workspace = Workspace(f"--oaa {k}" + (f" --named_labels {','.join(names)}" if given else ""))
    workspace.learn(lines)
    workspace.save(tmp_path / "model")
    loaded = Workspace.load(tmp_path / "model")
    assert loaded.predict(unlabelled(lines)) == workspace.predict(unlabelled(lines)) == names * 2
    with pytest.raises(ParseError):
        loaded.learn("stranger | x")
    assert saved(loaded, tmp_path) == saved(workspace, tmp_path)


def test_in_a_test_an_unknown_name_is_wrong_and_teaches_nothing(tmp_path):
    ours(tmp_path, "--oaa 3 -f model", PETS * 5)
    found = ours(tmp_path, "-t -i model -f tested", ["fox | fur", "cat | fur", "dog | bark", "owl | bark"])
    assert "skipped" not in found.said
    assert (found.predictions, found.loss) == (["cat", "cat", "dog", "dog"], 0.5)
    assert arrays(tmp_path / "tested") == arrays(tmp_path / "model")
    workspace = Workspace.load(tmp_path / "model")
    assert workspace.predict("fox | fur") == "cat"
    assert saved(workspace, tmp_path) == arrays(tmp_path / "model")


@pytest.mark.parametrize("lines", [NUMBERED, NAMED, examples(50, (0, 1, 2))])
def test_a_cache_gives_what_the_text_gave(tmp_path, lines):
    first = ours(tmp_path, "--oaa 3 -c -k -f first", lines)
    second = ours(tmp_path, "--oaa 3 -c -f second")
    assert "using cache_file" in second.said
    assert (second.predictions, second.raw) == (first.predictions, first.raw)
    assert arrays(tmp_path / "second") == arrays(tmp_path / "first")


STATES = (
    *([1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 7, 0], [1, 1, 1, -1, 0], [1, 0, 1, 1, 0], [0, 1, 1, 1, 0]),
    *([1, 1, 1, 1, 1], [1, 1, 1, 0, 1], [1, 1, 0, 1, 2]),
)


@pytest.mark.parametrize(
    ("name", "dtype", "values"),
    [
        *(("class_name_lengths", "U32", lengths) for lengths in ([3, 4], [3, 2], [6, 0], [2, 2, 1, 1], [1] * 6)),
        *(("classes", "I64", state) for state in STATES),
        *(("class_counts", "I64", counts) for counts in ([2, -1, 0], [2, 2])),
        ("class_names", "U8", list(b"catcat")),
    ],
)
def test_a_model_whose_classes_do_not_hold_together_is_refused(tmp_path, name, dtype, values):
    ours(tmp_path, "--oaa 3 -f model", PETS)
    content = np.array(values, {"U32": "<u4", "U8": "u1", "I64": "<i8"}[dtype]).tobytes()
    rewrite(tmp_path / "model", lambda found: found.update({f"oaa.{name}": (dtype, [len(values)], content)}))
    with pytest.raises(ModelError, match="oaa"):
        Workspace.load(tmp_path / "model")


def test_inspect_tells_which_classes_were_learned_how_often(tmp_path, capsys):
    ours(tmp_path, "--oaa 3 -f named", [*PETS, "cat | fur"])
    ours(tmp_path, "--oaa 4 -f numbered", ["1 | a", "3 | b", "3 | b"])
    assert main(["inspect", str(tmp_path / "named")]) == 0
    shown = capsys.readouterr().out
    assert "3 classes, 2 of 3 have names" in shown
    assert re.search(r"classes of oaa with most examples\n +3 examples  cat\n +2 examples  dog\n", shown)
    assert main(["inspect", str(tmp_path / "numbered"), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["classes"]
    assert told["top"] == [{"class": 3, "examples": 2}, {"class": 1, "examples": 1}]
    assert (told["most"], told["known"], told["named"]) == (4, 4, False)


# Probabilities and scores


@pytest.mark.parametrize("flags", ["--probabilities --loss_function logistic", "--probabilities --bayes_logistic"])
@pytest.mark.parametrize(("classes", "known"), [((1, 2, 3), [1, 2, 3]), (NAMES, list(NAMES))])
def test_probabilities_of_all_classes_add_up_and_tell_the_log_loss(tmp_path, classes, known, flags):
    lines = examples(200, classes, weighted=False)
    found = ours(tmp_path, f"--oaa 3 {GIVEN if classes is NAMES else ''} {flags} -f model", lines)
    told = scores(found.predictions)
    assert found.predictions[-1].endswith(" tag199")
    assert [sum(line.values()) for line in told] == pytest.approx([1] * 200, abs=1e-5)
    right = [line[label.split()[0]] for line, label in zip(told, lines, strict=True)]
    assert float(found.summary["average multiclass log loss"]) == pytest.approx(-np.log(right).mean(), abs=1e-4)
    guess = Workspace.load(tmp_path / "model").predict("|a w0")
    assert [*guess] == known and sum(guess.values()) == pytest.approx(1)
    assert max(guess, key=guess.__getitem__) == known[0]


def test_scores_are_a_number_for_each_class():
    workspace, classes = Workspace("--oaa 3 --scores"), Workspace("--oaa 3")
    for told, predicted in zip(workspace.learn(NUMBERED), classes.learn(NUMBERED), strict=True):
        assert [*told] == [1, 2, 3]
        assert max(told, key=told.__getitem__) == predicted


REFUSED = """
--oaa 3 --probabilities: --loss_function logistic;
--oaa 3 --probabilities --loss_function hinge: --loss_function logistic;
--oaa 3 --probabilities --scores --loss_function logistic: --scores; --oaa 1: 2;
--oaa 3 --indexing 2: --indexing; --oaa 3 --indexing 0 --named_labels a,b,c: --indexing;
--oaa 3 --named_labels a,b: 3; --oaa 3 --named_labels a,b,c,d: 3; --oaa 3 --named_labels a,b,a: different;
--oaa 3 --named_labels a,,b: 3; --oaa 3 --oaa_subsample 0: --oaa_subsample; --named_labels a,b,c: --oaa;
--probabilities --loss_function logistic: --oaa; --oaa_subsample 1: --oaa
"""


@pytest.mark.parametrize("line", listed(REFUSED))
def test_flags_that_do_not_fit_are_refused_with_what_would(line):
    flags, told = line.split(": ")
    with pytest.raises((OptionError, StackError), match=told):
        Workspace(flags)


# Over learners with a posterior, and with entities


@pytest.mark.parametrize("flags", ["--bayes_linear", "--bayes_logistic", "--square", "--logistic --batch_size 10"])
def test_three_separable_classes_are_learned_and_no_line_is_skipped(tmp_path, flags):
    found = ours(tmp_path, f"--oaa 3 {flags} -f model", examples(1500, noise=0, weighted=False))
    assert "skipped" not in found.said
    assert found.loss < 0.01 or "bayes" not in flags  # others wait for their batch
    assert Workspace.load(tmp_path / "model").predict(["|a w0", "|a w1", "|a w2"]) == [1, 2, 3]


ALONE = """
--loss_function logistic; --bayes_linear;
--bayes_linear --posterior diagonal --batch_size 7 --forget 0.9 -q ab;
--bayes_linear --noise 0.5 --l2 0.1 --noconstant; --bayes_logistic;
--bayes_logistic --posterior diagonal --moments; --logistic --batch_size 5; --square --batch_size 4;
--random_effect user --bayes_linear; --random_effect user:a --bayes_logistic --posterior diagonal;
--random_effect user --effect_l2 auto --bayes_linear;
--random_effect user --fixed none --logistic --batch_size 2
"""


@pytest.mark.parametrize("flags", listed(ALONE))
def test_each_class_has_the_model_that_it_would_have_alone(tmp_path, flags):
    lines = examples(120, users=True)
    found = scores(ours(tmp_path, f"--oaa 3 {flags} {ANY}", lines).raw)
    for label in (1, 2, 3):
        alone = [float(line.split()[0]) for line in ours(tmp_path, f"{flags} {ANY}", against(label, lines)).raw]
        assert [line[str(label)] for line in found] == pytest.approx(alone, rel=2e-5, abs=2e-6)


def test_a_limit_of_entities_in_memory_changes_no_prediction(tmp_path):
    flags, lines = "--random_effect user --oaa 3 --bayes_linear -f model", examples(60, users=True)
    assert ours(tmp_path, f"{flags} --entity_limit 1", lines).raw == ours(tmp_path, flags, lines).raw


def test_each_user_has_a_class():
    workspace = Workspace("--random_effect user --oaa 3 --bayes_linear")
    workspace.learn([f"{k + 1} |user u{k}" for k in (0, 1, 2)] * 20)
    assert workspace.predict([f"|user u{k}" for k in (2, 0, 1)]) == [3, 1, 2]


@pytest.mark.parametrize("flags", ["--bayes_linear", "--bayes_logistic", "--random_effect user --bayes_linear"])
def test_columns_are_those_of_the_class_predicted(tmp_path, flags):
    flags, lines = f"{flags} {ANY} --columns prediction,score,sd", examples(200, users=True)
    rows = [line.split() for line in ours(tmp_path, f"--oaa 3 {flags}", lines).predictions]
    assert [row[3] for row in rows] == [f"tag{i}" for i in range(200)]
    for label in ("1", "2", "3"):
        alone = [line.split() for line in ours(tmp_path, flags, against(label, lines)).predictions]
        pairs = [(row[1:3], other[1:3]) for row, other in zip(rows, alone, strict=True) if row[0] == label]
        assert len(pairs) > 20
        assert not differences((" ".join(one) for one, _ in pairs), (" ".join(other) for _, other in pairs))


# What every learner promises

PROMISES = [
    ("", (1, 2, 3)),
    ("-q ab --loss_function logistic -b 8", (0, 1, 2)),
    ("--oaa_subsample 1", (1, 2, 3)),
    ("--loss_function logistic --probabilities", NAMES),
    ("--scores --loss_function hinge --l1 0.001", (1, 2, 3)),
    (GIVEN, NAMES),
    ("", NAMES),
    ("--bayes_linear -q ab", (1, 2, 3)),
    ("--bayes_logistic --posterior diagonal --batch_size 5", NAMES),
    ("--random_effect user:a --effect_l2 auto --bayes_linear", (1, 2, 3)),
]


@pytest.fixture(params=PROMISES, ids=lambda case: f"{case[0]} {case[1][0]}".strip())
def case(request):
    flags, classes = request.param
    return f"--oaa 3 {flags}", examples(90, classes, users=True)


def test_predicting_and_what_has_no_label_or_weight_change_nothing(case, state):
    flags, lines = case
    workspace = Workspace(flags)
    workspace.learn(lines)
    before = state(workspace)
    first = workspace.predict(lines)
    assert workspace.predict(lines) == first == [workspace.predict(line) for line in lines]
    assert workspace.learn(unlabelled(lines)) == workspace.predict(unlabelled(lines)) == first
    assert workspace.learn([f"{line.split()[0]} 0 {line[line.index('|') :]}" for line in lines]) == first
    assert state(workspace) == before


def test_learning_returns_the_prediction_made_before(case):
    flags, lines = case
    workspace = Workspace(flags)
    for line in lines:
        before = workspace.predict(line)
        assert workspace.learn(line) == before


def test_two_runs_give_the_bits_of_one(case, run, tmp_path):
    flags, lines = case
    two_runs_give_the_bits_of_one(run, tmp_path, lines, flags.split(), (1, 2, 37))


def test_a_saved_model_predicts_the_same(case, state, tmp_path):
    flags, lines = case
    for taught in (lines[:0], lines[:1], lines):
        workspace = Workspace(flags)
        workspace.learn(taught)
        workspace.save(tmp_path / "model")
        loaded = Workspace.load(tmp_path / "model")
        assert loaded.predict(unlabelled(lines)) == workspace.predict(unlabelled(lines))
        assert state(loaded) == state(workspace)


def test_threads_and_passes_over_parsed_examples_make_no_difference(case, run):
    flags, lines = case
    padded = [f"{line} |p {' '.join(f'word{i}' for i in range(400))}" for line in lines]
    words = [*flags.split(), "--ignore", "p"]
    assert run(padded, *words, "--onethread") == run(padded, *words)
    assert run(lines, *words, "--passes", "2", "--holdout_off") == run([*lines, *lines], *words)


@pytest.mark.parametrize("rest", ["|a w1:1e38", "1e38 |a w1", "|a w1:3e38 x:-3e38", "1 |a w1:1e-38", "3e38 |a w1:3e38"])
def test_extreme_values_do_no_harm(case, state, rest):
    flags, lines = case
    workspace = Workspace(flags)
    workspace.learn(lines)
    known = sorted({line.split()[0] for line in lines})
    workspace.learn([f"{label} {rest}" for label in known])
    for dtype, _, content in state(workspace).values():
        if dtype in ("F32", "F64"):
            assert np.isfinite(np.frombuffer(content, {"F32": "<f4", "F64": "<f8"}[dtype])).all()
    for told in workspace.predict(lines):
        assert all(map(math.isfinite, told.values())) if isinstance(told, dict) else str(told) in known


# Two stacks on one parse, and runs that come by nothing


@pytest.mark.parametrize("order", [("--oaa 3 -q ab", "--oaa 3"), ("--oaa 3", "--oaa 3 -q ab")])
@pytest.mark.parametrize("ahead", [1, 2])
def test_two_stacks_on_one_parse_count_their_own_features(tmp_path, order, ahead):
    (tmp_path / "data").write_text("1 |a x y |b z\n" * 4)
    options = [parse([*flags.split(), str(tmp_path / "data"), "--quiet"], option_groups()) for flags in order]
    stacks = [Workspace(one) for one in options]
    feed = Feed(options[0], labels=LabelType.MULTICLASS)
    for block in feed.blocks(*(stack.interactions for stack in stacks[:ahead])):
        for stack in stacks:
            stack.driver.run_block(block)
    feed.close()
    counted = {flags: stack.driver.counters.total_features for flags, stack in zip(order, stacks, strict=True)}
    assert counted == {"--oaa 3 -q ab": 24, "--oaa 3": 16}


@pytest.mark.parametrize("text", [[], unlabelled(NUMBERED), ["9 |a x", "1.5 |a x"], ["4 |a x"]])
def test_a_run_that_learns_nothing_leaves_no_model(tmp_path, text):
    found = ours(tmp_path, "--oaa 3 -f model", text)
    assert found.status == 1 and "vwlite: error: data: no example" in found.said
    assert not (tmp_path / "model").exists()


def test_lines_without_labels_are_predicted_in_a_test(tmp_path):
    ours(tmp_path, "--oaa 3 -f model", NUMBERED)
    known = ours(tmp_path, "-t -i model", NUMBERED)
    found = ours(tmp_path, "-t -i model", unlabelled(NUMBERED))
    assert found.status == 0 and found.summary["average loss"] == "n.a."
    assert found.predictions == [line.split()[0] for line in known.predictions]
