"""``vwlite inspect`` of random effects: what a person asks of all entities, and of one of them."""

import json
import math

import pytest

from tests.support.inspecting import inspect, refusal
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.model import model_file

LINES = [
    "5 |user ann |movie up |c age:2",
    "4 |user ann |movie her |c age:1",
    "2 |user bob |movie up |c age:3",
    "1 |user bob |movie ann |c size:3",
    "5 |user cleo |movie up",
]
FLAGS = "--random_effect user:c --random_effect movie --bayes_linear"
STORED = f"{FLAGS} --entity_limit 2"


@pytest.fixture
def model(tmp_path):
    """Makes m.model of the lines, which are in data.txt."""

    def make(flags=FLAGS, lines=LINES):
        (tmp_path / "data.txt").write_text("".join(f"{line}\n" for line in lines))
        words = [str(tmp_path / "data.txt"), "-f", str(tmp_path / "m.model"), "--quiet"]
        assert main([*words, *flags.split()]) == 0
        return str(tmp_path / "m.model")

    return make


def effects(capsys, path):
    tables = json.loads(inspect(capsys, path, "--json"))["entities"]
    return {table["learner"]: table for table in tables if table["learner"] != "glm" or len(tables) == 1}


def effect_of(path, name):
    """The learner of an effect, as Python sees it."""
    workspace = Workspace.load(path, "-t")
    (found,) = [one for one in workspace.top.base.beside if one.owner == f"random_effect.{name}"]
    return found


@pytest.mark.parametrize("flags", [FLAGS, STORED])
def test_all_entities_are_summed_up(flags, model, capsys):
    path = model(flags)
    found = effects(capsys, path)
    assert list(found) == ["random_effect.user", "random_effect.movie"]
    user = found["random_effect.user"]
    assert (user["entities"], user["coefficients"]) == (3, 6)
    assert user["examples"] == {"least": 1, "most": 2, "all": 5}
    assert [row["name"] for row in user["top"]] == ["ann", "bob", "cleo"]
    for row in user["top"]:  # as they are in force, which is what predicts
        facts = json.loads(inspect(capsys, path, "--entity", row["name"], "--effect", "user", "--json"))
        assert row["intercept"] == facts["coefficients"][0]["mean"]
    learner = effect_of(path, "user")
    assert user["noise"] == learner.noise_variance
    assert [row["feature"] for row in user["prior"]] == ["intercept", "all others"]
    assert user["prior"][0]["sd"] == pytest.approx(math.sqrt(learner.noise_variance / learner.l2))
    assert [row["feature"] for row in found["random_effect.movie"]["prior"]] == ["intercept"]
    card = inspect(capsys, path)
    assert "\n  3 entities, 1 to 2 examples each, 5 in all\n  prior of intercept: mean 0, sd " in card
    assert f"\n  noise: variance {user['noise']:.6g}, sd {math.sqrt(user['noise']):.6g}\n" in card


def test_estimated_priors_are_shown_as_the_run_said(model, capsys):
    lines = [f"{y} |s p{i % 9} |d d:{i // 9}" for i, y in enumerate([3, 5, 1, 4, 6, 2, 8, 7, 5] * 8)]
    path = model("--random_effect s:d --fixed none --square --effect_l2 auto --sweeps 5 --shrink mean", lines)
    told = effect_of(path, "s").metrics()
    (table,) = effects(capsys, path).values()
    sds = [row["sd"] for row in table["prior"]]
    assert sorted(sds) == sorted(value for name, value in told.items() if " sd of " in name)
    assert [row["correlation"] for row in table["correlations"]] == [
        value for name, value in told.items() if "correlation" in name
    ]
    means = {row["feature"]: row["mean"] for row in table["prior"]}
    assert means["intercept"] == pytest.approx(41 / 9, abs=0.5)
    assert f"correlation of {' and '.join(table['correlations'][0]['features'])}: " in inspect(capsys, path)


def test_a_logistic_effect_has_no_noise(model, capsys):
    path = model("--random_effect user --logistic --loss_function logistic --vw_compat --allow_empty")
    (table,) = effects(capsys, path).values()
    assert table["noise"] is None
    assert "noise" not in inspect(capsys, path)


@pytest.mark.parametrize("flags", [FLAGS, STORED])
def test_one_entity_has_its_coefficients_with_names_where_they_are_known(flags, model, tmp_path, capsys):
    path = model(flags)
    facts = json.loads(inspect(capsys, path, "--entity", "bob", "--json"))
    assert (facts["effect"], facts["entity"], facts["examples"]) == ("user", "bob", 2)
    known = {name: rows for name, _, rows in effect_of(path, "user").entities()}["bob"]
    assert {row["hash"]: (row["mean"], row["sd"] ** 2) for row in facts["coefficients"]} == {
        number: pytest.approx(both) for number, both in known.items()
    }
    assert facts["coefficients"][0]["name"] == "intercept"
    sizes = [abs(row["mean"]) for row in facts["coefficients"][1:]]
    assert sizes == sorted(sizes, reverse=True)
    assert [row["name"] for row in facts["coefficients"][1:]] == [None, None]
    named = json.loads(inspect(capsys, path, "--entity", "bob", "--json", "--names", str(tmp_path / "data.txt")))
    assert {row["name"] for row in named["coefficients"]} == {"intercept", "c^age", "c^size"}
    text = inspect(capsys, path, "--entity", "bob", "--top", "1", "--names", str(tmp_path / "data.txt"))
    assert text.splitlines()[0] == "bob of user: 2 examples, 3 coefficients"
    assert text.splitlines()[2].split() == ["mean", "sd", "feature"]
    assert text.splitlines()[3].endswith("  intercept")
    assert text.splitlines()[4:] == ["... and 2 more"]


