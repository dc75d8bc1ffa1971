"""random_effect: effects that learn one example after the other, against brute force in numpy."""

import re

import numpy as np
import pytest

from tests.support.effects import WIDE, Entity, effect, line, mean, people
from tests.support.models import CONSTANT, arrays, feature, key
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.learner import walk
from vwlite.errors import OptionError, ParseError

ZERO = "--shrink zero --effect_l2 1"

# One effect


def test_one_effect_over_a_frozen_fixed_part_is_ridge_regression_of_each_entity():
    rows = people(1, 120)
    workspace = Workspace(
        f"--bayes_linear --noise 1 --random_effect user:c --effect_l2 2 --freeze fixed --fixed gd {WIDE}"
    )
    users: dict[str, Entity] = {}
    for row in rows:
        x = np.array([*row["x"], 1.0])
        entity = users.setdefault(row["user"], Entity(3, 2.0))
        assert workspace.learn(line(row)) == pytest.approx(x @ entity.m + row["o"], abs=1e-5)
        entity.learn(x, float(np.float32(row["y"])), row["w"], row["o"])
    assert workspace.bottom.columns()[0] == b""  # nothing in gd
    found = {name: (count, coefficients) for name, count, coefficients in effect(workspace, "user").entities()}
    assert {name: count for name, (count, _) in found.items()} == {
        user: sum(row["user"] == user for row in rows) for user in users
    }
    columns = [feature("x0", "c"), feature("x1", "c"), CONSTANT]
    for user, entity in users.items():
        known = effect(workspace, "user").coefficients(key("user", user))
        variances = np.diag(np.linalg.inv(entity.h))
        for k, column in enumerate(columns):
            assert known[column] == pytest.approx((entity.m[k], variances[k]), rel=1e-6, abs=1e-6)


def test_an_effect_starts_from_what_the_fixed_part_says(tmp_path):
    """Trained together, then with the fixed part frozen: its score is the entity's offset."""
    rows = people(2, 80)
    first = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed gd --effect_l2 1 {WIDE}")
    first.learn([line(row) for row in rows])
    first.save(tmp_path / "first.model")
    second = Workspace.load(tmp_path / "first.model", "--freeze fixed")
    row = rows[0]
    stranger = line({**row, "user": "somebody-new"})
    fixed = second.predict(stranger)
    precision = 1 / effect(second, "user").coefficients(key("user", row["user"]))[CONSTANT][1]
    before = mean(second, "user", row["user"])
    second.learn(line(row))
    expected = before + row["w"] * (np.float32(row["y"]) - fixed - before) / (precision + row["w"])
    assert mean(second, "user", row["user"]) == pytest.approx(expected, abs=1e-5)
    assert second.predict(stranger) == fixed


def test_an_effect_and_the_fixed_part_share_what_an_example_says():
    """Each takes its share of the variance of the score: two features of 1 and a ridge of 1, and 1/3 of the user."""
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed same --l2 1 --effect_l2 3 {WIDE}")
    workspace.learn("8 |user ann |c x0:1")
    found = workspace.bottom.coefficients()
    assert [found[column][0] for column in (feature("x0", "c"), CONSTANT)] == pytest.approx([2.4, 2.4])
    # ann: a quarter of 8 were the fixed part still at 0, and a quarter less of how far both its coefficients have moved
    assert mean(workspace, "user", "ann") == pytest.approx(2 - 4.8 / 4)
    assert workspace.predict("|user ann |c x0:1") == pytest.approx(4.8 + 0.8)


# Who is meant


