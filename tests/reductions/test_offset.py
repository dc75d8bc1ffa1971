"""A known part of the score: a saved model that learns no more (--fixed_effect), its scale, and the scale learned."""

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit

from vwlite import Workspace, model_file
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError
from vwlite.learner import walk

FEATURES = [f"{letter}{i}" for letter in "xyz" for i in range(6)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(seed: int, count: int = 80, initial: bool = True) -> list[str]:
    """Labels that follow the features, so that models differ from nothing and from each other."""
    source = random.Random(seed)
    found = []
    for i in range(count):
        groups = {name: source.sample(FEATURES, 3) for name in ("a", "b", "c")}
        label = sum(FEATURES.index(name) for names in groups.values() for name in names) / 40 - 2
        start = f" {source.choice([0, 0.25, -0.5]):g}" if initial else ""
        text = " ".join(f"|{name} {' '.join(f'{word}:{source.uniform(0.5, 2):.3f}' for word in names)}"
                        for name, names in groups.items())  # fmt: skip
        found.append(f"{label:.3f} {source.choice([1, 2])}{start} 't{i} {text}")
    return found


def without_initial(line: str) -> str:
    label, weight, _, rest = line.split(" ", 3)
    return f"{label} {weight} {rest}"


def unlabelled(line: str) -> str:
    return line[line.index("|") :]


def train(path: str, flags: str, seed: int = 1) -> Workspace:
    workspace = Workspace(flags)
    workspace.learn(lines(seed))
    workspace.save(path)
    return workspace


def wide(flags: str = "") -> str:
    """Flags under which predictions are scores: no label narrows their range."""
    return f"--min_prediction -1000 --max_prediction 1000 {flags}"


def learner(workspace: Workspace) -> Any:
    return next(found for found in walk(workspace.top) if found.name == "offset")


def metrics(workspace: Workspace) -> tuple[float, float]:
    figures = learner(workspace).metrics()
    return figures["offset scale"], figures["offset scale's precision"]


# The score of a fixed model


FIXED_FLAGS = [
    "",
    "-b 8 -q ab --noconstant",
    "--ignore a -q bc",
    "--keep c --keep a --feature_limit 2",
    "-q :: --ignore_linear b --loss_function logistic --logistic_min -3 --logistic_max 3",
    "--binary --link logistic --loss_function hinge --sgd",
    "--l1 0.001 --l2 0.001 --interactions abc --permutations --cubic aab",
    "--offset_scale 3",
]
OWN_FLAGS = ["", "--ignore b --noconstant", "-q ac -b 10 --keep a --keep c", "--cubic abc --feature_limit b1 -q ::"]


@pytest.mark.parametrize("flags", FIXED_FLAGS)
@pytest.mark.parametrize("own", OWN_FLAGS)
def test_a_fixed_effect_counts_as_its_score_in_the_place_of_the_initial_prediction(flags, own):
    train("fixed.model", wide(flags))
    data = lines(2)
    Path("data.txt").write_text("".join(f"{without_initial(line)}\n" for line in data))
    assert main(["-t", "-i", "fixed.model", "-d", "data.txt", "-r", "scores.txt", "--quiet"]) == 0
    scores = [float(text.split()[0]) for text in Path("scores.txt").read_text().splitlines()]
    assert len(set(scores)) > 20
    shifted = []
    for line, score in zip(data, scores, strict=True):
        label, weight, initial, rest = line.split(" ", 3)
        shifted.append(f"{label} {weight} {float(initial) + score:.9g} {rest}")
    expected = Workspace(wide(own))
    found = Workspace(wide(f"{own} --fixed_effect fixed.model"))
    assert found.learn(data) == pytest.approx(expected.learn(shifted), abs=1e-4)
    assert found.predict(data) == pytest.approx(expected.predict(shifted), abs=1e-4)


def test_unlabelled_lines_are_scored_by_both():
    fixed = train("fixed.model", wide("-q ab"))
    both = Workspace(wide("--fixed_effect fixed.model"))
    before = lines(2)
    assert both.predict([unlabelled(line) for line in before]) == pytest.approx(
        fixed.predict([unlabelled(line) for line in before]), abs=1e-6
    )


def test_the_scale_multiplies_all_that_is_known_and_the_initial_prediction_counts_once():
    fixed = train("fixed.model", wide())
    line = lines(2)[0].split("'t0")[1]
    score = fixed.predict(f"1 1 0 't0{line}")
    for scale in (1, 0.5, -2):
        both = Workspace(wide(f"--fixed_effect fixed.model --offset_scale {scale}"))
        assert both.predict(f"1 1 0.75 't0{line}") == pytest.approx(scale * (0.75 + score), abs=1e-5)


def test_learning_leaves_the_fixed_effect_as_it_was():
    train("fixed.model", wide("-q ab --l2 0.001"))
    fresh = Workspace("-t -i fixed.model").predict([unlabelled(line) for line in lines(4)])
    both = Workspace(wide("--fixed_effect fixed.model"))
    both.learn(lines(2))
    both.save("both.model")
    again = Workspace(wide("--fixed_effect fixed.model"))
    again.save("again.model")
    taught, untaught = model_file.open("both.model"), model_file.open("again.model")
    inside = [name for name in taught.names() if name.startswith("offset.fixed.")]
    assert len(inside) > 4
    for name in inside:
        assert bytes(taught.array(name, taught.dtype(name))) == bytes(untaught.array(name, taught.dtype(name)))
    assert Workspace("-t -i fixed.model").predict([unlabelled(line) for line in lines(4)]) == fresh


def test_a_fixed_effect_learns_faster_than_starting_over():
    # what the first model knows need not be learned again
    data = lines(1, 2000, initial=False)
    first = Workspace("")
    first.learn(data)
    first.save("fixed.model")
    losses = []
    for flags in ("", "--fixed_effect fixed.model"):
        workspace = Workspace(flags)
        workspace.learn(lines(2, 100, initial=False))
        losses.append(workspace.metadata()["journal"][-1]["loss_after"])
    assert losses[1] < 0.4 * losses[0]


def test_fixed_effects_can_be_chained():
    data = lines(7)
    flags = ["-q ab", "--ignore b -b 12", "--noconstant -q cc"]
    names = ["one.model", "two.model", "three.model"]
    start = lines(8)
    plain: list[Workspace] = []
    for i, (own, name) in enumerate(zip(flags, names, strict=True)):
        workspace = Workspace(wide(own + (f" --fixed_effect {names[i - 1]}" if i else "")))
        # the same by hand: what the models before say, put in as initial predictions
        alone = Workspace(wide(own))
        for line in start:
            label, weight, initial, rest = line.split(" ", 3)
            total = sum((model.predict(unlabelled(line)) for model in plain), float(initial))
            assert workspace.learn(line) == pytest.approx(alone.learn(f"{label} {weight} {total:.9g} {rest}"), abs=1e-4)
        workspace.save(name)
        plain.append(alone)
    for name in names[:2]:
        Path(name).unlink()
    chained = Workspace.load("three.model")
    expected = [sum(model.predict(unlabelled(line)) for model in plain) for line in data]
    assert chained.predict([unlabelled(line) for line in data]) == pytest.approx(expected, abs=1e-4)


# The fixed effect in the model


def test_the_saved_model_needs_no_other_file(tmp_path, monkeypatch):
    train("fixed.model", "-q ab")
    both = Workspace("--fixed_effect fixed.model")
    both.learn(lines(2))
    both.save("both.model")
    data = lines(3)
    expected = both.predict(data)
    Path("fixed.model").unlink()
    assert Workspace.load("both.model").predict(data) == expected
    resumed = Workspace.load("both.model")
    assert resumed.learn(data) == both.learn(data)
    resumed.save("resumed.model")
    assert Workspace.load("resumed.model").predict(data) == both.predict(data)


def test_the_same_fixed_effect_may_be_named_again_wherever_it_lies():
    train("fixed.model", "-q ab")
    both = Workspace("--fixed_effect fixed.model")
    both.learn(lines(2))
    both.save("both.model")
    Path("fixed.model").rename("moved.model")
    data = lines(3)
    assert Workspace("-i both.model --fixed_effect moved.model").predict(data) == both.predict(data)


def test_another_fixed_effect_than_the_models_is_refused():
    train("fixed.model", "")
    train("other.model", "")
    Workspace("--fixed_effect fixed.model").save("both.model")
    with pytest.raises(ModelError, match=r"both.model: holds the fixed effect with the id .* other.model has"):
        Workspace("-i both.model --fixed_effect other.model")


def test_a_fixed_effect_can_not_be_slipped_under_a_model_made_without():
    train("fixed.model", "")
    train("plain.model", "")
    with pytest.raises(ModelError, match=r"plain.model: was made without a fixed effect"):
        Workspace("-i plain.model --fixed_effect fixed.model")


def test_a_model_that_has_lost_its_fixed_effect_is_refused():
    train("fixed.model", "")
    Workspace("--fixed_effect fixed.model").save("both.model")
    reader = model_file.open("both.model")
    arrays: dict[str, model_file.Array] = {
        name: (reader.dtype(name), reader.shape(name), reader.array(name, reader.dtype(name)))
        for name in reader.names()
        if not name.startswith("offset.")
    }
    model_file.write("robbed.model", arrays, reader.metadata)
    with pytest.raises(ModelError, match=r"has no array 'offset.fixed.metadata'"):
        Workspace("-i robbed.model")


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "text", "flipped"])
def test_a_fixed_effect_that_can_not_be_read_stops_the_run_before_it_starts(damage, capsys):
    train("fixed.model", "")
    content = Path("fixed.model").read_bytes()
    middle = len(content) - 200
    Path("fixed.model").write_bytes(
        {
            "absent": b"",
            "empty": b"",
            "cut": content[:-100],
            "text": b"1 | a b c\n",
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        }[damage]
    )
    if damage == "absent":
        Path("fixed.model").unlink()
    Path("data.txt").write_text("1 | a\n")
    words = "-d data.txt -p out.txt -f new.model --fixed_effect fixed.model"
    assert main(words.split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"vwlite: error: fixed\.model: .*\n", err)
    assert sorted(path.name for path in Path().iterdir()) == sorted(
        {"data.txt", "fixed.model"} - ({"fixed.model"} if damage == "absent" else set())
    )


