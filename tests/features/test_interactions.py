"""Crossed features: the same whether a parsing thread crosses them ahead or the learner as it goes."""

import random
import string
from pathlib import Path

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.hashing import feature_hash
from vwlite.core.learner import walk
from vwlite.errors import ParseError
from vwlite.features import interactions


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lines(count: int, width: int) -> list[str]:
    choose = random.Random(5)
    return [
        f"{choose.choice((-1, 1))} 'tag{i} |a "
        + " ".join(f"x{choose.randrange(500)}:{choose.random():.3f}" for _ in range(choose.randint(0, width)))
        + "|b "
        + " ".join(f"y{choose.randrange(500)}" for _ in range(choose.randint(0, width)))
        for i in range(count)
    ]


def predictions_of_a_run(text: list[str], *words: str) -> list[float]:
    Path("data.txt").write_text("\n".join(text) + "\n")
    assert main(["data.txt", "--quiet", "-p", "p.txt", *words]) == 0
    return [float(line.split()[0]) for line in Path("p.txt").read_text().splitlines()]


@pytest.mark.parametrize(
    "flags",
    ["-q ab", "-q aa --noconstant", "--cubic aab", "-q ab --ignore_linear a", "-q ab --permutations -q bb", "-q ::"],
)
def test_a_run_over_blocks_equals_one_line_after_the_other(flags):
    text = ["", *lines(300, 6), "1 | c:1:1", "", *lines(20, 6)]
    learned = Workspace(flags).learn([line for line in text if "c:1:1" not in line])
    assert predictions_of_a_run(text, *flags.split()) == pytest.approx(learned, abs=1e-6)


def test_a_block_with_too_many_crossed_features_is_crossed_as_it_is_learned():
    text = lines(400, 90)  # some 800,000 pairs in a single block
    assert predictions_of_a_run(text, "-q", "ab") == pytest.approx(Workspace("-q ab").learn(text), abs=1e-6)


def test_the_features_of_crossed_namespaces_are_counted(capsys):
    Path("data.txt").write_text("1 |a x y |b u v w\n")
    assert main(["data.txt", "-q", "ab"]) == 0
    assert "total feature number = 12\n" in capsys.readouterr().err


# --feature_limit


@pytest.mark.parametrize("others", ["", "|url p q r", "|url p |user |url q r"])
def test_a_limit_leaves_entities_to_those_who_look_at_them(others):
    workspace = Workspace("--random_effect user --bayes_linear --feature_limit u1 --noise 0.1")
    workspace.learn([f"1 |user anna {others}", f"-1 {others} |user ben"] * 10)
    anna, ben, nobody = workspace.predict(["|user anna", "|user ben", "|x y"])
    assert anna > nobody + 0.2 > nobody - 0.2 > ben
    with pytest.raises(ParseError, match="two features"):
        workspace.learn(f"1 |user anna ben {others}")


def test_a_limit_leaves_each_feature_in_its_namespace(capsys):
    # the slots of a namespace's letter are cut together, as in VW
    Path("data.txt").write_text("1 |ax p q t u |b y |ay r s v w\n")
    assert main(["data.txt", "--quiet", "--audit", "--feature_limit", "a5", "--noconstant"]) == 0
    names = [cell.split(":")[0] for cell in capsys.readouterr().out.splitlines()[1].split()]
    in_order = sorted(["ax^p", "ax^q", "ax^t", "ax^u", "ay^r", "ay^s", "ay^v", "ay^w"], key=slot)
    assert sorted(names) == sorted([*in_order[:5], "b^y"])


def slot(name: str) -> int:
    namespace, feature = name.encode().split(b"^")
    return feature_hash(feature, feature_hash(namespace)) & (1 << 18) - 1


def test_an_effect_has_only_features_of_its_namespaces_under_a_limit():
    workspace = Workspace("--random_effect user:ctx --bayes_linear --feature_limit c3")
    workspace.learn(["1 |user anna |city a b c |ctx x y z"] * 3)
    (effect,) = next(learner.beside for learner in walk(workspace.top) if learner.beside)
    ((name, _, coefficients),) = effect.entities() or ()
    constant, own = 11650396, [feature_hash(letter, feature_hash(b"ctx")) for letter in (b"x", b"y", b"z")]
    assert name == "anna"
    assert {constant} < {*coefficients} <= {constant, *own}


# wildcards that would make too many terms


def scattered(count: int, most: int, letters: str = "abcdefghijklmn+Z") -> list[str]:
    choose = random.Random(6)
    return [
        f"{choose.choice((-1, 1))} "
        + " ".join(
            f"|{letter} " + " ".join(f"x{choose.randrange(50)}" for _ in range(choose.randint(0, 3)))
            for letter in choose.choices(letters, k=choose.randint(0, most))
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "flags",
    [
        "-q ::",
        "--interactions ::: -q :: --cubic ab:",
        "--interactions ::: --leave_duplicate_interactions --permutations",
        "--interactions a:: --interactions :a --ignore bc",
        "--interactions :::: --ignore_linear a",
    ],
)
@pytest.mark.parametrize("many", [0, 400])
def test_terms_of_an_examples_own_namespaces_make_what_all_terms_make(flags, many, monkeypatch):
    text = scattered(60, 6)
    monkeypatch.setattr(interactions, "MANY_TERMS", 1 << 30)
    expected = Workspace(flags).learn(text)
    monkeypatch.setattr(interactions, "MANY_TERMS", many)
    monkeypatch.setattr(interactions, "REMEMBERED", 5)
    workspace = Workspace(flags)
    assert workspace.learn(text) == expected
    # of a model, which has seen no namespace yet, too
    workspace.save("m")
    assert Workspace.load("m").predict(text) == workspace.predict(text)


def test_many_namespaces_make_no_more_terms_than_a_line_has_features():
    text = scattered(300, 8, string.ascii_letters)
    workspace = Workspace("--interactions :::: --crossing_limit 65536")
    workspace.learn(text)
    assert len(workspace.interactions.terms) < 1000
    with pytest.raises(ParseError, match="more than 65,536 features"):
        workspace.learn("1 " + " ".join(f"|{chr(65 + i)} x" for i in range(50)))
    assert workspace.predict(text[0]) is not None