def test_an_unknown_or_missing_entity_gets_the_rest_of_the_stack():
    flags = "--bayes_linear --noise 1 --random_effect user --random_effect item --fixed gd --effect_l2 1"
    workspace = Workspace(f"{flags} {WIDE}")
    workspace.learn([line(row) for row in people(5, 60)])
    parts = {
        "both": workspace.predict("|user u1 |item i1 |c x0:1"),
        "user": workspace.predict("|user u1 |c x0:1"),
        "item": workspace.predict("|item i1 |c x0:1"),
        "none": workspace.predict("|c x0:1"),
    }
    assert parts["both"] == pytest.approx(parts["user"] + parts["item"] - parts["none"], abs=1e-5)
    assert parts["user"] - parts["none"] == pytest.approx(mean(workspace, "user", "u1"), abs=1e-5)
    assert workspace.predict("|user nobody |item nothing |c x0:1") == parts["none"]
    assert workspace.predict("|user |item |c x0:1") == parts["none"]
    # an item's name is no user's
    assert workspace.predict("|user i1 |c x0:1") == parts["none"]


def test_an_example_without_an_entity_teaches_the_rest(state):
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed same {WIDE}")
    workspace.learn("1 |user u1 |c x0:1")
    before = state(workspace)
    workspace.learn("5 |c x0:1")
    after = state(workspace)
    changed = {name for name in after if after[name] != before[name]}
    assert changed
    of_the_rest = ("glm.", "random_effect_sums.")
    assert all(name.startswith(of_the_rest) for name in changed - {f"random_effect.user.{name}" for name in TOLD})


TOLD = ("max_label", "noise_sum", "noise_count")  # of every part, by every example

BAD = [
    ("1 |user a b |c x", 3, "two features in the namespace of a random effect"),
    ("1 |c x |user a |d y |user b", 21, "two features in the namespace of a random effect"),
    ("1 |user :2 |c x", 3, "has no name"),
    ("0.5 |user a |c x", 0, "labels of (the )?two classes"),
    ("3 |c x", 0, "labels of (the )?two classes"),
]


@pytest.mark.parametrize(("text", "column", "reason"), BAD)
def test_lines_that_name_no_entity_or_no_class_are_skipped(text, column, reason, tmp_path, capsys, state):
    good = ["1 |user a |c x", "-1 |user b |c y"]
    words = ["--bayes_logistic", "--random_effect", "user"]
    models = []
    for lines in (good, [good[0], text, good[1]]):
        (tmp_path / "data.txt").write_text("".join(f"{one}\n" for one in lines))
        model = tmp_path / f"{len(lines)}.model"
        capsys.readouterr()
        assert main(["-d", str(tmp_path / "data.txt"), "-f", str(model), *words]) == 0
        models.append(arrays(model))
    told = capsys.readouterr().err
    assert models[0] == models[1]
    assert f"data.txt:2:{column + 1}: " in told
    assert re.search(reason, told)
    assert "skipped malformed lines = 1 of 3" in told
    workspace = Workspace(words)
    workspace.learn(good)
    before = state(workspace)
    with pytest.raises(ParseError, match=reason):
        workspace.learn(text)
    assert state(workspace) == before


def test_entities_are_told_apart_by_whatever_name_they_have():
    names = ["a" * 10_000, "a" * 9_999 + "b", "ж", "日本", "x:text", "x", "1", "01", "user", "\udcff", "a^b"]
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none {ZERO} {WIDE}")
    for i, name in enumerate(names):
        workspace.learn(f"{i + 1} |user {name} |c x")
    assert effect(workspace, "user").table.count == len(names)
    for i, name in enumerate(names):
        assert workspace.predict(f"|user {name}") == pytest.approx((i + 1) / 2)
    told = [name for name, _, _ in effect(workspace, "user").entities()]
    assert told == names


# Which features


def columns_of(workspace: Workspace, name: str, entity: str) -> set[int]:
    return set(effect(workspace, name).coefficients(key(name, entity)))


def test_an_effect_has_the_features_that_it_was_given():
    text = "1 |user u |item i |ctx a b |ad c"
    a, b, c = feature("a", "ctx"), feature("b", "ctx"), feature("c", "ad")
    for spec, columns in {
        "user": {CONSTANT},
        "user:ctx": {CONSTANT, a, b},
        "user:ctx,ad": {CONSTANT, a, b, c},
        "user:*": {CONSTANT, a, b, c},
    }.items():
        workspace = Workspace(["--bayes_linear", "--random_effect", spec, "--random_effect", "item", "--fixed", "same"])
        workspace.learn(text)
        assert columns_of(workspace, "user", "u") == columns
        assert columns_of(workspace, "item", "i") == {CONSTANT}
        # ids are no features of the fixed part
        assert set(workspace.bottom.coefficients()) == {CONSTANT, a, b, c}


