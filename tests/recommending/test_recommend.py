"""vwlite recommend: learned, measured, listed and mixed from the command line."""

import hashlib
import json
import math
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import run
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.model import model_file
from vwlite.recommending.commands import Settings, learn, learn_users, lists
from vwlite.recommending.events import divided, read_events
from vwlite.recommending.measuring import first, measure
from vwlite.recommending.model import Model, load
from vwlite.recommending.softmax import Penalty

NAMES = ["--user", "user", "--item", "item"]
SOFT = Settings(factors=2, penalty=Penalty(0.1, 1.0))


def plays(n: int = 1500, users: int = 40, items: int = 30, seed: int = 1) -> list[tuple[str, str, float]]:
    """Users of even numbers turn to items of even numbers, mostly to those of low ones."""
    source = random.Random(seed)
    rows = []
    for _ in range(n):
        user, item = source.randrange(users), int(items * source.random() ** 2)
        if source.random() < 0.9 and (user + item) % 2:
            item = (item + 1) % items
        rows.append((f"u{user}", f"i{item}", source.choice([1.0, 1.0, 2.0])))
    return rows


def text_of(rows: list[tuple[str, str, float]]) -> str:
    return "".join(f"{amount:g} |user {user} |item {item}\n" for user, item, amount in rows)


@pytest.fixture
def data(tmp_path: Path) -> str:
    (tmp_path / "plays.vw").write_text(text_of(plays()))
    return str(tmp_path / "plays.vw")


@pytest.fixture
def model(data: str, tmp_path: Path) -> Model:
    learn([data], "user", "item", SOFT, str(tmp_path / "m"))
    return load(tmp_path / "m")


def test_tastes_predict_better_than_popularity(tmp_path):
    (tmp_path / "d").write_text(text_of(plays(3000, 200, 60)))
    found = learn([f"{tmp_path}/d"], "user", "item", SOFT._replace(holdout=0.2, penalty=Penalty(0.1, 5.0)))
    assert found.held is not None
    assert found.held.model.log_likelihood > found.held.popularity.log_likelihood + 0.1
    assert found.held.model.recall > found.held.popularity.recall
    assert found.held.model.ndcg > found.held.popularity.ndcg


def test_the_metrics_are_those_of_their_definitions(model, tmp_path):
    later = [*plays(200, seed=7), ("new", "i1", 1.0), ("u1", "unheard", 1.0)]
    (tmp_path / "later").write_text(text_of(later))
    events = read_events([str(tmp_path / "later")], "user", "item", {})
    for repeat in (False, True):
        found = measure(model, events, 5, repeat)
        assert (found.unknown_items, found.unknown_users) == (1, 1)
        likely = weights = 0.0
        recalls, ndcgs = [], []
        wanted: dict[str, set[str]] = {}
        for user, item, amount in later:
            if item in model.number_of_item:
                likely += amount * math.log(model.probabilities([user])[0][model.number_of_item[item]])
                weights += amount
                wanted.setdefault(user, set()).add(item)
        learned = sum(user in model.number_of_user and model.number_of_item[item] in model.done_by(user)
                      for user, items in wanted.items() for item in items)  # fmt: skip
        assert found.learned == learned
        for user, items in wanted.items():
            before = set() if repeat else {model.items[i] for i in model.done_by(user)}
            left = items - before
            if not left:
                continue
            scores = dict(zip(model.items, model.probabilities([user])[0], strict=True))
            ranked = sorted((item for item in model.items if item not in before), key=lambda i: -scores[i])[:5]
            recalls.append(len(left & set(ranked)) / min(5, len(left)))
            gains = [1 / math.log2(place + 2) for place, item in enumerate(ranked) if item in left]
            ndcgs.append(sum(gains) / sum(1 / math.log2(place + 2) for place in range(min(5, len(left)))))
        assert found.model.log_likelihood == pytest.approx(likely / weights, rel=1e-9)
        assert found.model.recall == pytest.approx(np.mean(recalls), rel=1e-9)
        assert found.model.ndcg == pytest.approx(np.mean(ndcgs), rel=1e-9)