def test_a_model_remembers_names_if_it_was_made_with_them(model, tmp_path, capsys):
    path = model(f"{FLAGS} --invert_hash {tmp_path / 'names.txt'}")
    for _ in range(2):
        facts = json.loads(inspect(capsys, path, "--entity", "bob", "--json"))
        assert {row["name"] for row in facts["coefficients"]} == {"intercept", "c^age", "c^size"}
        Workspace.load(path).save(path)  # names go on into models made of this one


def test_an_entity_of_several_effects_needs_its_effect(model, capsys):
    path = model()
    said = refusal(capsys, path, "--entity", "ann")
    assert "--entity ann: user and movie each have one of this name: add --effect user, for instance" in said
    assert inspect(capsys, path, "--entity", "ann", "--effect", "movie").startswith("ann of movie: 1 example, 1 coeff")
    assert inspect(capsys, path, "--entity", "ann", "--effect", "user").startswith("ann of user: 2 examples, 2 coeff")


@pytest.mark.parametrize("flags", [FLAGS, STORED])
def test_who_is_not_there_is_told_who_is(flags, model, capsys):
    path = model(flags)
    assert "no user or movie of this name was learned; did you mean cleo?" in refusal(capsys, path, "--entity", "cleio")
    assert "did you mean bob?" in refusal(capsys, path, "--entity", "Bob", "--effect", "user")
    assert refusal(capsys, path, "--entity", "zoë").endswith("was learned\n")
    assert "has no such effect, only user, movie" in refusal(capsys, path, "--entity", "ann", "--effect", "usr")
    assert "no such file" in refusal(capsys, path, "--entity", "bob", "--names", "none.txt")


@pytest.mark.parametrize("flags", ["", "--bayes_linear"])
def test_a_model_without_effects_has_no_entities(flags, model, capsys):
    path = model(flags)
    assert "has no entities: it was trained without random effects" in refusal(capsys, path, "--entity", "ann")


def test_a_posterior_of_the_whole_stack_shows_its_largest_coefficients(model, tmp_path, capsys):
    path = model(f"--bayes_linear --invert_hash {tmp_path / 'names.txt'}")
    (table,) = effects(capsys, path).values()
    assert table["largest"][0]["name"] == "intercept"
    assert {row["name"] for row in table["largest"]} >= {"c^age", "user^ann"}
    card = inspect(capsys, path)
    assert "\nglm\n  5 examples\n  prior of intercept: " in card
    assert "\nlargest coefficients of glm\n" in card


def test_names_that_could_steer_a_terminal_are_shown_harmlessly(tmp_path, capsys):
    workspace = Workspace("--random_effect user --bayes_linear")
    workspace.learn([b"1 |user a\x1b[31m", b"1 |user \xff"])
    workspace.save(tmp_path / "m.model")
    for name in ("a\x1b[31m", "\udcff"):
        out = inspect(capsys, str(tmp_path / "m.model"), "--entity", name)
        assert "\x1b" not in out
        assert "1 example, 1 coefficient" in out
    assert inspect(capsys, str(tmp_path / "m.model")).count("1 examples  ") == 2


def test_names_are_read_from_single_examples(tmp_path, capsys):
    workspace = Workspace("--random_effect user --bayes_linear --thompson")
    workspace.learn(["shared |user ann", "0:-1:0.5 |i x", "|i y", ""])
    workspace.save(tmp_path / "m.model")
    (tmp_path / "data.txt").write_text("1 |user ann\n")
    assert "1 example" in inspect(capsys, str(tmp_path / "m.model"), "--entity", "ann")
    said = refusal(capsys, str(tmp_path / "m.model"), "--entity", "ann", "--names", str(tmp_path / "data.txt"))
    assert "reads multi-line ones" in said


def test_a_card_is_shown_of_a_model_that_can_not_be_loaded(model, capsys):
    path = model()
    metadata, content = model_file.open(path).metadata, arrays(path)
    metadata["options"]["no_such_option"] = 1
    model_file.write(path, content, {name: metadata[name] for name in metadata if name != "digests"})
    card = inspect(capsys, path)
    assert "its prior can't be computed: " in card
    assert "--no_such_option" in card
    assert "which is unknown here" in refusal(capsys, path, "--entity", "ann", "--effect", "user")