def test_the_names_of_entities_never_leak_into_the_fixed_part():
    frozen = "--freeze user --freeze item"
    plain, mixed = (
        Workspace(WIDE),
        Workspace(f"--bayes_linear --random_effect user --random_effect item --fixed gd {frozen} {WIDE}"),
    )
    for row in people(6, 50):
        text = line(row)
        bare = f"{text.partition('|')[0]}|c{text.rpartition('|c')[2]}"
        assert mixed.learn(text) == plain.learn(bare)
    assert mixed.bottom.columns()[1] == plain.bottom.columns()[1]


def test_the_namespace_of_an_entity_can_be_crossed_on_purpose():
    """-q uc: a slope for each user in the fixed part, and in no effect but that of all features."""
    workspace = Workspace(
        f"--bayes_linear --noise 1 --random_effect user:* --random_effect item -q uc --fixed same {WIDE}"
    )
    workspace.learn("3 |user u |item i |c x:2")
    crossed = (feature("u", "user") * 16777619 ^ feature("x", "c")) & 0xFFFFFFFF
    assert set(workspace.bottom.coefficients()) == {CONSTANT, feature("x", "c"), crossed}
    assert columns_of(workspace, "user", "u") == {CONSTANT, feature("x", "c"), crossed}
    assert columns_of(workspace, "item", "i") == {CONSTANT}


@pytest.mark.parametrize("hiding", ["--ignore u", "--keep c", "--ignore_linear u", "--ignore u -q uc"])
def test_entities_are_found_in_namespaces_that_are_no_features(hiding):
    flags = f"--bayes_linear --random_effect user:* {WIDE}"
    plain, hidden = Workspace(flags), Workspace(f"{flags} {hiding}")
    for row in people(6, 40):
        text = line(row).replace(f"|item {row['item']} ", "")
        assert hidden.learn(text) == plain.learn(text)
    assert hidden.predict("|user u1 |c x0") != hidden.predict("|user new |c x0")


def test_without_a_fixed_part_there_is_only_the_offset():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none {ZERO} {WIDE}")
    assert workspace.learn("3 1 0.5 |user u |c x") == 0.5
    assert workspace.predict("0 1 0.5 |user u |c x") == pytest.approx(0.5 + 1.25)
    assert workspace.predict("0 1 0.5 |c x") == 0.5
    assert [learner.name for learner in walk(workspace.top)][-1] == "nothing"


# Options


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("batch", ["1", "5"])
@pytest.mark.parametrize("forget", [0.5, 0.7, 0.8])
def test_effects_that_forget_by_time_do_not_run_off_with_the_fixed_part(forget, batch, posterior, tmp_path):
    """Twenty levels that move each day. It ran off when the fixed part forgot, too: the loss was 207, not 26."""
    source = np.random.default_rng(3)
    levels, lines = 50 + 10 * source.normal(0, 1, 20), []
    for day in range(200):
        levels += 1.5 * source.normal(0, 1, 20)
        lines += [f"{y:.1f} |shop s{i} |day t:{day}" for i, y in enumerate(levels + 4 * source.normal(0, 1, 20))]
    flags = f"--bayes_linear --random_effect shop --forget {forget} --batch_size {batch} --posterior {posterior}"
    timed = Workspace(f"{flags} --forget_time day --columns score,sd")
    counted = Workspace(f"{flags} --columns score,sd")
    scores = np.array([timed.learn(text) for text in lines])[:, 0]
    if batch == "1":  # each shop comes once a day: a day and an example are the same
        assert list(scores) == [counted.learn(text.partition("|day")[0])[0] for text in lines]
    assert np.mean((scores - [float(text.split()[0]) for text in lines])[1000:] ** 2) < 45
    path = tmp_path / "m.model"
    timed.save(path)
    predicted = np.array([Workspace(f"-t -i {path} --columns score,sd").predict(f"|shop s{i}") for i in range(20)])
    assert np.sqrt(np.mean((predicted[:, 0] - levels) ** 2)) < 5
    assert np.all((predicted[:, 1] > 1) & (predicted[:, 1] < 6))