def test_lists_have_the_best_items_that_the_user_has_not_had(model, tmp_path):
    said = run("recommend", "-i", f"{tmp_path}/m", "--for", "u1", "--for", "nobody", "--top", "4").stdout
    rows = [line.split("\t") for line in said.splitlines()]
    assert [row[0] for row in rows] == ["u1", "nobody"]
    had = {item for user, item, _ in plays() if user == "u1"}
    listed = [cell.rpartition(":")[0] for cell in rows[0][1:]]
    assert not had & set(listed)
    assert len(rows[1]) == 5
    with_had = next(lists(model, ["u1"], 30, True))[1]
    assert len(with_had) == 30 and sum(p for _, p in with_had) == pytest.approx(1)
    assert [p for _, p in with_had] == sorted((p for _, p in with_had), reverse=True)
    every = run("recommend", "-i", f"{tmp_path}/m", "--list", "--json").stdout.splitlines()
    assert [json.loads(line)["user"] for line in every] == model.users


def test_ties_and_short_lists():
    assert first(np.array([1.0, 3.0, 3.0, 2.0]), np.array([], int), 2).tolist() == [1, 2]
    assert first(np.array([1.0, 3.0, 3.0, 2.0]), np.array([1]), 9).tolist() == [2, 3, 0]
    assert first(np.array([1.0, 3.0]), np.array([0, 1]), 1).tolist() == []


def test_the_order_of_the_data_and_split_events_change_nothing(data, tmp_path):
    rows = plays()
    shuffled = [row for user, item, amount in rows for row in [(user, item, amount / 2)] * 2]
    random.Random(5).shuffle(shuffled)
    (tmp_path / "other").write_text(text_of(shuffled))
    one, two = (learn([path], "user", "item", SOFT).model for path in (data, str(tmp_path / "other")))
    assert one.users == two.users
    assert one.probabilities(one.users) == pytest.approx(two.probabilities(two.users), abs=1e-6)


def test_importance_weights_multiply_amounts(tmp_path):
    (tmp_path / "a").write_text("2 |user a |item x\n6 |user a |item y\n1 |user b |item y\n")
    (tmp_path / "b").write_text("1 2 |user a |item x\n2 3 |user a |item y\n1 |user b |item y\n")
    one, two = (read_events([str(tmp_path / name)], "user", "item", {}) for name in "ab")
    assert one.weight.tolist() == two.weight.tolist() == [2, 6, 1]


def test_a_saved_model_is_the_model(model, data, tmp_path):
    model.save(str(tmp_path / "again"))
    again = load(tmp_path / "again")
    assert np.array_equal(again.probabilities(model.users), model.probabilities(model.users))
    learn([data], "user", "item", SOFT, str(tmp_path / "twice"))
    for name in model_file.open(tmp_path / "m", "vwlite recommend").names():
        readers = [model_file.open(tmp_path / path, "vwlite recommend") for path in ("m", "again", "twice")]
        kinds = {bytes(reader.array(name, reader.dtype(name))) for reader in readers}
        assert len(kinds) == 1


def test_an_earlier_model_is_mixed_in(data, tmp_path):
    learn([data], "user", "item", Settings(factors=0), str(tmp_path / "popular"))
    how = SOFT._replace(earlier=str(tmp_path / "popular"), penalty=Penalty(0.1, 1.0, 0.3))
    learn([data], "user", "item", how, str(tmp_path / "both"))
    (tmp_path / "popular").unlink()  # the new model needs no other file
    both = load(tmp_path / "both")
    assert both.earlier is not None
    q = both.probabilities(["u1", "nobody"])
    assert q.sum(axis=1) == pytest.approx([1, 1])
    own = Model(both.users, both.items, both.at, Penalty(0.1, 1.0), both.seen, None, both.about)
    z = both.earlier.probabilities(["u1", "nobody"])
    assert q == pytest.approx(0.7 * own.probabilities(["u1", "nobody"]) + 0.3 * z)


def test_items_that_the_earlier_model_does_not_know_have_its_probability_zero(tmp_path):
    rows = plays()
    (tmp_path / "some").write_text(text_of([row for row in rows if row[1] != "i0"]))
    (tmp_path / "all").write_text(text_of(rows))
    learn([str(tmp_path / "some")], "user", "item", Settings(factors=0), str(tmp_path / "first"))
    how = SOFT._replace(earlier=str(tmp_path / "first"), penalty=Penalty(0.1, 1.0, 0.5))
    both = learn([str(tmp_path / "all")], "user", "item", how).model
    z = both.of_earlier(["u1"])[0]
    assert z[both.number_of_item["i0"]] == 0
    assert z.sum() == pytest.approx(1)