@pytest.mark.parametrize(
    ("fixed", "own", "made"),
    [
        ("--hash all", "", "with --hash all"),
        ("", "--hash all", "with --hash strings"),
        ("--hash_seed 3", "", "with --hash_seed 3"),
        ("--redefine x:=ab", "--redefine x:=a", "with --redefine x:=ab"),
        ("", "--redefine x:=a", "without --redefine"),
    ],
)
def test_lines_must_be_parsed_alike_for_both_models(fixed, own, made):
    train("fixed.model", fixed)
    with pytest.raises(OptionError, match=f"--fixed_effect fixed.model: it was made {made}, this run"):
        Workspace(f"{own} --fixed_effect fixed.model")
    Workspace(f"{fixed} --fixed_effect fixed.model")


def test_inspect_tells_what_is_inside(capsys):
    train("fixed.model", "-q ab --loss_function logistic --logistic_min -3 --logistic_max 3")
    train("both.model", "--fixed_effect fixed.model --offset_scale fit")
    train("chain.model", "--fixed_effect both.model")
    identity = model_file.open("fixed.model").metadata["id"]
    assert main(["inspect", "both.model"]) == 0
    card = capsys.readouterr().out
    assert re.search(
        rf"\nfixed effect of offset, which learns no more\n  id +{identity}\n  written .*\n"
        r"  options +--quadratic ab --loss_function logistic .*\n  run 1 .*80 examples",
        card,
    )
    assert "largest weights of offset.fixed.gd" in card
    assert re.search(r"offset\.scale +F64", card)
    assert main(["inspect", "--json", "chain.model"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [fixed["learner"] for fixed in facts["fixed"]] == ["offset", "offset.fixed.offset"]
    assert facts["fixed"][1]["id"] == identity


def test_names_of_features_are_not_given_to_the_slots_of_the_fixed_effect(capsys):
    train("fixed.model", "-b 4")
    Path("data.txt").write_text("1 |a red\n")
    assert (
        main(
            [
                "-d",
                "data.txt",
                "-b",
                "4",
                "--fixed_effect",
                "fixed.model",
                "--invert_hash",
                "names.txt",
                "-f",
                "new.model",
                "--quiet",
            ]
        )
        == 0
    )
    assert main(["inspect", "--json", "new.model"]) == 0
    tables = {table["learner"]: table["top"] for table in json.loads(capsys.readouterr().out)["weights"]}
    assert any(row["names"] for row in tables["gd"])
    assert not any(row["names"] for row in tables["offset.fixed.gd"])


def test_l2_regularization_shrinks_weights_but_no_offset():
    strong = wide("--l2 0.2 --sgd -l 0.5")
    offset, plain = Workspace(f"{strong} --offset_scale 1"), Workspace(strong)
    for workspace in (offset, plain):
        workspace.learn(["0 1 0 | a"] * 3 + ["1 | a"] * 3)
    assert offset.predict("0 1 5 |") - offset.predict("0 1 0 |") == pytest.approx(5)
    # as in Vowpal Wabbit
    assert plain.predict("0 1 5 |") - plain.predict("0 1 0 |") < 4.9


# The scale learned


NUMBERS = st.floats(-4, 4, width=32).map(lambda x: round(x, 3))
EXAMPLES = st.lists(
    st.tuples(NUMBERS, st.sampled_from([0.5, 1, 2, 7]), NUMBERS), min_size=1, max_size=30
)  # label, weight, offset


@given(examples=EXAMPLES, prior=st.sampled_from([0.1, 1, 30]), loss=st.sampled_from(["squared", "classic"]))
def test_for_squared_loss_the_scale_is_that_of_bayesian_linear_regression(examples, prior, loss):
    workspace = Workspace(f"--noconstant --offset_scale fit --offset_l2 {prior} --loss_function {loss}")
    workspace.learn([f"{y} {w} {o} |" for y, w, o in examples])
    y, w, o = np.array(examples).T
    precision = prior + np.sum(w * o**2)
    scale, found = metrics(workspace)
    assert found == pytest.approx(precision, rel=1e-6)
    # scores are in single precision
    assert scale == pytest.approx((prior + np.sum(w * o * y)) / precision, abs=1e-5)


@given(examples=EXAMPLES, prior=st.sampled_from([0.1, 1, 30]))
def test_for_logistic_loss_each_example_moves_the_scale_to_the_posteriors_mode(examples, prior):
    workspace = Workspace(f"--noconstant --offset_scale fit --offset_l2 {prior} --loss_function logistic")
    mean, precision = 1.0, float(prior)
    for number, w, o in examples:
        y = 1 if number > 0 else -1
        workspace.learn(f"{y} {w} {o} |")
        o = float(np.float32(o))
        mean = mode(mean, precision, y, w, o, 0)
        q = expit(mean * o)
        precision += w * q * (1 - q) * o**2
        assert metrics(workspace) == pytest.approx((mean, precision), rel=1e-5)


def mode(mean: float, precision: float, y: int, w: float, o: float, rest: float) -> float:
    """Where the derivative of -log posterior vanishes, by Brent's method."""

    def slope(b: float) -> float:
        return float(-w * y * o * expit(-y * (b * o + rest)) + precision * (b - mean))

    reach = w * abs(o) / precision + 1
    return float(brentq(slope, mean - reach, mean + reach, xtol=1e-14))


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_the_rest_of_the_stack_is_the_offset_of_the_scale(loss):
    workspace = Workspace(wide(f"--offset_scale fit --loss_function {loss} -q ab"))
    source = random.Random(4)
    for line in lines(3):
        y: float = source.choice([-1, 1])
        o = float(np.float32(round(source.uniform(-2, 2), 3)))
        mean, precision = metrics(workspace)
        text = f"{y} 2 {o:.9g} {unlabelled(line)}"
        score = workspace.learn(text)
        if loss == "squared":
            after = precision + 2 * o * o
            expected = mean + 2 * o * (y - score) / after
        else:
            expected = mode(mean, precision, int(y), 2, o, score - mean * o)
            q = expit(score + (expected - mean) * o)
            after = precision + 2 * q * (1 - q) * o * o
        assert metrics(workspace) == pytest.approx((expected, after), abs=1e-5)


def test_a_label_between_the_classes_counts_in_part():
    mixed, split = (Workspace("--noconstant --offset_scale fit --loss_function logistic") for _ in range(2))
    mixed.learn("0.5 4 1.5 |")
    share = 0.75
    scale, precision = metrics(mixed)
    q = expit(scale * 1.5)
    assert 4 * 1.5 * (q - share) + (scale - 1) == pytest.approx(0, abs=1e-6)
    assert precision == pytest.approx(1 + 4 * q * (1 - q) * 1.5**2)
    split.learn("1 4 1.5 |")
    assert metrics(split)[0] > scale


@pytest.mark.parametrize(
    "example", ["1 3e38 0.25 |", "-1 3e38 2 |", "-1 1e30 1e-3 |", "1 1e-30 3e38 |", "-1 1 -3e38 |"]
)
def test_extreme_weights_and_offsets_give_the_mode_too(example):
    workspace = Workspace("--noconstant --offset_scale fit --loss_function logistic")
    workspace.learn(example)
    y, w, o = (float(np.float32(word)) for word in example.split()[:3])
    scale, precision = metrics(workspace)
    assert math.isfinite(scale) and precision >= 1
    gain = w * y * o * expit(-y * scale * o)
    assert scale - 1 == pytest.approx(gain, rel=1e-6, abs=1e-9)


def test_a_fixed_effect_that_is_twice_too_large_is_halved():
    data = lines(1, 3000, initial=False)
    fixed = Workspace("")
    fixed.learn([f"{2 * float(line.split()[0]):.3f} {line.split(' ', 1)[1]}" for line in data])
    fixed.save("fixed.model")
    workspace = Workspace("--fixed_effect fixed.model --offset_scale fit --noconstant --ignore abc")
    workspace.learn(lines(2, 3000, initial=False))
    assert metrics(workspace)[0] == pytest.approx(0.5, abs=0.02)


def test_the_scale_is_told_at_the_end_of_a_run(capsys):
    Path("data.txt").write_text("1 1 0.5 | a\n1 1 0.5 | a\n")
    assert main(["-d", "data.txt", "--offset_scale", "fit", "--noconstant", "--ignore", "_"]) == 0
    err = capsys.readouterr().err
    assert re.search(r"\noffset scale = \d\.\d{6}\noffset scale's precision = 1\.500000\n", err)
    assert main(["-d", "data.txt", "--offset_scale", "2"]) == 0
    assert "offset scale" not in capsys.readouterr().err


def test_the_scale_knows_how_sure_it_is():
    workspace = Workspace(wide("--offset_scale fit"))
    workspace.learn(["3 1 1 |"] * 8)
    scale, precision = metrics(workspace)
    assert precision == 9
    base = learner(workspace).uncertain(0)[0]
    assert learner(workspace).uncertain(2) == pytest.approx((base + 2 * scale, 4 / 9), rel=1e-6)
    draws = [(learner(workspace).uncertain(2, i, 0.5)[0] - base) / 2 for i in range(1, 4001)]
    assert np.mean(draws) == pytest.approx(scale, abs=0.01)
    assert np.std(draws) == pytest.approx(0.5 / 3, rel=0.05)
    assert learner(workspace).uncertain(2, 7, 0.5)[0] == learner(workspace).uncertain(2, 7, 0.5)[0]
    # a scale that was given is not in doubt
    assert learner(Workspace(wide("--offset_scale 2"))).uncertain(1, 7, 0.5) == (2, 0)


def test_a_number_for_a_scale_replaces_a_learned_one():
    workspace = Workspace(wide("--offset_scale fit"))
    workspace.learn(["3 1 1 |"] * 5)
    workspace.save("fit.model")
    lone = Workspace("-i fit.model --offset_scale 0").predict("0 1 0 |")
    assert Workspace("-i fit.model --offset_scale 10").predict("0 1 1 |") == pytest.approx(lone + 10)
    again = Workspace("-i fit.model")
    assert metrics(again) == metrics(workspace)


@pytest.mark.parametrize("loss", ["hinge", "quantile", "poisson", "expectile --expectile_q 0.2"])
def test_only_losses_with_a_posterior_learn_a_scale(loss):
    with pytest.raises(
        OptionError, match="--offset_scale fit goes with --loss_function squared, classic, logistic, not"
    ):
        Workspace(f"--offset_scale fit --loss_function {loss}")


@pytest.mark.parametrize("flags", ["--offset_l2 2", "--offset_l2 2 --offset_scale 1"])
def test_a_prior_without_a_scale_to_learn_is_a_mistake(flags):
    with pytest.raises(OptionError, match="--offset_l2 says how --offset_scale fit starts"):
        Workspace(flags)


@pytest.mark.parametrize("value", ["fitted", "inf", "nan", "FIT"])
def test_a_scale_is_a_number_or_fit(value):
    with pytest.raises(OptionError, match=r"--offset_scale wants a (number or fit|finite 32-bit number)"):
        Workspace(f"--offset_scale {value}")