@pytest.mark.parametrize("shrink", ["mean", "zero"])
def test_an_estimated_prior_does_not_run_off_where_data_say_nothing_of_most_coefficients(shrink, tmp_path):
    """Is this image the digit of this entity: ten entities of 64 features, 20 to 60 examples each.

    It ran off (a loss of 0.3, a standard deviation of 2.3) as means kept a rest of each prior that they had had.
    """
    from sklearn.datasets import load_digits

    images, source = load_digits(), np.random.default_rng(0)
    lines = []
    for i in source.permutation(1797)[:600]:
        entity = source.integers(10)
        features = " ".join(f"{j}:{value / 16:.4g}" for j, value in enumerate(images.data[i]) if value)
        lines.append(f"{int(images.target[i] == entity)} |p {features} |a a{entity}")
    labels = np.array([int(each[0]) for each in lines])
    workspace = Workspace(f"--bayes_linear --random_effect a:p --fixed none --shrink {shrink}")
    for count in (200, 400, 600):
        scores = np.array(workspace.learn(lines[count - 200 : count]))
        labels_of_these = labels[count - 200 : count]
        assert np.mean((scores - labels_of_these) ** 2) < 1.1 * np.var(labels_of_these)
    assert np.mean((scores - labels_of_these) ** 2) < 0.8 * np.var(labels_of_these)


def test_an_entity_has_no_model_before_it_was_seen_often_enough():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none --entity_min 3 {ZERO} {WIDE}")
    for n in range(1, 6):
        workspace.learn("2 |user u")
        assert workspace.predict("|user u") == pytest.approx(2 * n / (n + 1) if n >= 3 else 0)


@pytest.mark.parametrize("shrink", ["", "--shrink mean"])
def test_an_entity_seen_too_seldom_is_predicted_like_an_unknown_one(shrink, fit, run, tmp_path):
    rows = [{**row, "user": "often"} for row in people(1, 20)] + [{**row, "user": "seldom"} for row in people(2, 8)]
    flags = f"--bayes_linear --noise 1 --random_effect user:c --fixed none --entity_min 9 {shrink} {WIDE}"
    fit([line(row) for row in rows], flags)
    probe = [f"1 1 0.25 |user {user} |c x0:0.5 x1:-1" for user in ("new", "seldom", "often")]
    text, _ = run(probe, "-t", "-i", str(tmp_path / "fit.model"), "--columns", "score,sd")
    (new, label_sd), (seldom, seldom_sd), (often, often_sd) = (map(float, row.split()) for row in text.splitlines())
    assert (seldom, seldom_sd) == (new, label_sd)
    assert often != new and often_sd < label_sd


def test_unknown_entities_get_the_mean_where_effects_shrink_to_it(fit):
    workspace = Workspace(
        f"--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink mean --effect_l2 1 {WIDE}"
    )
    workspace.learn([line({**row, "o": 0.0}) for row in people(7, 100)])
    users = [f"u{k}" for k in range(6)]
    for column, text in ((CONSTANT, "|user new"), (feature("x0", "c"), "|user new |c x0:1")):
        average = np.mean([mean(workspace, "user", user, column) for user in users])
        base = workspace.predict("|user new") if column != CONSTANT else 0
        assert workspace.predict(text) - base == pytest.approx(average, abs=1e-5)
    # with sweeps: the minimum of the penalty around the mean
    rows = [{**row, "o": 0.0, "w": 1.0} for row in people(7, 100)]
    workspace = fit(
        [line(row) for row in rows],
        f"--square --random_effect user --fixed none --shrink mean --sweeps 400 --effect_l2 5 {WIDE}",
    )
    found = np.array([mean(workspace, "user", user) for user in users])
    counts = np.array([sum(row["user"] == user for row in rows) for user in users])
    sums = np.array([sum(row["y"] for row in rows if row["user"] == user) for user in users])
    np.testing.assert_allclose(found, (sums + 5 * found.mean()) / (counts + 5), atol=1e-4)


