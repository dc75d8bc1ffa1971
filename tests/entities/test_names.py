"""An entity is its name: no other shares its model, whatever their hashes, and values are no part of a name."""

import itertools

import pytest

from tests.support.collisions import TWIN, USER, family, partner
from tests.support.effects import effect
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.hashing import murmur3_32
from vwlite.errors import ParseError

FLAGS = "--random_effect user --bayes_logistic --shrink zero --effect_l2 1 --fixed none"
PRINTABLE = set(range(0x21, 0x100)) - {0x3A, 0x7C}


def names(workspace: Workspace, of: str = "user") -> list[tuple[bytes, int]]:
    return [(name.encode("utf-8", "surrogateescape"), count) for name, count, _ in effect(workspace, of).entities()]


def test_the_twins_hash_alike_under_every_seed_and_can_be_written():
    assert TWIN != USER
    assert set(TWIN) <= PRINTABLE
    assert all(murmur3_32(USER, seed) == murmur3_32(TWIN, seed) for seed in (0, 1, 12345, 0xFFFFFFFF))


def test_a_name_whose_hash_is_anothers_has_no_part_of_its_model():
    workspace = Workspace(FLAGS)
    workspace.learn([b"1 |user " + USER] * 50)
    assert workspace.predict(b"|user " + TWIN) == workspace.predict("|user stranger") == 0
    workspace.learn([b"-1 |user " + TWIN] * 30)
    assert workspace.predict(b"|user " + USER) > 1
    assert workspace.predict(b"|user " + TWIN) < -1
    assert names(workspace) == [(USER, 50), (TWIN, 30)]


@pytest.mark.parametrize("flags", [FLAGS, f"{FLAGS} --entity_limit 1", f"{FLAGS} --entity_limit 2"])
def test_names_are_told_apart_after_save_and_load(tmp_path, flags):
    lines = [b"1 |user " + USER, b"-1 |user " + TWIN, b"1 |user other"] * 9
    whole = Workspace(flags)
    whole.learn(lines * 2)
    first = Workspace(flags)
    first.learn(lines)
    first.save(tmp_path / "model")
    again = Workspace.load(tmp_path / "model", "" if flags == FLAGS else flags.split("none ")[1])
    assert again.predict(b"|user " + USER) > 0 > again.predict(b"|user " + TWIN)
    again.learn(lines)
    assert names(again) == names(whole) == [(USER, 18), (TWIN, 18), (b"other", 18)]
    whole.save(tmp_path / "whole")
    again.save(tmp_path / "again")
    theirs, ours = arrays(tmp_path / "whole"), arrays(tmp_path / "again")
    assert {name: theirs[name] for name in theirs if "min_label" not in name} == {
        name: ours[name] for name in ours if "min_label" not in name
    }


def test_a_limit_of_entities_in_memory_changes_nothing_about_names_that_hash_alike(tmp_path):
    people = family(USER, b"k7qk7qk7")
    assert len({murmur3_32(name, 7) for name in people}) == 1
    lines = [
        f"{1 if i % 3 else -1} |user ".encode() + name
        for i, name in enumerate(people * 5)
        if set(name) <= set(range(256)) - {0x20, 0x09, 0x0A, 0x0D, 0x3A, 0x7C}
    ]
    plain, limited = Workspace(FLAGS), Workspace(f"{FLAGS} --entity_limit 1")
    assert plain.learn(lines) == limited.learn(lines)
    assert names(plain) == names(limited)
    assert len(names(plain)) == len(set(lines_names(lines)))


def lines_names(lines: list[bytes]) -> list[bytes]:
    return [line.split(b"|user ")[1] for line in lines]


@pytest.mark.parametrize(
    "flags",
    [
        "--bayes_linear --random_effect user --fixed none --batch_size 2",
        "--square --random_effect user --fixed none",
        "--bayes_linear --random_effect user --fixed none --sweeps 3",
        "--bayes_linear --random_effect user --fixed none --posterior diagonal --forget .9",
    ],
)
def test_batches_and_sweeps_tell_names_apart_that_hash_alike(flags):
    """As with two names that don't."""
    found = []
    for other in (TWIN, b"somebody"):
        workspace = Workspace(flags)
        workspace.learn([b"5 |user " + USER, b"-3 |user " + other] * 6)
        workspace.end_pass()
        found.append([workspace.predict(b"|user " + name) for name in (USER, other)])
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_draws_of_names_that_hash_alike_differ():
    flags = "--thompson --bayes_linear --random_effect item --fixed none --noise 1 --random_seed 4"
    workspace = Workspace(flags)
    for name in (USER, TWIN):
        workspace.learn([b"0:1:1 |item " + name, b""])
    assert workspace.predict([b"|item " + USER, b"|item " + TWIN, b""])
    assert len(names(workspace, "item")) == 2


def test_many_names_that_hash_alike_cost_no_more_than_others():
    """Each is found at its first or second key: nobody can make a chain of them."""
    people = family(USER, USER, USER, USER, USER, USER)
    workspace = Workspace(FLAGS)
    for name in people:
        workspace.learn(b"1 |user " + name)
    assert names(workspace) == [(name, 1) for name in people]


def test_weights_by_counts_tell_names_apart():
    workspace = Workspace("--bayes_linear --random_effect user --fixed none --count_weight user=-1 --noise 1")
    plain = Workspace("--bayes_linear --random_effect user --fixed none --count_weight user=-1 --noise 1")
    for one, two in ((USER, TWIN), (b"ann", b"bob")):
        into = workspace if one == USER else plain
        into.learn([b"1 |user " + one] * 5 + [b"1 |user " + two] * 2)
    assert workspace.predict(b"|user " + TWIN) == plain.predict("|user bob")