def test_tuning_finds_ridges_that_predict_better_than_bad_ones(data, tmp_path):
    flags = "--factors 2 --factor_l2 500 --item_l2 300 --holdout 0.2 --tune 15 --json"
    said = run("recommend", data, *NAMES, *flags.split(), "-f", f"{tmp_path}/m").stdout
    found = json.loads(said)
    assert len(found["tried"]) == 15
    best = max(found["tried"], key=lambda one: one["log_likelihood"])
    assert best["log_likelihood"] == pytest.approx(found["held"]["model"]["log_likelihood"])
    assert best["log_likelihood"] > found["tried"][0]["log_likelihood"] + 0.1
    assert (found["item_l2"], found["factor_l2"]) == (best["item_l2"], best["factor_l2"])
    kept = load(tmp_path / "m").how
    assert (kept.item_l2, kept.factor_l2) == (best["item_l2"], best["factor_l2"])


def test_the_share_of_a_good_earlier_model_is_tuned(data, tmp_path):
    learn([data], "user", "item", Settings(factors=0), str(tmp_path / "popular"))
    found = learn([data], "user", "item", SOFT._replace(earlier=str(tmp_path / "popular"), holdout=0.2, tune=12))
    shares = {penalty.share for penalty, _ in found.tried}
    assert len(shares) > 3
    assert found.held is not None
    assert found.held.model.log_likelihood > found.held.popularity.log_likelihood


def test_new_users_are_learned_with_items_frozen(model, tmp_path):
    (tmp_path / "new").write_text(
        "".join(f"1 |user eve |item i{i}\n" for i in range(0, 12, 2)) + "1 |user eve |item zzz\n"
    )
    found = learn_users(model, [str(tmp_path / "new")], 200, str(tmp_path / "after"))
    assert found.unknown_items == 1
    after = load(tmp_path / "after")
    assert np.array_equal(after.at.items, model.at.items) and np.array_equal(after.at.item, model.at.item)
    assert np.array_equal(after.probabilities(model.users), model.probabilities(model.users))
    even = [i for i, name in enumerate(after.items) if int(name[1:]) % 2 == 0]
    before, now = (each.probabilities(["eve"])[0][even].sum() for each in (model, after))
    assert now > before + 0.1
    listed = {item for item, _ in next(lists(after, ["eve"], 30, False))[1]}
    assert not listed & {f"i{i}" for i in range(0, 12, 2)}
    # all at once or in two runs: the same
    lines = (tmp_path / "new").read_text().splitlines(keepends=True)
    for name, text, start in (("one", lines[:3], model), ("two", lines[3:], None)):
        (tmp_path / f"{name}.vw").write_text("".join(text))
        learn_users(start or load(tmp_path / "one.m"), [f"{tmp_path}/{name}.vw"], 200, f"{tmp_path}/{name}.m")
    twice = load(tmp_path / "two.m")
    assert twice.probabilities(["eve"]) == pytest.approx(after.probabilities(["eve"]), abs=1e-6)


def test_held_out_pairs_are_never_learned(data):
    events = read_events([data], "user", "item", {})
    less, out = divided(events, 0.3)
    named = [{(e.users[u], e.items[i]) for u, i in zip(e.user, e.item, strict=True)} for e in (less, out, events)]
    assert not named[0] & named[1]
    assert named[0] | named[1] == named[2]


def test_tables_have_events_too(tmp_path):
    (tmp_path / "d.csv").write_text("y,user,item\n" + "".join(f"{a},{u},{i}\n" for u, i, a in plays()))
    (tmp_path / "d.vw").write_text(text_of(plays()))
    one = learn([f"{tmp_path}/d.csv"], "user", "item", SOFT, None, {"label": "y"}).model
    two = learn([f"{tmp_path}/d.vw"], "user", "item", SOFT).model
    assert (one.users, one.items) == (two.users, two.items)
    assert np.array_equal(one.at.items, two.at.items)


def test_growing_data_keep_what_is_known(data, tmp_path):
    (tmp_path / "more").write_text(text_of([*plays(), *plays(800, 60, 45, seed=3)]))
    found = learn([f"{tmp_path}/more"], "user", "item", SOFT)
    assert len(found.model.users) == 60 and len(found.model.items) == 45