def test_examples_weigh_a_power_of_how_often_their_entities_came():
    rows = [{**row, "o": 0.0} for row in people(8, 80)]
    flags = f"--bayes_linear --noise 1 --random_effect user --random_effect item --fixed none {ZERO} {WIDE}"
    workspace = Workspace(f"{flags} --count_weight user=-0.5,item=0.25")
    counts: dict[str, int] = {}
    users: dict[str, Entity] = {}
    items: dict[str, Entity] = {}
    one = np.ones(1)
    total = 0.0
    for n, row in enumerate(rows, 1):
        for name in (row["user"], row["item"]):
            counts[name] = counts.get(name, 0) + 1
        weight = counts[row["user"]] ** -0.5 * counts[row["item"]] ** 0.25
        total += weight
        workspace.learn(line(row))
        user, item = users.setdefault(row["user"], Entity(1, 1)), items.setdefault(row["item"], Entity(1, 1))
        w = row["w"] * weight * n / total
        user_before, item_before = user.m[0], item.m[0]
        # each has the other's variance for a part of the noise
        spare = 1 / user.h[0, 0], 1 / item.h[0, 0]
        user.learn(one, row["y"], w / (1 + w * spare[1]), item_before)
        item.learn(one, row["y"], w / (1 + w * spare[0]), user_before)
    for name, entity in users.items():
        assert mean(workspace, "user", name) == pytest.approx(entity.m[0], abs=1e-4)
    for name, entity in items.items():
        assert mean(workspace, "item", name) == pytest.approx(entity.m[0], abs=1e-4)


NO_BELIEFS = ("_label", "noise_sum", "noise_count", "origin")  # what every part is told, and where it stands


@pytest.mark.parametrize("frozen", ["fixed", "user", "item"])
@pytest.mark.parametrize("more", ["", "--sweeps 3"])
def test_a_frozen_part_learns_nothing_while_the_others_do(frozen, more, tmp_path):
    lines = [line(row) for row in people(9, 60)]
    (tmp_path / "data.txt").write_text("".join(f"{text}\n" for text in lines))
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), "--quiet"]
    flags = "--bayes_linear --random_effect user --random_effect item --fixed same"
    assert main([*words, *flags.split()]) == 0
    before = arrays(tmp_path / "m")
    assert main([*words, "-i", str(tmp_path / "m"), "--freeze", frozen, *more.split()]) == 0
    after = arrays(tmp_path / "m")
    owners = {"fixed": "glm.", "user": "random_effect.user.", "item": "random_effect.item."}
    for part, owner in owners.items():
        content = {name for name in before if name.startswith(owner) and not name.endswith(NO_BELIEFS)}
        same = all(before[name] == after[name] for name in content)
        assert same == (part == frozen), part


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--random_effect user", "needs a learner for the effects"),
        ("--bayes_linear --random_effect user:", "expected NAMESPACE"),
        ("--bayes_linear --random_effect :a", "expected NAMESPACE"),
        ("--bayes_linear --random_effect user:a,,b", "expected NAMESPACE"),
        ("--bayes_linear --random_effect user --random_effect user:a", "namespace of its own"),
        ("--bayes_linear --random_effect fixed", "namespace of its own"),
        ("--bayes_linear --random_effect user --effect_l2 0", "above 0"),
        ("--bayes_linear --random_effect user --effect_l2 nan", "not a number"),
        ("--bayes_linear --random_effect user --effect_l2 item=2", "no random effect 'item'"),
        ("--bayes_linear --random_effect user --count_weight item=2", "no random effect 'item'"),
        ("--bayes_linear --random_effect user --freeze item", "no such part"),
        ("--bayes_linear --random_effect user --entity_min -1", "entity_min"),
        ("--bayes_linear --random_effect user --sweeps 0", "sweeps"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, reason):
    with pytest.raises(OptionError, match=reason):
        Workspace(words)