# values


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("1 |user u:17", 9),
        ("1 |user 10.0.0.1:8080 |x a", 9),
        ("1 |x a |user id:7", 14),
        ("1 |user ann:0", 9),
        ("1 |user ann:0 |x a", 9),
        ("1 |user ann:-1", 9),
        ("1 |user ann:1.5", 9),
        ("1 |user:2 ann", 11),
        ("1 |user:0 ann", 11),
    ],
)
@pytest.mark.parametrize("compat", ["", " --vw_compat"])
def test_a_value_in_an_entitys_namespace_is_refused_with_place_and_remedy(line, column, compat):
    workspace = Workspace(f"--bayes_linear --random_effect user{compat}")
    with pytest.raises(ParseError, match=r"an entity is its name alone.*u17 or u_17") as caught:
        workspace.learn(line)
    assert caught.value.column == column
    assert names(workspace) == []


def test_a_value_of_one_and_a_text_are_names():
    workspace = Workspace("--bayes_linear --random_effect user")
    workspace.learn(["1 |user ann:1", "1 |user ann", "1 |user host:port", "1 |user :"][:3])
    assert names(workspace) == [(b"ann", 2), (b"host:port", 1)]


def test_other_namespaces_keep_their_values_and_lose_zeros():
    flags = "--bayes_linear --random_effect user:x --fixed none"
    workspace = Workspace(flags)
    workspace.learn("1 |user ann |x a:0 b:2")
    ((_, _, coefficients),) = effect(workspace, "user").entities()
    assert len(coefficients) == 2


@pytest.mark.parametrize("cached", [False, True])
def test_a_run_counts_the_lines_left_out_and_goes_on(tmp_path, capsys, cached):
    data = tmp_path / "data.vw"
    data.write_text("1 |user u:17\n1 |user ann\n1 |user ann:0\n1 |x a\n")
    command = [str(data), "--bayes_linear", "--random_effect", "user", "--cache_file", str(tmp_path / "cache")]
    assert main(command) == 0
    if cached:
        capsys.readouterr()
        assert main(command) == 0
    said = capsys.readouterr().err
    assert "data.vw:1:9: " in said
    assert "data.vw:3:9: " in said
    assert "skipped malformed lines = 2 of 4" in said


def test_a_cache_made_without_effects_does_not_hide_a_value_of_zero(tmp_path, capsys):
    data = tmp_path / "data.vw"
    data.write_text("1 |user ann:0\n1 |user ann\n")
    cache = ["--cache_file", str(tmp_path / "cache")]
    assert main([str(data), *cache, "--audit", "--quiet"]) == 0
    assert main([str(data), *cache, "--bayes_linear", "--random_effect", "user"]) == 0
    assert "skipped malformed lines = 1 of 2" in capsys.readouterr().err


# the summary

LINES = "1 |user ann |item i1\n0 |user bob |item i1\n1 |user ann\n1 |x a\n"


def counts(text: str) -> dict[str, int]:
    found = {}
    for line in text.splitlines():
        if line.startswith("random_effect") and " examples " in line:
            name, _, number = line.partition(" = ")
            found[name] = int(number)
    return found


@pytest.mark.parametrize("passes", [(), ("--passes", "3", "--holdout_off", "-k", "-c"), ("--sweeps", "2")])
def test_a_summary_counts_the_examples_of_known_and_new_entities_and_of_none(tmp_path, capsys, passes):
    data = tmp_path / "data.vw"
    data.write_text(LINES)
    effects = ["--bayes_linear", "--random_effect", "user", "--random_effect", "item", *passes]
    assert main([str(data), *effects, "-f", str(tmp_path / "model")]) == 0
    assert counts(capsys.readouterr().err) == {
        "random_effect.user examples of known entities": 1,
        "random_effect.user examples of new entities": 2,
        "random_effect.user examples without an entity": 1,
        "random_effect.item examples of known entities": 1,
        "random_effect.item examples of new entities": 1,
        "random_effect.item examples without an entity": 2,
    }


def test_a_test_counts_the_examples_of_entities_that_the_model_does_not_know(tmp_path, capsys):
    (tmp_path / "train").write_text(LINES)
    (tmp_path / "test").write_text("1 |user ann\n1 |user cal\n1 |usr dan\n1 |user cal\n1 |user cal:3\n")
    model = str(tmp_path / "model")
    assert main([str(tmp_path / "train"), "--bayes_linear", "--random_effect", "user", "-f", model, "--quiet"]) == 0
    assert main([str(tmp_path / "test"), "-t", "-i", model]) == 0
    assert list(counts(capsys.readouterr().err).values()) == [1, 2, 1]


def test_a_summary_of_decisions_counts_their_actions(tmp_path, capsys):
    (tmp_path / "data").write_text("shared |u a\n0:1:.5 |item i1\n|item i2\n|x b\n\n" * 2)
    assert main([str(tmp_path / "data"), "--thompson", "--bayes_linear", "--random_effect", "item"]) == 0
    assert list(counts(capsys.readouterr().err).values()) == [1, 3, 2]


def test_partners_are_as_said():
    """Collisions come in pairs: each name's partner is the other one."""
    assert partner(TWIN) == USER
    assert len(set(itertools.chain(family(USER, USER)))) == 4