BAD: dict[str, tuple[str, str]] = {
    "-i nowhere --list": ("", "nowhere: cannot read the model"),
    "DATA --user user -f m": ("1 |user a |item b\n", "--item NAME: say which namespace"),
    "DATA --user user --item nothing -f m": ("1 |user a |item b\n", "--item nothing: no example of"),
    "DATA --user user --item user -f m": ("1 |user a |item b\n", "are the same"),
    "DATA --user user --item item": ("1 |user a |item b\n", "-f FILE for the model, or --holdout"),
    "DATA --user user --item item -f m --top 3": ("1 |user a |item b\n", "--top has no effect without --holdout"),
    "DATA --user user --item item -f m --tune 3": ("1 |user a |item b\n", "--tune needs held-out events"),
    "DATA --user user --item item -f m --mix .3": ("1 |user a |item b\n", "--mix needs an earlier model"),
    "DATA --user user --item item -f m --for a": ("1 |user a |item b\n", "--for has no effect without -i"),
    "DATA --user user --item item -f m --list": ("1 |user a |item b\n", "--list has no effect without -i"),
    "DATA --user user --item item -f m --holdout .5": ("1 |user a |item b\n", "there are 1 pairs"),
    "DATA --user user --item item -f /dev/null/m": ("1 |user a |item b\n", "can't be written"),
    "DATA --user user --item item -f m ": ("", "there is no example"),
    "DATA --user user --item item -f m  ": ("|user a |item b\n", "no example has a label"),
    "DATA --user user --item item -f m   ": ("0 |user a |item b\n", "a label above 0"),
    "DATA --user user --item item -f m    ": ("1 |user a |item b\n-1 |user a |item c\n", "example 2 is negative (-1)"),
    "DATA --user user --item item -f m --earlier DATA": ("1 |user a |item b\n", "is not a vwlite model"),
    "nowhere.vw --user user --item item -f m": ("", "nowhere.vw: can't read examples"),
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    text, message = BAD[words]
    (tmp_path / "d.vw").write_text(text)
    said = run("recommend", *words.replace("DATA", "d.vw").split(), status=1).stderr
    assert message in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.vw"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-f x", "--final_regressor has no effect without DATA"),
        ("--repeat", "--repeat has no effect without DATA"),
        ("d.vw --user user", "--user has no effect with -i"),
        ("d.vw --holdout .3", "--holdout has no effect with -i"),
        ("d.vw --iterations 9", "--iterations has no effect without -f"),
        ("--list -f x", "--final_regressor has no effect with --list"),
        ("d.vw --for a", "--for and DATA"),
        ("d.vw -f x --top 3", "--top has no effect with -f"),
        ("strange.vw", "the model knows no item of these events"),
        ("strange.vw -f x", "the model knows no item of these events"),
    ],
)
def test_options_that_do_not_fit_a_loaded_model(model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.vw").write_text(text_of(plays()))
    (tmp_path / "strange.vw").write_text("1 |user u1 |item strange\n")
    said = run("recommend", "-i", "m", *words.split(), status=1).stderr
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_model_says_what_it_is(data, tmp_path):
    (tmp_path / "later").write_text("2 |user new |item i1\n1 |user new |item i2\n")
    run("recommend", data, *NAMES, "-f", f"{tmp_path}/m", "--factors", "3", "--item_l2", "0.25", "--random_seed", "7")
    run("recommend", "-i", f"{tmp_path}/m", f"{tmp_path}/later", "-f", f"{tmp_path}/n")
    run("recommend", data, *NAMES, "--earlier", f"{tmp_path}/n", "--mix", "0.3", "-f", f"{tmp_path}/o")
    facts = json.loads(run("recommend", "-i", f"{tmp_path}/o", "--top", "2", "--json").stdout)
    counts: dict[str, float] = defaultdict(float)
    for _, item, amount in plays():
        counts[item] += amount
    for one in facts["popular"]:
        assert one["share"] == pytest.approx(counts[one["item"]] / sum(counts.values()))
    assert {one["item"] for one in facts["popular"]} == set(sorted(counts, key=lambda item: -counts[item])[:2])
    earlier = facts["earlier"]
    assert (facts["share"], facts["factors"], earlier["factors"], earlier["item_l2"]) == (0.3, 8, 3, 0.25)
    assert (facts["users"], earlier["users"]) == (40, 41)
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (data, f"{tmp_path}/later")]
    assert [[source["sha256"] for source in sources] for sources in earlier["sources"]] == [[one] for one in digests]
    said = run("recommend", "-i", f"{tmp_path}/o").stdout
    assert "--factors 8 --item_l2 0.1 --factor_l2 10 --mix 0.3 --random_seed 0" in said
    assert f"  users learned from {tmp_path}/later (sha256 {digests[1][:12]}, 42 bytes)\n" in said


