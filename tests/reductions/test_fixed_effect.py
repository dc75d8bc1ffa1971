"""A saved model as a fixed term of the score: --fixed_effect."""

import json
import re
from pathlib import Path

import pytest

from tests.support import effects
from tests.support.effects import WIDE, people
from tests.support.models import Arrays, arrays, rewrite
from tests.support.offsets import lines, train, unlabelled, wide, without_initial
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError
from vwlite.model import model_file


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The score of a fixed model


FIXED_FLAGS = [
    "",
    "-b 8 -q ab --noconstant",
    "--ignore a -q bc",
    "--keep c --keep a --feature_limit 2",
    "-q :: --ignore_linear b --loss_function logistic --logistic_min -3 --logistic_max 3",
    "--link logistic --loss_function quantile --sgd",
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
    taught, untaught = arrays("both.model"), arrays("again.model")
    inside = [name for name in taught if name.startswith("offset.fixed.")]
    assert len(inside) > 4
    assert all(taught[name] == untaught[name] for name in inside)
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


EFFECTS = [
    "--bayes_linear --noise 1 --random_effect user:c --fixed same",
    "--bayes_linear --random_effect user --random_effect item:* -q cc --posterior diagonal --shrink mean",
    "--bayes_logistic --random_effect user:c --random_effect item --forget 0.9 --link logistic",
    "--square --random_effect user:* --random_effect item --fixed none --sweeps 3",
    "--bayes_linear --random_effect user:c --ignore c --entity_limit 2",
]
ABOVE = [
    "",
    "--bayes_linear --noise 1 --ignore u --ignore i",
    "--bayes_linear --noise 1 --random_effect item:c --fixed none",
    "--bayes_logistic --random_effect user --posterior diagonal",
]


def scores_of(model: str, data: list[str]) -> list[float]:
    """What the command line predicts for lines, whatever stands before their first bar."""
    Path("data.txt").write_text("".join(f"{unlabelled(line)}\n" for line in data))
    assert main(["-t", "-i", model, "-d", "data.txt", "-r", "scores.txt", "--quiet"]) == 0
    return [float(text.split()[0]) for text in Path("scores.txt").read_text().splitlines()]


@pytest.mark.parametrize("above", ABOVE)
@pytest.mark.parametrize("flags", EFFECTS)
def test_a_model_of_random_effects_counts_as_its_score_too(flags, above, fit):
    """What it predicts with -t, put in by hand as the initial prediction of a model alone."""
    fit([effects.line(row) for row in people(1, 120, logistic=True)], f"{WIDE} {flags}")
    # users and items that it knows, others, and no item
    rows = [{**row, "user": row["user"] + "new" * (i % 5 == 0)} for i, row in enumerate(people(2, 60, logistic=True))]
    data = [effects.line(row).replace("|item i1 ", "") for row in rows]
    scores = scores_of("fit.model", data)
    assert len(set(scores)) > 20
    by_hand = []
    for line, score in zip(data, scores, strict=True):
        label, weight, initial, rest = line.split(" ", 3)
        by_hand.append(f"{label} {weight} {float(initial) + score:.9g} {rest}")
    alone, both = Workspace(f"{WIDE} {above}"), Workspace(f"{WIDE} {above} --fixed_effect fit.model")
    assert both.learn(data) == pytest.approx(alone.learn(by_hand), abs=1e-4)
    assert both.predict(data) == pytest.approx(alone.predict(by_hand), abs=1e-4)
    # all of it is in the model above
    both.save("both.model")
    for path in Path().glob("fit.model*"):
        path.unlink()
    assert Workspace.load("both.model").predict(data) == both.predict(data)


@pytest.mark.parametrize("flags", ["--bayes_linear", "--bayes_linear --random_effect user:c --fixed same"])
def test_examples_that_wait_for_their_batch_count_in_a_fixed_effect(flags, fit):
    """As they count with -t."""
    fit([effects.line(row) for row in people(1, 50)], f"{WIDE} {flags} --batch_size 500")
    data = [unlabelled(effects.line(row)) for row in people(2, 20)]
    both = Workspace(f"{WIDE} --fixed_effect fit.model")
    assert both.predict(data) == pytest.approx(scores_of("fit.model", data), abs=1e-5)
    both.save("both.model")
    assert Workspace.load("both.model").predict(data) == both.predict(data)


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
    train("other.model", "-l 0.3")
    Workspace("--fixed_effect fixed.model").save("both.model")
    with pytest.raises(ModelError, match=r"both.model: holds the fixed effect with the id .* other.model has"):
        Workspace("-i both.model --fixed_effect other.model")


def test_a_fixed_effect_can_not_be_slipped_under_a_model_made_without():
    train("fixed.model", "")
    train("plain.model", "")
    with pytest.raises(ModelError, match=r"plain.model: was trained without a fixed effect"):
        Workspace("-i plain.model --fixed_effect fixed.model")


def test_a_model_that_has_lost_its_fixed_effect_is_refused():
    train("fixed.model", "")
    Workspace("--fixed_effect fixed.model").save("both.model")

    def rob(content: Arrays) -> None:
        for name in [name for name in content if name.startswith("offset.")]:
            del content[name]

    rewrite("both.model", rob)
    with pytest.raises(ModelError, match=r"has no array 'offset.fixed.metadata'"):
        Workspace("-i both.model")


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
    with pytest.raises(OptionError, match=f"--fixed_effect fixed.model: it was made {made}, unlike this run"):
        Workspace(f"{own} --fixed_effect fixed.model")
    Workspace(f"{fixed} --fixed_effect fixed.model")


def test_inspect_tells_what_is_inside(capsys):
    train("fixed.model", "-q ab --loss_function logistic --logistic_min -3 --logistic_max 3")
    train("both.model", "--fixed_effect fixed.model --offset_scale fit")
    train("chain.model", "--fixed_effect both.model")
    identity = model_file.open("fixed.model").metadata["id"]
    assert main(["inspect", "both.model", "--arrays"]) == 0
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
    words = "-d data.txt -b 4 --fixed_effect fixed.model --invert_hash names.txt -f new.model --quiet"
    assert main(words.split()) == 0
    assert main(["inspect", "--json", "new.model"]) == 0
    tables = {table["learner"]: table["top"] for table in json.loads(capsys.readouterr().out)["weights"]}
    assert any(row["names"] for row in tables["gd"])
    assert not any(row["names"] for row in tables["offset.fixed.gd"])