def test_names_of_a_model_do_not_reach_the_terminal_as_they_are(tmp_path):
    (tmp_path / "d").write_text("1 |user a |item b\x1b[2J\n")
    run("recommend", f"{tmp_path}/d", *NAMES, "-f", f"{tmp_path}/m")
    assert "\x1b" not in run("recommend", "-i", f"{tmp_path}/m").stdout


def test_examples_that_are_no_events_are_counted(data, tmp_path):
    (tmp_path / "d").write_text(text_of(plays()) + "1 |user a\n1 |item b\n0 |user a |item b\n|user a |item b\n")
    said = run("recommend", f"{tmp_path}/d", *NAMES, "-f", f"{tmp_path}/m", "--factors", "1").stdout
    assert "examples left out, without a user, an item or a label above 0 = 4" in said
    assert re.search(r"^fit = (converged|stopped) after \d+ iterations, objective ", said, re.MULTILINE)


def test_other_commands_and_models_are_refused_in_one_line(model, data, tmp_path):
    for words in (["-t", "-i", f"{tmp_path}/m", data], ["inspect", f"{tmp_path}/m"], ["replay", f"{tmp_path}/m"]):
        said = run(*words, status=1).stderr
        assert "is a model for vwlite recommend; `vwlite recommend -i" in said and said.count("\n") == 1
    run(data, "-f", f"{tmp_path}/linear", "--quiet")
    with pytest.raises(ModelError, match="is no model of vwlite recommend"):
        load(tmp_path / "linear")


def forged(model: Model, tmp_path: Path, change: dict[str, Any], about: dict[str, Any]) -> Path:
    reader = model_file.open(tmp_path / "m", "vwlite recommend")
    arrays = {}
    for name in reader.names():
        kind = reader.dtype(name)
        values: Any = reader.array(name, kind)
        arrays[name] = (kind, reader.shape(name), change.get(name, values))
    facts = {**reader.metadata["recommend"], **about}
    metadata = {"read_by": "vwlite recommend", "recommend": {k: v for k, v in facts.items() if v is not None}}
    model_file.write(tmp_path / "forged", arrays, metadata)
    return tmp_path / "forged"


def test_models_of_strangers_are_checked(model, tmp_path):
    users = len(model.seen[0])
    for change, about in (
        ({"recommend.seen_user": np.full(users, 10**6, np.uint32)}, {}),
        ({"recommend.seen_item": np.full(users, 10**6, np.uint32)}, {}),
        ({"recommend.seen_weight": np.full(users, -1.0)}, {}),
        ({"recommend.seen_weight": np.full(users, 1e308)}, {}),  # whose sum, of which items have shares, is infinite
        ({}, {"item_l2": "inf"}),
        ({}, {"factor_l2": "1e999"}),
        ({"recommend.item_effect": np.full(len(model.items), np.nan)}, {}),
        ({}, {"share": 2}),
        ({}, {"share": "a"}),
        ({}, {"user": None}),
        ({}, {"earlier": {"share": 0}}),
        ({}, {"earlier": 3}),
        ({}, {"factors": "8"}),
        ({}, {"sources": 3}),
        ({}, {"sources": [[{"name": "d"}]]}),
        ({}, {"sources": [[{"name": "d", "sha256": 1, "bytes": 2}]]}),
    ):
        with pytest.raises(ModelError) as error:
            load(forged(model, tmp_path, change, about))
        assert "\n" not in str(error.value)


def test_names_of_any_text_come_back(tmp_path):
    (tmp_path / "d").write_bytes(
        "1 |user a\u00e9\u4e2d |item x\n1 |user b |item y\n".encode() + b"1 |user \xff |item x\n"
    )
    learn([f"{tmp_path}/d"], "user", "item", Settings(factors=0), f"{tmp_path}/m")
    assert "a\u00e9\u4e2d" in load(tmp_path / "m").users
    assert "\udcff" in load(tmp_path / "m").users


def test_python_says_what_is_wrong(data):
    with pytest.raises(OptionError, match="--tune needs held-out events"):
        learn([data], "user", "item", Settings(tune=3))
    with pytest.raises(VwliteError, match="nothing was held out"):
        divided(read_events([data], "user", "item", {}), 1e-9)
